//! What scripts of other origins may do.

use anyhow::Result;
use seaway_testing::{IngressManifest, RouteManifest};

use crate::case::{Case, Row, get};
use crate::edge::play;

#[test]
fn scripts_of_allowed_origins_are_answered() -> Result<()> {
    play(vec![
        gw080_an_allowed_origin_may_do_what_it_asks_for(),
        gw081_another_origin_may_not(),
        listed_methods_and_headers(),
        annotations_of_an_ingress(),
    ])
}

fn route(name: &str, cors: &str) -> String {
    let filter = format!("filters: [{{type: CORS, cors: {{{cors}}}}}]");
    let route = RouteManifest::new(name).host(&format!("{name}.test"));
    route.rule(&filter, "s1").document()
}

const OF_BAR: &str = "allowOrigins: ['https://*.bar.com'], allowMethods: ['*'], \
     allowHeaders: ['*'], allowCredentials: true";

fn preflight(host: &str, origin: &str) -> Row {
    get(&format!("{host}/"))
        .method("OPTIONS")
        .with("origin", origin)
        .with("access-control-request-method", "PUT")
        .with("access-control-request-headers", "x-1,x-2")
}

fn gw080_an_allowed_origin_may_do_what_it_asks_for() -> Case {
    let origin = "https://a.b.bar.com";
    Case::new("GW080").with(route("gw080", OF_BAR)).rows([
        preflight("gw080.test", origin)
            .status(200)
            .answer("access-control-allow-origin", origin)
            .answer("access-control-allow-methods", "PUT")
            .answer("access-control-allow-headers", "x-1,x-2")
            .answer("access-control-allow-credentials", "true"),
        get("gw080.test/")
            .with("origin", origin)
            .to("s1")
            .answer("access-control-allow-origin", origin)
            .answer("access-control-allow-credentials", "true"),
    ])
}

fn gw081_another_origin_may_not() -> Case {
    let foreign = "https://foobar.com";
    Case::new("GW081").with(route("gw081", OF_BAR)).rows([
        get("gw081.test/")
            .with("origin", foreign)
            .to("s1")
            .answer_without("access-control-allow-origin"),
        preflight("gw081.test", foreign).answer_without("access-control-allow-origin"),
        preflight("gw081.test", "https://bar.com").answer_without("access-control-allow-origin"),
        preflight("gw081.test", "https://a.bar.com.example")
            .answer_without("access-control-allow-origin"),
    ])
}

fn listed_methods_and_headers() -> Case {
    let listed = "allowOrigins: ['https://a.test', 'http://b.test:8080'], \
         allowMethods: [GET, PUT], allowHeaders: [x-1, x-2], exposeHeaders: [x-3], maxAge: 77";
    let allowed = |origin: &str| {
        preflight("listed.test", origin)
            .status(200)
            .answer("access-control-allow-origin", origin)
            .answer("access-control-max-age", "77")
            .answer_without("access-control-allow-credentials")
    };
    Case::new("listed").with(route("listed", listed)).rows([
        allowed("https://a.test"),
        allowed("http://b.test:8080"),
        preflight("listed.test", "http://b.test").answer_without("access-control-allow-origin"),
        get("listed.test/")
            .with("origin", "https://a.test")
            .to("s1")
            .answer("access-control-expose-headers", "x-3"),
    ])
}

fn annotations_of_an_ingress() -> Case {
    let name = |key: &str| format!("seaway.dev/cors-{key}");
    let ingress = |host: &str| {
        let ingress = IngressManifest::new(&host.replace('.', "-")).host(host);
        ingress.path("Prefix", "/", "s1")
    };
    let some = ingress("some.cors.test")
        .annotation(&name("allow-origins"), "https://a.test, https://*.b.test")
        .annotation(&name("allow-methods"), "GET, PUT")
        .annotation(&name("allow-headers"), "x-1,x-2")
        .annotation(&name("expose-headers"), "x-3")
        .annotation(&name("allow-credentials"), "true")
        .annotation(&name("max-age"), "77");
    let any = ingress("any.cors.test").annotation(&name("allow-origins"), "*");
    let any = any.annotation("seaway.dev/rate-limit", "1/m");
    let allowed = |origin: &str| {
        preflight("some.cors.test", origin)
            .status(200)
            .answer("access-control-allow-origin", origin)
            .answer("access-control-allow-methods", "GET, PUT")
            .answer("access-control-allow-headers", "x-1, x-2")
            .answer("access-control-allow-credentials", "true")
            .answer("access-control-max-age", "77")
    };
    Case::new("annotated")
        .with(some.document())
        .with(any.document())
        .rows([
            get("some.cors.test/")
                .with("origin", "https://a.test")
                .to("s1")
                .answer("access-control-expose-headers", "x-3"),
            allowed("https://a.test"),
            allowed("https://c.b.test"),
            preflight("some.cors.test", "https://b.test")
                .answer_without("access-control-allow-origin"),
        ])
        // Preflight requests are not counted, and a script may read that it asked too often.
        .rows((0..5).map(|_| {
            preflight("any.cors.test", "https://anybody.test")
                .status(200)
                .answer("access-control-allow-origin", "https://anybody.test")
                .answer("access-control-allow-methods", "PUT")
        }))
        .rows((0..2).map(|_| {
            get("any.cors.test/")
                .with("origin", "https://anybody.test")
                .answer("access-control-allow-origin", "https://anybody.test")
        }))
}
