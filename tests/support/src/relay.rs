//! A relay between Envoys and Seaway: it knows where a discovery message begins and ends, and stops
//! at one of them when told to.
//!
//! It reads just enough of HTTP/2 and gRPC to do so: frames, and the messages in the DATA frames,
//! which it cuts anew so that each message has its own. A message is held by forwarding nothing
//! from its first byte on, in its direction, until [`Relay::release`] or the end of the connection.
//! A message above HTTP/2's first window (64 KiB) would block it: tests' are smaller.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{oneshot, watch};

use crate::Namespace;
use crate::namespace::Inside;
use crate::wait::within;

/// What a client sends before its first frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The length of a frame's head; its fourth byte is the type, its fifth the flags.
const HEAD: usize = 9;
const DATA: u8 = 0;
const PADDED: u8 = 8;
/// The largest payload that everybody takes.
const MAX_FRAME: usize = 16384;
/// The type of assignments, which tests stop at.
pub const ASSIGNMENTS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";

/// Where a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A request.
    Envoy,
    /// A response.
    Seaway,
}

/// What the relay is told.
#[derive(Clone, Debug)]
struct Orders {
    /// Where new connections lead; `None`: they end at once.
    target: Option<SocketAddr>,
    /// Messages of this type from there are held, and everything behind them.
    hold: Option<(Side, &'static str)>,
    /// Connections accepted under another number end.
    cuts: u64,
}

/// A running relay. Dropping it ends every connection.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    orders: Arc<watch::Sender<Orders>>,
    /// How many messages are held.
    held: Arc<watch::Sender<usize>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<Inside<()>>,
}

