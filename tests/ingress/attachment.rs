//! Which Gateways, listeners and routes are served at all.

use anyhow::Result;
use seaway_testing::{GatewayManifest, IngressManifest, RouteManifest};

use crate::case::{Case, get};
use crate::edge::{Edge, gateway, play};

#[test]
fn listeners_and_routes_are_judged_one_by_one() -> Result<()> {
    play(vec![
        gw009_a_port_that_the_addresses_do_not_have(),
        gw013_two_listeners_with_one_host(),
        gw014_two_protocols_at_one_port(),
        gw017_an_invalid_listener_reserves_nothing(),
        gw018_an_unknown_protocol_alone_and_beside_a_good_one(),
        gw019_kinds_that_are_not_routes_of_http(),
        gw029_a_parent_without_such_a_listener(),
        gw030_a_route_of_another_namespace(),
    ])
}

/// A route to `s1` for all that the listeners of a Gateway take.
fn route_of(gateway: &str) -> RouteManifest {
    RouteManifest::new(gateway).parent(&format!("name: {gateway}"))
}

fn gw009_a_port_that_the_addresses_do_not_have() -> Case {
    let gateway = GatewayManifest::new("gw009")
        .only("name: x, port: 8081, protocol: HTTP, hostname: gw009.test")
        .listener("h", "ok.gw009.test");
    Case::new("GW009")
        .with(gateway.document())
        .with(route_of("gw009").prefix("/", "s1").document())
        .rows([
            get("ok.gw009.test/").to("s1"),
            get("gw009.test/").status(404),
        ])
        .problem("PortUnavailable", "Gateway default/gw009")
}

fn gw013_two_listeners_with_one_host() -> Case {
    let gateway = GatewayManifest::new("gw013")
        .listener("a", "x.gw013.test")
        .listener("b", "X.gw013.test")
        .listener("c", "y.gw013.test");
    Case::new("GW013")
        .with(gateway.document())
        .with(route_of("gw013").prefix("/", "s1").document())
        .rows([
            get("y.gw013.test/").to("s1"),
            get("x.gw013.test/").status(404),
        ])
        .problem("HostnameConflict", "Gateway default/gw013")
}

fn gw014_two_protocols_at_one_port() -> Case {
    let gateway = GatewayManifest::new("gw014")
        .listener("a", "gw014.test")
        .only("name: b, port: 80, protocol: TCP");
    Case::new("GW014")
        .with(gateway.document())
        .with(route_of("gw014").prefix("/", "s1").document())
        .rows([get("gw014.test/").status(404)])
        .problem("ProtocolConflict", "Gateway default/gw014")
}

fn gw017_an_invalid_listener_reserves_nothing() -> Case {
    let tls = "tls: {certificateRefs: [{name: secret}]}";
    let gateway = GatewayManifest::new("gw017")
        .only(&format!(
            "name: a, port: 80, protocol: HTTP, hostname: gw017.test, {tls}"
        ))
        .listener("b", "gw017.test");
    Case::new("GW017")
        .with(gateway.document())
        .with(route_of("gw017").prefix("/", "s1").document())
        .rows([get("gw017.test/").to("s1")])
        .problem("*", "Gateway default/gw017")
}

fn gw018_an_unknown_protocol_alone_and_beside_a_good_one() -> Case {
    let unknown = "name: a, port: 1111, protocol: INVALID";
    let alone = GatewayManifest::new("gw018-alone").only(unknown);
    let gateway = GatewayManifest::new("gw018").only(unknown);
    let gateway = gateway.listener("h", "gw018.test");
    Case::new("GW018")
        .with(alone.document())
        .with(gateway.document())
        .with(route_of("gw018").prefix("/", "s1").document())
        .rows([get("gw018.test/").to("s1")])
        .problem("UnsupportedProtocol", "Gateway default/gw018")
        .problem("UnsupportedProtocol", "Gateway default/gw018-alone")
}

fn gw019_kinds_that_are_not_routes_of_http() -> Case {
    let listener = |name: &str, kinds: &str| {
        format!(
            "name: {name}, port: 80, protocol: HTTP, hostname: {name}.gw019.test, \
             allowedRoutes: {{kinds: [{kinds}]}}"
        )
    };
    let gateway = GatewayManifest::new("gw019")
        .only(&listener("foo", "{kind: Foo}"))
        .only(&listener("both", "{kind: Foo}, {kind: HTTPRoute}"));
    let unattached = RouteManifest::new("gw019-foo").parent("name: gw019, sectionName: foo");
    Case::new("GW019")
        .with(gateway.document())
        .with(route_of("gw019").prefix("/", "s1").document())
        .with(unattached.prefix("/", "s2").document())
        .rows([
            get("both.gw019.test/").to("s1"),
            get("foo.gw019.test/").status(404),
        ])
        .problem("*", "Gateway default/gw019")
        .problem("NotAllowedByListeners", "HTTPRoute default/gw019-foo")
}

