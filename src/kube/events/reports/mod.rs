//! Decides which problems are written as Events, and when: plain state without I/O.
//!
//! The name of an Event follows from its content, so that replicas and restarts do not repeat each
//! other: the second one to create it gets a conflict. API servers forget Events after an hour; a
//! problem that stands is written again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use seaway_translator::{ObjectId, Problem};
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

use crate::kube::rate::Rate;
use crate::writer::Changes;

/// The `reportingController` of the Events.
const CONTROLLER: &str = "seaway.dev/control-plane";
/// The API server's limits of the fields `note`, `metadata.name` and `reportingInstance`, in bytes.
const MAX_NOTE: usize = 1024;
const MAX_NAME: usize = 253;
const MAX_INSTANCE: usize = 128;
/// After this long the Event of a problem that stands is written again, before an API server
/// forgets it.
const AGAIN: Duration = Duration::from_secs(45 * 60);
/// How many Events may be written at once after a while without any; after that one for each
/// [`EACH`].
const BURST: u32 = 25;
const EACH: Duration = Duration::from_secs(1);

/// A problem that is due to be written as an Event on an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub id: ObjectId,
    pub problem: Problem,
}

/// The problems that stand, with when the Event of each is written: a queue with a rate limit.
#[derive(Debug)]
pub(super) struct Reports {
    standing: BTreeMap<Problem, Turn>,
    /// Problems whose Event has not been written yet, the oldest first.
    waiting: BTreeMap<u64, Problem>,
    /// Problems whose Event has been written, by when it is written again.
    written: BTreeMap<(Instant, u64), Problem>,
    /// The number of the last problem that was queued.
    last: u64,
    rate: Rate,
}

/// Where a standing problem is in the queue.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Waiting(u64),
    Written(Instant, u64),
    /// It is about nothing in the cluster to which an Event could be attached.
    Never,
}

impl Default for Reports {
    fn default() -> Reports {
        Reports {
            standing: BTreeMap::new(),
            waiting: BTreeMap::new(),
            written: BTreeMap::new(),
            last: 0,
            rate: Rate::new(BURST, EACH),
        }
    }
}

impl Reports {
    /// Takes in problems that appeared or ended.
    pub(super) fn settle(&mut self, changes: Changes) {
        for (problem, stands) in changes {
            if !stands {
                match self.standing.remove(&problem) {
                    Some(Turn::Waiting(number)) => drop(self.waiting.remove(&number)),
                    Some(Turn::Written(at, number)) => drop(self.written.remove(&(at, number))),
                    Some(Turn::Never) | None => {}
                }
            } else if !self.standing.contains_key(&problem) {
                self.wait(problem);
            }
        }
    }

    fn wait(&mut self, problem: Problem) {
        self.last += 1;
        let turn = Turn::Waiting(self.last);
        self.standing.insert(problem.clone(), turn);
        self.waiting.insert(self.last, problem);
    }

    /// When [`Reports::take`] has an Event to give.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let again = self.written.keys().next().map(|(again, _)| *again);
        let next = if self.waiting.is_empty() {
            again
        } else {
            Some(now)
        };
        next.map(|next| self.rate.allowed(next))
    }

    /// The next Event to write, if it is time.
    pub(super) fn take(&mut self, now: Instant) -> Option<Report> {
        self.renew(now);
        while self.due(now).is_some_and(|due| due <= now) {
            let (number, problem) = self.waiting.pop_first()?;
            let Some(id) = problem.object.object().cloned() else {
                // Of a file, or of a watch: nothing in the cluster to hang it on.
                self.standing.insert(problem, Turn::Never);
                continue;
            };
            self.rate.take(now);
            let again = now + AGAIN;
            let turn = Turn::Written(again, number);
            self.standing.insert(problem.clone(), turn);
            self.written.insert((again, number), problem.clone());
            return Some(Report { id, problem });
        }
        None
    }

    fn renew(&mut self, now: Instant) {
        while let Some(first) = self.written.first_entry()
            && first.key().0 <= now
        {
            let problem = first.remove();
            self.wait(problem);
        }
    }
}

impl Report {
    /// The path to post to, and the Event (`events.k8s.io/v1`) as JSON.
    pub(super) fn event(&self, uid: &str, instance: &str, now: Timestamp) -> (String, Value) {
        let (api_version, kind) = (self.id.kind.api_version(), self.id.kind.as_str());
        let namespace = match &*self.id.namespace {
            "" => "default",
            namespace => namespace,
        };
        let mut regarding =
            json!({"apiVersion": api_version, "kind": kind, "name": self.id.name, "uid": uid});
        if !self.id.namespace.is_empty() {
            regarding["namespace"] = json!(self.id.namespace);
        }
        let Problem { field, message, .. } = &self.problem;
        let note = if field.is_empty() {
            message.clone()
        } else {
            format!("{field}: {message}")
        };
        let event = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": self.name(uid), "namespace": namespace},
            "eventTime": format!("{now:.6}"),
            "reportingController": CONTROLLER,
            "reportingInstance": cut(instance, MAX_INSTANCE),
            "action": "Translate",
            "reason": self.problem.reason.as_str(),
            "regarding": regarding,
            "note": cut(&note, MAX_NOTE),
            "type": "Warning",
        });
        (
            format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events"),
            event,
        )
    }

    fn name(&self, uid: &str) -> String {
        let Problem {
            field,
            reason,
            message,
            ..
        } = &self.problem;
        let mut hash = Xxh3::new();
        for part in [uid, field, reason.as_str(), message] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        let hash = format!(".{:016x}", hash.digest());
        let name = cut(&self.id.name, MAX_NAME - hash.len());
        format!("{}{hash}", name.trim_end_matches(['.', '-']))
    }
}

/// The longest prefix of a text of at most so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
