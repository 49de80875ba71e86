//! Where requests go.

use super::{good, rule};
use crate::Reason;
use crate::model::{PathChange, Target};
use crate::read::tests::{problems, rows};

#[test]
fn backends_have_weights_and_filters_of_their_own() {
    let rule = good(
        "
backendRefs:
- {name: s1, port: 80, weight: 70, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X, value: b}]}}]}
- {name: s2, namespace: j, port: 81, weight: 0, filters: [{type: URLRewrite, urlRewrite: {hostname: x.com}}]}
- {name: s3, port: 82}
",
    );
    let weights: Vec<_> = rule.backends.iter().map(|b| b.weight).collect();
    assert_eq!(weights, [70, 0, 1]);
    assert_eq!(rule.backends[0].request_headers.set.len(), 1);
    assert_eq!(rule.backends[1].hostname.as_deref(), Some("x.com"));
    assert_eq!(rule.filters, Default::default());
    assert_eq!(&*rule.backends[1].field, "spec.rules[0].backendRefs[1]");
}

#[test]
fn filters_of_a_single_backend_are_those_of_the_rule() {
    let rewrite = "{type: URLRewrite, urlRewrite: {hostname: x.com, path: {type: ReplaceFullPath, replaceFullPath: /x}}}";
    let single = good(&format!(
        "backendRefs: [{{name: s, port: 80, filters: [{rewrite}]}}]"
    ));
    assert_eq!(single.backends[0].hostname.as_deref(), Some("x.com"));
    assert_eq!(
        single.filters.rewrite.unwrap().path,
        Some(PathChange::Full("/x".into()))
    );
    let redirect = good(
        "backendRefs: [{name: s, port: 80, filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}]",
    );
    assert!(redirect.filters.redirect.is_some());
    let several = rule(&format!(
        "backendRefs: [{{name: s, port: 80, filters: [{rewrite}]}}, {{name: t, port: 80}}]"
    ));
    assert_eq!(
        problems(&several.problems),
        [(
            "spec.rules[0].backendRefs[0].filters",
            Reason::UnsupportedFilter
        )]
    );
    assert!(several.rules[0].broken);
    let both = rule(&format!(
        "filters: [{{type: RequestRedirect, requestRedirect: {{}}}}]\nbackendRefs: [{{name: s, port: 80, filters: [{rewrite}]}}]"
    ));
    assert!(both.rules[0].broken && both.incompatible_filters);
}

/// References to what is no Service.
const BAD: &str = "
{kind: Foo, name: a, port: 80} => => UnsupportedBackend
{group: x.io, kind: Foo, name: a} => => UnsupportedBackend
{name: a} => .port => InvalidPort
{name: a, port: 65536} => .port => InvalidPort
{name: a, port: http} => .port => InvalidValue
{name: A, port: 80} => .name => InvalidName
{port: 80} => .name => InvalidValue
{name: a, namespace: [], port: 80} => .namespace => InvalidValue
";

#[test]
fn a_backend_that_is_no_service_keeps_its_share() {
    for (backend, field, reason) in rows(BAD) {
        let route = rule(&format!("backendRefs: [{backend}, {{name: b, port: 80}}]"));
        let field = format!("spec.rules[0].backendRefs[0]{field}");
        assert_eq!(problems(&route.problems), [(&*field, reason)], "{backend}");
        let rule = &route.rules[0];
        let what = match reason {
            Reason::UnsupportedBackend if backend.contains("x.io") => "kind Foo of x.io",
            Reason::UnsupportedBackend => "kind Foo",
            _ => "an invalid reference",
        };
        assert_eq!(
            rule.backends[0].target,
            Target::Unsupported(what.into()),
            "{backend}"
        );
        assert_eq!(
            (rule.backends.len(), rule.broken, &*route.dropped),
            (2, false, "")
        );
    }
    for weight in ["-1", "1000001", "'1'"] {
        let route = rule(&format!(
            "backendRefs: [{{name: a, port: 80, weight: {weight}}}]"
        ));
        assert!(route.rules[0].broken, "{weight}");
        assert_eq!(
            route.problems[0].field,
            "spec.rules[0].backendRefs[0].weight"
        );
    }
}
