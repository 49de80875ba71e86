//! What the leader of the replicas is to write, on its way from the writer to the task that writes
//! it to the API server: the status of objects, and the Services of single Gateways. Only changes
//! pass here, each object once, however late they are taken.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use seaway_translator::ObjectId;
use seaway_translator::model::ServiceWrite;
use seaway_translator::status::Status;
use tokio::sync::watch;

/// What should become of objects now; `None`: nothing of this controller's.
pub(crate) type LeaderChanges<T> = BTreeMap<ObjectId, Option<T>>;

/// The changes that the receiver of a channel has not taken yet.
#[derive(Debug)]
pub(crate) struct LeaderNews<T>(Arc<Mutex<LeaderChanges<T>>>);

/// What the status of objects should say.
pub(crate) type StatusNews = LeaderNews<Status>;
/// What should become of the Services that are made for single Gateways.
pub(crate) type ServiceNews = LeaderNews<ServiceWrite>;

impl<T> Default for LeaderNews<T> {
    fn default() -> Self {
        LeaderNews(Arc::default())
    }
}

impl<T> LeaderNews<T> {
    /// Takes the changes since the last call.
    pub(crate) fn take(&self) -> LeaderChanges<T> {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut changes)
    }
}

/// The writer's end of the channel.
#[derive(Debug)]
pub(crate) struct LeaderSender<T>(watch::Sender<LeaderNews<T>>);

/// The end by which the status of objects is told.
pub(crate) type StatusSender = LeaderSender<Status>;
/// The end by which Services of single Gateways are told.
pub(crate) type ServiceSender = LeaderSender<ServiceWrite>;

impl<T: fmt::Debug> LeaderSender<T> {
    /// A channel of changes.
    pub(crate) fn channel() -> (LeaderSender<T>, watch::Receiver<LeaderNews<T>>) {
        let (sender, receiver) = watch::channel(LeaderNews::default());
        (LeaderSender(sender), receiver)
    }

    /// Whether anybody writes them.
    pub(crate) fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Tells changes. They say what has been published.
    pub(crate) fn tell(&self, new: LeaderChanges<T>) {
        if new.is_empty() || !self.is_heard() {
            return;
        }
        self.0.send_modify(|news| {
            let mut changes = news.0.lock().unwrap_or_else(PoisonError::into_inner);
            changes.extend(new);
        });
    }
}

#[cfg(test)]
mod tests {
    use seaway_translator::ObjectKind;

    use super::*;

    #[test]
    fn the_newest_status_of_an_object_is_taken_and_without_a_receiver_nothing_is_kept() {
        let (sender, mut receiver) = StatusSender::channel();
        let id = ObjectId::new(ObjectKind::Ingress, &"default".into(), &"web".into());
        let status = Some(Status::Ingress(Vec::new()));
        for status in [None, status.clone()] {
            sender.tell(LeaderChanges::from([(id.clone(), status)]));
        }
        let taken = receiver.borrow_and_update().take();
        assert_eq!(taken, LeaderChanges::from([(id.clone(), status)]));
        assert!(receiver.borrow().take().is_empty());
        let news = LeaderNews(receiver.borrow().0.clone());
        drop(receiver);
        sender.tell(LeaderChanges::from([(id, None)]));
        assert!(news.take().is_empty());
    }
}
