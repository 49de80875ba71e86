//! A follower's side of the checkpoint: what is told before the folder has been read, and when what it gave is written down.

use std::time::{Instant, SystemTime};

use super::world::World;
use crate::checkpoint::{Entry, Keeper, Loaded, Memory};
use crate::health::{Health, Stale};

/// The checkpoint of a folder.
#[derive(Debug)]
pub(super) struct Kept {
    keeper: Keeper,
    health: Health,
    loaded: Option<Vec<Entry>>,
    standing: Standing,
}

/// What the world that is told, or about to be, rests on.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// The folder.
    Folder,
    /// The checkpoint, which the folder has not confirmed. It is told from this moment on.
    Checkpoint { written: SystemTime, from: Instant },
    /// The checkpoint, and everybody has been told.
    Stale,
}

impl Kept {
    /// What was found is told when the folder has not been read within the grace.
    pub(super) fn new(memory: Memory) -> Kept {
        let from = Instant::now() + memory.grace;
        let (loaded, standing) = match memory.found {
            Some(Loaded { entries, written }) => {
                (Some(entries), Standing::Checkpoint { written, from })
            }
            None => (None, Standing::Folder),
        };
        Kept {
            keeper: memory.keeper,
            health: memory.health,
            loaded,
            standing,
        }
    }

    /// What was found, once.
    pub(super) fn take_loaded(&mut self) -> Option<Vec<Entry>> {
        self.loaded.take()
    }

    /// Whether the checkpoint stands in for a folder that has not been read.
    pub(super) fn stands_in(&self) -> bool {
        self.standing != Standing::Folder
    }

    /// Whether what was found may be told although the folder has not been read, because of `why`.
    pub(super) fn may_tell(&mut self, now: Instant, why: impl FnOnce() -> String) -> bool {
        match self.standing {
            Standing::Checkpoint { from, .. } if now < from => false,
            Standing::Checkpoint { written, .. } => {
                let stale = Stale {
                    written,
                    why: why(),
                };
                tracing::error!(source = "files", "stale: {stale}");
                self.health.set_stale(Some(stale));
                self.standing = Standing::Stale;
                true
            }
            Standing::Stale | Standing::Folder => true,
        }
    }

    /// The folder has been read: what is told from now on is its own.
    pub(super) fn confirm(&mut self, now: Instant) {
        if self.stands_in() {
            self.standing = Standing::Folder;
            self.keeper.touch(now);
        }
    }

    /// Everything that is to be told has been told, `news` among it. Saves what is due.
    pub(super) fn told(&mut self, world: &World, news: bool, now: Instant) {
        if self.stands_in() {
            return;
        }
        if self.health.stale().is_some() {
            self.health.set_stale(None);
            tracing::info!(
                source = "files",
                "no longer stale: the folder has been read"
            );
        }
        if news {
            self.keeper.touch(now);
        }
        if self.keeper.due().is_some_and(|due| due <= now) {
            self.keeper.save(world.entries(), now);
        }
    }

    /// When there is something to do without news.
    pub(super) fn next(&self) -> Option<Instant> {
        match self.standing {
            Standing::Checkpoint { from, .. } => Some(from),
            Standing::Stale => None,
            Standing::Folder => self.keeper.due(),
        }
    }

    /// Saves what is outstanding, and waits until that is done.
    pub(super) fn finish(self, world: &World) {
        self.keeper.finish(|| world.entries());
    }
}
