//! The checkpoint from a source's side: when the loaded world is published in place of the input,
//! and when the input's own world is saved.

use std::time::{Instant, SystemTime};

use super::{Entry, Keeper, Loaded, Memory};
use crate::admin::health::{Health, Stale};

/// The checkpoint of a running source: decides whether the objects that it loaded stand in for
/// those of the input, and hands the input's objects to the [`Keeper`] to be saved.
#[derive(Debug)]
pub(crate) struct SourceCheckpoint {
    /// As logs and metrics call the source.
    source: &'static str,
    keeper: Keeper,
    health: Health,
    loaded: Option<Vec<Entry>>,
    standing: Standing,
}

/// What the world that is published, or about to be, rests on: the input or the checkpoint.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// The input: it has been read.
    Input,
    /// The checkpoint, which the input has not confirmed. It is published from the moment `from`
    /// on.
    Checkpoint { written: SystemTime, from: Instant },
    /// The checkpoint, published although the input has not confirmed it; `/readyz` says so.
    Stale,
}

impl SourceCheckpoint {
    /// Takes over a source's [`Memory`]. The loaded world may be published once the grace is over
    /// without the input having been read.
    pub(crate) fn new(source: &'static str, memory: Memory) -> SourceCheckpoint {
        let from = Instant::now() + memory.grace;
        let (loaded, standing) = match memory.found {
            Some(Loaded { entries, written }) => {
                (Some(entries), Standing::Checkpoint { written, from })
            }
            None => (None, Standing::Input),
        };
        SourceCheckpoint {
            source,
            keeper: memory.keeper,
            health: memory.health,
            loaded,
            standing,
        }
    }

    /// The objects of the loaded checkpoint; `None` from the second call on.
    pub(crate) fn take_loaded(&mut self) -> Option<Vec<Entry>> {
        self.loaded.take()
    }

    /// Whether the checkpoint stands in for an input that has not been read.
    pub(crate) fn stands_in(&self) -> bool {
        self.standing != Standing::Input
    }

    /// Whether the loaded world may be published although the input has not been read, because of
    /// `why`. If so, the state "stale" is set.
    pub(crate) fn may_tell(&mut self, now: Instant, why: impl FnOnce() -> String) -> bool {
        match self.standing {
            Standing::Checkpoint { from, .. } if now < from => false,
            Standing::Checkpoint { written, .. } => {
                let stale = Stale {
                    written,
                    why: why(),
                };
                tracing::error!(source = self.source, "stale: {stale}");
                self.health.set_stale(Some(stale));
                self.standing = Standing::Stale;
                true
            }
            Standing::Stale | Standing::Input => true,
        }
    }

    /// Notes that the input has been read: what is published from now on is its own.
    pub(crate) fn confirm(&mut self, now: Instant) {
        if self.stands_in() {
            self.standing = Standing::Input;
            self.keeper.touch(now);
        }
    }

    /// Notes that the source has sent all it has, with or without `news`. Saves a checkpoint if one
    /// is due.
    pub(crate) fn told(&mut self, world: impl FnOnce() -> Vec<Entry>, news: bool, now: Instant) {
        if self.stands_in() {
            return;
        }
        if self.health.stale().is_some() {
            self.health.set_stale(None);
            tracing::info!(
                source = self.source,
                "no longer stale: everything has been read"
            );
        }
        if news {
            self.keeper.touch(now);
        }
        if self.keeper.due().is_some_and(|due| due <= now) {
            self.keeper.save(world(), now);
        }
    }

    /// When the source has to call again although nothing changed.
    pub(crate) fn next(&self) -> Option<Instant> {
        match self.standing {
            Standing::Checkpoint { from, .. } => Some(from),
            Standing::Stale => None,
            Standing::Input => self.keeper.due(),
        }
    }

    /// Saves a checkpoint that is outstanding, and waits until that is done.
    pub(crate) fn finish(self, world: impl FnOnce() -> Vec<Entry>) {
        self.keeper.finish(world);
    }
}
