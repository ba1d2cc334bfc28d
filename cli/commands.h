// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Every command, as tree.cpp hangs them into the tree.

#include "cli/tree.h"

namespace sluice::cli {

Result<int> run_status(const Options& options);
Result<int> run_service_list(const Options& options);
Result<int> run_service_show(const Options& options);
Result<int> run_backend_list(const Options& options);
Result<int> run_backend_show(const Options& options);
Result<int> run_backend_set(const Options& options);
Result<int> run_backend_reset(const Options& options);
Result<int> run_health_list(const Options& options);
Result<int> run_health_show(const Options& options);
Result<int> run_flow_list(const Options& options);
Result<int> run_flow_count(const Options& options);
Result<int> run_flow_purge(const Options& options);
Result<int> run_flow_show(const Options& options);
Result<int> run_map_list(const Options& options);
Result<int> run_map_show(const Options& options);
Result<int> run_top(const Options& options);
Result<int> run_node_show(const Options& options);
Result<int> run_node_drops(const Options& options);
Result<int> run_node_tune(const Options& options);
Result<int> run_node_drain(const Options& options);
Result<int> run_node_ready(const Options& options);
Result<int> run_announce_list(const Options& options);
Result<int> run_reasons(const Options& options);
Result<int> run_metrics(const Options& options);
Result<int> run_capture(const Options& options);
Result<int> run_explain(const Options& options);
Result<int> run_observe(const Options& options);
Result<int> run_events(const Options& options);
Result<int> run_config_check(const Options& options);
Result<int> run_config_show(const Options& options);
Result<int> run_config_plan(const Options& options);
Result<int> run_config_diff(const Options& options);
Result<int> run_config_apply(const Options& options);
Result<int> run_config_confirm(const Options& options);
Result<int> run_config_rollback(const Options& options);
Result<int> run_config_history(const Options& options);
Result<int> run_canary_show(const Options& options);
Result<int> run_canary_promote(const Options& options);
Result<int> run_canary_back(const Options& options);
Result<int> run_instance_list(const Options& options);
Result<int> run_instance_remove(const Options& options);
Result<int> run_detach(const Options& options);
Result<int> run_reload(const Options& options);
Result<int> run_doctor(const Options& options);
Result<int> run_version(const Options& options);
Result<int> run_completion(const Options& options);
Result<int> run_reference(const Options& options);
Result<int> run_agent_run(const Options& options);
Result<int> run_agent_apply(const Options& options);
Result<int> run_agent_print(const Options& options);
Result<int> run_agent_status(const Options& options);

}  // namespace sluice::cli
