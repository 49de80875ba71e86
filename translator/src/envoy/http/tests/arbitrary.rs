//! Plans of any shape that valid rules can give, and no other.

use proptest::option;
use proptest::prelude::*;

use super::*;
use std::num::{NonZeroU32, NonZeroU64};

use crate::model::{Cors, PathChange, RateLimit, Redirect, Retry, Rewrite};
use crate::plan::host::HostPlan;

/// A host and all that its plan refers to.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub host: Hostname,
    pub routes: Vec<Made>,
}

/// A route and what it refers to.
#[derive(Clone, Debug)]
pub(super) struct Made {
    rule: Rule,
    one_label: bool,
    /// The status that the proxy answers with, if neither a redirect nor a backend does.
    status: u16,
    upstreams: Vec<(Result<Upstream, u16>, u32)>,
    mirrors: Vec<(Arc<str>, u32)>,
    max_body: Option<NonZeroU64>,
    rate: Option<RateLimit>,
}

impl World {
    /// The plan: a route per match of each rule.
    pub(super) fn plan(&self) -> HostPlan<'_> {
        let routes = self.routes.iter().flat_map(|made| {
            let plans = made.rule.matches.iter();
            plans.map(move |matches| RoutePlan {
                by: &BY,
                rule: &made.rule,
                matches,
                one_label: made.one_label,
                action: made.action(),
                mirrors: made.mirrors.clone(),
                asked: Asked {
                    max_body: made.max_body,
                    rate: made.rate.map(|rate| ("a/b".to_owned(), rate)),
                    ..Asked::default()
                },
            })
        });
        HostPlan {
            host: &self.host,
            routes: routes.collect(),
            listener: None,
            is_own_name: false,
        }
    }
}

impl Made {
    fn action(&self) -> Action<'_> {
        if let Some(redirect) = &self.rule.filters.redirect {
            return Action::Redirect(redirect, 80);
        }
        let shares = self.rule.backends.iter().zip(&self.upstreams);
        let shares = shares.map(|(backend, (to, weight))| Share {
            backend,
            to: to.clone(),
            weight: *weight,
        });
        let shares: Vec<Share> = shares.collect();
        if shares.iter().any(|share| share.to.is_ok()) {
            Action::Forward(shares)
        } else {
            Action::Answer(self.status)
        }
    }
}

/// Hosts with routes; each host has the number that tells it from others in its name.
pub(super) fn worlds(number: usize) -> impl Strategy<Value = World> {
    let names = [
        format!("h{number}.example.com"),
        format!("*.h{number}.example.com"),
    ];
    let host = prop::sample::select(names.to_vec()).prop_map(|name| host(&name));
    let routes = prop::collection::vec(made(), 0..4);
    (host, routes).prop_map(|(host, routes)| World { host, routes })
}

fn made() -> impl Strategy<Value = Made> {
    let upstream = (
        prop::bool::weighted(0.8),
        any::<bool>(),
        option::of(dns_name()),
    );
    let upstream = upstream.prop_map(|(valid, sticky, hostname)| Upstream {
        cluster: if valid { "a/b/80" } else { "c/d/8080" }.into(),
        hash: sticky.then_some(crate::model::HashBy::Source),
        hostname,
    });
    let to = prop_oneof![4 => upstream.prop_map(Ok), 1 => Just(Err(500)), 1 => Just(Err(503))];
    let upstreams = prop::collection::vec((to, 1..=1_000_000_u32), 3);
    let mirrors = prop::collection::vec((Just(Arc::from("m/n/80")), 1..=1_000_000_u32), 0..3);
    let status = prop::sample::select(vec![404_u16, 500, 503]);
    let rate = (any::<NonZeroU32>(), prop::sample::select(vec![1, 60]));
    let rate = rate.prop_map(|(requests, seconds)| RateLimit {
        requests,
        seconds: NonZeroU32::new(seconds).unwrap(),
    });
    let limits = (
        option::weighted(0.3, any::<NonZeroU64>()),
        option::weighted(0.3, rate),
    );
    (rules(), any::<bool>(), status, upstreams, mirrors, limits).prop_map(
        |(rule, one_label, status, upstreams, mirrors, (max_body, rate))| Made {
            max_body,
            rate,
            rule,
            one_label,
            status,
            upstreams,
            mirrors,
        },
    )
}

fn rules() -> impl Strategy<Value = Rule> {
    let matches = prop::collection::vec(matches(), 1..4);
    let backends = prop::collection::vec(backends(), 0..4);
    let time = || {
        option::of(prop_oneof![
            Just(0),
            1..1000_u32,
            290_000..400_000_u32,
            any::<u32>()
        ])
    };
    let timeouts = (time(), time());
    let all = (
        matches,
        filters(),
        backends,
        timeouts,
        option::weighted(0.3, retries()),
    );
    all.prop_map(|(matches, filters, backends, timeouts, retry)| Rule {
        matches: matches.into(),
        filters,
        backends: backends.into(),
        timeouts: Timeouts {
            request: timeouts.0,
            backend_request: timeouts.1,
        },
        retry,
        ..rule()
    })
}

fn retries() -> impl Strategy<Value = Retry> {
    let codes = prop::collection::btree_set(400..=599_u16, 0..4);
    let pause = option::of(any::<NonZeroU32>());
    (0..=20_u32, codes, pause).prop_map(|(attempts, codes, pause)| Retry {
        attempts,
        codes: codes.into_iter().collect(),
        pause,
    })
}

