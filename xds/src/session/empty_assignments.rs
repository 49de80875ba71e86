//! Empty values in place of removals: state of the world cannot express that an assignment is
//! removed, and a client that warms its cluster waits for one. A removed resource is answered with
//! an empty value, if its type has one (xDS rule 95).
//!
//! Empty values are sent for names
//! - that this client was sent or owed and that were removed, or whose cluster was removed,
//! - that it subscribes to anew while the store still has the tombstone,
//! - that it subscribes to after a reconnect.
//!
//! A name that never existed is not answered (xDS rules 25, 26). An empty value is sent one second
//! after a removal could be sent: by then most clients have unsubscribed from the name, since its
//! cluster is gone. And it is not sent while a resource refers to the name: then the assignment is
//! late, not removed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use seaway_proto::Resource;

use super::Session;
use super::content::{CHUNK, Content};
use super::state::type_state::RemovalForm;
use crate::client_kind::ClientKind;
use crate::dialect::Dialect;
use crate::store::Store;
use crate::store::body::Body;

impl Session {
    /// Whether responses can tell this client that a name does not exist. State of the world does
    /// that by an error, which gRPC reads (xDS rule 108); Envoy does not, and would get responses
    /// for nothing.
    pub(super) fn says_absent(&self) -> bool {
        self.dialect == Dialect::Delta || self.client_kind == ClientKind::Grpc
    }

    /// The form in which removals of a type are sent to this client.
    pub(super) fn removal_form(&self, index: usize) -> RemovalForm {
        let spec = self.types.spec(index);
        if self.says_absent() {
            RemovalForm::Name
        } else if spec.complete {
            RemovalForm::Omission
        } else if spec.empty.is_some() {
            RemovalForm::Empty
        } else {
            RemovalForm::Never
        }
    }

    /// The time until which no empty values of a type are sent; `None` if they may be sent now.
    pub(super) fn empties_wait(&mut self, index: usize) -> Option<Instant> {
        if self.removal_form(index) != RemovalForm::Empty {
            return None;
        }
        let now = self.now;
        let due = self.states[index].empties_due(now);
        (due > now).then_some(due)
    }

    /// Notes which newly subscribed names that do not exist are to be answered: all of them, or
    /// those that did exist. `returning`: the client had resources of this type on an earlier
    /// stream.
    pub(super) fn note_missing(
        &mut self,
        index: usize,
        missing: &HashSet<Arc<str>>,
        returning: bool,
        store: &Store,
    ) {
        if self.says_absent() {
            let state = &mut self.states[index];
            for name in missing.iter().filter(|name| !name.is_empty()) {
                state.deny_new(name);
            }
        }
        if self.removal_form(index) != RemovalForm::Empty {
            return;
        }
        let now = self.now;
        let state = &mut self.states[index];
        for name in missing {
            let slot = store.find(index, name).map(|id| store.slot(index, id));
            let was = slot.and_then(|slot| slot.removed(&self.layers));
            state.expect_empty(name, returning || was.is_some(), now);
        }
    }

    /// Notes that names to which a removed resource referred, and that do not exist, are gone with
    /// it: while it was there, they were waited for.
    pub(super) fn lose_refs(&mut self, index: usize, was: &Body) {
        let Some(target) = self.types.spec(index).reloads else {
            return;
        };
        let child = self.types.index(target.as_str());
        let Some(child) = child.filter(|child| self.removal_form(*child) == RemovalForm::Empty)
        else {
            return;
        };
        let now = self.now;
        let state = &mut self.states[child];
        for reference in was.refs.iter().filter(|r| r.type_url == target) {
            state.lose_referrer(&reference.name, now);
        }
    }

    /// The content of a response with empty values for removed names.
    pub(super) fn empties(
        &mut self,
        index: usize,
        cutoff: Option<Instant>,
        store: &Store,
    ) -> Option<Content> {
        let state = &mut self.states[index];
        // With its type each takes more than as a mere name.
        let gone = state.take_empties(cutoff, CHUNK / 2);
        let spec = *self.types.spec(index);
        let empty = spec.empty?;
        let mut content = Content::default();
        for name in gone {
            if self.is_referred_to(index, &name, store) {
                continue;
            }
            let resource = Resource::from_bytes(spec.url, name.clone(), empty(&name), vec![]);
            let body = Body::new(resource, "".into());
            content.digest = content.digest.wrapping_add(body.digest(&name));
            content.parts.push(body.bytes(self.dialect));
        }
        (!content.parts.is_empty()).then_some(content)
    }

    /// Whether a resource that this client can see refers to a name which the client reloads after
    /// it. The stream is woken when such a resource goes, even if the client does not subscribe to
    /// it here.
    fn is_referred_to(&mut self, index: usize, name: &str, store: &Store) -> bool {
        let url = self.types.spec(index).url;
        let mut found = false;
        for referrer in store.referrers(index, name) {
            let slot = store.slot(referrer.type_index, referrer.id);
            let refs = slot
                .resolve(&self.layers)
                .map_or(&[][..], |body| &body.refs);
            if refs
                .iter()
                .any(|of| of.type_url == url && *of.name == *name)
            {
                found = true;
                let parent = referrer.type_index;
                self.interest.add_names(parent, &[&*slot.name]);
            }
        }
        found
    }

    /// Whether changes of a type concern this client for what they refer to, even without a
    /// subscription.
    pub(super) fn follows(&self, index: usize) -> bool {
        let target = self.types.spec(index).reloads;
        let child = target.and_then(|target| self.types.index(target.as_str()));
        child.is_some_and(|child| {
            self.removal_form(child) == RemovalForm::Empty
                && self.states.at(child).subscription().is_missing_any()
        })
    }
}
