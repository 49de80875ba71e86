//! The newest commits: what each changed, and which streams are done with it.

use std::sync::Arc;
use std::time::Instant;

use seaway_proto::TypeUrl;

use super::Inspector;
use crate::store::changes::Change;

/// A commit, and how far the streams that it concerns are with it.
#[derive(Clone, Debug)]
pub struct ChangeReport {
    /// Its sequence number.
    pub seq: u64,
    /// When the event behind it was read.
    pub at: Instant,
    /// When it was made.
    pub committed: Instant,
    /// What it changed, type by type. A commit that moved placements lists all types.
    pub types: Vec<TypeChangeReport>,
    /// The first of the origins of which a resource changed.
    pub origins: Vec<Arc<str>>,
    /// The number of all of those.
    pub origin_count: usize,
    /// The number of placements that have other layers than before.
    pub moved: usize,
}

/// What a commit changed of one type, and how far the streams that it concerns are with it.
#[derive(Clone, Debug)]
pub struct TypeChangeReport {
    /// The type.
    pub type_url: TypeUrl,
    /// Resources that are new or have new bytes, and names newly hidden, counted per layer.
    pub set: usize,
    /// Resources removed and names no longer hidden, counted per layer.
    pub removed: usize,
    /// The size of what was set, in bytes.
    pub bytes: usize,
    /// The number of streams that it concerns, those included that have ended since.
    pub concerned: u32,
    /// When the last of them was sent it; `None` if there is none, or one is still to be sent it.
    pub sent: Option<Instant>,
    /// When the last of them answered it; `None` if there is none, or one still has to.
    pub acked: Option<Instant>,
    /// The number of streams that have not answered it yet.
    pub waiting: u32,
    /// The number of streams whose client rejected a response with it.
    pub rejected: u32,
    /// The number of streams that fell so far behind that this commit is no longer followed there:
    /// they do not count as waiting.
    pub lost: u32,
}

impl Inspector {
    /// The last 1,000 commits, the newest first.
    pub fn changes(&self) -> Vec<ChangeReport> {
        let all = self.snapshots.changes().all();
        all.iter()
            .rev()
            .map(|change| self.change_report(change))
            .collect()
    }

    /// Those of the last 1,000 commits that are newer than one, the oldest first.
    pub fn changes_after(&self, seq: u64) -> Vec<ChangeReport> {
        let newer = self.snapshots.changes().after(seq);
        newer
            .iter()
            .map(|change| self.change_report(change))
            .collect()
    }

    /// One of the last 1,000 commits.
    pub fn change(&self, seq: u64) -> Option<ChangeReport> {
        let change = self.snapshots.changes().find(seq)?;
        Some(self.change_report(&change))
    }

    fn change_report(&self, change: &Change) -> ChangeReport {
        let types = change.types.iter();
        let types = types.map(|of| TypeChangeReport {
            type_url: self.types().spec(of.type_index).url,
            set: of.counts.set,
            removed: of.counts.removed,
            bytes: of.counts.bytes,
            concerned: of.concerned(),
            sent: of.sent(),
            acked: of.acked(),
            waiting: of.waiting(),
            rejected: of.rejected(),
            lost: of.lost(),
        });
        ChangeReport {
            seq: change.seq,
            at: change.since,
            committed: change.committed,
            types: types.collect(),
            origins: change.origins.to_vec(),
            origin_count: change.origin_count,
            moved: change.moved,
        }
    }
}
