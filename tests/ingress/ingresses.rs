//! Ingresses.

use anyhow::{Result, ensure};
use seaway_testing::{IngressManifest, ServiceManifest};

use crate::case::{Case, get};
use crate::edge::Edge;

fn play(cases: Vec<Case>) -> Result<()> {
    Edge::run(&[], &cases, |_| Ok(()))
}

#[test]
fn paths_and_hosts_of_ingresses() -> Result<()> {
    play(vec![
        t109_an_exact_path_is_that_path(),
        t110_a_prefix_has_no_trailing_slash(),
        t111_the_longest_prefix_wins(),
        t112_exact_goes_before_prefix(),
        t113_a_wildcard_is_one_label(),
        t114_an_exact_host_goes_before_a_wildcard(),
        t124_the_port_of_a_host_does_not_matter(),
        gw101_a_path_that_is_none_is_left_out(),
        requests_of_an_ingress_come_through_as_they_are(),
        a_rule_without_a_host_takes_what_hosts_miss(),
    ])
}

#[test]
fn classes_and_backends_of_ingresses() -> Result<()> {
    play(vec![
        t098_an_external_name_is_refused(),
        t117_of_two_equal_paths_the_older_ingress_serves(),
        t118_the_class_of_the_field_counts(),
        t122_a_port_name_that_the_service_does_not_have(),
        t123_a_backend_that_is_no_service(),
        gw129_an_unknown_class_is_not_served(),
        the_annotation_names_a_class_too(),
        a_host_that_nobody_has(),
    ])
}

/// An Ingress of a host, named as the case.
fn of(name: &str) -> IngressManifest {
    IngressManifest::new(name).host(&format!("{name}.test"))
}

fn t109_an_exact_path_is_that_path() -> Case {
    Case::new("T109")
        .with(of("t109").path("Exact", "/foo", "s1").document())
        .rows([
            get("t109.test/foo").to("s1"),
            get("t109.test/foo?a=b").to("s1"),
            get("t109.test/foo/").status(404),
            get("t109.test/FOO").status(404),
        ])
}

fn t110_a_prefix_has_no_trailing_slash() -> Case {
    Case::new("T110")
        .with(of("t110").path("Prefix", "/aaa/bbb/", "s1").document())
        .rows([
            get("t110.test/aaa/bbb").to("s1"),
            get("t110.test/aaa/bbb/").to("s1"),
            get("t110.test/aaa/bbb/ccc").to("s1"),
            get("t110.test/aaa/bbbx").status(404),
        ])
}

fn t111_the_longest_prefix_wins() -> Case {
    let ingress = of("t111").path("Prefix", "/", "s1");
    let ingress = ingress.path("Prefix", "/aaa", "s2");
    Case::new("T111")
        .with(ingress.path("Prefix", "/aaa/bbb", "s3").document())
        .rows([
            get("t111.test/aaa/ccc").to("s2"),
            get("t111.test/aaa/bbb/c").to("s3"),
            get("t111.test/ccc").to("s1"),
            get("t111.test/aaab").to("s1"),
        ])
}

fn t112_exact_goes_before_prefix() -> Case {
    let ingress = of("t112").path("Prefix", "/foo", "s2");
    let ingress = ingress.path("Exact", "/foo", "s1");
    Case::new("T112")
        .with(
            ingress
                .path("ImplementationSpecific", "/bar", "s3")
                .document(),
        )
        .rows([
            get("t112.test/foo").to("s1"),
            get("t112.test/foo/").to("s2"),
            get("t112.test/foo/x").to("s2"),
            get("t112.test/bar/x").to("s3"),
        ])
}

fn t113_a_wildcard_is_one_label() -> Case {
    let ingress = IngressManifest::new("t113").host("*.t113.test");
    Case::new("T113")
        .with(ingress.path("Prefix", "/", "s1").document())
        .rows([
            get("bar.t113.test/").to("s1"),
            get("BAR.T113.test:8080/").to("s1"),
            get("a.b.t113.test/").status(404),
            get("t113.test/").status(404),
        ])
}

