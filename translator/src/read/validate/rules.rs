//! The checks of rules, and of Ingresses and routes, which consist of rules.

use std::sync::Arc;

use super::super::http::{header, hostname, path, regex};
use super::super::ingress::LONGEST_PATH;
use super::super::ingress::annotations::{RANGES, limits};
use super::super::route::matches::{LONGEST, METHODS};
use super::super::route::rule::patterns;
use super::super::route::{cors, parent, retry};
use super::{Check, unique};
use crate::model::{
    Backend, BackendPort, Cors, Filters, HTTPRoute, HeaderChanges, Hostname, Ingress, IngressClass,
    Match, NamedMatch, ParentRef, PathChange, Rule, Target, TextMatch,
};
use crate::names::{is_label, is_subdomain};

impl Check {
    pub(in super::super) fn ingress(&mut self, ingress: &Ingress) {
        let named = is_label(&ingress.namespace) && is_subdomain(&ingress.name);
        self.demand("name", named);
        let hosts = ingress.hosts.iter().map(|(host, _)| host);
        self.demand(
            "hosts",
            hosts.clone().all(hostname::is_valid) && unique(hosts),
        );
        let rules = ingress.hosts.iter().flat_map(|(_, rules)| rules);
        for rule in rules.chain(ingress.default_backend.as_deref()) {
            self.rule(rule, LONGEST_PATH);
        }
        let sources = ingress.settings.sources.as_deref().unwrap_or_default();
        self.demand("settings.sources", sources.len() <= RANGES);
        let cors = ingress.settings.cors.as_ref();
        self.demand("settings.cors", cors.is_none_or(is_cors));
        let rate = ingress.settings.rate;
        self.demand("settings.rate", rate.is_none_or(limits::is_rate));
        let body = ingress.settings.max_body;
        self.demand("settings.max_body", body.is_none_or(limits::is_body));
        for tls in &ingress.tls {
            self.demand("tls.hosts", tls.hosts.iter().all(hostname::is_valid));
            let secret = tls.secret.as_deref();
            self.demand("tls.secret", secret.is_none_or(is_subdomain));
        }
    }

    pub(in super::super) fn ingress_class(&mut self, class: &IngressClass) {
        self.demand("name", is_subdomain(&class.name));
    }

    pub(in super::super) fn http_route(&mut self, route: &HTTPRoute) {
        let named = is_label(&route.namespace) && is_subdomain(&route.name);
        self.demand("name", named);
        let hostnames = route.hostnames.iter();
        let valid = hostnames.clone().all(hostname::is_valid) && unique(hostnames);
        let for_all = route.hostnames.contains(&Hostname::Any);
        self.demand(
            "hostnames",
            valid && (!for_all || route.hostnames.len() == 1),
        );
        self.demand(
            "parents",
            route.parents.iter().all(is_parent) && unique(route.parents.iter()),
        );
        self.demand("declared_rules", route.rules.len() <= route.declared_rules);
        for rule in &route.rules {
            self.rule(rule, LONGEST);
        }
    }

    fn rule(&mut self, rule: &Rule, longest_path: usize) {
        self.demand("rules.matches", !rule.matches.is_empty());
        for one in &rule.matches {
            self.demand("rules.matches", is_match(one, longest_path));
        }
        self.demand("rules.filters", are_filters(&rule.filters));
        let replaces_prefix = changes_of(&rule.filters).any(|c| matches!(c, PathChange::Prefix(_)));
        let prefixes = rule
            .matches
            .iter()
            .all(|one| matches!(one.path, crate::model::PathMatch::Prefix(_)));
        self.demand("rules.filters", !replaces_prefix || prefixes);
        self.demand("rules.backends", rule.backends.iter().all(is_backend));
        self.demand(
            "rules.retry",
            rule.retry.as_ref().is_none_or(retry::is_valid),
        );
        let nothing = rule.backends.is_empty() && rule.filters == Filters::default();
        self.demand("rules.broken", !rule.broken || nothing);
    }
}

fn is_parent(parent: &ParentRef) -> bool {
    let is_group = |group: &str| group.is_empty() || is_subdomain(group);
    parent.group.as_deref().is_none_or(is_group)
        && parent.kind.as_deref().is_none_or(parent::is_kind)
        && parent.namespace.as_deref().is_none_or(is_label)
        && is_subdomain(&parent.name)
        && parent.section.as_deref().is_none_or(is_subdomain)
}

