//! What an Envoy does before it is out of files or memory.

use seaway_translator::Role;

use super::files::{self, Shares};
use crate::args::BootstrapArgs;

/// The limits. An Envoy that is out of files aborts, and with it every Service of the node, or
/// every host: beyond its share a connection is closed at once.
pub(super) fn overload(args: &BootstrapArgs, role: Role) -> String {
    let files = args.max_files.unwrap_or_else(files::own_limit);
    let Shares { connections } = match role {
        Role::Node => Shares::of(files, args.listener_files),
        Role::Ingress => Shares::of_ingress(files),
        Role::Mesh | Role::Grpc => return String::new(),
    };
    let heap = (role == Role::Ingress).then(|| heap(args)).flatten();
    let (monitor, actions) = heap.map_or_else(Default::default, |heap| (monitor(heap), ACTIONS));
    format!(
        "\
# For {files} open files (docs/scale.md).
overload_manager:
  resource_monitors:
  - name: envoy.resource_monitors.global_downstream_max_connections
    typed_config:
      \"@type\": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
      max_active_downstream_connections: {connections}
{monitor}{actions}"
    )
}

/// How many bytes the heap of an ingress proxy may have: nine tenths of what there is, since a
/// process is more than its heap. What a process that prints a bootstrap may have says nothing of
/// an Envoy in another container, so without the flag there is what the machine has.
fn heap(args: &BootstrapArgs) -> Option<u64> {
    let machine = rustix::system::sysinfo();
    let all = machine.totalram.checked_mul(machine.mem_unit.into());
    let memory = args.max_memory.or(all)?;
    Some(memory - memory / 10).filter(|heap| *heap > 0)
}

fn monitor(heap: u64) -> String {
    format!(
        "\
  # Nine tenths of the memory that Envoy may have (--max-memory; docs/ingress.md).
  - name: envoy.resource_monitors.fixed_heap
    typed_config:
      \"@type\": type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig
      max_heap_size_bytes: {heap}
"
    )
}

/// From what costs nobody anything to what everybody feels. Streams are ended in the order of what
/// is buffered for them, those with most first; whoever has less than 64 KiB is not looked for.
const ACTIONS: &str = "  \
  buffer_factory_config:
    minimum_account_to_track_power_of_two: 16
  actions:
  - name: envoy.overload_actions.shrink_heap
    triggers:
    - name: envoy.resource_monitors.fixed_heap
      threshold: { value: 0.85 }
  - name: envoy.overload_actions.disable_http_keepalive
    triggers:
    - name: envoy.resource_monitors.fixed_heap
      threshold: { value: 0.9 }
  - name: envoy.overload_actions.reset_high_memory_stream
    triggers:
    - name: envoy.resource_monitors.fixed_heap
      scaled: { scaling_threshold: 0.9, saturation_threshold: 0.98 }
  - name: envoy.overload_actions.stop_accepting_requests
    triggers:
    - name: envoy.resource_monitors.fixed_heap
      threshold: { value: 0.95 }
";
