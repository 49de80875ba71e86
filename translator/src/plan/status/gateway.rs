//! The status of a Gateway (Gateway rules 8, 12, 41 and 101).

use super::addresses::{Exposed, Wanted, wanted};
use super::{ACCEPTED, Conditions, Context, INVALID, PROGRAMMED, RESOLVED_REFS};
use super::{listener, overlap};
use crate::ObjectId;
use crate::model::Gateway;
use crate::plan::gateway::{ListenerVerdict, verdicts};
use crate::policy::gateway::gateway_refusal;
use crate::status::{GatewayStatus, ListenerStatus, Status};

/// The reason of the condition `Accepted` of a Gateway some or all listeners of which are refused.
const LISTENERS_NOT_VALID: &str = "ListenersNotValid";

pub(super) fn of(context: &Context<'_>, exposed: &Exposed, id: &ObjectId) -> Option<Status> {
    let routing = context.index.routing();
    let gateway = routing.gateway(id).filter(|_| routing.is_served(id))?;
    let verdicts = verdicts(context, id, gateway);
    let mut conditions = Conditions::new(gateway.generation);
    let is_accepted = add_accepted(&mut conditions, gateway, &verdicts);
    let is_refused = gateway_refusal(gateway).is_some();
    let wanted = wanted(context, exposed, gateway, routing.binding(gateway)?);
    let reason = match &wanted {
        _ if !is_accepted => Some((INVALID, "the Gateway is not accepted".to_owned())),
        _ if !verdicts
            .iter()
            .any(|one| listener::is_programmed(context, one, is_refused)) =>
        {
            let message = "no listener can be served: see their conditions";
            Some((INVALID, message.to_owned()))
        }
        Wanted::NotAssigned(why) => Some(("AddressNotAssigned", why.clone())),
        Wanted::NotUsable(why, _) => Some(("AddressNotUsable", why.clone())),
        Wanted::Usable(_) => None,
    };
    let programmed = (PROGRAMMED, "the proxies are told to serve the Gateway");
    conditions.judge(PROGRAMMED, reason, programmed);
    let overlaps = match is_refused {
        true => vec![None; verdicts.len()],
        false => overlap::reasons(context, &verdicts),
    };
    let listeners = verdicts.iter().zip(overlaps);
    let listeners = listeners
        .map(|(verdict, overlap)| listener::of(context, gateway, verdict, (overlap, is_refused)));
    let listeners: Vec<ListenerStatus> = listeners.collect();
    let resolved = (RESOLVED_REFS, "the references of all listeners can be used");
    conditions.judge(RESOLVED_REFS, unresolved(&listeners), resolved);
    Some(Status::Gateway(GatewayStatus {
        addresses: match wanted {
            Wanted::Usable(addresses) | Wanted::NotUsable(_, addresses) if is_accepted => addresses,
            _ => Vec::new(),
        },
        conditions: conditions.all,
        listeners,
    }))
}

/// Adds the condition `Accepted`, and returns whether it is true.
fn add_accepted(
    conditions: &mut Conditions,
    gateway: &Gateway,
    verdicts: &[ListenerVerdict<'_>],
) -> bool {
    if let Some(refusal) = gateway_refusal(gateway) {
        let message = format!("{}: {refusal}", refusal.field());
        conditions.add(ACCEPTED, false, refusal.reason().as_str(), message);
        return false;
    }
    let refused = verdicts.iter().filter(|one| one.refused.is_some());
    let refused: Vec<&str> = refused.map(|one| &*one.listener.name).collect();
    let is_accepted = refused.len() < verdicts.len();
    let names = refused.join(", ");
    match (is_accepted, refused.is_empty()) {
        (true, true) => conditions.add(ACCEPTED, true, ACCEPTED, "all listeners are valid"),
        (true, false) => {
            let message = format!("these listeners are not valid, see their conditions: {names}");
            conditions.add(ACCEPTED, true, LISTENERS_NOT_VALID, message);
        }
        (false, _) => {
            let message = "no listener is valid, see their conditions";
            conditions.add(ACCEPTED, false, LISTENERS_NOT_VALID, message);
        }
    }
    is_accepted
}

/// The listeners that refer to what cannot be used.
fn unresolved(listeners: &[ListenerStatus]) -> Option<(&'static str, String)> {
    let refused = listeners.iter().filter(|listener| {
        let mut conditions = listener.conditions.iter();
        conditions.any(|condition| condition.kind == RESOLVED_REFS && !condition.status)
    });
    let names: Vec<&str> = refused.map(|listener| &*listener.name).collect();
    let message = || {
        format!(
            "see the conditions of these listeners: {}",
            names.join(", ")
        )
    };
    (!names.is_empty()).then(|| ("ListenersNotResolved", message()))
}
