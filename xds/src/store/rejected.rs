//! The contents that clients reject now, in the words of the last of them: for whoever has to know
//! that what is published does not work (xDS rule 79). A stream lists what its client rejected
//! until the client accepts it or its content changes, and for no longer than it lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use seaway_proto::TypeUrl;
use tokio::sync::watch;

use crate::store::ResourceId;

/// The most resources that are listed. What clients send of it is bounded with that, too: their
/// error texts are cut.
const LISTED: usize = 256;
/// The most resources that one stream may list.
const LISTED_OF_STREAM: usize = 64;

/// A resource whose content clients reject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedResource {
    /// The resource's type.
    pub type_url: TypeUrl,
    /// The resource's name.
    pub name: Arc<str>,
    /// The object the resource was made from.
    pub origin: Arc<str>,
    /// What the last client that rejected it says of it.
    pub error: Arc<str>,
    /// The number of streams whose client rejects it.
    pub streams: usize,
}

/// The type, name and origin of a resource.
type Key = (TypeUrl, Arc<str>, Arc<str>);

/// All resources that clients reject.
#[derive(Debug)]
pub(crate) struct RejectedList {
    entries: Mutex<BTreeMap<Key, (Arc<str>, usize)>>,
    changed: watch::Sender<()>,
}

impl Default for RejectedList {
    fn default() -> Self {
        RejectedList {
            entries: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }
}

impl RejectedList {
    /// All listed resources, by type and name.
    pub(crate) fn reports(&self) -> Vec<RejectedResource> {
        let entries = self.entries();
        let report = |((type_url, name, origin), (error, streams)): (&Key, &(Arc<str>, usize))| {
            RejectedResource {
                type_url: *type_url,
                name: name.clone(),
                origin: origin.clone(),
                error: error.clone(),
                streams: *streams,
            }
        };
        entries.iter().map(report).collect()
    }

    /// Receives something whenever the list changes.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Lists a resource of one more stream; `false` if there is no room.
    fn add(&self, key: &Key, error: &str) -> bool {
        let mut entries = self.entries();
        if entries.len() >= LISTED && !entries.contains_key(key) {
            return false;
        }
        let (words, streams) = entries.entry(key.clone()).or_default();
        *words = error.into();
        *streams += 1;
        drop(entries);
        self.changed.send_replace(());
        true
    }

    /// Takes in what one of the streams says of a resource that it lists already.
    fn reword(&self, key: &Key, error: &str) {
        let mut entries = self.entries();
        let Some((words, _)) = entries.get_mut(key).filter(|(words, _)| **words != *error) else {
            return;
        };
        *words = error.into();
        drop(entries);
        self.changed.send_replace(());
    }

