//! The way of hints to the thread that follows a folder. It has bounded room: a tool may write files faster than they are read, and what
//! finds no room is made good by a look at everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use super::watch::Hint;

/// Hints that may wait.
pub(super) const ROOM: usize = 10_000;

/// Where hints are put; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    hints: SyncSender<Hint>,
    state: Arc<State>,
}

/// Where they come out.
#[derive(Debug)]
pub(super) struct Listener {
    hints: mpsc::Receiver<Hint>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// A hint found no room.
    missed: AtomicBool,
    stopped: AtomicBool,
}

/// What there is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The folder said something.
    Hint(Hint),
    /// Nothing came in time.
    Nothing,
    /// Nobody wants the folder to be followed any more.
    Stop,
}

/// A way with its two ends.
pub(super) fn hints() -> (Teller, Listener) {
    let (sender, receiver) = mpsc::sync_channel(ROOM);
    let state = Arc::new(State::default());
    let teller = Teller {
        hints: sender,
        state: state.clone(),
    };
    let listener = Listener {
        hints: receiver,
        state,
    };
    (teller, listener)
}

impl Teller {
    /// The folder says something. Never waits.
    pub(super) fn tell(&self, hint: Hint) {
        if self.hints.try_send(hint).is_err() {
            self.state.missed.store(true, Ordering::Release);
        }
    }

    /// Nobody wants the folder to be followed any more.
    pub(super) fn stop(&self) {
        self.state.stopped.store(true, Ordering::Release);
        // Who waits is woken; where there is no room nobody waits.
        let _ = self.hints.try_send(Hint::Scan);
    }
}

impl Listener {
    /// Waits for the next hint, but no longer than this.
    pub(super) fn next(&self, limit: Duration) -> Next {
        let next = match self.state.missed.swap(false, Ordering::AcqRel) {
            true => Some(Hint::Scan),
            false => self.hints.recv_timeout(limit).ok(),
        };
        match next {
            _ if self.state.stopped.load(Ordering::Acquire) => Next::Stop,
            Some(hint) => Next::Hint(hint),
            None => Next::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn what_finds_no_room_is_a_look_at_everything() {
        let (teller, listener) = hints();
        for number in 0..ROOM + 5 {
            teller.tell(Hint::Saved(format!("{number}.yaml").into()));
        }
        assert_eq!(listener.next(LONG), Next::Hint(Hint::Scan));
        for number in 0..ROOM {
            let hint = Hint::Saved(format!("{number}.yaml").into());
            assert_eq!(listener.next(LONG), Next::Hint(hint));
        }
        assert_eq!(listener.next(Duration::ZERO), Next::Nothing);
        teller.tell(Hint::Root);
        assert_eq!(listener.next(LONG), Next::Hint(Hint::Root));
    }

    #[test]
    fn a_stop_is_heard_at_once_with_room_and_without() {
        let (teller, listener) = hints();
        let stopping = std::thread::spawn({
            let teller = teller.clone();
            move || teller.stop()
        });
        assert_eq!(listener.next(LONG), Next::Stop);
        stopping.join().unwrap();
        let (teller, listener) = hints();
        for _ in 0..ROOM {
            teller.tell(Hint::Scan);
        }
        teller.stop();
        assert_eq!(listener.next(LONG), Next::Stop);
    }
}
