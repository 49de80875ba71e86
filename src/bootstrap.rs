//! `seaway bootstrap`: what an Envoy needs to know before it can ask a control plane for the rest.

use std::fmt::Write;
use std::net::IpAddr;
use std::process::ExitCode;

use seaway_translator::{Capture, REDIRECT_PORT, Role};

use crate::args::{BootstrapArgs, HostPort};
use crate::exit::{Failure, print};

/// Prints the bootstrap.
pub(crate) fn run(args: &BootstrapArgs) -> Result<ExitCode, Failure> {
    print(&bootstrap(args))?;
    Ok(ExitCode::SUCCESS)
}

/// The whole document. Text rather than a tree, because people read and edit it.
fn bootstrap(args: &BootstrapArgs) -> String {
    let role = Role::from(args.role);
    let mut yaml = header(args, role);
    yaml += &node(args, role);
    yaml += &dynamic(args.sotw);
    yaml += &control_plane(&args.xds);
    yaml += statistics(role);
    yaml += internal_listeners(role);
    if let Some(port) = args.admin_port {
        yaml += &admin(port);
    }
    yaml
}

fn header(args: &BootstrapArgs, role: Role) -> String {
    let mut text = "\
# An Envoy bootstrap, printed by `seaway bootstrap`. Save it as envoy.yaml and run
#
#   envoy -c envoy.yaml --drain-time-s 30
#
# --drain-time-s is how long connections may outlive a Service that is gone (Envoy's own default is ten minutes).
# Several Envoys on one host also need --use-dynamic-base-id.
"
    .to_owned();
    if let Some(port) = args.admin_port {
        text += &format!("# Envoy is ready when http://127.0.0.1:{port}/ready answers 200.\n");
    }
    let capture = args
        .capture
        .or((role == Role::Node).then_some(Capture::Bind));
    if let Some(capture) = capture {
        text += &preparation(capture);
    }
    text
}

/// How traffic to Service addresses gets to this Envoy at all.
fn preparation(capture: Capture) -> String {
    let (what, option) = match capture {
        Capture::Bind => ("Service addresses become this node's own", String::new()),
        Capture::Redirect => (
            "TCP to Service addresses and node ports is sent to one port of Envoy, UDP to this node itself",
            format!(" --redirect {REDIRECT_PORT}"),
        ),
    };
    format!(
        "\
#
# {what}, once, before Envoy starts:
#
#   deploy/node/setup.sh up --node-address <node's address> --service-cidr <Service range>{option}
#
# Each of Envoy's workers opens a socket for every address that is bound: set --concurrency and the limit of open files (docs/scale.md).
"
    )
}

/// Most of the memory of a cluster or listener is statistics, and most of many thousand never count anything.
fn statistics(role: Role) -> &'static str {
    match role {
        Role::Node => "deferred_stat_options:\n  enable_deferred_creation_stats: true\n",
        Role::Mesh | Role::Ingress | Role::Grpc => "",
    }
}

/// `serve --keep-source` needs them. They cost nothing otherwise, and a running Envoy cannot be given them later.
fn internal_listeners(role: Role) -> &'static str {
    match role {
        Role::Node => {
            "\
bootstrap_extensions:
- name: envoy.bootstrap.internal_listener
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener
"
        }
        Role::Mesh | Role::Ingress | Role::Grpc => "",
    }
}

fn node(args: &BootstrapArgs, role: Role) -> String {
    let mut text = format!(
        "node:\n  id: {}\n  cluster: seaway-{role}\n  metadata:\n    seaway:\n      role: {role}\n",
        quoted(&args.node_id),
    );
    if let Some(name) = &args.place.node_name {
        text += &format!("      node_name: {}\n", quoted(name));
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

/// Both subscriptions wait for their first answer however long it takes: an Envoy that starts before its control plane must
/// not report ready with nothing to serve. After a restart of the control plane the fleet is back within ten seconds.
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

/// The keepalive finds a control plane that vanished without a word.
fn control_plane(xds: &HostPort) -> String {
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
    load_assignment:
      cluster_name: seaway_xds
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address:
                address: {host}
                port_value: {port}
"
    )
}

fn admin(port: u16) -> String {
    format!(
        "\
admin:
  address:
    socket_address:
      address: 127.0.0.1
      port_value: {port}
"
    )
}

/// A YAML string that stays a string: JSON's quoting is YAML's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn print(flags: &str) -> String {
        let line = format!("seaway bootstrap {flags}");
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Bootstrap(args) => bootstrap(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_node_proxy_knows_its_place() {
        let flags =
            "--node-id a:1 --role node --node-name n1 --zone a --region r --admin-port 9901";
        insta::assert_snapshot!("node", print(flags));
    }

    #[test]
    fn both_captures_name_the_setup_of_the_node() {
        let setup = |flags: &str| {
            let text = print(&format!("--node-id a {flags}"));
            let line = text.lines().find(|line| line.contains("setup.sh"));
            line.map(str::to_owned)
        };
        let bind = setup("--role node").unwrap();
        assert_eq!(setup("--role node --capture bind"), Some(bind.clone()));
        assert_eq!(
            setup("--role node --capture redirect"),
            Some(format!("{bind} --redirect 15006"))
        );
        assert_eq!(setup("--role mesh"), None);
        assert_eq!(setup("--role mesh --capture bind"), Some(bind));
    }

    #[test]
    fn a_mesh_proxy_may_ask_for_the_state_of_the_world_by_name() {
        insta::assert_snapshot!(
            "mesh",
            print("--node-id m --xds seaway.example:18000 --sotw")
        );
    }

    #[test]
    fn what_is_printed_is_a_bootstrap_whatever_the_names() {
        for flags in [
            "--node-id yes --zone 1e3 --xds [::1]:5",
            "--node-id a\"b:#{} --node-name \\n",
        ] {
            let value = seaway_proto::json::from_yaml(&print(flags)).unwrap();
            seaway_proto::json::from_value("envoy.config.bootstrap.v3.Bootstrap", &value).unwrap();
        }
    }
}
