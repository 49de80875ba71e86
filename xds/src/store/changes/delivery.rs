//! How far one stream is with a commit: values that count as something to wait for until they are
//! dropped, so that a stream that ends is waited for no longer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use smallvec::SmallVec;

use super::{Change, TypeChange};

/// The most commits that are followed at one place of one stream.
pub(super) const FOLLOWED: usize = 32;

/// The delivery of a commit to one stream, before the stream has looked which of its types concern
/// it; or the writer, for as long as it counts the streams.
#[derive(Debug)]
pub(crate) struct Deliveries(Option<Arc<Change>>);

/// The delivery of one type of a commit to one stream. It is waited for until this is dropped.
#[derive(Debug)]
pub(crate) struct Delivery {
    change: Arc<Change>,
    /// Which of the types of the commit.
    at: u16,
    is_sent: bool,
}

impl Deliveries {
    /// What the writer holds while it counts the streams that a commit concerns.
    pub(super) fn of_writer(change: Arc<Change>) -> Deliveries {
        for of in &change.types {
            of.wait();
        }
        Deliveries(Some(change))
    }

    /// The delivery of the same commit to one more stream.
    pub(crate) fn to_stream(&self) -> Deliveries {
        let types = self.0.iter().flat_map(|change| &change.types);
        for of in types {
            of.concerned.fetch_add(1, Ordering::AcqRel);
            of.wait();
        }
        Deliveries(self.0.clone())
    }

    /// The sequence number of the commit.
    pub(crate) fn seq(&self) -> u64 {
        self.0.as_ref().map_or(0, |change| change.seq)
    }

    /// When the commit was made, if it changed anything of a type.
    pub(crate) fn of_type(&self, type_index: usize) -> Option<Instant> {
        let change = self.0.as_ref()?;
        let mut types = change.types.iter();
        types
            .any(|of| of.type_index == type_index)
            .then_some(change.since)
    }

    /// Hands over the delivery of each type, with the type's index.
    pub(crate) fn split(mut self, mut take: impl FnMut(usize, Delivery)) {
        let Some(change) = self.0.take() else {
            return;
        };
        let Some(last) = change.types.len().checked_sub(1) else {
            return;
        };
        let delivery = |change: Arc<Change>, at: usize| {
            let type_index = change.types[at].type_index;
            let delivery = Delivery {
                change,
                at: at as u16,
                is_sent: false,
            };
            (type_index, delivery)
        };
        for at in 0..last {
            let (type_index, delivery) = delivery(change.clone(), at);
            take(type_index, delivery);
        }
        let (type_index, delivery) = delivery(change, last);
        take(type_index, delivery);
    }

    /// Follows the commit no longer: the stream is too far behind.
    pub(super) fn lose(self) {
        self.split(|_, delivery| delivery.lose());
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        if let Some(change) = &self.0 {
            for of in &change.types {
                of.sent_to_one(change);
                of.answered_by_one(change);
            }
        }
    }
}

impl Delivery {
    fn of(&self) -> &TypeChange {
        &self.change.types[usize::from(self.at)]
    }

    /// The type of the commit turned out not to concern the stream.
    pub(crate) fn unconcerned(self) {
        self.of().concerned.fetch_sub(1, Ordering::AcqRel);
    }

    /// The stream was sent it.
    pub(crate) fn sent(&mut self) {
        if !self.is_sent {
            self.is_sent = true;
            self.of().sent_to_one(&self.change);
        }
    }

    /// The client rejected a response with it, which ends the delivery.
    pub(crate) fn rejected(self) {
        self.of().rejected.fetch_add(1, Ordering::Relaxed);
    }

    fn lose(self) {
        self.of().lost.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.sent();
        self.of().answered_by_one(&self.change);
    }
}

/// Adds a delivery to those of one place. When there are too many, the one after the oldest is
/// followed no longer: the oldest tells for how long the stream is behind, the newest when it has
/// caught up.
pub(crate) fn keep(all: &mut SmallVec<[Delivery; 1]>, delivery: Delivery) {
    if all.len() >= FOLLOWED {
        all.remove(1).lose();
    }
    all.push(delivery);
}

impl TypeChange {
    /// Waits for one more.
    fn wait(&self) {
        self.unsent.fetch_add(1, Ordering::AcqRel);
        self.unacked.fetch_add(1, Ordering::AcqRel);
    }

    fn sent_to_one(&self, change: &Change) {
        if self.unsent.fetch_sub(1, Ordering::AcqRel) == 1 && self.concerned() > 0 {
            let now = Instant::now();
            let _ = self.sent.set(now);
            if let Some(delays) = &self.delays {
                delays.to_sent(change.seq, now.saturating_duration_since(change.since));
            }
        }
    }

    fn answered_by_one(&self, change: &Change) {
        if self.unacked.fetch_sub(1, Ordering::AcqRel) == 1 && self.concerned() > 0 {
            let now = Instant::now();
            let _ = self.acked.set(now);
            if let Some(delays) = &self.delays {
                delays.to_ack(change.seq, now.saturating_duration_since(change.since));
            }
        }
    }
}
