//! The loads: blocking sockets in threads of the client pod's namespace, and what the whole
//! machine's processors did meanwhile.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use seaway_testing::Namespace;
use seaway_testing::usage::machine_cpu;

use crate::endpoint::{BULK, KEPT, ONCE, SIZE};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the answer to a datagram may take; beyond that either is lost.
const UDP_PATIENCE: Duration = Duration::from_millis(250);
/// A thread that failed so often gives up: a connection that broke fails at once, again and again.
const FAILURES: u64 = 100;
/// New connections a second of [`Load::Paced`], and the threads that make them.
const PACE: (u32, u32) = (500, 8);
const GIB: f64 = (1024 * 1024 * 1024) as f64;
const CHUNK: usize = 256 * 1024;

/// What a client does for one round.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// New connections with a question each, so many at a time.
    Connections(usize),
    /// Questions on so many connections that are kept.
    Requests(usize),
    /// Bulk data to the endpoint over one connection; the unit is a GiB.
    Bulk,
    /// Datagrams and their answers in so many flows.
    Datagrams(usize),
    /// Datagrams and their answers, each from a port of its own; at most so many in the round,
    /// because each takes a proxy a socket.
    NewFlows(usize),
    /// New connections with a question each at a rate that everybody can serve, whether or not the
    /// last has ended.
    Paced,
}

/// What came of one round.
#[derive(Debug, Default)]
pub(crate) struct Round {
    units: f64,
    elapsed: Duration,
    /// Seconds that the machine's processors were busy.
    busy: f64,
    pub(crate) times: Vec<Duration>,
    pub(crate) failed: u64,
    pub(crate) why: Option<String>,
}

impl Round {
    pub(crate) fn rate(&self) -> f64 {
        self.units / self.elapsed.as_secs_f64()
    }

    pub(crate) fn seconds_per_unit(&self) -> f64 {
        self.busy / self.units
    }

    /// Takes in what another thread of the same round counted.
    fn add(&mut self, other: Self) {
        self.units += other.units;
        self.times.extend(other.times);
        self.failed += other.failed;
        self.why = self.why.take().or(other.why);
    }

    /// Counts one attempt; `None` when there is no more to do.
    fn count(&mut self, asked: Instant, outcome: io::Result<()>) {
        match outcome {
            Ok(()) => {
                self.units += 1.0;
                self.times.push(asked.elapsed());
            }
            Err(error) => {
                self.failed += 1;
                self.why = Some(error.to_string());
            }
        }
    }
}

impl Load {
    /// Whether it sends datagrams.
    pub(crate) fn is_udp(self) -> bool {
        matches!(self, Self::Datagrams(_) | Self::NewFlows(_))
    }

    /// One round from inside this namespace.
    pub(crate) fn run(self, from: &Namespace, to: SocketAddr, length: Duration) -> Result<Round> {
        let round = from.run(move || -> io::Result<Round> {
            match self {
                Self::Connections(count) => {
                    let workers = vec![(); count];
                    measure(workers, length, |()| ask_once(to, PATIENCE).map(drop))
                }
                Self::Requests(count) => {
                    let streams: io::Result<Vec<_>> =
                        (0..count).map(|_| connect(to, PATIENCE)).collect();
                    measure(streams?, length, |stream| ask(stream, KEPT).map(drop))
                }
                Self::Datagrams(count) => {
                    let flows: io::Result<Vec<_>> = (0..count).map(|_| flow(to)).collect();
                    measure(flows?, length, |flow| ask_datagram(flow))
                }
                Self::NewFlows(limit) => new_flows(to, limit, length),
                Self::Bulk => bulk(to, length),
                Self::Paced => paced(to, length),
            }
        })?;
        round.with_context(|| format!("{self:?} to {to}"))
    }
}

/// Has every worker, on a thread of its own, do `step` again and again for so long.
fn measure<W: Send>(
    workers: Vec<W>,
    length: Duration,
    step: impl Fn(&mut W) -> io::Result<()> + Sync,
) -> io::Result<Round> {
    timed(|| {
        let end = Instant::now() + length;
        together(workers, |mut worker| {
            let mut own = Round::default();
            while Instant::now() < end && own.failed < FAILURES {
                own.count(Instant::now(), step(&mut worker));
            }
            own
        })
    })
}

