//! What is read of a proxy's node message, and who may say what.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::admission::identity::Grant;
use crate::kube::Account;

#[track_caller]
fn check(node: serde_json::Value, role: Role, places: [Option<&str>; 3]) {
    let found = view(&decode(&node)).unwrap();
    let [name, zone, region] = places.map(|place| place.map(Into::into));
    let expected = View {
        node: name,
        zone,
        region,
        ..View::of(role)
    };
    assert_eq!(found, expected, "{node}");
}

fn decode(node: &serde_json::Value) -> core::Node {
    let bytes = seaway_proto::json::from_value("envoy.config.core.v3.Node", node).unwrap();
    prost::Message::decode(&*bytes).unwrap()
}

#[test]
fn the_role_is_the_metadata_then_the_cluster_then_mesh() {
    let claims = json!({ "seaway": { "role": "node", "node_name": "n1" } });
    check(
        json!({ "cluster": "seaway-mesh", "metadata": claims }),
        Role::Node,
        [Some("n1"), None, None],
    );
    check(json!({ "cluster": "seaway-node-a" }), Role::Node, [None; 3]);
    check(
        json!({ "cluster": "seaway-ingress" }),
        Role::Ingress,
        [None; 3],
    );
    check(json!({ "cluster": "other" }), Role::Mesh, [None; 3]);
    check(json!({}), Role::Mesh, [None; 3]);
    check(
        json!({ "user_agent_name": "gRPC Go", "cluster": "seaway-node" }),
        Role::Grpc,
        [None; 3],
    );
}

#[test]
fn a_fleet_is_the_default_one_unless_the_metadata_name_another() {
    let of = |fleet: serde_json::Value| {
        let claims = json!({ "seaway": { "role": "ingress", "fleet": fleet } });
        view(&decode(&json!({ "metadata": claims })))
    };
    assert_eq!(of(json!("")).unwrap().fleet, Fleet::default());
    assert_eq!(of(json!("blue")).unwrap().fleet.as_str(), "blue");
    assert!(
        of(json!("a b"))
            .unwrap_err()
            .starts_with("node metadata.seaway.fleet: ")
    );
}

#[test]
fn certificates_on_demand_are_for_envoys_that_have_them() {
    let envoy = |name: &str, minor: u32, extension: &str| {
        let version = json!({ "version": { "major_number": 1, "minor_number": minor } });
        let node = json!({
            "user_agent_name": name,
            "user_agent_build_version": version,
            "extensions": [{ "name": extension }],
        });
        certificates(&decode(&node)) == CertificateDelivery::OnDemand
    };
    assert!(envoy("envoy", 37, ON_DEMAND));
    assert!(envoy("envoy", 40, ON_DEMAND));
    assert!(!envoy("envoy", 36, ON_DEMAND));
    assert!(!envoy("envoy", 40, "other"));
    assert!(!envoy("other", 40, ON_DEMAND));
    let unknown = json!({ "user_agent_name": "envoy", "user_agent_version": "1.40.0" });
    assert_eq!(certificates(&decode(&unknown)), CertificateDelivery::Chains);
}

#[test]
fn who_is_on_this_host_is_known_by_its_address_alone() {
    let is = |peer: &str| is_local(Some(peer.parse().unwrap()));
    for local in [
        "127.0.0.1:1",
        "127.9.9.9:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
    ] {
        assert!(is(local), "{local}");
    }
    for other in [
        "10.0.0.1:1",
        "[fd00::1]:1",
        "[::ffff:10.0.0.1]:1",
        "0.0.0.0:1",
    ] {
        assert!(!is(other), "{other}");
    }
    assert!(!is_local(None));
}

#[tokio::test]
async fn a_stream_that_ends_just_when_it_is_placed_gives_its_lease_back() {
    let (lease_sender, mut leases) = mpsc::channel(1);
    let (releases, mut released) = mpsc::unbounded_channel();
    let health = Health::default();
    health.set_synced();
    let admission = ProxyAdmission {
        health,
        verifier: None,
        certificates_on_demand: false,
        targets: targets(&Options::default()),
        leases: lease_sender,
        releases,
    };
    let node = decode(&json!({ "cluster": "seaway-node" }));
    let mut admission = Box::pin(admission.admit(&Permissions::Anything, &node, Dialect::Delta));
    let lease = tokio::select! {
        biased;
        _ = &mut admission => panic!("nobody placed it yet"),
        lease = leases.recv() => lease.unwrap(),
    };
    lease.placed.send(Ok(PlacementId(1))).unwrap();
    drop(admission);
    assert_eq!(released.recv().await, Some(View::of(Role::Node)));
}

