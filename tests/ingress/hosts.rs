//! Host names: which listener and which routes a request is for.

use anyhow::Result;
use seaway_testing::{GatewayManifest, RouteManifest};

use crate::case::{Case, get};
use crate::edge::play;

#[test]
fn host_names_choose_listeners_and_routes() -> Result<()> {
    play(vec![
        gw025_a_listener_lends_its_host_to_routes_without_one(),
        gw026_a_wildcard_route_has_the_one_host_of_its_listener(),
        gw027_a_wildcard_listener_does_not_cover_its_own_domain(),
        gw028_a_port_in_the_host_does_not_matter(),
        gw032_a_request_is_for_the_narrowest_listener_alone(),
        gw033_a_narrower_listener_shadows_a_route(),
        gw035_wider_routes_of_a_listener_take_what_narrower_ones_miss(),
        gw036_a_narrower_host_goes_before_an_older_route(),
        ten_depths_of_wildcards_of_listeners(),
        ten_depths_of_wildcards_of_routes(),
        letters_and_ports_of_hosts(),
    ])
}

fn gw025_a_listener_lends_its_host_to_routes_without_one() -> Case {
    let gateway = GatewayManifest::new("gw025").listener("x", "x.gw025.test");
    let route = RouteManifest::new("gw025").parent("name: gw025");
    Case::new("GW025")
        .with(gateway.document())
        .with(route.prefix("/", "s1").document())
        .rows([
            get("x.gw025.test/").to("s1"),
            get("y.gw025.test/").status(404),
        ])
}

fn gw026_a_wildcard_route_has_the_one_host_of_its_listener() -> Case {
    let gateway = GatewayManifest::new("gw026").listener("x", "very.gw026.test");
    let route = RouteManifest::new("gw026").parent("name: gw026");
    let route = route.host("*.gw026.test").prefix("/", "s1");
    Case::new("GW026")
        .with(gateway.document())
        .with(route.document())
        .rows([
            get("very.gw026.test/").to("s1"),
            get("foo.gw026.test/").status(404),
        ])
}

fn gw027_a_wildcard_listener_does_not_cover_its_own_domain() -> Case {
    let gateway = GatewayManifest::new("gw027").listener("x", "*.gw027.test");
    let route = RouteManifest::new("gw027").parent("name: gw027");
    let route = route.host("gw027.test").prefix("/", "s1");
    let other = RouteManifest::new("gw027-other").parent("name: gw027");
    let other = other.host("a.gw027.test").prefix("/", "s2");
    Case::new("GW027")
        .with(gateway.document())
        .with(route.document())
        .with(other.document())
        .rows([
            get("a.gw027.test/").to("s2"),
            get("gw027.test/").status(404),
        ])
        .problem("NoMatchingListenerHostname", "HTTPRoute default/gw027")
}

fn gw028_a_port_in_the_host_does_not_matter() -> Case {
    let gateway = GatewayManifest::new("gw028").listener("x", "*.gw028.test");
    let route = RouteManifest::new("gw028").parent("name: gw028");
    let route = route.host("foo.bar.gw028.test").prefix("/", "s1");
    Case::new("GW028")
        .with(gateway.document())
        .with(route.document())
        .rows([
            get("foo.bar.gw028.test:1234/")
                .to("s1")
                .host("foo.bar.gw028.test:1234"),
            get("bar.gw028.test:1234/").status(404),
        ])
}

/// Sixteen pairs of hosts and paths, each path being of one listener.
fn gw032_a_request_is_for_the_narrowest_listener_alone() -> Case {
    let gateway = GatewayManifest::new("gw032")
        .listener("one", "*.gw032.test")
        .listener("two", "*.f.gw032.test")
        .listener("three", "a.f.gw032.test");
    let route = |path: &str, parent: &str| {
        let route = RouteManifest::new(&format!("gw032{}", path.replace('/', "-")));
        route.parent(parent).prefix(path, "s1").document()
    };
    let case = Case::new("GW032")
        .with(gateway.document())
        .with(route("/gw032-any", "name: g"))
        .with(route("/one", "name: gw032, sectionName: one"))
        .with(route("/two", "name: gw032, sectionName: two"))
        .with(route("/three", "name: gw032, sectionName: three"));
    let hosts = [
        ("gw032.test", "/gw032-any"),
        ("b.gw032.test", "/one"),
        ("b.f.gw032.test", "/two"),
        ("a.f.gw032.test", "/three"),
    ];
    let paths = hosts.map(|(_, path)| path);
    let rows = hosts.iter().flat_map(|(host, own)| {
        paths.map(|path| {
            let row = get(&format!("{host}{path}"));
            if path == *own {
                row.to("s1")
            } else {
                row.status(404)
            }
        })
    });
    case.rows(rows)
}

