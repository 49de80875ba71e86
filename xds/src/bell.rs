//! Tells connections that something was committed; what it was, their streams read in the store.
//!
//! A connection listens once for its whole life. Registering for every single commit, as a general watch channel does, costs each
//! delivery more than reading the commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use slab::Slab;

/// Listeners woken at a stretch; others may come and go in between.
const STRETCH: usize = 256;
/// In place of a commit: there will be no more.
const CLOSED: u64 = u64::MAX;

#[derive(Clone, Debug, Default)]
pub(crate) struct Bell(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    newest: AtomicU64,
    listeners: Mutex<Slab<Waker>>,
}

impl Bell {
    /// Says that `commit` can be read.
    pub(crate) fn ring(&self, commit: u64) {
        self.0.newest.store(commit, Ordering::SeqCst);
        let mut next = 0;
        loop {
            let listeners = self.listeners();
            let all = listeners.capacity();
            for at in next..all.min(next + STRETCH) {
                if let Some(waker) = listeners.get(at) {
                    waker.wake_by_ref();
                }
            }
            next += STRETCH;
            if next >= all {
                return;
            }
        }
    }

    /// Says that nothing will be committed any more.
    pub(crate) fn close(&self) {
        self.ring(CLOSED);
    }

    /// The newest commit that was announced.
    pub(crate) fn newest(&self) -> u64 {
        self.0.newest.load(Ordering::SeqCst)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.newest() == CLOSED
    }

    pub(crate) fn listen(&self) -> Listener {
        Listener {
            bell: self.clone(),
            registered: None,
        }
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, Slab<Waker>> {
        let listeners = self.0.listeners.lock();
        listeners.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who is woken by every ring.
#[derive(Debug)]
pub(crate) struct Listener {
    bell: Bell,
    registered: Option<(usize, Waker)>,
}

impl Listener {
    /// The newest commit; from now on `waker` is woken by every later one.
    pub(crate) fn newest(&mut self, waker: &Waker) -> u64 {
        match &mut self.registered {
            Some((_, known)) if known.will_wake(waker) => {}
            Some((at, known)) => {
                known.clone_from(waker);
                self.bell.listeners()[*at].clone_from(waker);
            }
            None => {
                let at = self.bell.listeners().insert(waker.clone());
                self.registered = Some((at, waker.clone()));
            }
        }
        self.bell.newest()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some((at, _)) = self.registered.take() {
            self.bell.listeners().remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn every_listener_hears_every_ring_until_it_goes() {
        let bell = Bell::default();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut listeners: Vec<Listener> = (0..STRETCH + 3).map(|_| bell.listen()).collect();
        for listener in &mut listeners {
            assert_eq!(listener.newest(&noop_waker()), 0);
            listener.newest(&waker);
            listener.newest(&waker);
        }
        bell.ring(1);
        assert_eq!(count.0.load(Ordering::SeqCst), STRETCH + 3);
        listeners.truncate(2);
        bell.ring(2);
        assert_eq!(count.0.load(Ordering::SeqCst), STRETCH + 5);
        assert_eq!(listeners[0].newest(&waker), 2);
        bell.close();
        assert!(bell.is_closed());
    }
}
