//! Wakes connections after the commits that concern them; their streams read the changes from the
//! store.
//!
//! A connection listens once for its whole life. Registering for every single commit, as a general
//! watch channel does, costs each delivery more than reading the commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use slab::Slab;
use smallvec::SmallVec;

use crate::store::changes::{Deliveries, Inbox};
use crate::store::interest::{Concerns, Interest};
use crate::store::{LayerId, PlacementId};

/// The most listeners woken under one lock; others may come and go in between.
const STRETCH: usize = 256;
/// The value of the commit counter when nothing will be committed any more.
const CLOSED: u64 = u64::MAX;

/// The places of some connections among all.
type Places = SmallVec<[usize; 64]>;

/// Announces commits to connections: a counter of commits, and the registered listeners. Clones
/// share both.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommitNotifier(Arc<Shared>);

/// The commit counter and the listeners of a [`CommitNotifier`].
#[derive(Debug, Default)]
struct Shared {
    newest: AtomicU64,
    listeners: Mutex<Slab<Registration>>,
}

/// A registered connection: its interest, its streams, and the waker of its task.
#[derive(Debug)]
struct Registration {
    interest: Interest,
    streams: SmallVec<[RegisteredStream; 1]>,
    waker: Option<Waker>,
}

/// A stream of a registered connection: its number, what it sees, and its inbox.
#[derive(Debug)]
struct RegisteredStream {
    number: u64,
    layers: StreamLayers,
    inbox: Arc<Inbox>,
}

/// The placement of a stream, and the layers that the placement has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamLayers {
    pub(crate) placement: PlacementId,
    pub(crate) layers: Arc<[LayerId]>,
}

impl Registration {
    fn is_concerned(&self, by: &Concerns) -> bool {
        let layers = self.streams.iter().map(RegisteredStream::placement);
        by.meets(self.interest, layers)
    }

    /// Puts a commit into the inbox of each stream that it concerns. Returns whether there is any.
    fn deliver(&self, concerns: &Concerns, deliveries: &Deliveries) -> bool {
        let mut any = false;
        for stream in &self.streams {
            if concerns.meets(self.interest, std::iter::once(stream.placement())) {
                stream.inbox.push(deliveries.to_stream());
                any = true;
            }
        }
        any
    }
}

impl RegisteredStream {
    fn placement(&self) -> (PlacementId, &[LayerId]) {
        (self.layers.placement, &self.layers.layers)
    }
}

impl CommitNotifier {
    /// Counts a change of something else than the published resources, and wakes all connections
    /// that it concerns.
    pub(crate) fn notify(&self, concerns: &Concerns) {
        let concerned = self.find(|listener| listener.is_concerned(concerns));
        self.count();
        self.wake(&concerned);
    }

    /// Counts a commit, puts it into the inbox of each stream that it concerns, and wakes their
    /// connections; if `all`, also all others.
    ///
    /// A stream that sees the new count has the commit in its inbox already.
    pub(crate) fn notify_commit(&self, concerns: &Concerns, deliveries: Deliveries, all: bool) {
        let concerned = self.find(|listener| listener.deliver(concerns, &deliveries) || all);
        drop(deliveries);
        self.count();
        self.wake(&concerned);
    }

    fn count(&self) {
        let count = |rung: u64| (rung != CLOSED).then(|| rung + 1);
        let ordering = Ordering::SeqCst;
        // Once it is closed there is nothing to count.
        let _ = self.0.newest.fetch_update(ordering, ordering, count);
    }

    /// The places of the connections that are to be woken.
    fn find(&self, is_concerned: impl Fn(&Registration) -> bool) -> Places {
        let mut found = Places::new();
        let mut next = 0;
        loop {
            let listeners = self.listeners();
            let all = listeners.capacity();
            let stretch = next..all.min(next + STRETCH);
            found.extend(stretch.filter(|at| listeners.get(*at).is_some_and(&is_concerned)));
            next += STRETCH;
            if next >= all {
                return found;
            }
        }
    }

    /// Wakes the connections in these places, or those that have come there since.
    fn wake(&self, places: &[usize]) {
        for stretch in places.chunks(STRETCH) {
            let listeners = self.listeners();
            let woken = stretch.iter().filter_map(|at| listeners.get(*at));
            for waker in woken.filter_map(|listener| listener.waker.as_ref()) {
                waker.wake_by_ref();
            }
        }
    }

