//! Collects the objects of a list that is still being read, and bounds how many there may be.

use super::News;
use crate::kube::resource::Item;
use crate::kube::wire::Failure;

/// How many objects a list may have. No cluster has nearly as many of a kind.
const MAX_OBJECTS: usize = 1_000_000;
/// How many pages a list may have, with room for those that are not full.
pub(super) const MAX_PAGES: usize = 10_000;
/// How many bytes a list may have, most of which are not kept.
const MAX_LIST: usize = 8 << 30;
/// For how many skipped objects of a list the log says why.
const MAX_SAID: usize = 10;

/// The objects of a list that have been read so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    items: Vec<Item>,
    unidentified: usize,
    pages: usize,
    bytes: usize,
    /// Why the last unreadable object could not be read.
    pub unreadable: Option<Failure>,
}

impl Found {
    /// Adds an object, or counts one that could not be identified.
    ///
    /// # Errors
    /// The object is of another kind, and so is the rest.
    pub(super) fn add(&mut self, item: Result<Item, Failure>) -> Result<(), Failure> {
        match item {
            Ok(item) => self.items.push(item),
            Err(error @ Failure::Foreign(_)) => return Err(error),
            Err(error) => {
                self.unidentified += 1;
                if self.unidentified <= MAX_SAID {
                    tracing::warn!(source = "kube", %error, "an object of the list is skipped; this list removes no objects");
                }
                self.unreadable = Some(error);
            }
        }
        Ok(())
    }

    /// Whether every object could be identified.
    pub(super) fn is_complete(&self) -> bool {
        self.unidentified == 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.unidentified == 0
    }

    /// Counts pages and bytes.
    ///
    /// # Errors
    /// The list exceeds what any list may have.
    pub(super) fn grow(&mut self, pages: usize, bytes: usize) -> Result<(), Failure> {
        self.pages += pages;
        self.bytes = self.bytes.saturating_add(bytes);
        let objects = self.items.len() + self.unidentified;
        if self.pages <= MAX_PAGES && self.bytes <= MAX_LIST && objects <= MAX_OBJECTS {
            return Ok(());
        }
        Err(Failure::Endless(format!(
            "the list does not end: {objects} objects in {} bytes and {} pages so far",
            self.bytes, self.pages
        )))
    }

    pub(super) fn reset(self) -> News {
        if self.unidentified > MAX_SAID {
            let more = self.unidentified - MAX_SAID;
            tracing::warn!(
                source = "kube",
                more,
                "more objects of the list are skipped"
            );
        }
        News::Reset {
            complete: self.is_complete(),
            items: self.items,
        }
    }
}
