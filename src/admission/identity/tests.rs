use std::time::{Duration, SystemTime};

use seaway_testing::certs::{Ca, San};
use tokio_util::sync::CancellationToken;

use super::verifier::{identity, proven};
use super::*;

fn permissions(rules: &[&str], proven: &[Proven<'_>]) -> Permissions {
    let rules: Vec<Rule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Permissions::Some {
        name: "somebody".into(),
        grants: granted(&rules, proven),
        account: None,
    }
}

fn view(role: Role, node: Option<&str>) -> View {
    View {
        node: node.map(Into::into),
        ..View::of(role)
    }
}

#[test]
fn an_identity_may_claim_only_its_role_and_its_node() {
    let of = |name| {
        permissions(
            &["node=dns:{node}.node", "mesh=dns:mesh"],
            &[Proven::Dns(name)],
        )
    };
    let (n1, mesh) = (of("n1.node"), of("mesh"));
    assert_eq!(n1.check(&view(Role::Node, Some("n1"))), Ok(()));
    assert_eq!(n1.check(&view(Role::Node, None)), Ok(()));
    assert_eq!(mesh.check(&view(Role::Mesh, None)), Ok(()));
    let refused =
        |permissions: &Permissions, role, node| permissions.check(&view(role, node)).unwrap_err();
    assert_eq!(
        refused(&n1, Role::Node, Some("n2")),
        "somebody is bound to node n1, and may not claim to be on node n2"
    );
    assert_eq!(
        refused(&n1, Role::Mesh, Some("n1")),
        "somebody may not be a proxy of role mesh: no --allow-proxy says so"
    );
    assert_eq!(
        refused(&mesh, Role::Mesh, Some("n1")),
        "somebody is bound to no node, and may not claim to be on node n1"
    );
}

#[test]
fn an_identity_imports_only_what_its_rules_name() {
    let rules = [
        "mesh/shop=dns:shop",
        "mesh/infra=dns:shop",
        "mesh=dns:all",
        "mesh/infra=dns:all",
    ];
    let imports = |name, imports: &str| {
        let view = View {
            imports: (!imports.is_empty()).then(|| imports.parse().unwrap()),
            ..View::of(Role::Mesh)
        };
        let imports = permissions(&rules, &[Proven::Dns(name)]).imports(&view);
        imports.map(|imports| imports.map_or(String::new(), |all| all.to_string()))
    };
    assert_eq!(imports("shop", ""), Ok("infra,shop".to_owned()));
    assert_eq!(imports("shop", "shop/web"), Ok("shop/web".to_owned()));
    assert_eq!(
        imports("shop", "shop/web,other/web"),
        Err("somebody may not import other/web: no --allow-proxy mesh/other says so".to_owned())
    );
    assert_eq!(imports("all", ""), Ok(String::new()));
    assert_eq!(imports("all", "other"), Ok("other".to_owned()));
}

#[test]
fn each_of_several_names_counts() {
    let rules = ["node=dns:{node}.node", "mesh=uri:spiffe://a/{node}"];
    let proven = [
        Proven::Dns("n1.node"),
        Proven::Dns("n2.node"),
        Proven::Uri("spiffe://a/n3"),
    ];
    let permissions = permissions(&rules, &proven);
    for (role, node, may) in [
        (Role::Node, "n1", true),
        (Role::Node, "n2", true),
        (Role::Node, "n3", false),
        (Role::Mesh, "n3", true),
        (Role::Mesh, "n1", false),
        (Role::Ingress, "n1", false),
    ] {
        let checked = permissions.check(&view(role, Some(node)));
        assert_eq!(checked.is_ok(), may, "{role} {node}: {checked:?}");
    }
}

#[test]
fn an_identity_is_of_the_fleets_that_rules_name() {
    let rules = ["ingress=dns:a", "ingress/blue=dns:b", "node=dns:b"];
    let of = |name| permissions(&rules, &[Proven::Dns(name)]);
    let in_fleet = |fleet: &str| View {
        fleet: fleet.parse().unwrap(),
        ..View::of(Role::Ingress)
    };
    assert_eq!(of("a").check(&in_fleet("default")), Ok(()));
    assert_eq!(of("b").check(&in_fleet("blue")), Ok(()));
    assert_eq!(
        of("a").check(&in_fleet("blue")).unwrap_err(),
        "somebody may not be a proxy of role ingress, fleet blue: no --allow-proxy says so"
    );
    assert_eq!(
        of("b").check(&in_fleet("default")).unwrap_err(),
        "somebody may not be a proxy of role ingress: no --allow-proxy says so"
    );
    // Other roles have none, whatever they say.
    let node = View {
        fleet: "blue".parse().unwrap(),
        ..View::of(Role::Node)
    };
    assert_eq!(of("b").check(&node), Ok(()));
    for bad in [
        "node/blue=dns:a",
        "ingress/=dns:a",
        "ingress/Blue=dns:a",
        "ingress/a/b=dns:a",
    ] {
        assert!(bad.parse::<Rule>().is_err(), "{bad}");
    }
}

#[test]
fn secrets_are_for_the_edge_alone() {
    let somebody = permissions(&["ingress=dns:a"], &[Proven::Dns("a")]);
    for role in [Role::Node, Role::Mesh, Role::Grpc] {
        assert_eq!(somebody.forbidden(role), [TypeUrl::SECRET]);
        assert!(Permissions::Anything.forbidden(role).is_empty());
    }
    assert!(somebody.forbidden(Role::Ingress).is_empty());
}

#[test]
fn a_certificate_says_whom_it_is_for_and_until_when() {
    let ca = Ca::new("test").unwrap();
    let sans = [
        San::dns("n1.node"),
        San::uri("spiffe://a/b"),
        San::Ip("10.0.0.1".parse().unwrap()),
    ];
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let leaf = ca
        .client(&sans)
        .unwrap()
        .valid(SystemTime::UNIX_EPOCH, until)
        .unwrap();
    let expected = Certificate {
        dns: vec!["n1.node".to_owned()],
        uris: vec!["spiffe://a/b".to_owned()],
        expires: until,
    };
    assert_eq!(Certificate::read(leaf.der()).unwrap(), expected);
    assert!(Certificate::read(b"something else").is_err());
    assert!(Certificate::read(&leaf.der()[..100]).is_err());
}

#[test]
fn a_proxy_with_two_proofs_is_known_by_its_token_and_ends_with_the_first() {
    let moment = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let certificate = Certificate {
        dns: vec!["fleet".to_owned()],
        uris: Vec::new(),
        expires: moment(10),
    };
    let account = Account {
        namespace: "seaway".into(),
        name: "seaway-node".into(),
        node: Some("n1".into()),
        pod: Some("p1".into()),
        expires: moment(20),
        revoked: CancellationToken::new(),
    };
    let of = |certificate: Option<&Certificate>, account: Option<&Account>| {
        identity(&proven(certificate, account), certificate, account)
    };
    let both = of(Some(&certificate), Some(&account));
    assert_eq!(&*both.name, "serviceaccount:seaway/seaway-node (pod p1)");
    assert_eq!(&*both.principal, "serviceaccount:seaway/seaway-node");
    assert_eq!((both.kind, both.expires), ("token", Some(moment(10))));
    account.revoked.cancel();
    assert!(both.revoked.unwrap().is_cancelled());
    let one = of(Some(&certificate), None);
    assert_eq!((&*one.name, one.kind), ("dns:fleet", "certificate"));
    assert_eq!(one.principal, one.name);
    assert_eq!(one.expires, Some(moment(10)));
    assert!(one.revoked.is_none());
}
