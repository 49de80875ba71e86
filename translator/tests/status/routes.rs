//! The status of HTTPRoutes, and which of them a listener counts (Gateway rules 42 to 50, 94, 105).

use seaway_translator::ObjectKind;

use super::{gateway, route, world};
use crate::support::one;

/// What a world with these listeners says of a route with these parents and fields, and how many
/// routes the first listener has.
#[track_caller]
fn check(listener: &str, parents: &str, fields: &str, expected: &str, attached: i32) {
    let mut world = world();
    let listener = format!("{{name: h, protocol: HTTP, port: 80{listener}}}");
    world.apply([
        gateway(&format!("listeners: [{listener}]")),
        route(parents, fields),
    ]);
    assert_eq!(world.route(), expected);
    let status = world.gateway();
    assert!(status.contains(&format!(" C=F {attached} ")), "{status}");
    // The way does not matter.
    let mut turned = super::world();
    turned.apply([route(parents, fields)]);
    turned.apply([gateway(&format!("listeners: [{listener}]"))]);
    assert_eq!((turned.route(), turned.gateway()), (world.route(), status));
}

/// GW025 to GW030.
#[test]
fn a_route_is_accepted_where_a_listener_takes_it() {
    let good = "g/: A=T R=T";
    check(", hostname: x.org", "{name: g}", "", good, 1);
    let very = ", hostname: very.specific.com";
    check(
        very,
        "{name: g}",
        "hostnames: [\"*.specific.com\"]",
        good,
        1,
    );
    let wildcard = ", hostname: \"*.w.io\"";
    let unmatched = "g/: A=F/NoMatchingListenerHostname R=T";
    check(wildcard, "{name: g}", "hostnames: [w.io]", unmatched, 0);
    check(wildcard, "{name: g}", "hostnames: [foo.bar.w.io]", good, 1);
    let absent = "g/nope: A=F/NoMatchingParent R=T";
    check("", "{name: g, sectionName: nope}", "", absent, 0);
    let absent = "g/: A=F/NoMatchingParent R=T";
    check("", "{name: g, port: 81}", "", absent, 0);
    let absent = "g/h: A=F/NoMatchingParent R=T";
    check("", "{name: g, sectionName: h, port: 81}", "", absent, 0);
    // A parent that is no Gateway of this controller's has no entry; two that take the route at
    // one listener have two, and count once.
    check(
        "",
        "{name: g}, {name: absent}, {name: x, kind: Service, group: \"\"}",
        "",
        good,
        1,
    );
    let both = "g/: A=T R=T\ng/h: A=T R=T";
    check("", "{name: g}, {name: g, sectionName: h}", "", both, 1);
    let one_of_two = "g/nope: A=F/NoMatchingParent R=T\ng/h: A=T R=T";
    check(
        "",
        "{name: g, sectionName: nope}, {name: g, sectionName: h}",
        "",
        one_of_two,
        1,
    );
}

#[test]
fn gw030_a_route_of_another_namespace_needs_to_be_allowed() {
    let mut world = world();
    let foreign = one(
        "{kind: HTTPRoute, metadata: {namespace: j, name: r}, spec: {parentRefs: [{name: g, \
         namespace: d}]}}",
    );
    world.apply([
        gateway("listeners: [{name: h, protocol: HTTP, port: 80}]"),
        foreign,
    ]);
    let of = |world: &super::World| world.status(ObjectKind::HTTPRoute, "j", "r");
    assert_eq!(of(&world), "g/: A=F/NotAllowedByListeners R=T");
    assert!(
        world.gateway().ends_with(" C=F 0 [\"HTTPRoute\"]"),
        "{}",
        world.gateway()
    );
    let selector = "allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}";
    let selecting = format!("listeners: [{{name: h, protocol: HTTP, port: 80, {selector}}}]");
    world.apply([gateway(&selecting)]);
    assert_eq!(of(&world), "g/: A=F/NotAllowedByListeners R=T");
    world.apply([one(
        "{kind: Namespace, metadata: {name: j, labels: {a: b}}}",
    )]);
    assert_eq!(of(&world), "g/: A=T R=T");
    assert!(
        world.gateway().ends_with(" C=F 1 [\"HTTPRoute\"]"),
        "{}",
        world.gateway()
    );
}

