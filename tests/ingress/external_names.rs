//! Services of type ExternalName behind Ingresses, where the operator allows them.

use anyhow::Result;
use seaway_testing::{IngressManifest, ServiceManifest, SliceManifest, join};

use crate::case::{Case, get};
use crate::edge::Edge;

fn external(name: &str, target: &str) -> String {
    ServiceManifest::new(name)
        .spec("type", "ExternalName")
        .spec("externalName", target)
        .port("http", 8080)
        .document()
}

fn of(name: &str) -> IngressManifest {
    let ingress = IngressManifest::new(name).host(&format!("{name}.test"));
    ingress.path("Prefix", "/", "s1")
}

fn t101_names_of_the_proxys_own_machine_are_refused() -> Case {
    let mut ingress = of("t101");
    let mut case = Case::new("T101");
    for (name, target) in [
        ("own", "localhost"),
        ("loopback", "127.0.0.1"),
        ("metadata", "169.254.169.254"),
    ] {
        ingress = ingress.path("Prefix", &format!("/{name}"), name);
        case = case
            .with(external(name, target))
            .rows([get(&format!("t101.test/{name}")).status(503)]);
    }
    case.with(ingress.document())
        .rows([get("t101.test/").to("s1")])
        .problem("*", "Service default/own")
        .problem("*", "Service default/loopback")
        .problem("*", "Service default/metadata")
        .problem("*", "Ingress default/t101")
}

fn t102_a_service_of_another_namespace_is_refused() -> Case {
    let ingress = of("t102").path("Prefix", "/far", "far");
    Case::new("T102")
        .with(external("far", "x.other.svc.cluster.local"))
        .with(ingress.document())
        .rows([get("t102.test/").to("s1"), get("t102.test/far").status(503)])
        .problem("*", "Service default/far")
        .problem("*", "Ingress default/t102")
}

fn t103_names_that_go_round_are_refused() -> Case {
    let target = |name: &str| format!("{name}.default.svc.cluster.local");
    let ingress = of("t103").path("Prefix", "/round", "round-a");
    Case::new("T103")
        .with(external("round-a", &target("round-b")))
        .with(external("round-b", &target("round-a")))
        .with(ingress.document())
        .rows([
            get("t103.test/").to("s1"),
            get("t103.test/round").status(503),
        ])
        .problem("*", "Service default/round-a")
        .problem("*", "Service default/round-b")
        .problem("ExternalNameLoop", "Ingress default/t103")
}

#[test]
fn external_names_that_are_allowed_are_served_and_others_refused() -> Result<()> {
    let cases = [
        t101_names_of_the_proxys_own_machine_are_refused(),
        t102_a_service_of_another_namespace_is_refused(),
        t103_names_that_go_round_are_refused(),
    ];
    Edge::run(&["--external-name", "all"], &cases, |_| Ok(()))
}

/// T102: with a grant of its namespace, the Service has the requests, and no more without.
#[test]
fn t102_a_grant_allows_a_service_of_another_namespace() -> Result<()> {
    let x = ServiceManifest::new("x").metadata("namespace", "other");
    let slice = SliceManifest::new("x").namespace("other");
    let slice = slice.port("http", 8080).endpoint("10.244.1.3");
    let x = join([x.port("http", 8080).document(), slice.document()]);
    let grant = "apiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {name: \
                 g, namespace: other}\nspec: {from: [{group: '', kind: Service, namespace: \
                 default}], to: [{group: '', kind: Service}]}\n";
    let ingress = of("t102").path("Prefix", "/far", "far");
    let cases = [
        Case::new("T102")
            .with(x)
            .with(external("far", "x.other.svc.cluster.local"))
            .with(ingress.document())
            .rows([get("t102.test/far").to("s3")]),
        Case::new("grant").with(grant.to_owned()),
    ];
    Edge::run(&["--external-name", "all"], &cases, |edge| {
        edge.delete("grant.yaml")?;
        edge.settle(&get("t102.test/far").status(503))?;
        edge.save("grant.yaml", grant)?;
        edge.settle(&get("t102.test/far").to("s3"))
    })
}

#[test]
fn an_alias_of_another_service_is_served() -> Result<()> {
    let ingress = of("alias").path("Prefix", "/alias", "alias");
    let case = Case::new("alias")
        .with(external("alias", "s2.default.svc.cluster.local"))
        .with(ingress.document())
        .rows([get("alias.test/alias").to("s2")]);
    Edge::run(&["--external-name", "all"], &[case], |_| Ok(()))
}
