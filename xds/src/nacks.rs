//! Rejections in the log: each distinct one once (xDS rule 79), with the objects behind it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use crate::session::Nack;

/// Distinct rejections remembered; with more the memory starts anew, so that a flood stays bounded.
const REMEMBERED: usize = 4096;

/// Which rejections were logged.
#[derive(Debug, Default)]
pub(crate) struct NackLog(Mutex<HashSet<u64>>);

impl NackLog {
    pub(crate) fn log(&self, node: &str, type_url: &str, nack: &Nack) {
        if !self.is_new(node, type_url, &nack.error) {
            return;
        }
        if nack.resources.is_empty() {
            tracing::warn!(
                node,
                r#type = type_url,
                error = nack.error,
                "proxy rejected a response"
            );
        }
        for rejected in &nack.resources {
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

    fn is_new(&self, node: &str, type_url: &str, error: &str) -> bool {
        let key = xxh3_64(format!("{node}\0{type_url}\0{error}").as_bytes());
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rejection_is_new_once() {
        let log = NackLog::default();
        assert!(log.is_new("n1", "t", "bad"));
        assert!(!log.is_new("n1", "t", "bad"));
        assert!(log.is_new("n1", "t", "worse"));
        assert!(log.is_new("n2", "t", "bad"));
    }
}
