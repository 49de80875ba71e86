//! The log of rejections: each distinct NACK once (xDS rule 79), with the objects behind it, and a
//! line when a rejected resource is accepted after all; and the list of what is rejected now.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seaway_proto::TypeUrl;

use crate::session::{LateAcceptance, Nack, Session, error_hash, of_resource};
use crate::store::rejected::RejectedByStream;

/// The most distinct rejections that are remembered; with more the memory starts anew, so that a
/// flood stays bounded.
const REMEMBERED: usize = 4096;

/// Logs each distinct NACK once; holds the hashes of those that were logged.
#[derive(Debug, Default)]
pub(crate) struct NackLog(Mutex<HashSet<u64>>);

impl NackLog {
    /// Logs the resources that a NACK newly rejects, unless the same was logged before.
    pub(crate) fn log(&self, node: &str, type_url: &str, nack: &Nack) {
        let news = nack.resources.iter().filter(|of| !of.repeated);
        let names_news = news.clone().next().is_some();
        let unnamed = nack.resources.is_empty() && !nack.repeated;
        if !(names_news || unnamed) || !self.is_new(node, type_url, error_hash(&nack.error)) {
            return;
        }
        if unnamed {
            tracing::warn!(
                node,
                r#type = type_url,
                error = nack.error,
                "proxy rejected a response"
            );
        }
        for rejected in news {
            tracing::warn!(
                node,
                r#type = type_url,
                resource = &*rejected.name,
                object = &*rejected.origin,
                error = nack.error,
                "proxy rejected a resource"
            );
        }
    }

    /// Logs resources that were accepted after a rejection; a new rejection of them will be logged
    /// again.
    pub(crate) fn accepted(&self, node: &str, type_url: &str, all: &[LateAcceptance]) {
        let seconds = |took: Duration| (took.as_secs_f64() * 10.0).round() / 10.0;
        for accepted in all {
            let Some(words) = accepted.named else {
                continue;
            };
            self.seen().remove(&key(node, type_url, words));
            tracing::info!(
                node,
                r#type = type_url,
                resource = &*accepted.name,
                object = &*accepted.origin,
                seconds = seconds(accepted.took),
                "proxy accepted a resource that it had rejected"
            );
        }
        let others = all.iter().filter(|accepted| accepted.named.is_none());
        if let Some(longest) = others.clone().map(|accepted| accepted.took).max() {
            tracing::info!(
                node,
                r#type = type_url,
                resources = others.count(),
                seconds = seconds(longest),
                "proxy accepted resources of a response that it had rejected"
            );
        }
    }

    fn is_new(&self, node: &str, type_url: &str, words: u64) -> bool {
        let mut seen = self.seen();
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen.insert(key(node, type_url, words))
    }

    fn seen(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lists what a client rejects, in its own words.
pub(crate) fn list(
    listed: &mut RejectedByStream,
    session: &Session,
    type_url: Option<TypeUrl>,
    nack: &Nack,
) {
    let Some(type_url) = type_url else {
        return;
    };
    for one in nack.resources.iter().chain(&nack.sole) {
        // What has changed meanwhile is rejected no more.
        if !session.rejects(type_url, one.id) {
            continue;
        }
        let words = match nack.sole {
            Some(_) => nack.error.clone(),
            None => of_resource(&nack.error, &one.name),
        };
        listed.add(one.id, (type_url, &one.name, &one.origin), &words);
    }
}

fn key(node: &str, type_url: &str, words: u64) -> u64 {
    error_hash(&format!("{node}\0{type_url}\0{words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rejection_is_new_once() {
        let log = NackLog::default();
        assert!(log.is_new("n1", "t", 1));
        assert!(!log.is_new("n1", "t", 1));
        assert!(log.is_new("n1", "t", 2));
        assert!(log.is_new("n2", "t", 1));
    }
}
