//! One task for a connection and all of its streams.
//!
//! By default hyper spawns a task for each stream, so that every response and every acknowledgement
//! passes through two tasks, often on two cores: the stream's and the connection's. Proxies have
//! one stream per connection, for which this is a large part of the cost of a delivery. Here the
//! streams are polled by the task of their connection, each only when it was woken or a commit was
//! announced.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use hyper::rt::Executor;
use smallvec::SmallVec;

use crate::store::notify::CommitWaiter;

/// The most rounds in one poll of the task; then other tasks on the runtime have their turn.
const ROUNDS: usize = 32;

/// The bit of the connection, and that of the timer that ends it. All other bits are of streams.
const CONNECTION: usize = 0;
const TIMER: usize = 1;
const STREAMS: usize = 2;
/// The number of bits for streams. With more streams several share a bit, and are polled together.
const SHARED_BY: usize = u64::BITS as usize - STREAMS;
const ALL_STREAMS: u64 = !0 << STREAMS;

/// The future of one stream, or of the timer.
type StreamFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The executor of a hyper connection: it collects the futures of new streams, which the
/// connection's [`ConnectionTask`] then polls.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<Vec<StreamFuture>>>);

impl Streams {
    fn take(&self) -> Vec<StreamFuture> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut new = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        new.push(Box::pin(stream));
    }
}

/// Polls a connection and the streams it opens, all on one task. Streams that are still open when
/// it is dropped end with it.
pub(crate) struct ConnectionTask<C> {
    connection: Pin<Box<C>>,
    timer: Option<StreamFuture>,
    /// The streams, usually one and then stored inline, since what a delivery costs is mostly
    /// memory that was not touched for a while. So are the wakers.
    streams: SmallVec<[Option<StreamFuture>; 1]>,
    new: Streams,
    commits: CommitWaiter,
    /// The number of commits announced when the streams were polled last.
    seen: u64,
    task: Arc<WakeSet>,
    /// The wakers by bit.
    wakers: SmallVec<[Waker; STREAMS + 1]>,
}

/// The event for which [`ConnectionTask::next`] waits.
pub(crate) enum Event<T> {
    /// The timer ran out.
    Timer,
    /// The connection ended.
    Ended(T),
}

/// The set of woken futures of a connection's task, one bit each, and the waker of that task.
#[derive(Default)]
struct WakeSet {
    woken: AtomicU64,
    /// Whether the task is being polled; it reads the bits again before it returns `Pending`.
    polled: AtomicBool,
    /// The waker of the task that polled the connection first; the connection stays on it.
    waker: OnceLock<Waker>,
}

/// A waker that sets one bit of a [`WakeSet`] and wakes its task.
struct WakeBit {
    bit: usize,
    task: Arc<WakeSet>,
}

impl Wake for WakeBit {
    fn wake(self: Arc<WakeBit>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<WakeBit>) {
        // First the bit, then the question whether the task will look at it: the task does it the
        // other way round.
        self.task.woken.fetch_or(1 << self.bit, Ordering::SeqCst);
        if !self.task.polled.load(Ordering::SeqCst)
            && let Some(waker) = self.task.waker.get()
        {
            waker.wake_by_ref();
        }
    }
}

impl<C: Future> ConnectionTask<C> {
    /// Puts a connection and its timer on one task. `new` is the executor that the connection was
    /// built with; `commits` announces commits to its streams.
    pub(crate) fn new(
        connection: C,
        timer: impl Future<Output = ()> + Send + 'static,
        new: Streams,
        commits: CommitWaiter,
    ) -> ConnectionTask<C> {
        let task = Arc::new(WakeSet::default());
        task.woken
            .store(1 << CONNECTION | 1 << TIMER, Ordering::SeqCst);
        let mut connection = ConnectionTask {
            connection: Box::pin(connection),
            timer: Some(Box::pin(timer)),
            streams: SmallVec::new(),
            new,
            commits,
            seen: 0,
            task,
            wakers: SmallVec::new(),
        };
        connection.need_waker(TIMER);
        connection
    }

    /// The connection, for a call such as its shutdown; it is polled afterwards.
    pub(crate) fn connection(&mut self) -> Pin<&mut C> {
        self.wake(1 << CONNECTION);
        self.connection.as_mut()
    }

    /// Marks every stream as woken.
    pub(crate) fn wake_streams(&self) {
        self.wake(ALL_STREAMS);
    }

