//! Many streams, started and watched together.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::connection::Connection;
use super::session::{Config, Held, Progress, Session};
use super::stats::Stats;

/// Ports of one source address are not endless: Linux gives out 28,232.
const PER_ADDRESS: usize = 25_000;
/// No workload needs longer until all streams have everything.
const PATIENCE: Duration = Duration::from_secs(60);
/// After this much quiet a scout has what there is.
const QUIET: Duration = Duration::from_millis(300);

/// The streams of a client process.
#[derive(Debug)]
pub(super) struct Fleet {
    server: SocketAddr,
    config: Config,
    streams: Vec<Stream>,
    progress: Arc<Progress>,
}

#[derive(Debug)]
struct Stream {
    connection: Connection,
    task: JoinHandle<()>,
}

impl Stream {
    fn session(&self) -> MutexGuard<'_, Session> {
        let session = &self.connection.session;
        session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fleet {
    pub(super) fn new(server: SocketAddr, config: Config) -> Fleet {
        Fleet {
            server,
            config,
            streams: Vec::new(),
            progress: Arc::default(),
        }
    }

    /// Opens `count` streams, `parallel` at a time, and waits until all have everything. Returns
    /// how many have.
    pub(super) async fn connect(&mut self, count: usize, parallel: usize) -> Result<usize> {
        let room = Arc::new(Semaphore::new(parallel));
        for index in self.streams.len()..count {
            let address = Ipv4Addr::new(127, 0, 0, 1 + (index / PER_ADDRESS) as u8);
            let node = format!("node-{index}");
            let session = Session::new(self.config, node, self.progress.clone());
            let connection = Connection {
                server: self.server,
                source: address,
                session: Arc::new(Mutex::new(session)),
                stalled: Arc::new(AtomicBool::new(false)),
            };
            let task = tokio::spawn(run(connection.clone(), Some(room.clone())));
            self.streams.push(Stream { connection, task });
        }
        self.wait(&self.progress, count).await;
        Ok(self.progress.synced.load(Ordering::Relaxed))
    }

    async fn wait(&self, progress: &Progress, count: usize) {
        let all = async {
            while progress.synced.load(Ordering::Relaxed) < count {
                progress.changed.notified().await;
            }
        };
        // The caller sees how many are missing.
        let _ = timeout(PATIENCE, all).await;
    }

    /// Everything counted since the last time, of all streams together.
    pub(super) fn take_stats(&self) -> Stats {
        let mut sum = Stats::default();
        for stream in &self.streams {
            sum.add(&std::mem::take(&mut stream.session().stats));
        }
        sum
    }

    /// Waits until nothing has arrived for a while, or for long enough.
    pub(super) async fn settle(&self) {
        let last = || {
            self.streams
                .iter()
                .map(|stream| stream.session().stats.last)
                .max()
        };
        for _ in 0..PATIENCE.as_millis() / QUIET.as_millis() {
            let before = last();
            tokio::time::sleep(QUIET).await;
            if last() == before {
                return;
            }
        }
    }

    /// How many pairs of stream and resource are not as a stream that comes now sees them. Stream i
    /// stands where i modulo `views` stands.
    pub(super) async fn stale(&self, views: usize) -> Result<usize> {
        let mut stale = 0;
        let scouts = self.scouts(views.min(self.streams.len())).await?;
        for (view, scout) in scouts.iter().enumerate() {
            let fresh = scout.session();
            let same_view = self.streams.iter().skip(view).step_by(views);
            for stream in same_view.filter(|stream| !stream.stalled()) {
                stale += difference(&fresh.held, &stream.session().held);
            }
        }
        Ok(stale)
    }

    /// Streams opened now, one for each of the first places, with all they get and the names of it.
    async fn scouts(&self, count: usize) -> Result<Vec<Stream>> {
        let progress = Arc::new(Progress::default());
        let mut scouts = Vec::new();
        for view in 0..count {
            let mut session = Session::new(self.config, format!("node-{view}"), progress.clone());
            session.keep_names = true;
            let connection = Connection {
                server: self.server,
                source: Ipv4Addr::new(127, 0, 0, 9),
                session: Arc::new(Mutex::new(session)),
                stalled: Arc::default(),
            };
            let task = tokio::spawn(run(connection.clone(), None));
            scouts.push(Stream { connection, task });
        }
        self.wait(&progress, count).await;
        if progress.synced.load(Ordering::Relaxed) < count {
            bail!("a stream opened last did not get everything");
        }
        tokio::time::sleep(QUIET).await;
        Ok(scouts)
    }

    /// Makes every stream ready to say, when it comes back, what it holds.
    pub(super) async fn prepare(&self) -> Result<()> {
        let scouts = self.scouts(1).await?;
        let names = scouts[0].session().names.clone();
        for stream in &self.streams {
            stream.session().prepare_resume(&names);
        }
        Ok(())
    }

    /// Cuts all connections and connects them again `pause` later. Returns when.
    pub(super) async fn reconnect(&mut self, pause: Duration) -> u64 {
        for stream in &self.streams {
            stream.task.abort();
        }
        tokio::time::sleep(pause).await;
        self.take_stats();
        let start = crate::clock::now();
        for stream in &mut self.streams {
            stream.task = tokio::spawn(run(stream.connection.clone(), None));
        }
        start
    }

    /// Lets the first `count` streams stop reading with the next message they get.
    pub(super) fn stall(&self, count: usize) {
        for stream in self.streams.iter().take(count) {
            stream.connection.stalled.store(true, Ordering::Relaxed);
        }
    }
}

impl Stream {
    fn stalled(&self) -> bool {
        self.connection.stalled.load(Ordering::Relaxed)
    }
}

/// How many resources one has and the other has not, or in another version.
fn difference(fresh: &[Held; 2], held: &[Held; 2]) -> usize {
    let differ = |(fresh, held): (&Held, &Held)| {
        let missed = fresh
            .iter()
            .filter(|(key, version)| held.get(key) != Some(version));
        let extra = held.keys().filter(|key| !fresh.contains_key(key));
        missed.count() + extra.count()
    };
    fresh.iter().zip(held).map(differ).sum()
}

/// Runs a connection as soon as there is room; that it ended by itself is counted, and the first
/// says why.
async fn run(connection: Connection, room: Option<Arc<Semaphore>>) {
    let permit = match room {
        Some(room) => room.acquire_owned().await.ok(),
        None => None,
    };
    connection.lock().permit = permit;
    let end = connection.run().await;
    let mut session = connection.lock();
    session.permit = None;
    session.stats.ended += 1;
    if let Err(error) = end
        && session.node == "node-0"
    {
        eprintln!("load: {}: {error:#}", session.node);
    }
}

impl Connection {
    fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