    /// Marks that nothing will be committed any more, and wakes all connections.
    pub(crate) fn close(&self) {
        self.0.newest.store(CLOSED, Ordering::SeqCst);
        self.wake(&self.find(|_| true));
    }

    /// The number of commits announced so far; it differs from a number seen before if there is
    /// something new.
    pub(crate) fn newest(&self) -> u64 {
        self.0.newest.load(Ordering::SeqCst)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.newest() == CLOSED
    }

    /// Registers a connection that is interested in nothing yet.
    pub(crate) fn listen(&self) -> CommitWaiter {
        let at = self.listeners().insert(Registration {
            interest: Interest::default(),
            streams: SmallVec::new(),
            waker: None,
        });
        let place = Arc::new(Registered {
            notifier: self.clone(),
            at,
        });
        CommitWaiter { place, waker: None }
    }

    fn listeners(&self) -> MutexGuard<'_, Slab<Registration>> {
        let listeners = self.0.listeners.lock();
        listeners.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of a registration, which ends when its last handle is dropped.
#[derive(Debug)]
struct Registered {
    notifier: CommitNotifier,
    at: usize,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.notifier.listeners().remove(self.at);
    }
}

/// A connection's registration, by which its task is woken after the commits that concern it.
#[derive(Debug)]
pub(crate) struct CommitWaiter {
    place: Arc<Registered>,
    waker: Option<Waker>,
}

impl CommitWaiter {
    /// The number of commits announced so far; from now on `waker` is woken by every later one that
    /// concerns the connection.
    pub(crate) fn newest(&mut self, waker: &Waker) -> u64 {
        if !self
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            self.waker = Some(waker.clone());
            self.place.notifier.listeners()[self.place.at].waker = self.waker.clone();
        }
        self.place.notifier.newest()
    }

    pub(crate) fn interest_handle(&self) -> InterestHandle {
        InterestHandle(self.place.clone())
    }
}

/// A handle by which streams extend the interest of their connection and set their layers. An
/// interest only grows while the connection is registered.
#[derive(Clone, Debug)]
pub(crate) struct InterestHandle(Arc<Registered>);

impl InterestHandle {
    /// Adds an interest. A stream that adds it while it holds the store's read lock misses no
    /// commit that comes after.
    pub(crate) fn add(&self, interest: Interest) {
        let listener = &mut self.0.notifier.listeners()[self.0.at];
        listener.interest = listener.interest | interest;
    }

    /// Sets the placement and layers of one of the connection's streams, and where it is put what
    /// concerns it.
    pub(crate) fn stream_layers(&self, number: u64, layers: StreamLayers, inbox: &Arc<Inbox>) {
        let listener = &mut self.0.notifier.listeners()[self.0.at];
        let mut known = listener.streams.iter_mut();
        match known.find(|stream| stream.number == number) {
            Some(known) => known.layers = layers,
            None => listener.streams.push(RegisteredStream {
                number,
                layers,
                inbox: inbox.clone(),
            }),
        }
    }

    /// Removes a stream that has ended.
    pub(crate) fn leave(&self, number: u64) {
        let listener = &mut self.0.notifier.listeners()[self.0.at];
        listener.streams.retain(|stream| stream.number != number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::task::noop_waker;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Count {
        fn take(&self) -> usize {
            self.0.swap(0, Ordering::SeqCst)
        }
    }

    impl std::task::Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn every_connection_is_told_of_what_concerns_it_until_it_goes() {
        let notifier = CommitNotifier::default();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut listeners: Vec<CommitWaiter> =
            (0..STRETCH + 3).map(|_| notifier.listen()).collect();
        for listener in &mut listeners {
            assert_eq!(listener.newest(&noop_waker()), 0);
            listener.newest(&waker);
            listener.newest(&waker);
            listener.interest_handle().add(Interest::wildcard(1));
        }
        let change = |type_index| Concerns::anywhere(Interest::change(type_index, "a"));
        notifier.notify(&change(1));
        assert_eq!(count.take(), STRETCH + 3);
        notifier.notify(&change(0));
        assert_eq!(count.take(), 0);
        listeners.truncate(2);
        listeners[0].interest_handle().add(Interest::name(0, "a"));
        notifier.notify(&change(0));
        assert_eq!(count.take(), 1);
        assert_eq!(listeners[1].newest(&waker), 3);
        notifier.close();
        assert_eq!(count.take(), 2);
        assert!(notifier.is_closed());
    }
}
