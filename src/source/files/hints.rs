//! The bounded channel of hints from the notification thread to the thread that follows a folder. A
//! tool may write files faster than they are read; a hint that finds the channel full is replaced
//! by a scan of the whole folder.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use super::watch::Hint;

/// How many hints the channel holds.
pub(super) const ROOM: usize = 10_000;

/// The sending end of the channel of hints. Clones send to the same channel.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    hints: SyncSender<Hint>,
    state: Arc<State>,
}

/// The receiving end of the channel of hints.
#[derive(Debug)]
pub(super) struct Listener {
    hints: mpsc::Receiver<Hint>,
    state: Arc<State>,
}

/// What the two ends of the channel share beside the hints.
#[derive(Debug, Default)]
struct State {
    /// A hint was dropped because the channel was full.
    missed: AtomicBool,
    stopped: AtomicBool,
}

/// What comes out of the channel of hints: a hint, nothing in time, or the order to stop.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A notification about the folder.
    Hint(Hint),
    /// No hint came within the time limit.
    Nothing,
    /// [`Teller::stop`] was called: the folder need not be followed any more.
    Stop,
}

/// Makes a channel of hints.
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
    /// Sends a hint. Never blocks: if the channel is full, the receiver gets [`Hint::Scan`]
    /// instead.
    pub(super) fn tell(&self, hint: Hint) {
        if self.hints.try_send(hint).is_err() {
            self.state.missed.store(true, Ordering::Release);
        }
    }

    /// Makes the receiver return [`Next::Stop`] from now on.
    pub(super) fn stop(&self) {
        self.state.stopped.store(true, Ordering::Release);
        // Who waits is woken; where there is no room nobody waits.
        let _ = self.hints.try_send(Hint::Scan);
    }
}

impl Listener {
    /// Waits for the next hint, for at most `limit`.
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
