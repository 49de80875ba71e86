//! What is wrong with an Ingress that is served: backends that lead nowhere, hosts that somebody
//! else has.

use super::host::{Table, resolve};
use super::{Context, certificates};
use crate::index::routing::{Hosts, ListenerId};
use crate::model::{Hostname, Ingress, IngressTls};
use crate::{ObjectId, Problem, Reason};

/// All problems of an Ingress. One that is not served has none: it is another controller's.
pub(crate) fn problems(context: &Context<'_>, id: &ObjectId) -> Vec<Problem> {
    let routing = context.index.routing();
    let ingress = routing.ingress(id).filter(|_| routing.is_served(id));
    let Some(ingress) = ingress else {
        return Vec::new();
    };
    let mut problems = ingress.problems.to_vec();
    problems.extend(of_backends(context, id, ingress));
    problems.extend(of_certificates(context, id, ingress));
    let fleet = routing.fleet_of(id).cloned().unwrap_or_default();
    if let Some(hosts) = routing.hosts(&Table::http(&fleet, context.options)) {
        problems.extend(of_hosts(id, ingress, hosts));
    }
    if let Some(hosts) = routing.hosts(&Table::https(&fleet, context.options)) {
        problems.extend(of_tls_hosts(id, ingress, hosts));
    }
    problems
}

/// A problem for each backend that is not served.
fn of_backends(context: &Context<'_>, id: &ObjectId, ingress: &Ingress) -> Vec<Problem> {
    let rules = ingress.hosts.iter().flat_map(|(_, rules)| rules);
    let rules = rules.chain(ingress.default_backend.as_deref());
    let backends = rules.flat_map(|rule| &rule.backends);
    let refused = backends.filter_map(|backend| {
        // A backend that is no Service was reported when it was read.
        let refused = resolve(context, id, &backend.target).err()?;
        let refused = Some(refused).filter(|refused| !refused.is_read_already())?;
        let message = format!("{refused}; its requests are answered with 503");
        Some(Problem::error(
            id,
            &*backend.field,
            refused.reason(),
            message,
        ))
    });
    refused.collect()
}

/// A problem for each certificate that is not served, that is of another type, or not for its
/// hosts.
fn of_certificates(context: &Context<'_>, id: &ObjectId, ingress: &Ingress) -> Vec<Problem> {
    let mut problems = Vec::new();
    for tls in &ingress.tls {
        let Some(secret) = &tls.secret else {
            continue;
        };
        let key = (ingress.namespace.clone(), secret.clone());
        let verdict = certificates::certificate(context, id, &key).map(|_| key);
        let field = format!("{}.secretName", tls.field);
        problems.extend(certificates::problem(context, id, field, &verdict));
        let of_hosts = (id, format!("{}.hosts", tls.field));
        problems.extend(certificates::mismatch(
            context,
            of_hosts,
            &verdict,
            &*tls.hosts,
        ));
    }
    problems
}

/// A problem for each host that a listener of an older Gateway has (Gateway rule 114), and one for
/// a default backend that an older one hides (Service rule 141).
fn of_hosts(id: &ObjectId, ingress: &Ingress, hosts: &Hosts) -> Vec<Problem> {
    let mut problems = Vec::new();
    let named = ingress.hosts.iter().map(|(host, _)| host);
    for host in named.chain(ingress.default_backend.as_ref().map(|_| &Hostname::Any)) {
        let holder = hosts.holder(host);
        if let Some(holder) = holder.filter(|h| h.listener != ListenerId::Ingresses) {
            let message = format!("{} is older and has {host}", holder.age.object());
            problems.push(Problem::error(
                id,
                "spec.rules",
                Reason::HostConflict,
                message,
            ));
        }
    }
    let older = hosts.default_backend().map(|age| age.object());
    if let Some(older) = older.filter(|older| older != id && ingress.default_backend.is_some()) {
        let message = format!("the default backend of {older} serves, which is older");
        let reason = Reason::DuplicateMatch;
        problems.push(Problem::error(id, "spec.defaultBackend", reason, message));
    }
    problems
}

/// A problem for each certificate of which something else serves a host over TLS.
fn of_tls_hosts(id: &ObjectId, ingress: &Ingress, hosts: &Hosts) -> Vec<Problem> {
    let problem = |tls: &IngressTls| {
        let message = taken_over_tls(ingress, tls, hosts)?;
        let field = format!("{}.hosts", tls.field);
        Some(Problem::error(id, field, Reason::HostConflict, message))
    };
    ingress.tls.iter().filter_map(problem).collect()
}

/// Who serves a host of a certificate over TLS in place of the Ingress: a listener of an older
/// Gateway (Gateway rule 114), or an older Ingress with another certificate (Service rule 143).
pub(crate) fn taken_over_tls(ingress: &Ingress, tls: &IngressTls, hosts: &Hosts) -> Option<String> {
    let secret = (ingress.namespace.clone(), tls.secret.clone()?);
    let any = tls.hosts.is_empty().then_some(&Hostname::Any);
    let mut named = tls.hosts.iter().chain(any);
    named.find_map(|host| {
        let claim = hosts.holder(host)?;
        let is_ours = claim.listener == ListenerId::Ingresses;
        let holder = claim.age.object();
        match is_ours {
            true if claim.certificates.contains(&secret) => None,
            true => Some(format!("{holder} has {host}, with another certificate")),
            false => Some(format!("{holder} is older and has {host} over TLS")),
        }
    })
}
