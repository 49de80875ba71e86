//! Tables of HTTPRoutes, with what is read of them and what is wrong with them.

mod backends;
mod filters;
mod matches;
mod retry;

use seaway_proto::json;
use serde_json::{Value, json};

use crate::model::{HTTPRoute, Hostname, PathMatch, Rule, Timeouts};
use crate::read::tests::problems;
use crate::{Reason, read};

fn route_of(spec: Value) -> HTTPRoute {
    let value = json!({"metadata": {"namespace": "i", "name": "r", "generation": 7}, "spec": spec});
    read::route::read(&serde_json::from_value(value).unwrap()).unwrap()
}

fn yaml(text: &str) -> Value {
    json::from_yaml(text).unwrap()
}

/// A route with one rule.
fn rule(rule: &str) -> HTTPRoute {
    route_of(json!({"rules": [yaml(rule)]}))
}

/// The only rule, of a route with which nothing is wrong.
#[track_caller]
fn good(text: &str) -> Rule {
    let route = rule(text);
    assert_eq!(problems(&route.problems), [], "{text}");
    assert_eq!(
        (&*route.dropped, route.rules.len(), route.rules[0].broken),
        ("", 1, false),
        "{text}"
    );
    route.rules[0].clone()
}

const BACKEND: &str = "backendRefs: [{name: s1, port: 8080}]";

#[test]
fn a_route_without_rules_takes_every_request_and_has_nothing_behind_it() {
    let route = route_of(json!({}));
    assert_eq!((route.rules.len(), route.declared_rules), (1, 1));
    assert_eq!(route.rules[0].matches[0].path, PathMatch::Prefix("".into()));
    assert!(route.rules[0].backends.is_empty() && !route.rules[0].broken);
    assert_eq!(
        (&route.hostnames[..], route.generation),
        (&[Hostname::Any][..], 7)
    );
    assert_eq!(route_of(json!({"rules": []})).rules.len(), 0);
    for wrong in [json!(5), json!([])] {
        let route = route_of(wrong);
        assert_eq!(problems(&route.problems), [("spec", Reason::InvalidValue)]);
    }
}

#[test]
fn parents_are_kept_as_they_are_written() {
    let route = route_of(json!({"parentRefs": [
        {"name": "g"}, {"name": "g", "kind": "Gateway", "sectionName": "h", "port": 80, "namespace": "j"},
        {"name": "g"}, {"group": "", "kind": "Service", "name": "s"}, {"name": "G"}, {"port": 80}, 5,
        {"name": "g", "port": 70000}, {"name": "g", "namespace": "a.b"},
    ]}));
    let names: Vec<_> = route
        .parents
        .iter()
        .map(|p| (p.kind.as_deref(), p.port.map(u16::from)))
        .collect();
    assert_eq!(
        names,
        [
            (None, None),
            (Some("Gateway"), Some(80)),
            (Some("Service"), None)
        ]
    );
    let fields: Vec<_> = route.problems.iter().map(|p| p.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.parentRefs[2]",
            "spec.parentRefs[4].name",
            "spec.parentRefs[5].name",
            "spec.parentRefs[6]",
            "spec.parentRefs[7].port",
            "spec.parentRefs[8].namespace",
        ]
    );
    let many: Vec<_> = (0..40).map(|i| json!({"name": format!("g{i}")})).collect();
    let route = route_of(json!({"parentRefs": many}));
    assert_eq!(
        (route.parents.len(), problems(&route.problems)),
        (32, vec![("spec.parentRefs", Reason::TooLarge)])
    );
}

#[test]
fn a_bad_host_name_never_makes_a_route_that_is_for_all() {
    let hosts = |hosts: Value| {
        let route = route_of(json!({"hostnames": hosts}));
        let names: Vec<_> = route.hostnames.iter().map(ToString::to_string).collect();
        (names.join(" "), route.problems.len())
    };
    assert_eq!(
        hosts(json!(["A.com.", "*.b.com", "a.com"])),
        ("a.com *.b.com".to_owned(), 0)
    );
    assert_eq!(
        hosts(json!(["1.2.3.4", "a.com", ""])),
        ("a.com".to_owned(), 2)
    );
    assert_eq!(hosts(json!(["*"])), (String::new(), 1));
    assert_eq!(hosts(json!("a.com")), (String::new(), 1));
    assert_eq!(hosts(json!([])), ("*".to_owned(), 0));
}

#[test]
fn timeouts_bound_the_request_and_each_try() {
    let of = |text: &str| rule(&format!("timeouts: {text}\n{BACKEND}"));
    let some = |request, backend_request| Timeouts {
        request,
        backend_request,
    };
    for (text, expected) in [
        ("{}", some(None, None)),
        ("{request: 10s}", some(Some(10_000), None)),
        (
            "{request: 0s, backendRequest: 500ms}",
            some(Some(0), Some(500)),
        ),
        ("{request: 99999h}", some(Some(u32::MAX), None)),
    ] {
        let route = of(text);
        assert_eq!(
            (route.rules[0].timeouts, route.rules[0].broken),
            (expected, false),
            "{text}"
        );
        assert_eq!(route.problems.len(), usize::from(text.contains("99999")));
    }
    for bad in [
        "{request: 10}",
        "{request: 1d}",
        "{request: 1s, backendRequest: 2s}",
        "5",
    ] {
        assert!(of(bad).rules[0].broken, "{bad}");
    }
}

#[test]
fn what_is_not_supported_yet_is_said() {
    let route = rule(&format!("sessionPersistence: {{}}\nname: x\n{BACKEND}"));
    assert_eq!(
        problems(&route.problems),
        [("spec.rules[0].sessionPersistence", Reason::UnsupportedField),]
    );
    assert!(!route.rules[0].broken);
}

#[test]
fn the_words_for_dropped_rules_are_short() {
    let long = "x".repeat(5_000);
    let bad = json!({"matches": [{"method": long}]});
    let route = route_of(json!({"rules": vec![bad; 16]}));
    assert_eq!(route.rules.len(), 0);
    assert!(
        route.dropped.starts_with("Dropped Rule 0") && route.dropped.len() < 1_300,
        "{}",
        route.dropped
    );
    assert!(route.dropped.ends_with("Rule 15"));
}
