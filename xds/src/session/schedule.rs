//! The order of responses: which type has something to send that may go out now, or when one will.
//!
//! Additions are sent in the order of the types (xDS rule 84), then removals, referring resources
//! before those that they refer to (xDS rule 86); removals of an exclusive type are sent with its
//! additions. A type waits for the acknowledgement of its last response, a gated one also for those
//! of the types before it (xDS rule 87). But nothing waits for what became owed after it: the times
//! since which resources are owed are compared, and what has been owed for a second is sent before
//! what changed later.
//!
//! A resource of a type that is not gated and that the client has just subscribed to waits for
//! nothing (xDS rule 103).

use std::time::Instant;

use super::state::owed::Gate;
use super::{Next, PATIENCE, Session};
use crate::store::Store;

/// The next thing to send: removals or additions of a type, or nothing for now.
enum Turn {
    /// The removals of a type that became owed before a time; `None`: all of them.
    Removals(usize, Option<Instant>),
    /// The additions of a type.
    Additions(usize),
    /// Nothing to send before this time, if nothing else happens.
    Wait(Option<Instant>),
}

/// The earlier of two times, each of which may be `None`: never.
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}

impl Session {
    /// Whether a resource that becomes owed now has to wait for something of an earlier type.
    pub(super) fn gate(&self, index: usize) -> Gate {
        let gated = self.types.spec(index).gated;
        let waits = |before: usize| {
            let owes = self.states.is_touched(before) && !self.states.at(before).owed().is_empty();
            owes || (gated && self.states.at(before).is_in_flight())
        };
        match (0..index).any(waits) || (gated && !self.awaited.is_empty()) {
            true => Gate::Closed,
            false => Gate::Open,
        }
    }

    /// Whether a resource that the client has just subscribed to has to wait for something of an
    /// earlier type.
    pub(super) fn gate_asked(&self, index: usize) -> Gate {
        match self.types.spec(index).gated {
            true => self.gate(index),
            false => Gate::Open,
        }
    }

    /// Ends the waiting of resources for which nothing is left to wait for.
    fn release(&mut self) {
        let now = self.now;
        self.awaited.expire(now);
        for index in 0..self.states.len() {
            if self.states.is_touched(index) && self.states[index].owed().has_waiting() {
                let cutoff = self.additions_cutoff(index);
                self.states[index].open_gates(cutoff, now);
            }
        }
    }

    /// The time since which the oldest thing that additions of a type wait for is owed: additions
    /// that became owed later have to wait.
    fn additions_cutoff(&self, index: usize) -> Option<Instant> {
        let before = || self.states.iter().take(index);
        let owed = before().filter_map(|state| state.owed().since()).min();
        if !self.types.spec(index).gated {
            return owed;
        }
        let sent = before().filter_map(|state| state.unsettled_since(self.now));
        let awaited = self.awaited.since(index);
        earlier(earlier(owed, sent.min()), awaited)
    }

    /// The time since which the oldest thing that removals of a type wait for is owed: additions of
    /// all types, removals of what refers to them, and the answers to both.
    pub(super) fn removals_cutoff(&self, index: usize) -> Option<Instant> {
        let order = self.types.removal_order();
        let at = order.iter().position(|of| *of == index).unwrap_or_default();
        let owed = self
            .states
            .iter()
            .filter_map(|state| state.owed().since())
            .min();
        let before = order[..at].iter().map(|of| self.states.at(*of));
        let removed = before.filter_map(|state| state.removals().since()).min();
        let settling = order[..=at].iter().map(|of| self.states.at(*of));
        let sent = settling.filter_map(|state| state.unsettled_since(self.now));
        earlier(earlier(owed, removed), sent.min())
    }

    /// The next response that may go out, or the time until which there is none.
    pub(super) fn next_owed(&mut self, store: &Store) -> Next {
        let claimed_until = self.resend_doubtful_claims();
        if let Some(response) = self.unknown_names() {
            return Next::Send(response);
        }
        // What comes to nothing after all may be what something else waited for.
        loop {
            self.release();
            match self.turn() {
                Turn::Removals(index, cutoff) => {
                    if let Some(response) = self.removals(index, cutoff, store) {
                        return Next::Send(response);
                    }
                }
                Turn::Additions(index) => {
                    if let Some(response) = self.additions(index, store) {
                        return Next::Send(response);
                    }
                }
                Turn::Wait(until) => return Next::Wait(earlier(claimed_until, until)),
            }
        }
    }

    /// Chooses what to send next.
    fn turn(&mut self) -> Turn {
        let mut until = None;
        // Removals first: what may go of them is older than all that is owed.
        for at in 0..self.types.removal_order().len() {
            let index = self.types.removal_order()[at];
            if self.states.is_touched(index) && !self.states.at(index).removals().is_empty() {
                match self.removals_wait(index) {
                    Ok(cutoff) => return Turn::Removals(index, cutoff),
                    Err(wait) => until = earlier(until, wait),
                }
            }
        }
        for overdue in [true, false] {
            for index in 0..self.states.len() {
                let touched = self.states.is_touched(index);
                if !touched || !self.may_send(index) || self.is_overdue(index) != overdue {
                    continue;
                }
                match self.states.at(index).unsettled_until(self.now) {
                    None => return Turn::Additions(index),
                    wait => until = earlier(until, wait),
                }
            }
        }
        Turn::Wait(earlier(until, self.waiting_until()))
    }

    /// Whether there are additions of a type that do not have to wait for other types.
    fn may_send(&self, index: usize) -> bool {
        let state = self.states.at(index);
        if !state.owed().has_waiting() || state.owed().has_ready() {
            return state.has_additions();
        }
        // What waits is part of a complete response, and of the answer to a wildcard.
        state.has_not_found() && !state.must_answer() && !self.is_complete(index)
    }

    fn is_overdue(&self, index: usize) -> bool {
        let since = self.states.at(index).owed().since();
        since.is_some_and(|since| since + PATIENCE <= self.now)
    }

    /// Which removals of a type may go: those owed before a time (`None`: all of them). `Err` is
    /// the time until which none may go.
    fn removals_wait(&mut self, index: usize) -> Result<Option<Instant>, Option<Instant>> {
        let state = self.states.at(index);
        if let Some(until) = state.unsettled_until(self.now) {
            return Err(Some(until));
        }
        let cutoff = self.removals_cutoff(index);
        if cutoff.is_some_and(|cutoff| state.removals().since().is_none_or(|since| cutoff <= since))
        {
            let all = self.states.iter();
            let unsettled = all.filter_map(|state| state.unsettled_until(self.now));
            return Err(unsettled.min());
        }
        match self.empties_wait(index) {
            Some(until) => Err(Some(until)),
            None => Ok(cutoff),
        }
    }

    /// The time until which nothing changes for resources that wait for other types.
    fn waiting_until(&self) -> Option<Instant> {
        let mut touched = (0..self.states.len()).filter(|index| self.states.is_touched(*index));
        if !touched.any(|index| self.states.at(index).owed().has_waiting()) {
            return None;
        }
        let each = self.states.iter().flat_map(|state| {
            let unsettled = state.unsettled_until(self.now);
            [state.owed().patience_ends(), unsettled]
        });
        each.flatten().chain(self.awaited.until()).min()
    }
}
