//! The part of a bootstrap that makes an Envoy of role `node` save memory for Services that carry
//! no traffic: most of many thousand (docs/scale.md).

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
    // Of HTTP, which a node does not look into. Pending requests above a limit are connections,
    // too.
    "retry_or_.*",
    "upstream_(flow|http3|internal|queue)_.*",
    "upstream_cx_(http|protocol).*",
    "upstream_rq_([^p]|pending_[^o]|per_).*",
];

/// The part of the bootstrap for role `node`; empty for others. Statistics are a quarter of the
/// memory of a Service and half of the time it takes Envoy to make it ready. And a worker makes its
/// part of a cluster with the first connection to it.
pub(super) fn economy(role: Role) -> String {
    if role != Role::Node {
        return String::new();
    }
    // The names of Services have two underscores and more; that of the control plane has one.
    let (listeners, clusters) = (OF_LISTENERS.join("|"), OF_CLUSTERS.join("|"));
    format!(
        "\
cluster_manager:
  enable_deferred_cluster_creation: true
deferred_stat_options:
  enable_deferred_creation_stats: true
# Statistics that are left out. Without `stats_config` Envoy has them all, for a third more memory.
stats_config:
  stats_matcher:
    exclusion_list:
      patterns:
      - prefix: tcp.
      - safe_regex:
          regex: 'listener\\..*\\.({listeners})'
      - safe_regex:
          regex: 'cluster\\.[^.]*_[^.]*_[^.]*\\.({clusters})'
"
    )
}
