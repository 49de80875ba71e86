//! The floor: a bare tonic server that copies frames encoded beforehand. It knows nothing of xDS
//! but when a client asks for a type for the first time; what a real server costs above this is its
//! own doing.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::Bytes;
use seaway_bench_servers::world::{self, Size};
use seaway_bench_servers::{control, pb, raw};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::Stream;
use tonic::{Status, Streaming};

#[tokio::main]
async fn main() -> Result<()> {
    let options = control::Options::from_args()?;
    let listener = control::listen()?;
    let port = listener.local_addr()?.port();
    let floor = Floor(Arc::new(Mutex::new(State::new(options.size))));
    tokio::spawn(raw::serve(listener, floor.clone()));
    control::obey(port, options.size.services, options.size, floor).await
}

#[derive(Clone)]
struct Floor(Arc<Mutex<State>>);

struct State {
    size: Size,
    nonce: u64,
    clusters: Vec<Bytes>,
    assignments: Vec<Bytes>,
    /// Everything of a type as one message, by dialect and type.
    full: [[Option<Bytes>; 2]; 2],
    streams: [Vec<UnboundedSender<Bytes>>; 2],
}

impl State {
    fn new(size: Size) -> State {
        let services = 0..size.services;
        State {
            size,
            nonce: 0,
            clusters: services.clone().map(world::cluster).collect(),
            assignments: services
                .map(|service| world::assignment(service, size, 0, 0))
                .collect(),
            full: Default::default(),
            streams: Default::default(),
        }
    }

    fn full(&mut self, delta: bool, assignments: bool) -> Bytes {
        let (type_url, values) = if assignments {
            (world::ASSIGNMENT, &self.assignments)
        } else {
            (world::CLUSTER, &self.clusters)
        };
        let slot = &mut self.full[usize::from(delta)][usize::from(assignments)];
        let full = slot.get_or_insert_with(|| {
            let named = (0..).map(world::name).zip(values);
            let mut out: Vec<u8> = named
                .flat_map(|(name, value)| field(delta, type_url, &name, value))
                .collect();
            out.extend(world::tail(type_url, 0));
            out.into()
        });
        full.clone()
    }
}

fn field(delta: bool, type_url: &str, name: &str, value: &[u8]) -> Vec<u8> {
    match delta {
        true => world::delta_field(type_url, name, value),
        false => world::sotw_field(type_url, value),
    }
}

impl Floor {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl control::Target for Floor {
    fn change(&mut self, service: u32, stamp: u64) {
        let mut state = self.state();
        let value = world::assignment(service, state.size, 0, stamp);
        state.nonce += 1;
        let tail = world::tail(world::ASSIGNMENT, state.nonce);
        state.assignments[service as usize] = value.clone();
        for delta in [false, true] {
            state.full[usize::from(delta)][1] = None;
            let mut frame = field(delta, world::ASSIGNMENT, &world::name(service), &value);
            frame.extend(&tail);
            let frame = Bytes::from(frame);
            state.streams[usize::from(delta)].retain(|stream| stream.send(frame.clone()).is_ok());
        }
    }
}

impl raw::Handler for Floor {
    type Responses = Responses;

    fn open(&self, delta: bool, requests: Streaming<Bytes>) -> Responses {
        let (sender, updates) = unbounded_channel();
        Responses {
            floor: self.clone(),
            delta,
            requests,
            updates,
            sender: Some(sender),
            asked: [false; 2],
        }
    }
}

/// What one stream is sent. No task of its own: the connection polls it.
struct Responses {
    floor: Floor,
    delta: bool,
    requests: Streaming<Bytes>,
    updates: UnboundedReceiver<Bytes>,
    /// Until the stream is registered for updates, by its first question for assignments.
    sender: Option<UnboundedSender<Bytes>>,
    asked: [bool; 2],
}

impl Responses {
    fn answer(&mut self, request: &[u8]) -> Option<Bytes> {
        if self.asked == [true; 2] {
            return None;
        }
        let type_url = pb::field(request, if self.delta { 2 } else { 4 });
        let assignments = type_url == world::ASSIGNMENT.as_bytes();
        if std::mem::replace(&mut self.asked[usize::from(assignments)], true) {
            return None;
        }
        let mut state = self.floor.state();
        if assignments && let Some(sender) = self.sender.take() {
            state.streams[usize::from(self.delta)].push(sender);
        }
        Some(state.full(self.delta, assignments))
    }
}

impl Stream for Responses {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match Pin::new(&mut self.requests).poll_next(context) {
                Poll::Ready(Some(Ok(request))) => {
                    if let Some(answer) = self.answer(&request) {
                        return Poll::Ready(Some(Ok(answer)));
                    }
                }
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        self.updates.poll_recv(context).map(|frame| frame.map(Ok))
    }
}