fn is_match(one: &Match, longest_path: usize) -> bool {
    let lower = |named: &NamedMatch| !named.name.bytes().any(|b| b.is_ascii_uppercase());
    path::is_valid(&one.path, longest_path)
        && patterns(one).all(|pattern| regex::fault(pattern, header::LONGEST_VALUE).is_none())
        && one
            .method
            .as_deref()
            .is_none_or(|method| METHODS.contains(&method))
        && one.headers.iter().all(lower)
        && [&one.headers, &one.query]
            .into_iter()
            .all(|all| all.iter().all(is_named) && unique(all.iter().map(|named| &named.name)))
}

fn is_named(named: &NamedMatch) -> bool {
    let value = match &named.value {
        TextMatch::Exact(text) => header::value_fault(text).is_none(),
        TextMatch::Regex(_) => true,
    };
    value && header::name_fault(&named.name).is_none()
}

fn are_filters(filters: &Filters) -> bool {
    let redirect = filters.redirect.as_ref();
    let rewrite = filters.rewrite.as_ref();
    let hosts = [
        redirect.and_then(|redirect| redirect.hostname.as_ref()),
        rewrite.and_then(|rewrite| rewrite.hostname.as_ref()),
    ];
    let redirects = redirect.is_none_or(|redirect| {
        [301, 302, 303, 307, 308].contains(&redirect.status)
            && matches!(redirect.scheme.as_deref(), None | Some("http" | "https"))
    });
    are_changes(&filters.request_headers)
        && are_changes(&filters.response_headers)
        && redirects
        && !(redirect.is_some() && rewrite.is_some())
        && hosts.into_iter().flatten().all(is_host)
        && changes_of(filters).all(is_path_change)
        && filters.mirrors.iter().all(|mirror| {
            (1..=1_000_000).contains(&mirror.per_million) && is_target(&mirror.target)
        })
        && filters.cors.as_ref().is_none_or(is_cors)
}

fn changes_of(filters: &Filters) -> impl Iterator<Item = &PathChange> {
    let redirect = filters
        .redirect
        .iter()
        .filter_map(|redirect| redirect.path.as_ref());
    let rewrite = filters
        .rewrite
        .iter()
        .filter_map(|rewrite| rewrite.path.as_ref());
    redirect.chain(rewrite)
}

fn is_path_change(change: &PathChange) -> bool {
    match change {
        PathChange::Full(text) => path::replacement_fault(text, LONGEST).is_none(),
        PathChange::Prefix(text) => {
            text.is_empty()
                || !text.ends_with('/') && path::replacement_fault(text, LONGEST).is_none()
        }
    }
}

fn is_host(name: &Arc<str>) -> bool {
    hostname::is_valid(&Hostname::Exact(name.clone()))
}

fn are_changes(changes: &HeaderChanges) -> bool {
    let pairs = changes.set.iter().chain(&changes.add);
    let names = pairs.clone().map(|(name, _)| name).chain(&changes.remove);
    let is_name = |name: &Arc<str>| {
        header::changed_name_fault(name).is_none() && !name.bytes().any(|b| b.is_ascii_uppercase())
    };
    names.clone().all(is_name)
        && unique(names)
        && pairs
            .into_iter()
            .all(|(_, value)| header::value_fault(value).is_none())
}

fn is_cors(cors: &Cors) -> bool {
    let is_method = |text: &str| METHODS.contains(&text);
    let is_header = |text: &str| header::name_fault(text).is_none();
    let list = |all: &[Arc<str>], is_valid: &dyn Fn(&str) -> bool| match all {
        [one] if **one == *"*" => true,
        all => all.iter().all(|text| is_valid(text)),
    };
    list(&cors.origins, &cors::is_origin)
        && list(&cors.methods, &is_method)
        && list(&cors.headers, &is_header)
        && list(&cors.exposed, &is_header)
}

fn is_backend(backend: &Backend) -> bool {
    backend.weight <= 1_000_000
        && is_target(&backend.target)
        && are_changes(&backend.request_headers)
        && are_changes(&backend.response_headers)
        && backend.hostname.as_ref().is_none_or(is_host)
}

fn is_target(target: &Target) -> bool {
    match target {
        Target::Unsupported(_) => true,
        Target::Service(key, port) => {
            let port = match port {
                BackendPort::Number(_) => true,
                BackendPort::Name(name) => is_label(name),
            };
            port && is_label(&key.namespace) && is_label(&key.name)
        }
    }
}
