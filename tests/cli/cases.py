# SPDX-License-Identifier: Apache-2.0
"""What the binaries are asked, one case a line of CASES: name, scene of the fake daemon (None: no
daemon), and the words after the program. @SOCKET@ and @DIR@ stand for this run's paths. What comes
out is in tests/golden/cli/NAME.txt, whole."""

CONFIG_OK = """\
version: 1
node:
  interfaces: [eth0]
  ring_secret: 000102030405060708090a0b0c0d0e0f
groups:
  web:
    backends: [10.0.0.5, 10.0.0.6]
services:
  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 80, forward: ipip, group: web}
"""

CONFIG_BAD = """\
version: 1
node:
  interfaces: [eth0]
  ring_secret: 000102030405060708090a0b0c0d0e0f
groups:
  web:
    backends: [10.0.0.5]
services:
  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 70000, forward: ipip, group: wob}
"""

FILES = {"ok.yaml": CONFIG_OK, "bad.yaml": CONFIG_BAD}

# (name, scene, program, words)
CASES = [
    ("version", None, "sluice", "version"),
    ("version_flag", None, "sluice", "--version"),
    ("version_json", None, "sluice", "version -j"),
    ("help", None, "sluice", "--help"),
    ("help_service", None, "sluice", "service --help"),
    ("help_service_show", None, "sluice", "service show --help"),
    ("help_config_check", None, "sluice", "config check -h"),
    ("help_agent_run", None, "sluice", "agent run --help"),
    ("usage_nothing", None, "sluice", ""),
    ("usage_noun_alone", None, "sluice", "service"),
    ("usage_command_misspelt", None, "sluice", "statsu"),
    ("usage_command_unlike_any", None, "sluice", "frobnicate"),
    ("usage_verb_misspelt", None, "sluice", "backend lits"),
    ("usage_option_misspelt", None, "sluice", "status --sokcet=x"),
    ("usage_option_unlike_any", None, "sluice", "status --frobnicate"),
    ("usage_format_unknown", None, "sluice", "status -o xml"),
    ("usage_value_missing", None, "sluice", "status --socket"),
    ("usage_operand_missing", None, "sluice", "service show"),
    ("usage_operand_too_many", None, "sluice", "service show a b"),
    ("usage_two_commands", None, "sluice", "status reasons"),
    ("usage_port", None, "sluice", "agent print --gue-port 70000"),
    ("usage_shell", None, "sluice", "completion tcsh"),
    ("status_healthy", "healthy", "sluice", "status"),
    ("status_degraded", "degraded", "sluice", "status"),
    ("status_crowded", "crowded", "sluice", "status"),
    ("status_crowded_wide", "crowded", "sluice", "status -o wide"),
    ("status_empty", "empty", "sluice", "status"),
    ("status_json", "degraded", "sluice", "status -j"),
    ("status_no_daemon", None, "sluice", "status"),
    ("service_list", "degraded", "sluice", "service list"),
    ("service_list_wide", "healthy", "sluice", "service list -o wide"),
    ("service_list_json", "healthy", "sluice", "service list --json"),
    ("service_list_yaml", "healthy", "sluice", "service list -o yaml"),
    ("service_show", "degraded", "sluice", "service show web6"),
    ("service_show_wide", "degraded", "sluice", "service show web6 -o wide"),
    ("service_show_json", "healthy", "sluice", "service show web -j"),
    ("service_show_misspelt", "healthy", "sluice", "service show wbe6"),
    ("service_show_unlike_any", "healthy", "sluice", "service show frobnicate"),
    ("backend_list", "degraded", "sluice", "backend list"),
    ("backend_list_wide", "degraded", "sluice", "backend list -o wide"),
    ("backend_list_json", "healthy", "sluice", "backend list -j"),
    ("backend_show", "healthy", "sluice", "backend show web/10.0.0.5"),
    ("backend_show_ip6", "degraded", "sluice", "backend show web/2001:db8:1::7"),
    ("backend_show_yaml", "healthy", "sluice", "backend show web/10.0.0.6 -o yaml"),
    ("backend_show_misspelt", "healthy", "sluice", "backend show web/10.0.0.7"),
    ("backend_show_no_address", "healthy", "sluice", "backend show web"),
    ("node_show", "degraded", "sluice", "node show"),
    ("node_show_json", "healthy", "sluice", "node show -j"),
    ("reasons", "degraded", "sluice", "reasons"),
    ("reasons_wide", "degraded", "sluice", "reasons -o wide"),
    ("reasons_all", "healthy", "sluice", "reasons --all"),
    ("config_show", "healthy", "sluice", "config show"),
    ("config_show_json", "healthy", "sluice", "config show -j"),
    ("config_check_valid", None, "sluice", "config check -f @DIR@/ok.yaml"),
    ("config_check_operand", None, "sluice", "config check @DIR@/ok.yaml"),
    ("config_check_valid_json", None, "sluice", "config check @DIR@/ok.yaml -j"),
    ("config_check_invalid", None, "sluice", "config check @DIR@/bad.yaml"),
    ("config_check_invalid_json", None, "sluice", "config check -j @DIR@/bad.yaml"),
    ("config_check_missing", None, "sluice", "config check @DIR@/none.yaml"),
    ("reload", "healthy", "sluice", "reload"),
    ("reload_wait", "healthy", "sluice", "reload --wait"),
    ("reload_wait_json", "healthy", "sluice", "reload -w -j"),
    ("reload_refused", "degraded", "sluice", "reload --wait"),
    ("reload_no_daemon", None, "sluice", "reload"),
    ("completion_bash", None, "sluice", "completion bash"),
    ("completion_zsh", None, "sluice", "completion zsh"),
    ("completion_fish", None, "sluice", "completion fish"),
    ("agent_print", None, "sluice", "agent print --interface eth0 --vip 192.0.2.10 "
     "--vip 2001:db8::10 --from 10.255.0.0/24"),
    ("agent_print_nothing_given", None, "sluice", "agent print"),
    ("agent_print_bad_vip", None, "sluice", "agent print --interface eth0 --vip 192.0.2 "
     "--from 10.255.0.0/24"),
    ("agent_status_not_running", None, "sluice", "agent status --bpffs @DIR@/pins"),
    ("sluiced_help", None, "sluiced", "--help"),
    ("sluiced_version", None, "sluiced", "--version"),
    ("sluiced_usage_option", None, "sluiced", "--frobnicate"),
    ("sluiced_usage_operand", None, "sluiced", "start"),
    ("sluiced_usage_log_level", None, "sluiced", "--log-level loud"),
    ("sluiced_usage_check_and_detach", None, "sluiced", "--check --detach"),
    ("sluiced_check_valid", None, "sluiced", "--check -f @DIR@/ok.yaml"),
    ("sluiced_check_invalid", None, "sluiced", "--check -f @DIR@/bad.yaml"),
    ("sluiced_check_missing", None, "sluiced", "--check -f @DIR@/none.yaml"),
]