fn new_flows(to: SocketAddr, limit: usize, length: Duration) -> io::Result<Round> {
    // Three of these and more lie between two rounds of one client, who may then begin as many
    // flows again.
    thread::sleep(Duration::from_millis(200));
    let left = AtomicUsize::new(limit);
    timed(|| {
        let end = Instant::now() + length;
        together(vec![(); 16], |()| {
            let mut own = Round::default();
            let one_more = |left: usize| left.checked_sub(1);
            let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
            while Instant::now() < end && own.failed < FAILURES && take().is_ok() {
                let asked = Instant::now();
                own.count(asked, flow(to).and_then(|flow| ask_datagram(&flow)));
            }
            own
        })
    })
}

/// Every thread asks at moments fixed beforehand. Who is late counts from when it should have
/// asked: waiting for a slow answer is no excuse for the next.
fn paced(to: SocketAddr, length: Duration) -> io::Result<Round> {
    let (rate, threads) = PACE;
    timed(|| {
        let start = Instant::now();
        together((0..threads).collect(), |number| {
            let mut own = Round::default();
            let (mut due, pause) = (
                start + Duration::from_secs(1) / rate * number,
                Duration::from_secs(1) * threads / rate,
            );
            while due < start + length {
                let wait = due.saturating_duration_since(Instant::now());
                thread::sleep(wait);
                let asked = if wait.is_zero() { due } else { Instant::now() };
                own.count(asked, ask_once(to, PATIENCE).map(drop));
                due += pause;
            }
            own
        })
    })
}

fn bulk(to: SocketAddr, length: Duration) -> io::Result<Round> {
    let mut stream = connect(to, PATIENCE)?;
    let chunk = vec![BULK; CHUNK];
    stream.write_all(&chunk[..SIZE])?;
    let mut bytes = [0; 8];
    let mut round = timed(|| {
        let end = Instant::now() + length;
        while Instant::now() < end {
            stream.write_all(&chunk)?;
        }
        stream.shutdown(Shutdown::Write)?;
        stream.read_exact(&mut bytes)?;
        Ok(Round::default())
    })?;
    round.units = u64::from_be_bytes(bytes) as f64 / GIB;
    Ok(round)
}

/// Runs `work` on a thread for each worker, and adds up.
fn together<W: Send>(workers: Vec<W>, work: impl Fn(W) -> Round + Sync) -> io::Result<Round> {
    let work = &work;
    let mut sum = Round::default();
    thread::scope(|scope| {
        // Threads of a thread are in its namespace.
        let threads: Vec<_> = workers
            .into_iter()
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        for thread in threads {
            sum.add(
                thread
                    .join()
                    .map_err(|_| io::Error::other("a thread of the load panicked"))?,
            );
        }
        Ok(sum)
    })
}

/// Notes how long `work` takes and how busy the machine is meanwhile.
fn timed(work: impl FnOnce() -> io::Result<Round>) -> io::Result<Round> {
    let (busy, start) = (machine_cpu()?, Instant::now());
    let mut round = work()?;
    round.elapsed = start.elapsed();
    round.busy = machine_cpu()? - busy;
    Ok(round)
}

/// One question over a new connection, to the end of the stream: the name of who answered.
pub(crate) fn ask_once(to: SocketAddr, patience: Duration) -> io::Result<u8> {
    let mut stream = connect(to, patience)?;
    let name = ask(&mut stream, ONCE)?;
    match stream.read(&mut [0; SIZE])? {
        0 => Ok(name),
        _ => Err(io::Error::other("more than an answer")),
    }
}

fn connect(to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, patience)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream, kind: u8) -> io::Result<u8> {
    let mut text = [kind; SIZE];
    stream.write_all(&text)?;
    stream.read_exact(&mut text)?;
    Ok(text[0])
}

fn flow(to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(UDP_PATIENCE))?;
    Ok(socket)
}

fn ask_datagram(flow: &UdpSocket) -> io::Result<()> {
    let mut text = [KEPT; SIZE];
    flow.send(&text)?;
    match flow.recv(&mut text) {
        Ok(SIZE) => Ok(()),
        Ok(_) => Err(io::Error::other("an answer of another size")),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(io::Error::new(
            ErrorKind::TimedOut,
            "no answer to a datagram",
        )),
        Err(error) => Err(error),
    }
}
