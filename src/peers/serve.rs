//! Tells peers what this replica serves: the service `seaway.v1.Peers` on the xDS port.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use hyper::body::Bytes;
use seaway_proto::peers::WATCH;
use seaway_xds::{Answers, OtherCaller, OtherCalls};
use tokio::sync::watch;
use tonic::Status;

use crate::admission::identity::{Verifier, Who};

/// Answers peers.
#[derive(Debug)]
pub(super) struct PeerService {
    /// Authenticates them; `None` if no proof is asked for.
    pub(super) verifier: Option<Arc<Verifier>>,
    /// Who is a peer.
    pub(super) allowed: Arc<[Who]>,
    /// This replica's newest digest; empty before there is one.
    pub(super) digests: watch::Receiver<Bytes>,
}

impl OtherCalls for PeerService {
    fn answer(&self, path: &str, caller: OtherCaller) -> Option<Answers> {
        if path != WATCH {
            return None;
        }
        let (verifier, allowed) = (self.verifier.clone(), self.allowed.clone());
        let mut digests = self.digests.clone();
        digests.mark_changed();
        let admitted = async move {
            if let Some(verifier) = verifier {
                verifier.verify_peer(caller.caller(), &allowed).await?;
            }
            Ok::<_, Status>(digests)
        };
        let tell = |admitted: Result<watch::Receiver<Bytes>, Status>| match admitted {
            Ok(digests) => stream::unfold(digests, next).boxed(),
            Err(status) => stream::once(async { Err(status) }).boxed(),
        };
        Some(Box::pin(stream::once(admitted).flat_map(tell)))
    }
}

/// Waits for another digest.
async fn next(
    mut digests: watch::Receiver<Bytes>,
) -> Option<(Result<Bytes, Status>, watch::Receiver<Bytes>)> {
    loop {
        digests.changed().await.ok()?;
        let bytes = digests.borrow_and_update().clone();
        if !bytes.is_empty() {
            return Some((Ok(bytes), digests));
        }
    }
}
