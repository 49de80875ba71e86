//! Writes the bootstrap of an Envoy as YAML.

use std::fmt::Write;
use std::net::IpAddr;

use seaway_translator::{Capture, Role};

use super::economy::{cluster_manager, statistics};
use super::overload::overload;
use super::proof::Proof;
use super::quoted;
use super::secrets::{self, indented};
use crate::args::{BootstrapArgs, HostPort};

/// The group id by which `deploy/node/setup.sh` recognizes Envoy's packets.
const ENVOY_GROUP: u32 = 8383;

/// The name of the bootstrap's file.
pub(super) const FILE: &str = "envoy.yaml";

/// The whole bootstrap, as text rather than a tree, because people read and edit it.
pub(super) fn bootstrap(args: &BootstrapArgs, proof: Option<&Proof<'_>>) -> String {
    let role = Role::from(args.role);
    let mut yaml = header(args, role, proof.is_some());
    yaml += &node(args, role);
    yaml += &dynamic(args.sotw);
    yaml += &control_plane(&args.xds, proof, args.out.as_deref());
    if role == Role::Mesh && !args.sotw {
        yaml += SUBSCRIBER;
    }
    yaml += &cluster_manager(role, args.lrs);
    yaml += &statistics(role);
    yaml += &overload(args, role);
    yaml += &admin(args);
    yaml
}

fn header(args: &BootstrapArgs, role: Role, secured: bool) -> String {
    let (printed, file) = match &args.out {
        None => (
            "printed by `seaway bootstrap`. Save it as envoy.yaml and run",
            FILE.to_owned(),
        ),
        Some(out) => (
            "written by `seaway bootstrap --out`. Run",
            format!("{out}/{FILE}"),
        ),
    };
    let mut text = format!(
        "\
# An Envoy bootstrap, {printed}
#
#   envoy -c {file} --drain-time-s 30
#
# --drain-time-s is how long connections may outlive a Service that is gone (Envoy's own default is ten minutes).
# Several Envoys on one host also need --use-dynamic-base-id.
"
    );
    if secured {
        text += rotation(args.out.is_some());
    }
    if let Some(port) = args.admin_port {
        text += &format!("# Envoy is ready when http://127.0.0.1:{port}/ready answers 200.\n");
    }
    if let Some(socket) = &args.admin_socket {
        text += &format!("# Envoy is ready when `seaway ready --envoy {socket}` ends with 0.\n");
    }
    let capture = match role {
        Role::Node => Some(args.capture.unwrap_or(Capture::Namespace)),
        // A pod is not in the namespace of its node's listeners.
        Role::Mesh | Role::Ingress | Role::Grpc => args.capture.filter(|c| !c.in_namespace()),
    };
    if let Some(capture) = capture {
        text += &preparation(capture);
    }
    text
}

/// The comment about certificates and tokens that are replaced while Envoy runs.
fn rotation(in_files: bool) -> &'static str {
    if in_files {
        "\
#
# The certificates, keys and token that the seaway_*.yaml beside this file name must be there when Envoy starts. One that is replaced by a
# rename, as Kubernetes does, is used from then on.
"
    } else {
        "\
#
# Certificates, keys and token are read once, when Envoy starts: for them to be replaced while it runs, use `seaway bootstrap --out`.
"
    }
}

/// The comment about preparing the node so that traffic to Service addresses reaches this Envoy.
fn preparation(capture: Capture) -> String {
    let (what, word) = match capture {
        Capture::Bind => ("Service addresses become this node's own", "bind"),
        Capture::Redirect => (
            "TCP to Service addresses and node ports is sent to one port of Envoy, UDP to this node itself",
            "redirect",
        ),
        Capture::Namespace => (
            "Service addresses and node ports are led into a network namespace, where Envoy's listeners meet no process of this node",
            "namespace",
        ),
        Capture::NamespaceRedirect => (
            "Service addresses and node ports are led into a network namespace, and TCP in there to one port of Envoy",
            "namespace-redirect",
        ),
    };
    let needs = if capture.in_namespace() {
        "\
#
# Envoy then needs CAP_SYS_ADMIN for as long as it runs: each new listener is a visit to the namespace.
"
    } else {
        ""
    };
    format!(
        "\
#
# With `seaway serve --capture {word}`: {what}, once, before Envoy starts:
#
#   deploy/node/setup.sh up --capture {word} --node-address <node's address> --service-cidr <Service range>
#
# Start Envoy with the group {ENVOY_GROUP} (`setpriv --regid {ENVOY_GROUP} --clear-groups`): the node refuses what it sends to a Service
# address, so that no endpoint makes it connect to itself without end.
{needs}#
# Each of Envoy's workers opens a socket for every address that is bound: set --concurrency and the limit of open files (docs/scale.md).
"
    )
}