fn t114_an_exact_host_goes_before_a_wildcard() -> Case {
    let ingress = IngressManifest::new("t114").host("*.t114.test");
    let ingress = ingress.path("Prefix", "/", "s1").host("bar.t114.test");
    Case::new("T114")
        .with(ingress.path("Prefix", "/bar", "s2").document())
        .rows([
            get("bar.t114.test/bar").to("s2"),
            get("foo.t114.test/bar").to("s1"),
            get("bar.t114.test/foo").status(404),
        ])
}

fn t124_the_port_of_a_host_does_not_matter() -> Case {
    Case::new("T124")
        .with(of("t124").path("Prefix", "/", "s1").document())
        .rows([
            get("t124.test:8080/").to("s1").host("t124.test:8080"),
            get("T124.TEST/").to("s1"),
        ])
}

fn gw101_a_path_that_is_none_is_left_out() -> Case {
    let ingress = of("gw101").path("Prefix", "/a#b", "s1");
    Case::new("GW101")
        .with(ingress.path("Prefix", "/ok", "s2").document())
        .rows([
            get("gw101.test/ok").to("s2"),
            get("gw101.test/a").status(404),
        ])
        .problem("*", "Ingress default/gw101")
}

fn requests_of_an_ingress_come_through_as_they_are() -> Case {
    Case::new("through")
        .with(of("through").path("Prefix", "/", "s1").document())
        .rows([
            get("through.test/a//b?c=/./d")
                .to("s1")
                .path("/a//b?c=/./d")
                .host("through.test")
                .version("HTTP/1.1"),
            get("through.test/").http2().to("s1").version("HTTP/1.1"),
            get("through.test/").answer("server", "envoy"),
        ])
}

fn a_rule_without_a_host_takes_what_hosts_miss() -> Case {
    let ingress = IngressManifest::new("hostless").host("");
    let ingress = ingress.path("Prefix", "/hostless", "s3");
    Case::new("hostless").with(ingress.document()).rows([
        get("any.example/hostless").to("s3"),
        get("10.0.0.1/hostless").to("s3"),
        get("t109.test/hostless").to("s3"),
        get("any.example/").status(404),
    ])
}

fn t098_an_external_name_is_refused() -> Case {
    let external = ServiceManifest::new("partner")
        .spec("type", "ExternalName")
        .spec("externalName", "partner.example.com")
        .port("http", 8080);
    let ingress = of("t098").path("Prefix", "/", "s1");
    Case::new("T098")
        .with(external.document())
        .with(ingress.path("Prefix", "/partner", "partner").document())
        .rows([
            get("t098.test/").to("s1"),
            get("t098.test/partner").status(503),
        ])
        .problem("ExternalNameRefused", "Ingress default/t098")
}

fn t117_of_two_equal_paths_the_older_ingress_serves() -> Case {
    let ingress = |name: &str| IngressManifest::new(name).host("t117.test");
    let newer = ingress("t117-a").created(2).path("Prefix", "/x", "s2");
    let newer = newer.path("Prefix", "/newer", "s3");
    let older = ingress("t117-b").created(1).path("Prefix", "/x", "s1");
    Case::new("T117")
        .with(newer.document())
        .with(older.document())
        .rows([get("t117.test/x").to("s1"), get("t117.test/newer").to("s3")])
        .problem("DuplicateMatch", "Ingress default/t117-a")
}

fn t118_the_class_of_the_field_counts() -> Case {
    let ingress = of("t118").class("foreign").path("Prefix", "/", "s1");
    let ingress = ingress.annotation("kubernetes.io/ingress.class", "ours");
    Case::new("T118")
        .with(ingress.document())
        .rows([get("t118.test/").status(404)])
}

fn t122_a_port_name_that_the_service_does_not_have() -> Case {
    let named = |port: &str| format!("{{service: {{name: s1, port: {{name: {port}}}}}}}");
    let ingress = of("t122").path_to("Prefix", "/nope", &named("nope"));
    let ingress = ingress.path_to("Prefix", "/http", &named("http"));
    let ingress = ingress.path("Prefix", "/absent", "absent");
    Case::new("T122")
        .with(ingress.document())
        .rows([
            get("t122.test/http").to("s1"),
            get("t122.test/nope").status(503),
            get("t122.test/absent").status(503),
        ])
        .problem("BackendNotFound", "Ingress default/t122")
}

