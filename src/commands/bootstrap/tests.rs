use clap::Parser;
use serde_json::json;

use super::*;
use crate::args::{Cli, Command};

const ALL: &str =
    "--tls-ca /c/ca.crt --tls-cert /c/tls.crt --tls-key /c/tls.key --token-file /t/token";

fn documents_of(flags: &str) -> Result<Vec<Document>, Failure> {
    let line = format!("seaway bootstrap {flags}");
    match Cli::try_parse_from(line.split_whitespace())
        .unwrap()
        .command
    {
        Command::Bootstrap(args) => documents(&args),
        other => panic!("{other:?}"),
    }
}

fn print(flags: &str) -> String {
    let printed = documents_of(flags).unwrap();
    assert_eq!(printed.len(), 1);
    printed.into_iter().map(|printed| printed.text).collect()
}

#[test]
fn a_node_proxy_knows_its_place() {
    let flags = "--node-id a:1 --role node --node-name n1 --zone a --region r --admin-port 9901 --max-files 20000";
    insta::assert_snapshot!("node", print(flags));
}

#[test]
fn a_mesh_proxy_says_what_it_imports() {
    let text = print("--node-id a --import shop/web,infra/dns,shop/*");
    assert!(text.contains("      import:\n      - \"infra/dns\"\n      - \"shop\"\n"));
    for others in ["--node-id a", "--node-id a --role node --import shop"] {
        assert!(!print(others).contains("import"), "{others}");
    }
}

#[test]
fn every_capture_names_the_setup_of_the_node() {
    let setup = |flags: &str| {
        let text = print(&format!("--node-id a {flags}"));
        let line = text.lines().find(|line| line.contains("setup.sh"));
        line.map(str::to_owned)
    };
    for capture in ["bind", "redirect", "namespace", "namespace-redirect"] {
        let line = setup(&format!("--role node --capture {capture}")).unwrap();
        assert!(line.contains(&format!("--capture {capture} ")), "{line}");
    }
    assert_eq!(
        setup("--role node"),
        setup("--role node --capture namespace")
    );
    assert_eq!(setup("--role mesh"), None);
    assert_eq!(
        setup("--role mesh --capture bind"),
        setup("--role node --capture bind")
    );
    // A pod is not in the namespace of its node's listeners.
    assert_eq!(setup("--role mesh --capture namespace"), None);
}

#[test]
fn a_mesh_proxy_may_ask_for_the_state_of_the_world_by_name() {
    insta::assert_snapshot!(
        "mesh",
        print("--node-id m --xds seaway.example:18000 --sotw")
    );
}

#[test]
fn a_proxy_with_everything_proves_who_it_is() {
    let flags = format!("--node-id m --xds seaway.example.:18000 {ALL}");
    insta::assert_snapshot!("secured", print(&flags));
}

#[test]
fn secrets_that_are_replaced_are_in_files_of_their_own() {
    let flags = format!("--node-id m --xds [::1]:18000 --out /e {ALL}");
    let documents = documents_of(&flags).unwrap().into_iter();
    let texts = documents.map(|document| format!("{}\n\n{}", document.name, document.text));
    insta::assert_snapshot!("written", texts.collect::<Vec<_>>().join("\n"));
}

#[test]
fn only_what_is_proven_is_written() {
    let names = |flags: &str| {
        let documents = documents_of(&format!("--node-id m --out /e {flags}")).unwrap();
        let names = documents.into_iter().map(|document| document.name);
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(""), "envoy.yaml");
    assert_eq!(names("--tls-ca /ca"), "seaway_ca.yaml envoy.yaml");
    assert_eq!(
        names("--tls-ca /ca --token-file /t"),
        "seaway_ca.yaml seaway_token.yaml envoy.yaml"
    );
    assert_eq!(names("--role grpc --tls-ca /ca"), "bootstrap.json");
}

#[test]
fn an_ingress_proxy_has_limits_of_files_and_memory() {
    let flags = "--node-id e --role ingress --max-files 20000 --max-memory 1Gi";
    insta::assert_snapshot!("ingress", print(flags));
    // Without the flag it is what the machine has.
    let limits = |flags: &str| print(flags).contains("fixed_heap");
    assert!(limits("--node-id e --role ingress"));
    assert!(!limits("--node-id e --role node --max-memory 1Gi"));
    assert!(!limits("--node-id e --role mesh"));
}

/// The section `cluster_manager`, as Envoy would read it.
fn cluster_manager(flags: &str) -> serde_json::Value {
    let value = seaway_proto::json::from_yaml(&print(&format!("--node-id a {flags}"))).unwrap();
    value["cluster_manager"].clone()
}

