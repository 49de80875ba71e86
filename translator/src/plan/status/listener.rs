//! The status of a listener of a Gateway (Gateway rules 19 to 36 and 103).

use std::sync::Arc;

use super::{ACCEPTED, Conditions, Context, INVALID, PROGRAMMED, RESOLVED_REFS};
use crate::Reason;
use crate::model::{Gateway, GatewayListener, ListenerProtocol, RouteKind};
use crate::plan::certificates;
use crate::plan::gateway::ListenerVerdict;
use crate::plan::host::ListenerId;
use crate::status::ListenerStatus;

/// The status of a listener; `overlap` is the reason of `OverlappingTLSConfig`, and `refused` says
/// that its Gateway is refused as a whole.
pub(super) fn of(
    context: &Context<'_>,
    gateway: &Gateway,
    verdict: &ListenerVerdict<'_>,
    (overlap, refused): (Option<&'static str>, bool),
) -> ListenerStatus {
    let listener = verdict.listener;
    let mut conditions = Conditions::new(gateway.generation);
    let own = verdict.refused.as_ref();
    let own = own.map(|(reason, why)| (reason.as_str(), why.clone()));
    conditions.judge(ACCEPTED, own.clone(), (ACCEPTED, "the listener is valid"));
    let resolved = (RESOLVED_REFS, "all references can be used");
    let unresolved = unresolved(context, verdict, refused);
    conditions.judge(RESOLVED_REFS, unresolved, resolved);
    let programmed = (PROGRAMMED, "the proxies are told to serve the listener");
    let idle = idle(context, verdict, refused);
    conditions.judge(PROGRAMMED, idle, programmed);
    // Written always, so that none stays when the conflict has ended (Gateway rule 28).
    match own.filter(|_| is_conflict(verdict)) {
        Some((reason, why)) => conditions.add("Conflicted", true, reason, why),
        None => {
            let message = "no other listener has its port and host name";
            conditions.add("Conflicted", false, "NoConflicts", message);
        }
    }
    if let Some(reason) = overlap {
        let message = "its host name or certificate is good for another listener's host too: a \
                       request on the wrong connection is answered with 421";
        conditions.add("OverlappingTLSConfig", true, reason, message);
    }
    let of = (gateway.namespace.clone(), gateway.name.clone());
    let attached = context.index.routing().attached(&of, &listener.name);
    ListenerStatus {
        name: listener.name.clone(),
        kinds: kinds(listener),
        attached_routes: i32::try_from(attached).unwrap_or(i32::MAX),
        conditions: conditions.all,
    }
}

/// Whether the proxies serve a listener.
pub(super) fn is_programmed(
    context: &Context<'_>,
    verdict: &ListenerVerdict<'_>,
    refused: bool,
) -> bool {
    idle(context, verdict, refused).is_none()
}

fn is_conflict(verdict: &ListenerVerdict<'_>) -> bool {
    let reason = verdict.refused.as_ref().map(|(reason, _)| *reason);
    matches!(
        reason,
        Some(Reason::HostnameConflict | Reason::ProtocolConflict)
    )
}

/// Why the proxies serve nothing of a listener.
fn idle(
    context: &Context<'_>,
    verdict: &ListenerVerdict<'_>,
    refused: bool,
) -> Option<(&'static str, String)> {
    let listener = verdict.listener;
    if let Some((reason, why)) = &verdict.refused {
        let reason = match is_conflict(verdict) {
            true => reason.as_str(),
            false => INVALID,
        };
        return Some((reason, why.clone()));
    }
    if refused {
        return Some((INVALID, "its Gateway is not accepted".to_owned()));
    }
    let with_tls = listener.protocol == ListenerProtocol::Https;
    if with_tls && !verdict.certificates.iter().any(Result::is_ok) {
        let message = "no certificate can be served; its connections are closed";
        return Some((INVALID, message.to_owned()));
    }
    if listener.kinds.is_empty() {
        let message = "no route of a kind that it allows can attach";
        return Some((INVALID, message.to_owned()));
    }
    let words = rejected(context, verdict)?;
    Some((INVALID, format!("a proxy rejects it: {words}")))
}

/// What a proxy says of the listener at which it is served, or of one of its certificates, which it
/// may have asked for by a host (Gateway rules 106 and 109).
fn rejected<'a>(context: &Context<'a>, verdict: &ListenerVerdict<'_>) -> Option<&'a Arc<str>> {
    let (rejections, table) = (context.rejections, verdict.table.as_ref()?);
    let of_secrets = || {
        let mut secrets = verdict.certificates.iter().flatten();
        secrets.find_map(|key| rejections.of_secret(key))
    };
    let of_hosts = || {
        let is_asked = certificates::has_certificates_on_demand(context, table);
        let hosts = context.index.routing().hosts(table).filter(|_| is_asked)?;
        let own = ListenerId::of(verdict.gateway, verdict.listener);
        let mut words = rejections.of_certificates(&table.fleet);
        words.find_map(|(host, words)| (hosts.holder(host)?.listener == own).then_some(words))
    };
    let of_listener = rejections.of_table(table);
    of_listener.or_else(of_secrets).or_else(of_hosts)
}

/// What of that which a listener refers to cannot be used.
fn unresolved(
    context: &Context<'_>,
    verdict: &ListenerVerdict<'_>,
    refused: bool,
) -> Option<(&'static str, String)> {
    let is_served = is_programmed(context, verdict, refused);
    let certificates = &verdict.certificates;
    let refused = certificates.iter().enumerate();
    let mut refused = refused.filter_map(|(at, one)| one.as_ref().err().map(|why| (at, why)));
    if let Some((at, why)) = refused.next() {
        let served = match is_served {
            true => "; it is served partially, with the others",
            false => "",
        };
        let message = format!("tls.certificateRefs[{at}]: {why}{served}");
        return Some((why.reason().as_str(), message));
    }
    let message = || "allowedRoutes.kinds names kinds that cannot attach to it".to_owned();
    let invalid = verdict.listener.has_invalid_kinds;
    invalid.then(|| ("InvalidRouteKinds", message()))
}

/// The kinds of routes that may attach (Gateway rule 20).
fn kinds(listener: &GatewayListener) -> Vec<&'static str> {
    let name = |kind: &RouteKind| match kind {
        RouteKind::HTTPRoute => "HTTPRoute",
    };
    listener.kinds.iter().map(name).collect()
}