    /// Counts one stream less.
    fn remove(&self, key: &Key) {
        let mut entries = self.entries();
        if let Some((_, streams)) = entries.get_mut(key) {
            *streams -= 1;
            if *streams == 0 {
                entries.remove(key);
            }
        }
        drop(entries);
        self.changed.send_replace(());
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Key, (Arc<str>, usize)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the client of one stream rejects. While it lives, that is listed.
#[derive(Debug)]
pub(crate) struct RejectedByStream {
    list: Arc<RejectedList>,
    entries: Vec<(ResourceId, Key)>,
}

impl RejectedByStream {
    pub(crate) fn new(list: Arc<RejectedList>) -> RejectedByStream {
        RejectedByStream {
            list,
            entries: Vec::new(),
        }
    }

    /// Lists a resource, with what the client says of it; in place of what it said before.
    pub(crate) fn add(
        &mut self,
        id: ResourceId,
        (type_url, name, origin): (TypeUrl, &Arc<str>, &Arc<str>),
        error: &str,
    ) {
        let key = (type_url, name.clone(), origin.clone());
        let same = |(other, listed): &(ResourceId, Key)| *other == id && *listed == key;
        if self.entries.iter().any(same) {
            return self.list.reword(&key, error);
        }
        self.retain(|of_type, other| (of_type, other) != (type_url, id));
        if self.entries.len() < LISTED_OF_STREAM && self.list.add(&key, error) {
            self.entries.push((id, key));
        }
    }

    /// Lists only what the client still rejects.
    pub(crate) fn retain(&mut self, still: impl Fn(TypeUrl, ResourceId) -> bool) {
        let list = &self.list;
        self.entries.retain(|(id, key)| {
            let keeps = still(key.0, *id);
            if !keeps {
                list.remove(key);
            }
            keeps
        });
    }
}

impl Drop for RejectedByStream {
    fn drop(&mut self) {
        self.retain(|_, _| false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(list: &RejectedList) -> Vec<String> {
        let of = |one: RejectedResource| format!("{} {} {}", one.name, one.error, one.streams);
        list.reports().into_iter().map(of).collect()
    }

    #[test]
    fn what_several_streams_reject_is_listed_until_the_last_one_accepts_it() {
        let list = Arc::new(RejectedList::default());
        let mut changes = list.changes();
        let (mut one, mut two) = (
            RejectedByStream::new(list.clone()),
            RejectedByStream::new(list.clone()),
        );
        let (name, origin): (Arc<str>, Arc<str>) = ("a".into(), "o".into());
        let key = (TypeUrl::LISTENER, &name, &origin);
        one.add(ResourceId::from_index(1), key, "bad");
        two.add(ResourceId::from_index(1), key, "worse");
        // A retry that fails again counts once.
        two.add(ResourceId::from_index(1), key, "worst");
        assert!(changes.has_changed().unwrap());
        assert_eq!(report(&list), ["a worst 2"]);
        two.retain(|_, _| false);
        assert_eq!(report(&list), ["a worst 1"]);
        changes.mark_unchanged();
        drop(one);
        assert!(changes.has_changed().unwrap());
        assert_eq!(report(&list), [""; 0]);
    }

    /// Whoever follows the list never sees a rejection gone because it is repeated.
    #[test]
    fn what_is_rejected_again_keeps_its_place() {
        let list = Arc::new(RejectedList::default());
        let (name, origin): (Arc<str>, Arc<str>) = ("a".into(), "o".into());
        let key = (TypeUrl::LISTENER, &name, &origin);
        let mut stream = RejectedByStream::new(list.clone());
        stream.add(ResourceId::from_index(1), key, "bad");
        let changes = list.changes();
        stream.add(ResourceId::from_index(1), key, "bad");
        assert!(!changes.has_changed().unwrap(), "the words are the same");
        stream.add(ResourceId::from_index(1), key, "worse");
        assert!(changes.has_changed().unwrap());
        assert_eq!(report(&list), ["a worse 1"]);
        // The object behind the name is another now.
        let origin: Arc<str> = "p".into();
        stream.add(ResourceId::from_index(1), (key.0, &name, &origin), "worse");
        assert_eq!(list.reports().len(), 1);
        assert_eq!(list.reports()[0].origin, origin);
        drop(stream);
        assert_eq!(list.reports(), []);
    }

    #[test]
    fn clients_fill_a_bounded_list() {
        let list = Arc::new(RejectedList::default());
        let origin: Arc<str> = "o".into();
        let mut streams = Vec::new();
        for stream in 0..10 {
            let mut of_stream = RejectedByStream::new(list.clone());
            for number in 0..200 {
                let name: Arc<str> = format!("{stream}/{number}").into();
                let key = (TypeUrl::CLUSTER, &name, &origin);
                of_stream.add(ResourceId::from_index(number), key, "no");
            }
            assert!(of_stream.entries.len() <= LISTED_OF_STREAM);
            streams.push(of_stream);
        }
        assert_eq!(list.reports().len(), LISTED);
        drop(streams);
        assert_eq!(list.reports(), []);
    }
}
