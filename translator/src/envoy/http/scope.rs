//! A host as a scope: its virtual host in a route configuration of its own, found by the table and
//! the name.

use std::iter;
use std::sync::Arc;

use seaway_proto::Resource;
use seaway_proto::envoy::core::header_value_option::HeaderAppendAction;
use seaway_proto::envoy::route::{Route, RouteConfiguration, VirtualHost};

use super::header_changes::{added, option, removed};
use super::route_action::{At, action, answer, common_changes};
use super::route_match::{everything, matcher, of_other_listeners};
use super::tls::on_demand;
use super::{CORS_FILTER, OWN_HEADERS, body, cors, lookup, rate, scoped, sources};
use crate::envoy::cluster_references;
use crate::model::Hostname;
use crate::plan::host::{Action, HostPlan, RoutePlan, Table};

/// The resource of a host.
pub(crate) fn scope(table: &Table, host: &HostPlan) -> Resource {
    let routes = RouteConfiguration {
        name: name(table, host.host),
        virtual_hosts: vec![virtual_host(table, host)],
        // What a route says of headers goes before what is said here of all.
        most_specific_header_mutations_wins: true,
        ignore_port_in_host_matching: true,
        ..Default::default()
    };
    let key = [table.port.to_string(), host.host.to_string()];
    scoped::resource(key, routes, cluster_references(clusters(&host.routes)))
}

/// The name of a host's resource: `80/shop.example.com`, `80/*.example.com`, `80/*`.
pub(crate) fn name(table: &Table, host: &Hostname) -> String {
    format!("{}/{host}", table.port)
}

fn virtual_host(table: &Table, host: &HostPlan) -> VirtualHost {
    let name = host.host.to_string();
    let exact = matches!(host.host, Hostname::Exact(_));
    // By this the lookup filter knows the routes of a host of exactly the name asked for.
    let mark = exact.then(|| scoped::mark(lookup::name(table), lookup::MARK));
    let routes = host
        .routes
        .iter()
        .flat_map(|plan| routes(table, host.host, plan));
    // A request for this host is not for a wildcard, whatever its path (Gateway rule 52).
    let rest = nothing();
    let misdirected = host.listener.map(|listener| {
        // A chain for certificates on demand says the name that the client asked for.
        let asked = (exact && host.is_own_name).then(|| on_demand::shown_for(&name));
        let shown = iter::once(listener.to_string()).chain(asked);
        Route {
            r#match: Some(of_other_listeners(shown)),
            action: Some(answer(421)),
            ..Default::default()
        }
    });
    let misdirected = misdirected.into_iter();
    let marked = |route| Route {
        metadata: mark.clone(),
        ..route
    };
    VirtualHost {
        domains: vec![name.clone()],
        name,
        routes: misdirected
            .chain(routes)
            .chain([rest])
            .map(marked)
            .collect(),
        request_headers_to_remove: OWN_HEADERS.map(str::to_owned).into(),
        // Where the host is found by its own name, nothing has to be looked up. No body is held
        // but where a route says so.
        typed_per_filter_config: exact
            .then(|| (lookup::name(table), scoped::disabled()))
            .into_iter()
            .chain([(body::FILTER.to_owned(), body::none())])
            .chain(rate::policy(host).map(|policy| (rate::FILTER.to_owned(), policy)))
            .collect(),
        ..Default::default()
    }
}

/// The routes that one match of a rule becomes.
fn routes(table: &Table, host: &Hostname, plan: &RoutePlan) -> Vec<Route> {
    let whole = route(At::Host(table, host), plan);
    match plan.asked.max_body {
        Some(max) if matches!(plan.action, Action::Forward(_)) => body::limited(&whole, max).into(),
        _ => vec![whole],
    }
}

/// The routes of a Service port at mesh proxies: those of its plan, and 404 for all other requests
/// (Gateway rule 117).
pub(in crate::envoy) fn of_port(routes: &[RoutePlan]) -> Vec<Route> {
    let planned = routes.iter().map(|plan| route(At::Port, plan));
    planned.chain([nothing()]).collect()
}

/// The route of all requests that no other takes.
fn nothing() -> Route {
    Route {
        r#match: Some(everything()),
        action: Some(answer(404)),
        ..Default::default()
    }
}

fn route(at: At<'_>, plan: &RoutePlan) -> Route {
    let (request, response) = common_changes(plan);
    let forwards = matches!(plan.action, Action::Forward(_));
    let cors = plan.rule.filters.cors.as_ref().or(plan.asked.cors);
    let cors = cors.filter(|_| forwards);
    let cors = cors.map(|cors| (CORS_FILTER.to_owned(), cors::policy(cors)));
    let sources = plan
        .asked
        .sources
        .map(|sources| (sources::FILTER.to_owned(), sources::policy(sources)));
    let hsts = plan.asked.hsts.map(|value| {
        let overwrite = HeaderAppendAction::OverwriteIfExistsOrAdd;
        option("strict-transport-security", value.to_string(), overwrite)
    });
    Route {
        r#match: Some(matcher(at.host(), plan)),
        action: Some(action(at, plan)),
        request_headers_to_add: added(&request),
        request_headers_to_remove: removed(&request),
        response_headers_to_add: added(&response).into_iter().chain(hsts).collect(),
        response_headers_to_remove: removed(&response),
        typed_per_filter_config: cors.into_iter().chain(sources).collect(),
        ..Default::default()
    }
}

/// The clusters to which requests and their copies are sent.
pub(in crate::envoy) fn clusters<'p>(routes: &'p [RoutePlan<'_>]) -> Vec<&'p Arc<str>> {
    routes.iter().flat_map(RoutePlan::clusters).collect()
}