impl Relay {
    /// Listens on `address` in `namespace` and forwards every connection to `target`, until told to
    /// lead elsewhere.
    pub(crate) fn start(
        namespace: &Namespace,
        address: SocketAddr,
        target: SocketAddr,
    ) -> Result<Self> {
        let orders = watch::Sender::new(Orders {
            target: Some(target),
            hold: None,
            cuts: 0,
        });
        let held = watch::Sender::default();
        let (orders, held) = (Arc::new(orders), Arc::new(held));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, listening) = std::sync::mpsc::channel();
        let pumps = (orders.clone(), held.clone());
        let thread = namespace.thread("relay", move || {
            let run = async {
                let listener = TcpListener::bind(address).await;
                match listener {
                    Ok(listener) => {
                        let _ = ready.send(Ok(()));
                        tokio::select! { () = accept(listener, pumps) => {}, _ = stopped => {} }
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            };
            if let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(run);
            }
        })?;
        listening
            .recv()?
            .with_context(|| format!("the relay cannot listen on {address}"))?;
        Ok(Self {
            address,
            orders,
            held,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes from the next message of this type on.
    pub fn hold(&self, from: Side, type_url: &'static str) {
        self.orders
            .send_modify(|orders| orders.hold = Some((from, type_url)));
    }

    /// Waits until a message is held.
    pub fn await_held(&self) -> Result<()> {
        within(Duration::from_secs(10), "a message to be held", || {
            ensure!(*self.held.borrow() > 0, "none is");
            Ok(())
        })
    }

    /// Lets what is held pass, and everything else.
    pub fn release(&self) {
        self.orders.send_modify(|orders| orders.hold = None);
    }

    /// Ends every connection; what is held is lost, and new connections pass everything.
    pub fn cut(&self) {
        self.orders.send_modify(|orders| {
            orders.hold = None;
            orders.cuts += 1;
        });
    }

    /// Ends every connection, and new ones at once.
    pub fn refuse(&self) {
        self.lead(None);
    }

    /// Ends every connection; new ones lead to this Seaway, and what is to be held is held there.
    pub fn lead_to(&self, target: SocketAddr) {
        self.lead(Some(target));
    }

    fn lead(&self, target: Option<SocketAddr>) {
        self.orders.send_modify(|orders| {
            orders.target = target;
            orders.cuts += 1;
        });
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Pumps = (Arc<watch::Sender<Orders>>, Arc<watch::Sender<usize>>);

/// Accepts for ever. A connection ends at both sides when one side ends it, or when Seaway cannot
/// be reached.
async fn accept(listener: TcpListener, (orders, held): Pumps) {
    loop {
        let Ok((envoy, _)) = listener.accept().await else {
            continue;
        };
        let (mut cut, held) = (orders.subscribe(), held.clone());
        let Orders { target, cuts, .. } = *cut.borrow_and_update();
        let Some(target) = target else {
            continue;
        };
        tokio::spawn(async move {
            let Ok(seaway) = TcpStream::connect(target).await else {
                return;
            };
            let ((from_envoy, to_envoy), (from_seaway, to_seaway)) =
                (envoy.into_split(), seaway.into_split());
            let pump = |from| Pump {
                from,
                orders: cut.clone(),
                cuts,
                held: held.clone(),
                unparsed: Vec::new(),
                content: Vec::new(),
            };
            let (up, down) = (pump(Side::Envoy), pump(Side::Seaway));
            tokio::select! {
                _ = cut.wait_for(|orders| orders.cuts != cuts) => {}
                _ = up.run(from_envoy, to_seaway) => {}
                _ = down.run(from_seaway, to_envoy) => {}
            }
        });
    }
}

/// One direction of a connection.
struct Pump {
    from: Side,
    orders: watch::Receiver<Orders>,
    /// The number that this connection was accepted under.
    cuts: u64,
    held: Arc<watch::Sender<usize>>,
    /// Read and not yet parsed.
    unparsed: Vec<u8>,
    /// What came in DATA frames of a message that is not complete. An aggregated stream is the only
    /// one of its connection.
    content: Vec<u8>,
}

impl Pump {
    async fn run(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> Result<()> {
        if self.from == Side::Envoy {
            let mut preface = [0; PREFACE.len()];
            from.read_exact(&mut preface).await?;
            ensure!(preface == PREFACE, "not HTTP/2");
            to.write_all(&preface).await?;
        }
        while from.read_buf(&mut self.unparsed).await? > 0 {
            while let Some(frame) = self.frame() {
                self.pass(&frame, &mut to).await?;
            }
        }
        Ok(())
    }

    /// The next complete frame.
    fn frame(&mut self) -> Option<Vec<u8>> {
        let head = self.unparsed.first_chunk::<3>()?;
        let length = HEAD + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        (self.unparsed.len() >= length).then(|| self.unparsed.drain(..length).collect())
    }

    /// Forwards a frame. The content of a DATA frame goes on in frames of its own, one message
    /// after the other, each when it is complete and may pass.
    async fn pass(&mut self, frame: &[u8], to: &mut OwnedWriteHalf) -> Result<()> {
        let (head, payload) = frame.split_at(HEAD);
        if head[3] != DATA || payload.is_empty() {
            return Ok(to.write_all(frame).await?);
        }
        ensure!(head[4] & PADDED == 0, "padded frames are not understood");
        self.content.extend_from_slice(payload);
        while let Some(message) = self.message() {
            self.await_permission(&message).await?;
            let end = head[4] * u8::from(self.content.is_empty());
            let mut pieces = message.chunks(MAX_FRAME).peekable();
            while let Some(piece) = pieces.next() {
                let flags = if pieces.peek().is_none() { end } else { 0 };
                let length = u32::try_from(piece.len())?.to_be_bytes();
                to.write_all(&length[1..]).await?;
                to.write_all(&[DATA, flags]).await?;
                to.write_all(&head[5..]).await?;
                to.write_all(piece).await?;
            }
        }
        Ok(())
    }

    /// The next complete message with the five bytes before it: whether it is compressed, and its
    /// length.
    fn message(&mut self) -> Option<Vec<u8>> {
        let head = self.content.first_chunk::<5>()?;
        let length = 5 + u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        (self.content.len() >= length).then(|| self.content.drain(..length).collect())
    }

    /// Waits while this message is one to be held; fails when the connection is to end.
    async fn await_permission(&mut self, message: &[u8]) -> Result<()> {
        let (from, cuts) = (self.from, self.cuts);
        let passes = |orders: &Orders| {
            let hold = orders.hold.filter(|(side, _)| *side == from);
            !hold.is_some_and(|(_, type_url)| contains(message, type_url.as_bytes()))
        };
        let _held = (!passes(&self.orders.borrow())).then(|| Held::new(&self.held));
        let decided = |orders: &Orders| orders.cuts != cuts || passes(orders);
        let orders = self.orders.wait_for(decided).await?;
        ensure!(orders.cuts == cuts, "the connection is cut");
        Ok(())
    }
}

/// Counts a held message for as long as it is one.
struct Held<'a>(&'a watch::Sender<usize>);

impl<'a> Held<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
