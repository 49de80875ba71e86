//! Golden tests of the messages: plans in, YAML out (`testdata/http`).

use std::sync::Arc;

use super::*;
use crate::envoy::http::{listener, lookup, scope};
use crate::model::{Cors, PathChange, Redirect, Rewrite};
use crate::plan::certificates::Served;
use crate::plan::host::HostPlan;

fn check(name: &str, resource: &Resource) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../../testdata/http");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, print(resource)));
}

fn changes(id: &str) -> HeaderChanges {
    HeaderChanges {
        set: pairs([("x-share", "100%"), ("x-empty", "")]),
        add: pairs([("x-id", id)]),
        remove: [Arc::from("x-gone")].into(),
    }
}

/// A rule with every filter that may stand beside backends.
fn full() -> Rule {
    let mut rule = rule();
    rule.filters = Filters {
        request_headers: changes("rule"),
        response_headers: changes("answer"),
        redirect: None,
        rewrite: Some(Rewrite {
            hostname: Some("inner.example.com".into()),
            path: Some(PathChange::Prefix("/new".into())),
        }),
        mirrors: [].into(),
        cors: Some(Cors {
            origins: ["https://*.bar.com", "https://foo.com", "*"]
                .map(Arc::from)
                .into(),
            methods: ["GET", "PUT"].map(Arc::from).into(),
            headers: [Arc::from("*")].into(),
            exposed: [Arc::from("*")].into(),
            credentials: true,
            max_age: 5,
        }),
    };
    rule.timeouts = Timeouts {
        request: Some(600_000),
        backend_request: Some(1_500),
    };
    rule
}

#[test]
fn an_exact_host_with_everything() {
    let (full, plain) = (full(), rule());
    let (mut one, two) = (backend("one"), backend("two"));
    one.request_headers = changes("backend");
    one.hostname = Some("one.example.com".into());
    let external = Share {
        to: Ok(Upstream {
            hash: Some(crate::model::HashBy::Source),
            hostname: Some("outside.example.org".into()),
            ..upstream(&two)
        }),
        ..share(&two, 1)
    };
    let invalid = Share {
        to: Err(500),
        ..share(&two, 3)
    };
    let mut detailed = matching(PathMatch::Prefix("/old".into()));
    detailed.method = Some("GET".into());
    detailed.headers = [
        named("host", exactly("shop.example.com")),
        named("x-version", TextMatch::Regex("[0-9]+".into())),
        named("x-none", TextMatch::Regex("".into())),
    ]
    .into();
    detailed.query = [named("animal", exactly("whale"))].into();
    let exact = matching(PathMatch::Exact("/a".into()));
    let regex = matching(PathMatch::Regex("/b.*".into()));
    let all = matching(PathMatch::Prefix("".into()));
    let shares = vec![share(&one, 70), invalid];
    let mut weighted = plan(&full, &detailed, Action::Forward(shares));
    weighted.mirrors = vec![
        ("shop/copy/80".into(), 1_000_000),
        ("shop/some/80".into(), 250_000),
    ];
    let routes = vec![
        plan(&plain, &exact, Action::Forward(vec![external])),
        plan(&plain, &regex, Action::Answer(500)),
        weighted,
        plan(&plain, &all, Action::Forward(vec![share(&two, 1)])),
    ];
    let host = &host("shop.example.com");
    check(
        "exact",
        &scope::scope(
            &table(),
            &HostPlan {
                host,
                routes,
                listener: None,
                is_own_name: false,
            },
        ),
    );
}

#[test]
fn a_wildcard_host_of_an_ingress() {
    let (rule, backend) = (rule(), backend("web"));
    let all = matching(PathMatch::Prefix("".into()));
    let mut one_label = plan(&rule, &all, Action::Forward(vec![share(&backend, 1)]));
    one_label.one_label = true;
    let routes = vec![one_label, plan(&rule, &all, Action::Answer(500))];
    let host = &host("*.example.com");
    check(
        "wildcard",
        &scope::scope(
            &table(),
            &HostPlan {
                host,
                routes,
                listener: None,
                is_own_name: false,
            },
        ),
    );
}

#[test]
fn redirects_of_any_host() {
    let redirect = Redirect {
        scheme: Some("https".into()),
        hostname: Some("new.example.com".into()),
        path: Some(PathChange::Full("/new%20".into())),
        port: NonZeroU16::new(8443),
        status: 301,
    };
    let below = Redirect {
        scheme: None,
        hostname: None,
        path: Some(PathChange::Prefix("/".into())),
        port: None,
        status: 302,
    };
    let rule = full();
    let (one, two) = (
        matching(PathMatch::Exact("/one".into())),
        matching(PathMatch::Prefix("/a.b".into())),
    );
    let routes = vec![
        plan(&rule, &one, Action::Redirect(&redirect, 80)),
        plan(&rule, &two, Action::Redirect(&below, 80)),
    ];
    let host = &Hostname::Any;
    check(
        "redirects",
        &scope::scope(
            &table(),
            &HostPlan {
                host,
                routes,
                listener: None,
                is_own_name: false,
            },
        ),
    );
}

#[test]
fn a_host_without_routes_answers_404() {
    let (host, routes) = (&host("a.b"), Vec::new());
    check(
        "empty",
        &scope::scope(
            &table(),
            &HostPlan {
                host,
                routes,
                listener: None,
                is_own_name: false,
            },
        ),
    );
}

#[test]
fn a_listener_and_its_lookup() {
    check(
        "listener",
        &listener::listener(
            &table(),
            &on(std::net::Ipv6Addr::UNSPECIFIED.into()),
            &Served::default(),
        ),
    );
    let names = [
        "*.foo.example.com",
        "*.example.com",
        "shop.example.com",
        "*",
    ]
    .map(host);
    check("lookup", &lookup::lookup(&table(), &names, true));
}

#[test]
fn a_listener_on_ipv4_is_of_ipv4_alone() {
    let of =
        |ip: std::net::IpAddr| print(&listener::listener(&table(), &on(ip), &Served::default()));
    assert!(of(std::net::Ipv6Addr::UNSPECIFIED.into()).contains("ipv4_compat"));
    assert!(!of(std::net::Ipv6Addr::LOCALHOST.into()).contains("ipv4_compat"));
    assert!(!of(std::net::Ipv4Addr::UNSPECIFIED.into()).contains("ipv4_compat"));
}
