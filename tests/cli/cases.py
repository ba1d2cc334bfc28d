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
    ("backend_list_changing", "changing", "sluice", "backend list"),
    ("backend_list_changing_json", "changing", "sluice", "backend list -j"),
    ("backend_show_changing", "changing", "sluice", "backend show web/10.0.0.5"),
    ("backend_show_retired", "changing", "sluice", "backend show web/10.0.0.9"),
    ("backend_show_service_and_port", "healthy", "sluice",
     "backend show 'web6/[2001:db8:1::7]:80'"),
    ("backend_show_other_port", "healthy", "sluice", "backend show web/10.0.0.5:81"),
    ("help_backend_set", None, "sluice", "backend set --help"),
    ("backend_set", "healthy", "sluice", "backend set web/10.0.0.5 --state drain --weight 7"),
    ("backend_set_for", "healthy", "sluice", "backend set web6/10.0.0.5:80 --weight 0 --for 1h"),
    ("backend_set_json", "healthy", "sluice",
     "backend set web/10.0.0.5 --state maint --deadline 10m -j"),
    ("backend_set_wait", "healthy", "sluice", "backend set web/10.0.0.5 --state drain --wait"),
    ("backend_set_wait_json", "healthy", "sluice", "backend set web/10.0.0.5 --weight 7 -w -j"),
    ("backend_set_wait_deadline", "healthy", "sluice",
     "backend set web/10.0.0.5 --state drain --deadline 1s --wait"),
    ("backend_set_nothing", "healthy", "sluice", "backend set web/10.0.0.5"),
    ("backend_set_odd_state", "healthy", "sluice", "backend set web/10.0.0.5 --state off"),
    ("backend_set_odd_weight", "healthy", "sluice", "backend set web/10.0.0.5 --weight 1001"),
    ("backend_set_odd_duration", "healthy", "sluice", "backend set web/10.0.0.5 --for 10"),
    ("backend_set_contradiction", "healthy", "sluice",
     "backend set web/10.0.0.5 --state ready --weight 0"),
    ("backend_set_retired", "changing", "sluice", "backend set web/10.0.0.9 --state ready"),
    ("backend_set_misspelt", "healthy", "sluice", "backend set wbe/10.0.0.5 --state drain"),
    ("backend_set_no_address", "healthy", "sluice", "backend set web --state drain"),
    ("backend_set_no_daemon", None, "sluice", "backend set web/10.0.0.5 --state drain --wait"),
    ("backend_reset", "changing", "sluice", "backend reset web/10.0.0.5"),
    ("backend_reset_wait", "changing", "sluice", "backend reset web/10.0.0.5 --wait"),
    ("help_flow_list", None, "sluice", "flow list --help"),
    ("flow_list", "healthy", "sluice", "flow list"),
    ("flow_list_wide", "healthy", "sluice", "flow list -o wide --limit 3"),
    ("flow_list_lines_json", "healthy", "sluice", "flow list -j --class established"),
    ("flow_list_yaml", "healthy", "sluice", "flow list -o yaml --max-age 2s"),
    ("flow_list_filtered", "healthy", "sluice",
     "flow list --group web --backend web/10.0.0.6:80 --min-age 3s --max-age 1h"),
    ("flow_list_nothing", "healthy", "sluice", "flow list --min-age 1d"),
    ("flow_list_unknown_group", "healthy", "sluice", "flow list --group wob"),
    ("flow_list_two_owners", "healthy", "sluice",
     "flow list --group web6 --backend web/10.0.0.6"),
    ("flow_list_odd_class", "healthy", "sluice", "flow list --class tcp"),
    ("flow_list_odd_backend", "healthy", "sluice", "flow list --backend 10.0.0.6"),
    ("flow_list_no_daemon", None, "sluice", "flow list"),
    ("flow_count", "healthy", "sluice", "flow count --class datagram"),
    ("flow_count_json", "healthy", "sluice", "flow count -j"),
    ("flow_purge", "healthy", "sluice", "flow purge --backend web/10.0.0.5"),
    ("flow_purge_json", "healthy", "sluice", "flow purge --all -j"),
    ("flow_purge_nothing_given", "healthy", "sluice", "flow purge"),
    ("flow_show", "healthy", "sluice", "flow show 'tcp 198.51.100.7:1234 > 192.0.2.10:443'"),
    ("flow_show_remembered", "healthy", "sluice",
     "flow show 'tcp 198.51.100.7:1234 > 192.0.2.10:80'"),
    ("flow_show_remembered_json", "healthy", "sluice",
     "flow show 'tcp 198.51.100.7:1234 > 192.0.2.10:80' -j"),
    ("flow_show_refused", "healthy", "sluice",
     "flow show 'tcp 198.51.100.7:1234 > 192.0.2.10:80 syn'"),
    ("flow_show_id", "healthy", "sluice",
     "flow show 'tcp 198.51.100.7:1234 > 192.0.2.10:80' --id 00000007"),
    ("flow_show_no_such_port", "healthy", "sluice",
     "flow show 'udp 198.51.100.7:1234 > 192.0.2.10:81'"),
    ("flow_show_not_ours", "healthy", "sluice",
     "flow show 'tcp [2001:db8::7]:1234 > [2001:db8:9::1]:80'"),
    ("flow_show_odd_tuple", "healthy", "sluice", "flow show 'tcp 198.51.100.7 > 192.0.2.10:80'"),
    ("flow_show_odd_id", "healthy", "sluice",
     "flow show 'tcp 198.51.100.7:1234 > 192.0.2.10:80' --id 7"),
    ("map_list", "healthy", "sluice", "map list"),
    ("map_list_changing", "changing", "sluice", "map list"),
    ("map_list_changing_wide", "changing", "sluice", "map list -o wide"),
    ("map_list_changing_json", "changing", "sluice", "map list -j"),
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