#[test]
fn load_is_reported_to_the_control_plane_if_that_is_asked_for() {
    for role in ["node", "mesh", "ingress"] {
        let without = cluster_manager(&format!("--role {role}"));
        assert_eq!(without.get("load_stats_config"), None, "{role}");
        let with = cluster_manager(&format!("--role {role} --lrs"));
        let service = &with["load_stats_config"]["grpc_services"][0];
        let deferred = "enable_deferred_cluster_creation";
        assert_eq!(
            service["envoy_grpc"]["cluster_name"], "seaway_xds",
            "{role}"
        );
        assert_eq!(with.get(deferred), without.get(deferred), "{role}");
    }
}

#[test]
fn what_is_printed_is_a_bootstrap_whatever_the_names() {
    for flags in [
        "--node-id a --lrs",
        "--node-id yes --zone 1e3 --xds [::1]:5",
        "--node-id a\"b:#{} --node-name \\n",
        "--node-id a --tls-ca a\"b:#{} --tls-server-name 1e3 --tls-cert \\n --tls-key yes",
    ] {
        let value = seaway_proto::json::from_yaml(&print(flags)).unwrap();
        seaway_proto::json::from_value("envoy.config.bootstrap.v3.Bootstrap", &value).unwrap();
    }
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    for (flags, words) in [
        ("--tls-server-name a", ["--tls-server-name", "--tls-ca"]),
        ("--token-file a", ["--token-file", "--tls-ca"]),
        ("--tls-cert a --tls-key b", ["--tls-cert", "--tls-ca"]),
        ("--tls-key b", ["--tls-key", "--tls-ca"]),
        ("--tls-ca a --tls-cert b", ["--tls-cert", "--tls-key"]),
        ("--tls-ca a --tls-key b", ["--tls-key", "--tls-cert"]),
        ("--tls-ca a --xds .:1", ["--xds .", "DNS name"]),
        ("--role grpc --sotw", ["--role grpc", "--sotw"]),
        ("--role grpc --lrs", ["--role grpc", "--lrs"]),
        ("--role grpc --capture bind", ["--role grpc", "--capture"]),
        (
            "--role grpc --admin-port 1",
            ["--role grpc", "--admin-port"],
        ),
        (
            "--role grpc --tls-ca a --tls-server-name b",
            ["--role grpc", "--tls-server-name"],
        ),
    ] {
        let refused = documents_of(&format!("--node-id a {flags}")).unwrap_err();
        assert!(matches!(refused, Failure::Unusable(_)), "{flags}");
        let line = refused.to_string();
        for word in words {
            assert!(line.contains(word), "{flags}: {line}");
        }
    }
}

fn grpc(flags: &str) -> serde_json::Value {
    let printed = print(&format!("--role grpc --node-id a {flags}"));
    serde_json::from_str(&printed).unwrap()
}

/// The shape of gRFC A27.
#[test]
fn a_grpc_client_that_proves_nothing_is_insecure() {
    let expected = json!({
        "xds_servers": [{
            "server_uri": "[::1]:18000",
            "channel_creds": [{ "type": "insecure" }],
            "server_features": ["xds_v3"],
        }],
        "node": {
            "id": "a",
            "cluster": "seaway-grpc",
            "metadata": { "seaway": { "role": "grpc", "node_name": "n1" } },
            "locality": { "region": "r", "zone": "z" },
        },
    });
    let flags = "--xds [::1]:18000 --node-name n1 --region r --zone z";
    assert_eq!(grpc(flags), expected);
}

/// gRFC A65: a key goes with a certificate, and the certificate with an authority. gRFC A97: the
/// token is a call credential.
#[test]
fn a_grpc_client_proves_who_it_is() {
    let server = |flags: &str| grpc(flags)["xds_servers"][0].clone();
    let secured = server(ALL);
    let tls = json!({
        "type": "tls",
        "config": {
            "ca_certificate_file": "/c/ca.crt",
            "certificate_file": "/c/tls.crt",
            "private_key_file": "/c/tls.key",
            "refresh_interval": "600s",
        },
    });
    assert_eq!(secured["channel_creds"], json!([tls]));
    let token = json!({ "type": "jwt_token_file", "config": { "jwt_token_file": "/t/token" } });
    assert_eq!(secured["call_creds"], json!([token]));

    let plain = server("--tls-ca /c/ca.crt");
    let config = json!({ "ca_certificate_file": "/c/ca.crt", "refresh_interval": "600s" });
    assert_eq!(plain["channel_creds"][0]["config"], config);
    assert_eq!(plain.get("call_creds"), None);
}

#[test]
fn a_mesh_proxy_says_that_it_has_certificates() {
    let says = |flags: &str| print(&format!("--node-id a {flags}")).contains("mesh_tls: files");
    assert!(says("--role mesh --mesh-tls"));
    assert!(!says("--role mesh") && !says("--role node --mesh-tls"));
}