fn backends() -> impl Strategy<Value = Backend> {
    (
        header_changes(),
        header_changes(),
        option::weighted(0.2, dns_name()),
    )
        .prop_map(|(request_headers, response_headers, hostname)| Backend {
            request_headers,
            response_headers,
            hostname,
            ..backend("web")
        })
}

fn matches() -> impl Strategy<Value = Match> {
    let path = prop_oneof![
        path().prop_map(PathMatch::Exact),
        path().prop_map(PathMatch::Prefix),
        Just(PathMatch::Prefix("".into())),
        patterns().prop_map(PathMatch::Regex),
    ];
    let value = || {
        prop_oneof![
            value().prop_map(TextMatch::Exact),
            patterns().prop_map(TextMatch::Regex)
        ]
    };
    let named = |names| {
        let of = (names, value()).prop_map(|(name, value)| NamedMatch { name, value });
        prop::collection::vec(of, 0..3).prop_map(Box::from)
    };
    let names = prop_oneof![3 => header_name(), 1 => Just(Arc::from("host"))].boxed();
    let method = option::of(prop::sample::select(vec!["GET", "OPTIONS", "PATCH"]));
    (
        path,
        method,
        named(names),
        named("[!-~]{1,8}".prop_map(Arc::from).boxed()),
    )
        .prop_map(|(path, method, headers, query)| Match {
            path,
            method: method.map(Arc::from),
            headers,
            query,
        })
}

fn filters() -> impl Strategy<Value = Filters> {
    let redirect = option::weighted(0.25, redirects());
    let rewrite = option::weighted(0.5, rewrites());
    let cors = option::weighted(0.3, cors());
    (header_changes(), header_changes(), redirect, rewrite, cors).prop_map(
        |(request_headers, response_headers, redirect, rewrite, cors)| Filters {
            request_headers,
            response_headers,
            rewrite: rewrite.filter(|_| redirect.is_none()),
            redirect,
            mirrors: [].into(),
            cors,
        },
    )
}

fn redirects() -> impl Strategy<Value = Redirect> {
    let scheme = option::of(prop::sample::select(vec!["http", "https"]));
    let status = prop::sample::select(vec![301_u16, 302, 303, 307, 308]);
    let port = option::of(any::<NonZeroU16>());
    (
        scheme,
        option::of(dns_name()),
        option::of(path_changes()),
        port,
        status,
    )
        .prop_map(|(scheme, hostname, path, port, status)| Redirect {
            scheme: scheme.map(Arc::from),
            hostname,
            path,
            port,
            status,
        })
}

fn rewrites() -> impl Strategy<Value = Rewrite> {
    (option::of(dns_name()), option::of(path_changes()))
        .prop_map(|(hostname, path)| Rewrite { hostname, path })
}

fn path_changes() -> impl Strategy<Value = PathChange> {
    let new = || prop_oneof![path(), Just(Arc::from("")), Just(Arc::from("/")), value()];
    prop_oneof![
        new().prop_map(|path| PathChange::Full(if path.is_empty() { "/".into() } else { path })),
        new().prop_map(PathChange::Prefix),
    ]
}

fn cors() -> impl Strategy<Value = Cors> {
    let lists = |of: &'static str| {
        prop::collection::vec(of.prop_map(Arc::from), 0..3).prop_map(Box::<[Arc<str>]>::from)
    };
    let origins = lists("(\\*|https?://(\\*\\.)?[a-z]{1,5}\\.(com|\\*)(:(\\*|[0-9]{1,4}))?)");
    let names = || lists("(\\*|[A-Za-z-]{1,6})");
    (
        origins,
        names(),
        names(),
        names(),
        any::<bool>(),
        any::<u32>(),
    )
        .prop_map(
            |(origins, methods, headers, exposed, credentials, max_age)| Cors {
                origins,
                methods,
                headers,
                exposed,
                credentials,
                max_age,
            },
        )
}

fn header_changes() -> impl Strategy<Value = HeaderChanges> {
    let pairs = || prop::collection::vec((header_name(), value()), 0..3).prop_map(Box::from);
    let names = prop::collection::vec(header_name(), 0..3).prop_map(Box::from);
    (pairs(), pairs(), names).prop_map(|(set, add, remove)| HeaderChanges { set, add, remove })
}

/// A header's name, of every character that one may have.
fn header_name() -> impl Strategy<Value = Arc<str>> {
    "[a-z0-9!#$%&'*+.^_`|~-]{1,8}".prop_map(Arc::from)
}

/// Any text without control characters, with much that is special to Envoy.
fn value() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[ -~]{0,10}", "[%\\\\$(){}0-9A-Zé]{0,8}", "%REQ\\(x\\)%"].prop_map(Arc::from)
}

fn path() -> impl Strategy<Value = Arc<str>> {
    "/([a-z.%\\\\$(){}|+*^é~-]{1,4}(/[a-z]{1,3}){0,2})".prop_map(Arc::from)
}

fn patterns() -> impl Strategy<Value = Arc<str>> {
    prop::sample::select(vec![
        "",
        "/a.*",
        "[a-z]+|b",
        "(?i)x{2,3}",
        r"\d+\.\w*",
        "^$",
    ])
    .prop_map(Arc::from)
}

fn dns_name() -> impl Strategy<Value = Arc<str>> {
    "[a-z][a-z0-9]{0,5}(\\.[a-z]{1,3}){0,2}".prop_map(Arc::from)
}