fn node(args: &BootstrapArgs, role: Role) -> String {
    let mut text = format!(
        "node:\n  id: {}\n  cluster: seaway-{role}\n  metadata:\n    seaway:\n      role: {role}\n",
        quoted(&args.node_id),
    );
    if let Some(name) = &args.place.node_name {
        text += &format!("      node_name: {}\n", quoted(name));
    }
    if let Some(namespace) = args
        .place
        .pod_namespace
        .as_ref()
        .filter(|_| role == Role::Mesh)
    {
        text += &format!("      namespace: {}\n", quoted(namespace));
    }
    if let Some(imports) = args.place.import.as_ref().filter(|_| role == Role::Mesh) {
        text += "      import:\n";
        for import in imports.iter() {
            text += &format!("      - {}\n", quoted(&import.to_string()));
        }
    }
    if let Some(fleet) = args.place.fleet.as_ref().filter(|_| role == Role::Ingress) {
        text += &format!("      fleet: {}\n", quoted(fleet.as_str()));
    }
    if role == Role::Mesh {
        let routes = if args.sotw { "table" } else { "scopes" };
        text += &format!("      routes: {routes}\n");
    }
    let locality = [("region", &args.place.region), ("zone", &args.place.zone)];
    if locality.iter().any(|(_, value)| value.is_some()) {
        text += "  locality:\n";
    }
    for (key, value) in locality {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "    {key}: {}", quoted(value));
        }
    }
    text
}

/// The section `dynamic_resources`. Both subscriptions wait for their first response however long
/// it takes: an Envoy that starts before its control plane must not report ready with nothing to
/// serve. After a restart of the control plane the fleet is back within ten seconds.
fn dynamic(sotw: bool) -> String {
    let api = if sotw { "GRPC" } else { "DELTA_GRPC" };
    format!(
        "\
dynamic_resources:
  ads_config:
    api_type: {api}
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services:
    - envoy_grpc:
        cluster_name: seaway_xds
        retry_policy:
          retry_back_off:
            base_interval: 0.25s
            max_interval: 10s
  cds_config:
    resource_api_version: V3
    initial_fetch_timeout: 0s
    ads: {{}}
  lds_config:
    resource_api_version: V3
    initial_fetch_timeout: 0s
    ads: {{}}
"
    )
}

/// A listener that takes no connections, by which a mesh proxy asks for the routes of Services from
/// its start. An Envoy before 1.38 asks for none if the first listener that needs them comes later
/// (envoy#43392), and the control plane that it finds first may be an older one.
const SUBSCRIBER: &str = "  listeners:
  - name: hosts
    address:
      socket_address:
        address: 127.0.0.1
        port_value: 1
    bind_to_port: false
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: hosts
          scoped_routes:
            name: hosts
            scope_key_builder:
              fragments:
              - header_value_extractor:
                  name: \":authority\"
                  index: 0
            rds_config_source:
              resource_api_version: V3
              ads: {}
            scoped_rds:
              scoped_rds_config_source:
                resource_api_version: V3
                ads: {}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
";

/// The static cluster of the control plane. Its keepalive detects a control plane that vanished
/// silently.
fn control_plane(xds: &HostPort, proof: Option<&Proof<'_>>, out: Option<&str>) -> String {
    let part = |by, text: fn(&Proof<'_>, Option<&str>) -> String| {
        proof.map_or_else(String::new, |proof| indented(by, &text(proof, out)))
    };
    let filters = part(8, secrets::filters);
    let transport_socket = part(4, secrets::transport_socket);
    let secrets = match out {
        None => part(2, |proof, _| secrets::inline(proof)),
        Some(_) => String::new(),
    };
    let HostPort { host, port } = xds;
    let discovery = match host.parse::<IpAddr>() {
        Ok(_) => "type: STATIC",
        Err(_) => "type: STRICT_DNS\n    dns_lookup_family: ALL",
    };
    let host = quoted(host);
    format!(
        "\
static_resources:
  clusters:
  - name: seaway_xds
    {discovery}
    connect_timeout: 2s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config:
          http2_protocol_options:
            connection_keepalive:
              interval: 30s
              timeout: 5s
{filters}{transport_socket}    load_assignment:
      cluster_name: seaway_xds
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address:
                address: {host}
                port_value: {port}
{secrets}"
    )
}

/// The section `admin`. Connections to the admin interface do not count against the limit.
fn admin(args: &BootstrapArgs) -> String {
    let address = match (args.admin_port, &args.admin_socket) {
        (Some(port), _) => {
            format!("    socket_address:\n      address: 127.0.0.1\n      port_value: {port}\n")
        }
        // Who may use it is decided by the folder.
        (None, Some(path)) => format!("    pipe:\n      path: {}\n      mode: 438\n", quoted(path)),
        (None, None) => return String::new(),
    };
    format!("admin:\n  ignore_global_conn_limit: true\n  address:\n{address}")
}
