//! The parts of a bootstrap that make an Envoy of role `node` or `mesh` save memory for Services
//! that carry no traffic: most of many thousand (docs/scale.md).

use seaway_translator::Role;

/// Statistics of listeners that are left out, as regular expressions: clusters count the
/// connections, too. What a listener refused stays.
const OF_LISTENERS: &[&str] = &[
    "worker_.*",
    "connections_.*",
    "downstream_cx_(active|destroy|length_ms|total|transport_.*)",
    "downstream_(pre|listener)_.*",
    ".*extension_config_missing",
    "no_filter_chain_match",
];

/// Statistics of Services' clusters that are left out, as regular expressions. What stays:
/// endpoints, connections and their failures, bytes, what limits and outlier detection did, and
/// rejected assignments.
const OF_CLUSTERS: &[&str] = &[
    // Of Envoy's inner life.
    "assignment_.*",
    "circuit_breakers\\..*",
    "default\\..*",
    "init_.*",
    "lb_.*",
    "max_host_weight",
    "original_dst_.*",
    "update_[^r].*",
    "version.*",
    "warming_state",
    // Parts of sums that stay.
    "membership_(degraded|excluded)",
    "outlier_detection\\.ejections_(consecutive|detected|enforced_[^t]|success|failure|total).*",
    "upstream_cx_(close|connect_(ms|with)|destroy|idle|length|max|pre|pool|[rt]x_bytes_buffered).*",
];

/// Statistics of HTTP, which a node does not look into. Pending requests above a limit are
/// connections, too.
const OF_REQUESTS: &[&str] = &[
    "retry_or_.*",
    "upstream_(flow|http3|internal|queue)_.*",
    "upstream_cx_(http|protocol).*",
    "upstream_rq_([^p]|pending_[^o]|per_).*",
];

/// The load reports of a bootstrap with `--lrs`.
const LOAD_REPORTS: &str = "  load_stats_config:
    api_type: GRPC
    transport_api_version: V3
    grpc_services:
    - envoy_grpc:
        cluster_name: seaway_xds
";

/// The section `cluster_manager`, if there is anything in it. A worker makes its part of a cluster
/// with the first connection to it, where there are many that get none.
pub(super) fn cluster_manager(role: Role, load_reports: bool) -> String {
    let deferred = match role {
        Role::Node | Role::Mesh => "  enable_deferred_cluster_creation: true\n",
        Role::Ingress | Role::Grpc => "",
    };
    let load_reports = if load_reports { LOAD_REPORTS } else { "" };
    match (deferred, load_reports) {
        ("", "") => String::new(),
        _ => format!("cluster_manager:\n{deferred}{load_reports}"),
    }
}

/// What a proxy of role `node` or `mesh` counts; empty for others. Statistics are a quarter of the
/// memory of a Service and half of the time it takes Envoy to make it ready.
pub(super) fn statistics(role: Role) -> String {
    let listeners = match role {
        Role::Node => format!(
            "
      - prefix: tcp.
      - safe_regex:
          regex: 'listener\\..*\\.({})'",
            OF_LISTENERS.join("|")
        ),
        // Requests are what its clusters count; its one listener has few statistics.
        Role::Mesh => String::new(),
        Role::Ingress | Role::Grpc => return String::new(),
    };
    let of_requests = if role == Role::Node { OF_REQUESTS } else { &[] };
    let clusters: Vec<_> = OF_CLUSTERS.iter().chain(of_requests).copied().collect();
    // The names of Services have two underscores and more; that of the control plane has one.
    let clusters = clusters.join("|");
    format!(
        "\
deferred_stat_options:
  enable_deferred_creation_stats: true
# Statistics that are left out. Without `stats_config` Envoy has them all, for a third more memory.
stats_config:
  stats_matcher:
    exclusion_list:
      patterns:{listeners}
      - safe_regex:
          regex: 'cluster\\.[^.]*_[^.]*_[^.]*\\.({clusters})'
"
    )
}
