//! What every source of Kubernetes objects says to the writer: the start of the way of a change.

pub(crate) mod checkpoint;
pub(crate) mod files;

use seaway_translator::{Change, Problem};

/// A step from one state of the world to the next. The writer applies a whole one before anything is published.
#[derive(Debug, Default)]
pub(crate) struct Update {
    /// What became different, each object at most once.
    pub(crate) changes: Vec<Change>,
    /// Everything that is wrong with the source's input now, if that changed: a complete list, replacing the one before.
    pub(crate) problems: Option<Vec<Problem>>,
    /// The source has told the whole world at least once (invariant 1).
    pub(crate) synced: bool,
}

impl Update {
    /// What to tell: a source that has told nothing yet says at least that it has read everything.
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
