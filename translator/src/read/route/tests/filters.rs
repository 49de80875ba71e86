//! What is changed about requests and responses.

use super::{BACKEND, good, rule};
use crate::Reason;
use crate::model::{PathChange, Target};
use crate::read::tests::{problems, rows};

#[test]
fn header_values_are_kept_as_they_are() {
    let rule = good(&format!(
        "
filters:
- type: RequestHeaderModifier
  requestHeaderModifier: {{set: [{{name: X-Set, value: '100%'}}], add: [{{name: X-Add, value: '%CEL(1)%'}}, {{name: x-none, value: ''}}], remove: [X-Old]}}
- type: ResponseHeaderModifier
  responseHeaderModifier: {{remove: [Server]}}
{BACKEND}"
    ));
    let request = &rule.filters.request_headers;
    assert_eq!(request.set[..], [("x-set".into(), "100%".into())]);
    assert_eq!(
        request.add[..],
        [
            ("x-add".into(), "%CEL(1)%".into()),
            ("x-none".into(), "".into())
        ]
    );
    assert_eq!(request.remove[..], ["x-old".into()]);
    assert_eq!(rule.filters.response_headers.remove[..], ["server".into()]);
}

#[test]
fn redirects_and_rewrites_are_read() {
    let redirect = good("filters: [{type: RequestRedirect, requestRedirect: {}}]")
        .filters
        .redirect
        .unwrap();
    assert_eq!(
        (redirect.status, redirect.hostname, redirect.path),
        (302, None, None)
    );
    let redirect = good(
        "filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: A.com, port: 8443, statusCode: 308, path: {type: ReplaceFullPath, replaceFullPath: '/a\\1'}}}]",
    );
    let redirect = redirect.filters.redirect.unwrap();
    assert_eq!(redirect.hostname.as_deref(), Some("a.com"));
    assert_eq!(redirect.path, Some(PathChange::Full("/a\\1".into())));
    assert_eq!(
        (redirect.status, redirect.port.map(u16::from)),
        (308, Some(8443))
    );
    for (text, expected) in [("/xyz", "/xyz"), ("/xyz/", "/xyz"), ("''", ""), ("/", "")] {
        let rule = good(&format!(
            "filters: [{{type: URLRewrite, urlRewrite: {{hostname: b.com, path: {{type: ReplacePrefixMatch, replacePrefixMatch: {text}}}}}}}]\n{BACKEND}"
        ));
        let rewrite = rule.filters.rewrite.unwrap();
        assert_eq!(rewrite.path, Some(PathChange::Prefix(expected.into())));
        assert_eq!(rewrite.hostname.as_deref(), Some("b.com"));
    }
}

#[test]
fn mirrors_get_their_share() {
    for (share, expected) in [
        ("", Some(1_000_000)),
        (", percent: 20", Some(200_000)),
        (", percent: 0", None),
        (", percent: 100", Some(1_000_000)),
        (
            ", fraction: {numerator: 25, denominator: 50}",
            Some(500_000),
        ),
        (", fraction: {numerator: 1}", Some(10_000)),
        (", fraction: {numerator: 1, denominator: 3}", Some(333_333)),
        (", fraction: {numerator: 2, denominator: 3}", Some(666_667)),
        (", fraction: {numerator: 0, denominator: 2147483647}", None),
    ] {
        let rule = good(&format!(
            "filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: m, port: 80}}{share}}}}}]\n{BACKEND}"
        ));
        let mirrors: Vec<_> = rule.filters.mirrors.iter().map(|m| m.per_million).collect();
        assert_eq!(mirrors, Vec::from_iter(expected), "{share}");
    }
    let route =
        rule("filters: [{type: RequestMirror, requestMirror: {backendRef: {kind: Foo, name: m}}}]");
    assert_eq!(
        route.rules[0].filters.mirrors[0].target,
        Target::Unsupported("kind Foo".into())
    );
    assert!(!route.rules[0].broken, "main traffic goes on");
}

#[test]
fn cors_is_read() {
    let rule = good(&format!(
        "filters: [{{type: CORS, cors: {{allowOrigins: ['https://*.bar.com', 'http://a:80'], allowMethods: ['*'], allowHeaders: [X-A], exposeHeaders: [], allowCredentials: true}}}}]\n{BACKEND}"
    ));
    let cors = rule.filters.cors.unwrap();
    assert_eq!(
        (
            cors.origins.len(),
            &*cors.methods[0],
            &*cors.headers[0],
            cors.credentials,
            cors.max_age
        ),
        (2, "*", "X-A", true, 5)
    );
}

/// Filters that are not served.
const BAD: &str = r#"
{type: Foo} => [0].type => UnsupportedFilter
{type: ExtensionRef, extensionRef: {}} => [0].type => UnsupportedFilter
{type: ExternalAuth} => [0].type => UnsupportedFilter
{} => [0].type => InvalidValue
{type: CORS} => [0].cors => InvalidValue
5 => [0] => InvalidValue
{type: CORS, cors: {}}, {type: CORS, cors: {}} => [1].type => UnsupportedFilter
{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: {}} => => UnsupportedFilter
"#;