/// A token counts as in use, and is reviewed again, for as long as somebody has its account.
#[tokio::test]
async fn an_account_is_held_for_as_long_as_its_stream() {
    let (leases, mut coming) = mpsc::channel(1);
    let (releases, _released) = mpsc::unbounded_channel();
    let health = Health::default();
    health.set_synced();
    let admission = ProxyAdmission {
        health,
        verifier: None,
        certificates_on_demand: false,
        targets: targets(&Options::default()),
        leases,
        releases,
    };
    let account = Arc::new(Account {
        namespace: "a".into(),
        name: "b".into(),
        node: None,
        pod: None,
        expires: std::time::SystemTime::now(),
        revoked: CancellationToken::new(),
    });
    let permissions = Permissions::Some {
        name: "somebody".into(),
        grants: vec![Grant {
            role: Role::Mesh,
            fleet: Fleet::default(),
            import: None,
            node: None,
        }],
        account: Some(account.clone()),
    };
    let node = decode(&json!({}));
    let (admission, ()) = tokio::join!(
        admission.admit(&permissions, &node, Dialect::Delta),
        async {
            let lease = coming.recv().await.unwrap();
            lease.placed.send(Ok(PlacementId(1))).unwrap();
        }
    );
    drop(permissions);
    assert_eq!(Arc::strong_count(&account), 2);
    drop(admission);
    assert_eq!(Arc::strong_count(&account), 1);
}

#[test]
fn the_place_is_the_locality() {
    let node = json!({ "locality": { "zone": "a", "region": "r" } });
    check(node, Role::Mesh, [None, Some("a"), Some("r")]);
}

#[test]
fn a_mesh_proxy_says_that_it_has_certificates() {
    let of = |role: &str, says: serde_json::Value| {
        let claims = json!({ "seaway": { "role": role, "mesh_tls": says } });
        view(&decode(&json!({ "metadata": claims }))).map(|view| view.mesh_tls)
    };
    assert_eq!(of("mesh", json!("files")), Ok(true));
    assert_eq!(of("mesh", json!("")), Ok(false));
    assert_eq!(of("node", json!("files")), Ok(false));
    assert!(of("mesh", json!("workload-api")).is_err());
}

#[test]
fn an_older_envoy_takes_scopes_only_if_it_says_so() {
    let whole = |agent: &str, minor: u32, routes: &str| {
        view(&decode(&json!({
            "user_agent_name": agent,
            "user_agent_build_version": { "version": { "major_number": 1, "minor_number": minor } },
            "metadata": { "seaway": { "routes": routes } },
        })))
        .map(|view| view.whole_table)
    };
    assert_eq!(whole("envoy", 36, ""), Ok(true));
    assert_eq!(whole("envoy", 36, "scopes"), Ok(false));
    assert_eq!(whole("envoy", 38, ""), Ok(false));
    assert_eq!(whole("envoy", 40, "table"), Ok(true));
    assert_eq!(whole("another", 2, ""), Ok(false));
    assert!(whole("envoy", 40, "vhds").is_err());
    let of_a_node = json!({ "metadata": { "seaway": { "role": "node", "routes": "table" } } });
    assert!(!view(&decode(&of_a_node)).unwrap().whole_table);
}

#[test]
fn what_a_mesh_proxy_imports_is_read_or_refused() {
    let of = |role: &str, import: serde_json::Value| {
        let claims = json!({ "seaway": { "role": role, "import": import } });
        let view = view(&decode(&json!({ "metadata": claims })));
        view.map(|view| view.imports.map(|imports| imports.to_string()))
    };
    let some = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(
        of("mesh", json!(["shop", "infra/dns"])),
        some("infra/dns,shop")
    );
    assert_eq!(of("mesh", json!("shop/*, infra")), some("infra,shop"));
    for nothing in [json!([]), json!(""), json!(null)] {
        assert_eq!(of("mesh", nothing), Ok(None));
    }
    assert_eq!(of("node", json!(["shop"])), Ok(None));
    let many: Vec<String> = (0..=Imports::MOST).map(|n| format!("n{n}")).collect();
    let long = "x".repeat(1 << 20);
    for (bad, why) in [
        (json!(["shop", "*"]), "\"*\" is unknown"),
        (json!(["a b"]), "\"a b\" is unknown"),
        (json!([long]), "is unknown"),
        (json!([1]), "has what is no text"),
        (json!({ "shop": true }), "is no list of names"),
        (json!(true), "is no list of names"),
        (json!(many), "more than 128 imports"),
    ] {
        let error = of("mesh", bad).unwrap_err();
        assert!(error.starts_with("node metadata.seaway.import"), "{error}");
        assert!(error.contains(why) && error.len() < 300, "{error}");
    }
}

#[test]
fn metadata_of_other_shapes_says_nothing() {
    check(
        json!({ "metadata": { "seaway": "node" } }),
        Role::Mesh,
        [None; 3],
    );
    check(
        json!({ "metadata": { "seaway": { "role": 1, "node_name": null } } }),
        Role::Mesh,
        [None; 3],
    );
}

#[test]
fn claims_that_cannot_be_are_refused() {
    for claims in [
        json!({ "role": "king" }),
        json!({ "node_name": "a\nb" }),
        json!({ "node_name": "n".repeat(254) }),
    ] {
        let node = decode(&json!({ "metadata": { "seaway": claims } }));
        assert!(
            view(&node)
                .unwrap_err()
                .starts_with("node metadata.seaway.")
        );
    }
}