fn t123_a_backend_that_is_no_service() -> Case {
    let bucket = "{resource: {apiGroup: k8s.example.com, kind: StorageBucket, name: static}}";
    let ingress = of("t123").path("Prefix", "/", "s1");
    Case::new("T123")
        .with(ingress.path_to("Prefix", "/icons", bucket).document())
        .rows([
            get("t123.test/").to("s1"),
            get("t123.test/icons").status(503),
        ])
        .problem("UnsupportedBackend", "Ingress default/t123")
}

fn gw129_an_unknown_class_is_not_served() -> Case {
    let ingress = of("gw129").class("unknown").path("Prefix", "/", "s1");
    Case::new("GW129")
        .with(ingress.document())
        .rows([get("gw129.test/").status(404)])
}

fn the_annotation_names_a_class_too() -> Case {
    let annotated = |name: &str, class: &str| {
        let ingress = of(name).class("").path("Prefix", "/", "s1");
        let ingress = ingress.annotation("kubernetes.io/ingress.class", class);
        ingress.document()
    };
    Case::new("annotation")
        .with(annotated("annotated", "ours"))
        .with(annotated("annotated-foreign", "foreign"))
        .with(
            of("classless")
                .class("")
                .path("Prefix", "/", "s1")
                .document(),
        )
        .rows([
            get("annotated.test/").to("s1"),
            get("annotated-foreign.test/").status(404),
            get("classless.test/").status(404),
        ])
}

fn a_host_that_nobody_has() -> Case {
    Case::new("nobody").rows([
        get("nobody.example/").status(404),
        get("172.18.0.11/").status(404),
        get("/").status(404),
    ])
}

#[test]
fn default_backends_take_what_no_rule_takes() -> Result<()> {
    let default = IngressManifest::new("default-backend").created(3);
    let default = default.default_backend("s3").document();
    let default = Case::new("default").with(default).rows([
        get("any.example/any").to("s3"),
        get("172.18.0.11/").to("s3"),
        get("/").to("s3"),
    ]);
    let own = of("t115").path("Prefix", "/x", "s1").default_backend("s3");
    let t115 = Case::new("T115")
        .with(own.created(1).document())
        .rows([get("t115.test/x").to("s1"), get("t115.test/y").to("s3")]);
    let wild = IngressManifest::new("gw128").host("*.gw128.test");
    let gw128 = Case::new("GW128")
        .with(wild.path("Prefix", "/", "s1").document())
        .rows([
            get("a.gw128.test/").to("s1"),
            get("a.b.gw128.test/").to("s3"),
            get("gw128.test/").to("s3"),
        ]);
    let bare = Case::new("bare")
        .with(of("bare").document())
        .rows([get("bare.test/any").to("s3")]);
    let default = default.problem("DuplicateMatch", "Ingress default/default-backend");
    let cases = [default, t115, gw128, bare];
    Edge::run(&[], &cases, t116_the_next_default_backend_takes_over)
}

/// The oldest default backend serves; when it goes, the next one, and then nobody.
fn t116_the_next_default_backend_takes_over(edge: &mut Edge<'_>) -> Result<()> {
    let next = IngressManifest::new("default-backend").created(3);
    edge.save("default.yaml", &next.default_backend("s2").document())?;
    edge.delete("T115.yaml")?;
    edge.settle(&get("any.example/any").to("s2"))?;
    edge.settle(&get("t115.test/y").to("s2"))?;
    edge.settle(&get("a.b.gw128.test/").to("s2"))?;
    edge.settle(&get("bare.test/").to("s2"))?;
    ensure!(edge.problems()?.is_empty(), "{:?}", edge.problems()?);
    edge.delete("default.yaml")?;
    edge.settle(&get("any.example/any").status(404))?;
    edge.settle(&get("a.b.gw128.test/").status(404))?;
    edge.check(&get("a.gw128.test/").to("s1"))
}
