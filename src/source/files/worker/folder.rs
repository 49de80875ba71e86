//! The worker's view of the folder as a whole: whether it can be listed, whether it is still the
//! same one, and its watches.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use super::{Follow, RESCAN, RETRY, of_root};
use crate::process::outside;
use crate::source::files::scan::{self, Identity, Scan};
use crate::source::files::watch;

impl Follow {
    /// Walks through the folder, after making sure that it is watched, and reads what changed.
    pub(super) fn scan(&mut self, now: Instant) {
        self.next_scan = now + RESCAN;
        let _waiting = outside::waiting_for(&self.root);
        let found = scan::identity(&self.root).and_then(|identity| {
            self.watch(identity, now);
            scan::scan(&self.root)
        });
        match found {
            Ok(found) => {
                if std::mem::take(&mut self.away) {
                    tracing::info!(source = "files", folder = %self.root.display(), "the folder can be read again");
                }
                self.watch_links(&found, now);
                self.compare(&found, now);
            }
            Err(error) => self.lose(&error, now),
        }
    }

    /// Notes that the folder cannot be read; its last state is kept. Unless the error is this
    /// machine's own, the folder counts as another one when it is back.
    fn lose(&mut self, error: &io::Error, now: Instant) {
        self.errors.inc();
        if !self.away && self.watched.is_some() {
            let folder = self.root.display();
            tracing::error!(source = "files", %folder, %error, "the folder cannot be read; its last state is kept");
        }
        self.away = true;
        self.next_scan = now + RETRY;
        if !scan::may_pass(error) {
            self.watched = None;
            self.refill = Some(now);
        }
        let reason = of_root(&self.root, format_args!("{error}; the last state is kept"));
        let failed = BTreeMap::from([(String::new(), reason)]);
        self.state.set_folders(&failed);
    }

    /// Starts watching the folder, unless this very folder is watched already.
    fn watch(&mut self, identity: Identity, now: Instant) {
        if let Some((watched, watcher)) = &self.watched
            && *watched == identity
            && watcher.is_some()
        {
            return;
        }
        let replaced = self
            .watched
            .as_ref()
            .is_some_and(|(watched, _)| *watched != identity);
        if replaced || (self.watched.is_none() && self.told) {
            if !self.away {
                tracing::info!(source = "files", folder = %self.root.display(), "the folder was replaced; watching the new one");
            }
            self.refill = Some(now);
        }
        let watcher = match watch::watch(&self.root, self.teller.clone()) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                self.errors.inc();
                if !self.away && (replaced || self.watched.is_none()) {
                    tracing::warn!(source = "files", %error, "the folder cannot be watched; polling it instead");
                }
                self.next_scan = now + RETRY;
                None
            }
        };
        self.watched = Some((identity, watcher));
    }

    /// Makes the folders that links lead to watched, too.
    fn watch_links(&mut self, found: &Scan, now: Instant) {
        let Some((_, Some(watched))) = &mut self.watched else {
            return;
        };
        match watched.follow(&found.links) {
            Ok(false) => {}
            // Files may have appeared since they were looked for.
            Ok(true) => self.debounce.scan(now),
            Err(error) => {
                self.errors.inc();
                tracing::warn!(source = "files", %error, "a linked folder cannot be watched; polling it instead");
            }
        }
    }
}
