//! What the tests make plans of, and how they look at messages.

mod accepted;
mod arbitrary;
mod edits;
mod golden;

use std::num::NonZeroU16;
use std::sync::{Arc, LazyLock};

use seaway_proto::{Resource, json};

use crate::model::{
    Backend, BackendPort, Filters, HeaderChanges, Hostname, Match, NamedMatch, PathMatch, Rule,
    ServiceKey, Target, TextMatch, Timeouts,
};
use crate::plan::host::{Action, Age, Asked, RoutePlan, Share, Table, Upstream};
use crate::{ObjectId, ObjectKind};

/// The options for listeners on this address.
fn on(ingress_listen: std::net::IpAddr) -> crate::Options {
    crate::Options {
        ingress_listen,
        ..crate::Options::default()
    }
}

fn table() -> Table {
    Table {
        fleet: crate::Fleet::default(),
        port: 8080,
        tls: false,
    }
}

fn host(text: &str) -> Hostname {
    match text.strip_prefix("*.") {
        None if text == "*" => Hostname::Any,
        None => Hostname::Exact(text.into()),
        Some(suffix) => Hostname::Wildcard(suffix.into()),
    }
}

fn rule() -> Rule {
    Rule {
        field: "spec.rules[0]".into(),
        matches: [].into(),
        filters: Filters::default(),
        backends: [].into(),
        timeouts: Timeouts::default(),
        retry: None,
        broken: false,
    }
}

fn matching(path: PathMatch) -> Match {
    Match {
        path,
        method: None,
        headers: [].into(),
        query: [].into(),
    }
}

fn named(name: &str, value: TextMatch) -> NamedMatch {
    NamedMatch {
        name: name.into(),
        value,
    }
}

fn exactly(value: &str) -> TextMatch {
    TextMatch::Exact(value.into())
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Box<[(Arc<str>, Arc<str>)]> {
    pairs
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}

fn backend(name: &str) -> Backend {
    let service = ServiceKey {
        namespace: "shop".into(),
        name: name.into(),
    };
    Backend {
        field: "spec.rules[0].backends[0]".into(),
        target: Target::Service(service, BackendPort::Number(NonZeroU16::MIN)),
        weight: 1,
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
        hostname: None,
    }
}

fn upstream(backend: &Backend) -> Upstream {
    let name = match &backend.target {
        Target::Service(service, _) => format!("{service}/80"),
        Target::Unsupported(what) => what.to_string(),
    };
    Upstream {
        cluster: name.into(),
        hash: None,
        hostname: None,
    }
}

fn share(backend: &Backend, weight: u32) -> Share<'_> {
    Share {
        backend,
        to: Ok(upstream(backend)),
        weight,
    }
}

/// The object that has the rules.
static BY: LazyLock<Age> = LazyLock::new(|| {
    let id = ObjectId::new(ObjectKind::HTTPRoute, &"d".into(), &"r".into());
    Age::new(0, &id)
});

fn plan<'a>(rule: &'a Rule, matches: &'a Match, action: Action<'a>) -> RoutePlan<'a> {
    RoutePlan {
        by: &BY,
        rule,
        matches,
        one_label: false,
        action,
        mirrors: Vec::new(),
        asked: Asked::default(),
    }
}

fn print(resource: &Resource) -> String {
    let value = json::to_value(resource.type_url.as_str(), &resource.value).unwrap();
    let refs: Vec<&str> = resource.refs.iter().map(|to| &*to.name).collect();
    let yaml = json::to_yaml(&value).unwrap();
    format!(
        "{} {}\nrefs: {refs:?}\n{yaml}",
        resource.type_url.short(),
        resource.name
    )
}
