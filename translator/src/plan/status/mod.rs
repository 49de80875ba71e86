//! What the status of an object should say, from the decisions by which it is served: nothing is
//! decided here. Problems and conditions have the same reasons and the same words.

pub(crate) mod addresses;
mod class;
mod gateway;
mod ingress;
mod listener;
mod overlap;
mod route;

use super::Context;
use crate::problem::shortened;
use crate::status::{Condition, Status};
use crate::{ObjectId, ObjectKind};
use addresses::Exposed;

/// What the status of an object should say; `exposed` are the addresses of the ingress proxies.
/// `None`: it is none of this controller's (Gateway rules 6, 7, 9 and 10).
pub(crate) fn of(context: &Context<'_>, exposed: &Exposed, id: &ObjectId) -> Option<Status> {
    match id.kind {
        ObjectKind::GatewayClass => class::of(context, id),
        ObjectKind::Gateway => gateway::of(context, exposed, id),
        ObjectKind::HTTPRoute => route::of(context, id),
        ObjectKind::Ingress => ingress::of(context, exposed, id),
        _ => None,
    }
}

/// The conditions of one object or a part of it, all of one generation of it (Gateway rule 99).
struct Conditions {
    generation: i64,
    all: Vec<Condition>,
}

impl Conditions {
    /// No conditions yet, of an object of this generation.
    fn new(generation: i64) -> Conditions {
        Conditions {
            generation,
            all: Vec::new(),
        }
    }

    /// Adds a condition with this `status`.
    fn add(
        &mut self,
        kind: &'static str,
        status: bool,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        self.all.push(Condition {
            kind,
            status,
            reason,
            message: shortened(message.into()).into(),
            generation: self.generation,
        });
    }

    /// Adds a condition that is true, or false for this reason.
    fn judge(
        &mut self,
        kind: &'static str,
        refused: Option<(&'static str, String)>,
        (good, message): (&'static str, &str),
    ) {
        match refused {
            None => self.add(kind, true, good, message),
            Some((reason, why)) => self.add(kind, false, reason, why),
        }
    }
}

/// The condition that says whether an object, or a part of it, is taken at its word.
const ACCEPTED: &str = "Accepted";
/// The condition that says whether what an object refers to can be used.
const RESOLVED_REFS: &str = "ResolvedRefs";
/// The condition that says whether the proxies have it.
const PROGRAMMED: &str = "Programmed";
/// The reason of [`PROGRAMMED`] for what cannot be served.
const INVALID: &str = "Invalid";