/// Redirects that are not served.
const BAD_REDIRECTS: &str = r#"
{scheme: ftp} => .scheme => InvalidValue
{statusCode: 304} => .statusCode => InvalidValue
{hostname: '*.a.com'} => .hostname => InvalidHostname
{hostname: "a\r\nb"} => .hostname => InvalidHostname
{port: 0} => .port => InvalidPort
{} => => UnsupportedFilter
"#;

/// Rewrites that are not served.
const BAD_REWRITES: &str = r#"
{hostname: 1.2.3.4} => .hostname => InvalidHostname
{path: {type: ReplaceFullPath, replaceFullPath: a}} => .path.replaceFullPath => InvalidPath
{path: {type: ReplacePrefixMatch, replacePrefixMatch: "/\n"}} => .path.replacePrefixMatch => InvalidPath
{path: {type: Foo}} => .path.type => InvalidValue
"#;

/// Changes of headers that are not served.
const BAD_HEADERS: &str = r#"
{set: [{name: Host, value: a}]} => .set[0].name => InvalidHeader
{remove: [':path']} => .remove[0] => InvalidHeader
{set: [{name: a, value: "x\r\ny: z"}]} => .set[0].value => InvalidHeader
{set: [{name: a, value: x}], remove: [A]} => .remove[0] => InvalidHeader
{set: [{name: a, value: 5}]} => .set[0].value => InvalidValue
"#;

/// Mirrors that are not served.
const BAD_MIRRORS: &str = r#"
{percent: 101} => .percent => InvalidValue
{percent: 1, fraction: {numerator: 1}} => => InvalidValue
{fraction: {numerator: 2, denominator: 1}} => .fraction => InvalidValue
{fraction: {numerator: 0, denominator: 0}} => .fraction => InvalidValue
"#;

/// Filters of CORS that are not served.
const BAD_CORS: &str = r#"
{allowOrigins: ['*', 'http://a.com']} => .allowOrigins[0] => InvalidValue
{allowOrigins: ['http://a.com/']} => .allowOrigins[0] => InvalidValue
{allowMethods: [Get]} => .allowMethods[0] => InvalidValue
{allowHeaders: ['a b']} => .allowHeaders[0] => InvalidValue
{maxAge: 0} => .maxAge => InvalidValue
"#;

#[track_caller]
fn assert_broken(filters: &str, field: &str, reason: Reason) {
    let route = rule(&format!("filters: [{filters}]\n{BACKEND}"));
    let field = format!("spec.rules[0].filters{field}");
    assert_eq!(problems(&route.problems), [(&*field, reason)], "{filters}");
    let rule = &route.rules[0];
    assert!(rule.broken && rule.backends.is_empty(), "{filters}");
    assert_eq!(rule.filters, Default::default(), "{filters}");
    let dropped = &route.dropped;
    assert!(
        dropped.starts_with("Dropped Rule 0 (spec.rules[0].filters"),
        "{dropped}"
    );
    let both = filters.contains("RequestRedirect") && filters.contains("URLRewrite");
    assert_eq!(route.incompatible_filters, both, "{filters}");
}

#[test]
fn a_rule_with_a_bad_filter_is_broken() {
    for (filters, field, reason) in rows(BAD) {
        assert_broken(filters, field, reason);
    }
    for (kind, name, table) in [
        ("RequestRedirect", "requestRedirect", BAD_REDIRECTS),
        ("URLRewrite", "urlRewrite", BAD_REWRITES),
        (
            "RequestHeaderModifier",
            "requestHeaderModifier",
            BAD_HEADERS,
        ),
        (
            "ResponseHeaderModifier",
            "responseHeaderModifier",
            BAD_HEADERS,
        ),
        ("RequestMirror", "requestMirror", BAD_MIRRORS),
        ("CORS", "cors", BAD_CORS),
    ] {
        for (config, field, reason) in rows(table) {
            let filter = format!("{{type: {kind}, {name}: {config}}}");
            // A redirect is refused as a whole where there are backends beside it.
            let place = match reason {
                Reason::UnsupportedFilter => String::new(),
                _ => format!("[0].{name}{field}"),
            };
            assert_broken(&filter, &place, reason);
        }
    }
}

#[test]
fn a_prefix_can_be_replaced_only_where_prefixes_match() {
    let replace = "{type: ReplacePrefixMatch, replacePrefixMatch: /x}";
    let filter = format!("{{type: URLRewrite, urlRewrite: {{path: {replace}}}}}");
    for (other, broken) in [
        ("PathPrefix", false),
        ("Exact", true),
        ("RegularExpression", true),
    ] {
        let matches = format!("[{{path: {{value: /a}}}}, {{path: {{type: {other}, value: /b}}}}]");
        let route = rule(&format!(
            "matches: {matches}\nfilters: [{filter}]\n{BACKEND}"
        ));
        assert_eq!(route.rules[0].broken, broken, "{other}");
    }
}
