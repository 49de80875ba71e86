//! A source's side of the checkpoint: what is told before its input has been read, and when what that gave is written down.

use std::time::{Instant, SystemTime};

use super::{Entry, Keeper, Loaded, Memory};
use crate::admin::health::{Health, Stale};

/// The checkpoint of a source.
#[derive(Debug)]
pub(crate) struct Kept {
    /// As logs and metrics call the source.
    source: &'static str,
    keeper: Keeper,
    health: Health,
    loaded: Option<Vec<Entry>>,
    standing: Standing,
}

/// What the world that is told, or about to be, rests on.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// The input.
    Input,
    /// The checkpoint, which the input has not confirmed. It is told from this moment on.
    Checkpoint { written: SystemTime, from: Instant },
    /// The checkpoint, and everybody has been told.
    Stale,
}

impl Kept {
    /// What was found is told when the input has not been read within the grace.
    pub(crate) fn new(source: &'static str, memory: Memory) -> Kept {
        let from = Instant::now() + memory.grace;
        let (loaded, standing) = match memory.found {
            Some(Loaded { entries, written }) => {
                (Some(entries), Standing::Checkpoint { written, from })
            }
            None => (None, Standing::Input),
        };
        Kept {
            source,
            keeper: memory.keeper,
            health: memory.health,
            loaded,
            standing,
        }
    }

    /// What was found, once.
    pub(crate) fn take_loaded(&mut self) -> Option<Vec<Entry>> {
        self.loaded.take()
    }

    /// Whether the checkpoint stands in for an input that has not been read.
    pub(crate) fn stands_in(&self) -> bool {
        self.standing != Standing::Input
    }

    /// Whether what was found may be told although the input has not been read, because of `why`.
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

    /// The input has been read: what is told from now on is its own.
    pub(crate) fn confirm(&mut self, now: Instant) {
        if self.stands_in() {
            self.standing = Standing::Input;
            self.keeper.touch(now);
        }
    }

    /// Everything that is to be told has been told, `news` among it. Saves what is due.
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

    /// When there is something to do without news.
    pub(crate) fn next(&self) -> Option<Instant> {
        match self.standing {
            Standing::Checkpoint { from, .. } => Some(from),
            Standing::Stale => None,
            Standing::Input => self.keeper.due(),
        }
    }

    /// Saves what is outstanding, and waits until that is done.
    pub(crate) fn finish(self, world: impl FnOnce() -> Vec<Entry>) {
        self.keeper.finish(world);
    }
}