fn gw033_a_narrower_listener_shadows_a_route() -> Case {
    let gateway = GatewayManifest::new("gw033").listener("x", "*.gw033.test");
    let own = RouteManifest::new("gw033").parent("name: gw033");
    let shadowed = RouteManifest::new("gw033-shadowed").host("b.gw033.test");
    Case::new("GW033")
        .with(gateway.document())
        .with(own.prefix("/own", "s1").document())
        .with(shadowed.prefix("/", "s2").document())
        .rows([
            get("b.gw033.test/own").to("s1"),
            get("b.gw033.test/").status(404),
        ])
        .problem("ShadowedHostname", "HTTPRoute default/gw033-shadowed")
}

fn gw035_wider_routes_of_a_listener_take_what_narrower_ones_miss() -> Case {
    let gateway = GatewayManifest::new("gw035").listener("x", "*.gw035.test");
    let route = |name: &str| RouteManifest::new(name).parent("name: gw035");
    let exact = route("gw035-a").host("a.e.gw035.test").prefix("/a", "s1");
    let wild = route("gw035-b").host("*.e.gw035.test").prefix("/b", "s2");
    let all = route("gw035-c").prefix("/c", "s3");
    Case::new("GW035")
        .with(gateway.document())
        .with(exact.document())
        .with(wild.document())
        .with(all.document())
        .rows([
            get("a.e.gw035.test/a").to("s1"),
            get("a.e.gw035.test/b").to("s2"),
            get("a.e.gw035.test/c").to("s3"),
            get("a.e.gw035.test/d").status(404),
            get("x.e.gw035.test/b").to("s2"),
            get("x.e.gw035.test/a").status(404),
            get("x.gw035.test/c").to("s3"),
            get("x.gw035.test/b").status(404),
        ])
}

fn gw036_a_narrower_host_goes_before_an_older_route() -> Case {
    let exact = RouteManifest::new("gw036-a").created(9);
    let wild = RouteManifest::new("gw036-b").created(1);
    Case::new("GW036")
        .with(exact.host("a.gw036.test").prefix("/a", "s1").document())
        .with(wild.host("*.gw036.test").prefix("/a", "s2").document())
        .rows([
            get("a.gw036.test/a").to("s1"),
            get("b.gw036.test/a").to("s2"),
        ])
}

/// The wildcard host of this depth: `*.a.a.<base>` for 3.
fn wildcard(depth: usize, base: &str) -> String {
    format!("*.{}{base}", "a.".repeat(depth - 1))
}

/// A rule that says its number to the backend.
fn numbered(route: RouteManifest, number: usize) -> String {
    let set = format!("set: [{{name: depth, value: '{number}'}}]");
    let filter = format!("{{type: RequestHeaderModifier, requestHeaderModifier: {{{set}}}}}");
    let rule = format!("filters: [{filter}]");
    route.rule(&rule, "s1").document()
}

/// Requests at every depth: one label and two in place of the `*`.
fn at_every_depth(mut case: Case, base: &str) -> Case {
    for depth in 1..=10 {
        let number = depth.to_string();
        for label in ["x.", "y.x."] {
            let host = wildcard(depth, base).replacen("*.", label, 1);
            let row = get(&format!("{host}/")).to("s1").saw("depth", &number);
            case = case.rows([row]);
        }
    }
    case.rows([get(&format!("{base}/")).status(404)])
}

fn ten_depths_of_wildcards_of_listeners() -> Case {
    let base = "listeners.deep.test";
    let mut gateway = GatewayManifest::new("deep");
    let mut case = Case::new("ten listeners");
    for depth in 1..=10 {
        gateway = gateway.listener(&format!("l{depth}"), &wildcard(depth, base));
        let route = RouteManifest::new(&format!("deep-{depth}"));
        let route = route.parent(&format!("name: deep, sectionName: l{depth}"));
        case = case.with(numbered(route, depth));
    }
    at_every_depth(case.with(gateway.document()), base)
}

fn ten_depths_of_wildcards_of_routes() -> Case {
    let base = "routes.deep.test";
    let mut case = Case::new("ten routes");
    for depth in 1..=10 {
        let route = RouteManifest::new(&format!("deep-route-{depth}"));
        case = case.with(numbered(route.host(&wildcard(depth, base)), depth));
    }
    at_every_depth(case, base)
}

fn letters_and_ports_of_hosts() -> Case {
    let exact = RouteManifest::new("letters").host("letters.test");
    let wild = RouteManifest::new("letters-wild").host("*.letters.test");
    Case::new("letters")
        .with(exact.prefix("/", "s1").document())
        .with(wild.prefix("/", "s2").document())
        .rows([
            get("LETTERS.Test/").to("s1").host("LETTERS.Test"),
            get("letters.test:80/").to("s1").host("letters.test:80"),
            get("letters.test:/").to("s1").host("letters.test:"),
            get("a.letters.test:/").to("s2"),
            get("A.lETTERS.test:8080/").to("s2"),
            get("A.Letters.test/").http2().to("s2"),
            get("a.b.letters.test/").to("s2"),
            get("letters.test.example/").status(404),
            get("xletters.test/").status(404),
            get("nobody.example/").status(404),
            get("172.18.0.11/").status(404),
        ])
}
