//! The sources of Kubernetes objects, and the updates that each sends to the writer. A change of
//! the input enters Seaway here.

pub(crate) mod checkpoint;
pub(crate) mod files;

use std::time::Instant;

use seaway_translator::{Change, ObjectId, Problem};

/// How many objects are named as causes of a commit.
pub(crate) const CAUSES: usize = 8;

/// An object whose change is a reason for a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The object.
    pub(crate) object: ObjectId,
    /// Its `resourceVersion`, where an API server told it.
    pub(crate) version: Option<Box<str>>,
    /// Whether the object is gone.
    pub(crate) gone: bool,
}

impl Cause {
    /// The cause that a change is, its version unknown.
    pub(crate) fn of(change: &Change) -> Cause {
        let (object, gone) = match change {
            Change::Apply(object) => (object.id(), false),
            Change::Delete(id) => (id.clone(), true),
        };
        Cause {
            object,
            version: None,
            gone,
        }
    }
}

/// A set of changes from a source. The writer applies all of it before anything is published.
#[derive(Debug, Default)]
pub(crate) struct Update {
    /// What changed, each object at most once.
    pub(crate) changes: Vec<Change>,
    /// When the first of the changes was read.
    pub(crate) since: Option<Instant>,
    /// The `resourceVersion` of objects among the changes, where an API server told it.
    pub(crate) versions: Vec<(ObjectId, Box<str>)>,
    /// All problems of the source's input, if they changed: a complete list that replaces the one
    /// before.
    pub(crate) problems: Option<Vec<Problem>>,
    /// Whether the source has sent the whole world at least once (invariant 1).
    pub(crate) synced: bool,
    /// Whether objects name Secrets that have yet to be read: a checkpoint has none. Without them
    /// proxies would lose the certificates that they have, so ingress proxies wait (invariant 2).
    pub(crate) awaits_secrets: bool,
}

impl Update {
    /// The update to send: `news`, or an empty, synced one if there is none and the writer has not
    /// been `told` all that is known beside it.
    pub(crate) fn or_first(news: Option<Update>, told: bool) -> Option<Update> {
        match news {
            None if !told => Some(Update {
                synced: true,
                ..Update::default()
            }),
            news => news,
        }
    }
}
