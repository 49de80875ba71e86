//! What the status of objects should say, on its way from the writer to the task that writes it to
//! the API server. Only changes pass here, each object once, however late they are taken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use seaway_translator::ObjectId;
use seaway_translator::status::Status;
use tokio::sync::watch;

/// What the status of objects should say now; `None`: nothing of this controller's.
pub(crate) type StatusChanges = BTreeMap<ObjectId, Option<Status>>;

/// The changes of status that the receiver of a channel has not taken yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatusNews(Arc<Mutex<StatusChanges>>);

impl StatusNews {
    /// Takes the changes since the last call.
    pub(crate) fn take(&self) -> StatusChanges {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut changes)
    }
}

/// The writer's end of the channel.
#[derive(Debug)]
pub(crate) struct StatusSender(watch::Sender<StatusNews>);

impl StatusSender {
    /// A channel of changes.
    pub(crate) fn channel() -> (StatusSender, watch::Receiver<StatusNews>) {
        let (sender, receiver) = watch::channel(StatusNews::default());
        (StatusSender(sender), receiver)
    }

    /// Whether anybody writes status.
    pub(crate) fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Tells changes. They say what has been published.
    pub(crate) fn tell(&self, new: StatusChanges) {
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
            sender.tell(StatusChanges::from([(id.clone(), status)]));
        }
        let taken = receiver.borrow_and_update().take();
        assert_eq!(taken, StatusChanges::from([(id.clone(), status)]));
        assert!(receiver.borrow().take().is_empty());
        let news = receiver.borrow().clone();
        drop(receiver);
        sender.tell(StatusChanges::from([(id, None)]));
        assert!(news.take().is_empty());
    }
}
