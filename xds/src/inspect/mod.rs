//! For those who look at a server: what its streams, its resources and its newest commits are like.
//!
//! Nothing is worked out for this while changes are on their way: streams list themselves when they
//! begin (`streams`), and share their sessions, which are locked one after the other, each for a
//! moment. Commits are followed by the store (`crate::store::changes`).

mod changes;
mod client_status;
mod contents;
mod counts;
mod denials;
mod differences;
mod layers;
mod resources;
mod shares;
mod streams;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use seaway_proto::TypeUrl;

use crate::session::{StreamState, TypeReport};
use crate::store::LayerId;
use crate::store::publish::Snapshots;
use crate::types::Types;
pub use changes::{ChangeReport, TypeChangeReport};
pub(crate) use client_status::{Unanswerable, WhoSees};
pub use contents::ContentReport;
pub use denials::DenialReport;
pub(crate) use denials::Denials;
pub use differences::DifferenceReport;
pub use layers::{LayerReport, LayerTypeReport};
pub use resources::{Asked, Candidate, ResourceKey, ResourcePage, ResourceReport};
pub use shares::{RejectedShare, ShareReport};
pub use streams::StreamFacts;
pub(crate) use streams::{Listed, OpenStreams, SharedSession, client, lock};

/// Reads what a server's streams, its resources and its newest commits are like. Clones read the
/// same.
#[derive(Clone, Debug)]
pub struct Inspector {
    snapshots: Snapshots,
    open: Arc<OpenStreams>,
    denials: Arc<Denials>,
}

/// An open stream, and how far its client is.
#[derive(Clone, Debug)]
pub struct StreamReport {
    /// What is known of it from its beginning.
    pub facts: Arc<StreamFacts>,
    /// The layers through which the proxy sees resources, the most specific first.
    pub layers: Arc<[LayerId]>,
    /// How far its client is: the worst of its types.
    pub state: StreamState,
    /// Since when it is behind, if it is: also of a client that rejects something.
    pub behind: Option<Instant>,
    /// How far it is with each type that it has asked for, in the order in which types go out.
    pub types: Vec<TypeReport>,
}

impl Inspector {
    pub(crate) fn new(
        snapshots: Snapshots,
        open: Arc<OpenStreams>,
        denials: Arc<Denials>,
    ) -> Inspector {
        Inspector {
            snapshots,
            open,
            denials,
        }
    }

    /// The types that are served, in the order in which they go out.
    pub fn types(&self) -> &Types {
        self.snapshots.types()
    }

    /// The sequence number of the newest commit.
    pub fn seq(&self) -> u64 {
        self.snapshots.read().seq()
    }

    /// The number of open streams.
    pub fn stream_count(&self) -> usize {
        self.open.len()
    }

    /// All open streams, in the order in which they began.
    pub fn streams(&self) -> Vec<StreamReport> {
        let open = self.open.open().into_iter();
        open.map(|(facts, session)| self.report(facts, &session))
            .collect()
    }

    /// The last few streams that were denied for their identity, or for the lack of one, within the
    /// last ten minutes, the newest first.
    pub fn denials(&self) -> Vec<DenialReport> {
        self.denials.reports(Instant::now())
    }

    /// The open stream with a number.
    pub fn stream(&self, number: u64) -> Option<StreamReport> {
        let (facts, session) = self.open.find(number)?;
        Some(self.report(facts, &session))
    }

    /// What is known of the open streams of the node with this id, the oldest first.
    pub fn streams_of(&self, node: &str) -> Vec<Arc<StreamFacts>> {
        let open = self.open.open().into_iter();
        open.map(|(facts, _)| facts)
            .filter(|facts| *facts.node == *node)
            .collect()
    }

    fn report(&self, facts: Arc<StreamFacts>, session: &SharedSession) -> StreamReport {
        // In the order in which a stream itself locks the two.
        let session = lock(session);
        let store = self.snapshots.read();
        let types = session.reports(&store, self.snapshots.changes(), Instant::now());
        let states = types.iter().map(|of| of.state);
        StreamReport {
            facts,
            layers: session.layers().clone(),
            state: states.fold(StreamState::Synced, StreamState::worse),
            behind: types.iter().filter_map(|of| of.behind).min(),
            types,
        }
    }

    /// The index of a type.
    fn index(&self, type_url: TypeUrl) -> Option<usize> {
        self.snapshots.types().index(type_url.as_str())
    }
}