/// Gateway rules 30 and 45.
#[test]
fn a_listener_that_is_refused_takes_routes_all_the_same() {
    let mut world = world();
    world.apply([
        gateway(
            "listeners: [{name: a, protocol: HTTP, port: 80}, {name: b, protocol: HTTP, port: 80}]",
        ),
        route("{name: g, sectionName: b}", ""),
    ]);
    assert_eq!(world.route(), "g/b: A=T R=T");
    let conflict = "A=F/HostnameConflict R=T P=F/HostnameConflict C=T/HostnameConflict";
    assert_eq!(
        world.gateway(),
        format!(
            "A=F/ListenersNotValid P=F/Invalid R=T at []\n\
             a: {conflict} 0 [\"HTTPRoute\"]\nb: {conflict} 1 [\"HTTPRoute\"]"
        )
    );
}

/// GW076, GW077 and Gateway rule 94.
#[test]
fn a_route_says_which_of_its_rules_are_left_out() {
    let replace = "path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}";
    let rewrite = format!("{{type: URLRewrite, urlRewrite: {{{replace}}}}}");
    let exact = format!(
        "{{matches: [{{path: {{type: Exact, value: /a}}}}], filters: [{rewrite}], \
         backendRefs: [{{name: web, port: 80}}]}}"
    );
    let both = "{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}, \
                {type: URLRewrite, urlRewrite: {hostname: a.org}}]}";
    let fine = "{backendRefs: [{name: web, port: 80}]}";
    let rules = |all: &[&str]| format!("rules: [{}]", all.join(", "));
    let unsupported = "g/: A=F/UnsupportedValue R=T";
    check("", "{name: g}", &rules(&[&exact]), unsupported, 0);
    check(
        "",
        "{name: g}",
        &rules(&[both]),
        "g/: A=F/IncompatibleFilters R=T",
        0,
    );
    let partially = "g/: A=T R=T PartiallyInvalid=T/UnsupportedValue";
    check("", "{name: g}", &rules(&[fine, both]), partially, 1);
    check("", "{name: g}", &rules(&[&exact, fine]), partially, 1);
}

/// GW079, GW090 and Gateway rule 49.
#[test]
fn a_route_says_what_its_backends_lack() {
    let cases = [
        ("{name: web, port: 80}", "R=T"),
        ("{name: web, port: 81}", "R=F/BackendNotFound"),
        ("{name: absent, port: 80}", "R=F/BackendNotFound"),
        ("{name: outside, port: 80}", "R=F/BackendNotFound"),
        ("{name: web, namespace: e, port: 80}", "R=F/RefNotPermitted"),
        (
            "{name: web, kind: Foo, group: x.org, port: 80}",
            "R=F/InvalidKind",
        ),
    ];
    for (backend, expected) in cases {
        let mut world = world();
        world.apply([
            crate::support::service(
                "outside",
                "\"\"",
                ", type: ExternalName, externalName: x.org",
            ),
            gateway("listeners: [{name: h, protocol: HTTP, port: 80}]"),
            route(
                "{name: g}",
                &format!("rules: [{{backendRefs: [{backend}]}}]"),
            ),
        ]);
        assert_eq!(world.route(), format!("g/: A=T {expected}"), "{backend}");
    }
    let mirror = "{type: RequestMirror, requestMirror: {backendRef: {name: absent, port: 80}}}";
    let rule = format!("{{backendRefs: [{{name: web, port: 80}}], filters: [{mirror}]}}");
    let expected = "g/: A=T R=F/BackendNotFound";
    check("", "{name: g}", &format!("rules: [{rule}]"), expected, 1);
}
