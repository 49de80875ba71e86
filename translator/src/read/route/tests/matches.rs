//! What requests look like.

use serde_json::json;

use super::{BACKEND, good, route_of, yaml};
use crate::model::{PathMatch, TextMatch};
use crate::read::tests::{problems, rows};
use crate::{Reason, Severity};

#[test]
fn matches_have_the_defaults_of_the_api() {
    let rule = good(&format!(
        "
matches:
- {{}}
- {{path: {{value: /a/}}, method: GET}}
- {{path: {{type: Exact, value: /a/}}, headers: [{{name: X-A, value: v}}, {{name: Host, type: RegularExpression, value: 'a.*'}}]}}
- {{path: {{type: RegularExpression, value: '/[a-z]+'}}, queryParams: [{{name: a, value: b}}, {{name: A, value: c}}]}}
{BACKEND}"
    ));
    let paths: Vec<_> = rule.matches.iter().map(|m| m.path.clone()).collect();
    assert_eq!(
        paths,
        [
            PathMatch::Prefix("".into()),
            PathMatch::Prefix("/a".into()),
            PathMatch::Exact("/a/".into()),
            PathMatch::Regex("/[a-z]+".into()),
        ]
    );
    assert_eq!(rule.matches[1].method.as_deref(), Some("GET"));
    let headers: Vec<_> = rule.matches[2]
        .headers
        .iter()
        .map(|h| (&*h.name, &h.value))
        .collect();
    assert_eq!(
        headers,
        [
            ("x-a", &TextMatch::Exact("v".into())),
            ("host", &TextMatch::Regex("a.*".into()))
        ]
    );
    let query: Vec<_> = rule.matches[3].query.iter().map(|q| &*q.name).collect();
    assert_eq!(query, ["a", "A"]);
    // Of one name the first counts (Gateway rule 57).
    let route = super::rule("matches: [{headers: [{name: a, value: x}, {name: A, value: z}]}]");
    assert_eq!(route.rules[0].matches[0].headers.len(), 1);
    assert_eq!(route.problems[0].severity, Severity::Warning);
}

#[test]
fn all_that_a_route_may_have_is_served() {
    let matches: Vec<_> = (0..64)
        .map(|i| json!({"path": {"value": format!("/{i}")}}))
        .collect();
    let backends: Vec<_> = (0..16)
        .map(|i| json!({"name": format!("s{i}"), "port": 80}))
        .collect();
    let full = json!({"matches": matches, "backendRefs": backends});
    let small = json!({"matches": [{}], "backendRefs": []});
    let hosts: Vec<_> = (0..16).map(|i| format!("h{i}.com")).collect();
    let route = route_of(json!({"hostnames": hosts, "rules": [full, full]}));
    assert_eq!(
        (
            problems(&route.problems),
            route.rules.len(),
            route.hostnames.len()
        ),
        (vec![], 2, 16)
    );
    let route = route_of(json!({"rules": [full, full, small]}));
    assert_eq!(
        (problems(&route.problems), route.rules.len()),
        (vec![("spec.rules[2].matches", Reason::TooLarge)], 2)
    );
    let mut more = full.clone();
    more["matches"].as_array_mut().unwrap().push(json!({}));
    let route = route_of(json!({"rules": [more]}));
    assert_eq!(
        problems(&route.problems),
        [("spec.rules[0].matches", Reason::TooLarge)]
    );
    let mut more = full.clone();
    more["backendRefs"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "s", "port": 80}));
    let route = route_of(json!({"rules": [more]}));
    assert_eq!(
        problems(&route.problems),
        [("spec.rules[0].backendRefs", Reason::TooLarge)]
    );
    assert!(route.rules[0].broken);
    let route = route_of(json!({"rules": vec![small; 10_000]}));
    assert_eq!(
        (route.rules.len(), problems(&route.problems)),
        (16, vec![("spec.rules", Reason::TooLarge)])
    );
}

#[test]
fn what_matches_and_headers_multiply_to_is_bounded() {
    let matches: Vec<_> = (0..64)
        .map(|i| json!({"path": {"value": format!("/{i}")}}))
        .collect();
    let set: Vec<_> = (0..16)
        .map(|i| json!({"name": format!("x{i}"), "value": "v".repeat(4_000)}))
        .collect();
    let filters = json!([{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": set}}]);
    let backend = json!({"name": "s", "port": 80, "filters": filters});
    let rule = |backends: usize| json!({"matches": matches, "backendRefs": vec![backend.clone(); backends]});
    let route = route_of(json!({"rules": [rule(1), rule(2)]}));
    assert_eq!(problems(&route.problems), []);
    let route = route_of(json!({"rules": [rule(5)]}));
    assert_eq!(
        problems(&route.problems),
        [("spec.rules[0]", Reason::TooLarge)]
    );
    let route =
        route_of(json!({"hostnames": ["a.com", "b.com", "c.com"], "rules": [rule(1), rule(16)]}));
    assert_eq!(
        problems(&route.problems),
        [("spec.rules[1]", Reason::TooLarge)]
    );
    assert!(!route.rules[0].broken && route.rules[1].broken);
    assert!(route.rules[1].backends.is_empty());
}

/// Matches of which none is read otherwise than it is written.
const BAD: &str = r#"
{path: {value: /a?b}} => .path.value => InvalidPath
{path: {value: '/a#b'}} => .path.value => InvalidPath
{path: {value: /a//b}} => .path.value => InvalidPath
{path: {value: '/{id}'}} => .path.value => InvalidPath
{path: {value: a}} => .path.value => InvalidPath
{path: {value: ''}} => .path.value => InvalidPath
{path: {type: RegularExpression, value: '/a(?=b)'}} => .path.value => InvalidRegex
{path: {type: RegularExpression, value: '(/[a-z]{100}){1000}'}} => .path.value => InvalidRegex
{path: {type: Glob, value: /a}} => .path.type => InvalidValue
{path: /a} => .path => InvalidValue
{method: get} => .method => InvalidValue
{method: 5} => .method => InvalidValue
{headers: [{name: '', value: v}]} => .headers[0].name => InvalidHeader
{headers: [{name: ':path', value: v}]} => .headers[0].name => InvalidHeader
{headers: [{name: a}]} => .headers[0].value => InvalidValue
{headers: [{name: a, value: "x\ny"}]} => .headers[0].value => InvalidHeader
{headers: [{name: a, value: v, type: Prefix}]} => .headers[0].type => InvalidValue
{headers: {}} => .headers => InvalidValue
{queryParams: [{name: '', value: v}]} => .queryParams[0].name => InvalidHeader
{queryParams: [{name: a, type: RegularExpression, value: '('}]} => .queryParams[0].value => InvalidRegex
5 => => InvalidValue
"#;

#[test]
fn a_rule_of_which_a_match_cannot_be_used_is_left_out() {
    for (text, field, reason) in rows(BAD) {
        let other = yaml("{matches: [{path: {value: /b}}], backendRefs: [{name: s, port: 80}]}");
        let bad = yaml(&format!("matches: [{{}}, {text}]"));
        let route = route_of(json!({"rules": [bad, other]}));
        let field = format!("spec.rules[0].matches[1]{field}");
        assert_eq!(problems(&route.problems), [(&*field, reason)], "{text}");
        assert_eq!((route.rules.len(), route.declared_rules), (1, 2), "{text}");
        assert_eq!(&*route.rules[0].field, "spec.rules[1]");
        let dropped = &route.dropped;
        assert!(
            dropped.starts_with(&format!("Dropped Rule 0 ({field}: ")),
            "{dropped}"
        );
    }
}