fn gw029_a_parent_without_such_a_listener() -> Case {
    let mut case = Case::new("GW029");
    for (name, parent) in [
        ("section", "name: g, sectionName: nope"),
        ("port", "name: g, port: 81"),
        ("both", "name: g, sectionName: h, port: 81"),
    ] {
        let host = format!("{name}.gw029.test");
        let route = RouteManifest::new(&format!("gw029-{name}")).parent(parent);
        case = case
            .with(route.host(&host).prefix("/", "s1").document())
            .rows([get(&format!("{host}/")).status(404)])
            .problem(
                "NoMatchingParent",
                &format!("HTTPRoute default/gw029-{name}"),
            );
    }
    let right = RouteManifest::new("gw029").parent("name: g, sectionName: h, port: 80");
    case.with(right.host("gw029.test").prefix("/", "s1").document())
        .rows([get("gw029.test/").to("s1")])
}

fn gw030_a_route_of_another_namespace() -> Case {
    let open = "allowedRoutes: {namespaces: {from: All}}";
    let gateway = GatewayManifest::new("gw030").only(&format!(
        "name: h, port: 80, protocol: HTTP, hostname: open.gw030.test, {open}"
    ));
    let route = |name: &str, gateway: &str| {
        let parent = format!("name: {gateway}, namespace: default");
        let redirect = "filters: [{type: RequestRedirect, requestRedirect: {hostname: h.test}}]";
        let route = RouteManifest::new(name).namespace("j").parent(&parent);
        route.host("*.gw030.test").only(redirect).document()
    };
    Case::new("GW030")
        .with(gateway.document())
        .with(route("gw030", "g"))
        .with(route("gw030-open", "gw030"))
        .rows([
            get("open.gw030.test/").status(302),
            get("x.gw030.test/").status(404),
        ])
        .problem("NotAllowedByListeners", "HTTPRoute j/gw030")
}

/// GW001, GW002, GW005, and Ingresses of others: nobody listens where nothing is served.
#[test]
fn what_is_not_served_binds_nothing() -> Result<()> {
    let parameters = "parametersRef: {group: example.com, kind: Foo, name: foo}";
    let class = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n\
         metadata: {{name: parameters}}\n\
         spec: {{controllerName: seaway.dev/gateway-controller, {parameters}}}\n"
    );
    let served = |name: &str, class: &str| {
        let gateway = GatewayManifest::new(name).class(class);
        gateway.listener("h", &format!("{name}.test"))
    };
    let infrastructure = format!("infrastructure: {{{parameters}}}");
    let foreign = IngressManifest::new("foreign").class("foreign");
    let unknown = IngressManifest::new("unknown").class("unknown");
    let classless = IngressManifest::new("classless").class("");
    let ingress = |ingress: IngressManifest, host: &str| {
        ingress.host(host).path("Prefix", "/", "s1").document()
    };
    let case = Case::new("unserved")
        .with(class)
        .with(served("gw001", "foreign").document())
        .with(served("gw002", "parameters").document())
        .with(served("gw003", "unknown").document())
        .with(served("gw005", "ours").spec(&infrastructure).document())
        .with(route_of("gw001").prefix("/", "s1").document())
        .with(route_of("gw002").prefix("/", "s1").document())
        .with(route_of("gw003").prefix("/", "s1").document())
        .with(route_of("gw005").prefix("/", "s1").document())
        .with(ingress(foreign, "foreign.test"))
        .with(ingress(unknown, "unknown.test"))
        .with(ingress(classless, "classless.test"))
        .problem("InvalidParameters", "GatewayClass parameters")
        .problem("InvalidParameters", "Gateway default/gw005");
    Edge::run(&[], &[case], |edge| {
        edge.refused()?;
        let route = RouteManifest::new("good").host("good.test");
        edge.save("route.yaml", &route.prefix("/", "s1").document())?;
        edge.save("gateway.yaml", &gateway())?;
        edge.settle(&get("good.test/").to("s1"))?;
        for name in ["gw001", "gw002", "gw003", "gw005"] {
            edge.check(&get(&format!("{name}.test/")).status(404))?;
        }
        for name in ["foreign", "unknown", "classless"] {
            edge.check(&get(&format!("{name}.test/")).status(404))?;
        }
        edge.delete("gateway.yaml")?;
        edge.refused()
    })
}