    /// Polls the connection and its streams until there is an event.
    pub(crate) async fn next(&mut self) -> Event<C::Output> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn wake(&self, bits: u64) {
        self.task.woken.fetch_or(bits, Ordering::SeqCst);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event<C::Output>> {
        let waker = self.task.waker.get_or_init(|| cx.waker().clone());
        debug_assert!(waker.will_wake(cx.waker()), "another task");
        self.task.polled.store(true, Ordering::SeqCst);
        let event = self.rounds(cx.waker());
        self.task.polled.store(false, Ordering::SeqCst);
        if event.is_pending() && self.task.woken.load(Ordering::SeqCst) != 0 {
            cx.waker().wake_by_ref();
        }
        event
    }

    /// Polls the woken futures until none is woken.
    fn rounds(&mut self, waker: &Waker) -> Poll<Event<C::Output>> {
        for _ in 0..ROUNDS {
            let newest = self.commits.newest(waker);
            let mut woken = self.task.woken.swap(0, Ordering::SeqCst);
            if self.seen != newest {
                self.seen = newest;
                woken |= ALL_STREAMS;
            }
            if woken == 0 {
                return Poll::Pending;
            }
            self.poll_streams(woken & ALL_STREAMS);
            if woken & 1 << TIMER != 0 && self.poll_timer().is_ready() {
                self.wake(woken & 1 << CONNECTION);
                return Poll::Ready(Event::Timer);
            }
            // After the streams, whose responses it writes.
            if woken & 1 << CONNECTION != 0 {
                let mut context = Context::from_waker(&self.wakers[CONNECTION]);
                if let Poll::Ready(end) = self.connection.as_mut().poll(&mut context) {
                    return Poll::Ready(Event::Ended(end));
                }
                self.take_new();
            }
        }
        self.wake(1 << CONNECTION);
        Poll::Pending
    }

    fn poll_streams(&mut self, mut bits: u64) {
        while bits != 0 {
            let bit = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let first = bit - STREAMS;
            if first >= self.streams.len() {
                return;
            }
            for stream in self.streams[first..].iter_mut().step_by(SHARED_BY) {
                let mut context = Context::from_waker(&self.wakers[bit]);
                if let Some(part) = stream
                    && part.as_mut().poll(&mut context).is_ready()
                {
                    *stream = None;
                }
            }
        }
    }

    fn poll_timer(&mut self) -> Poll<()> {
        let Some(timer) = &mut self.timer else {
            return Poll::Pending;
        };
        let ended = timer
            .as_mut()
            .poll(&mut Context::from_waker(&self.wakers[TIMER]));
        if ended.is_ready() {
            self.timer = None;
        }
        ended
    }

    /// Takes over the streams that the connection has opened.
    fn take_new(&mut self) {
        for stream in self.new.take() {
            let free = self.streams.iter().position(Option::is_none);
            let at = free.unwrap_or_else(|| {
                self.streams.push(None);
                self.streams.len() - 1
            });
            self.streams[at] = Some(stream);
            let bit = STREAMS + at % SHARED_BY;
            self.need_waker(bit);
            self.wake(1 << bit);
        }
    }

    fn need_waker(&mut self, bit: usize) {
        for bit in self.wakers.len()..=bit {
            let task = self.task.clone();
            self.wakers
                .push(Waker::from(Arc::new(WakeBit { bit, task })));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::task::noop_waker;
    use tokio::sync::Notify;

    use super::*;
    use crate::store::interest::{Concerns, Interest};
    use crate::store::notify::CommitNotifier;

    /// A connection that opens so many streams at once and lives for ever. Each stream counts its
    /// polls and waits for a word.
    struct Scene {
        notifier: CommitNotifier,
        polls: Arc<Vec<AtomicUsize>>,
        words: Arc<Vec<Notify>>,
        connection: ConnectionTask<StreamFuture>,
    }

    fn scene(streams: usize) -> Scene {
        let notifier = CommitNotifier::default();
        let polls = Arc::new(
            (0..streams)
                .map(|_| AtomicUsize::new(0))
                .collect::<Vec<_>>(),
        );
        let words = Arc::new((0..streams).map(|_| Notify::new()).collect::<Vec<_>>());
        let new = Streams::default();
        let opened = (new.clone(), polls.clone(), words.clone());
        let connection: StreamFuture = Box::pin(async move {
            let (new, polls, words) = opened;
            for at in 0..streams {
                let (polls, words) = (polls.clone(), words.clone());
                new.execute(async move {
                    let mut word = Box::pin(words[at].notified());
                    std::future::poll_fn(|cx| {
                        polls[at].fetch_add(1, Ordering::SeqCst);
                        word.as_mut().poll(cx)
                    })
                    .await;
                });
            }
            std::future::pending().await
        });
        let connection =
            ConnectionTask::new(connection, std::future::pending(), new, notifier.listen());
        let mut scene = Scene {
            notifier,
            polls,
            words,
            connection,
        };
        scene.poll();
        scene
    }

    impl Scene {
        fn poll(&mut self) {
            let waker = noop_waker();
            let polled = self.connection.poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }

        fn polls(&self) -> Vec<usize> {
            let polls = self.polls.iter();
            polls.map(|polls| polls.swap(0, Ordering::SeqCst)).collect()
        }
    }

    #[test]
    fn a_stream_is_polled_when_it_is_woken_and_the_others_are_not() {
        let mut scene = scene(3);
        assert_eq!(scene.polls(), [1, 1, 1]);
        scene.words[1].notify_one();
        scene.poll();
        assert_eq!(scene.polls(), [0, 1, 0]);
        scene.poll();
        assert_eq!(scene.polls(), [0, 0, 0]);
    }

    #[test]
    fn a_commit_of_concern_has_every_stream_polled_once() {
        let mut scene = scene(200);
        scene.polls();
        let everybody = Concerns::anywhere(Interest::EVERYTHING);
        scene.notifier.notify(&everybody);
        scene.poll();
        assert_eq!(scene.polls(), [1; 200]);
        scene.poll();
        assert_eq!(scene.polls(), [0; 200]);
    }

    #[test]
    fn streams_that_share_a_bit_all_get_their_word() {
        let mut scene = scene(200);
        for word in &*scene.words {
            word.notify_one();
        }
        scene.poll();
        assert!(scene.connection.streams.iter().all(Option::is_none));
    }

    #[tokio::test(start_paused = true)]
    async fn the_timer_is_heard_once_and_the_connection_goes_on() {
        let notifier = CommitNotifier::default();
        let timer = tokio::time::sleep(std::time::Duration::from_secs(1));
        let (ends, end) = tokio::sync::oneshot::channel::<()>();
        let mut connection = ConnectionTask::new(end, timer, Streams::default(), notifier.listen());
        assert!(matches!(connection.next().await, Event::Timer));
        ends.send(()).unwrap();
        assert!(matches!(connection.next().await, Event::Ended(Ok(()))));
    }
}
