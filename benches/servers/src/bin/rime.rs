//! rime-xds 0.1.0 behind a thin gRPC service: the crate is a diff kernel that leaves types, names,
//! nonces and gRPC to its user.
//!
//! Both of its planes are served whole, as it knows no subscriptions; one response per type is
//! under way at a time, since it sends again whatever is not acknowledged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use rime_xds::{Plane, Server, Subscriber, Update};
use seaway_bench_servers::world::{self, Size};
use seaway_bench_servers::{control, pb, raw};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use xxhash_rust::xxh3::xxh3_64;

const TYPES: [&str; 2] = [world::CLUSTER, world::ASSIGNMENT];

#[tokio::main]
async fn main() -> Result<()> {
    let options = control::Options::from_args()?;
    let listener = control::listen()?;
    let port = listener.local_addr()?.port();
    let size = options.size;
    let ((mut clusters, cluster_bell), (mut assignments, assignment_bell)) =
        (Plane::new(), Plane::new());
    clusters.reconcile(all(size, world::cluster));
    assignments.reconcile(all(size, |service| world::assignment(service, size, 0, 0)));
    let rime = Rime {
        servers: Arc::new([
            Server::new(clusters.snapshot()),
            Server::new(assignments.snapshot()),
        ]),
        bells: [cluster_bell, assignment_bell],
        assignments: Arc::new(Mutex::new(assignments)),
        size,
    };
    tokio::spawn(raw::serve(listener, rime.clone()));
    control::obey(port, options.size.services, options.size, rime).await
}

fn all(size: Size, value: impl Fn(u32) -> Bytes) -> HashMap<String, Bytes> {
    let named = |service| (world::name(service), value(service));
    (0..size.services).map(named).collect()
}

#[derive(Clone)]
struct Rime {
    servers: Arc<[Server; 2]>,
    bells: [watch::Receiver<()>; 2],
    assignments: Arc<Mutex<Plane>>,
    size: Size,
}

impl control::Target for Rime {
    fn change(&mut self, service: u32, stamp: u64) {
        let value = world::assignment(service, self.size, 0, stamp);
        let plane = self.assignments.lock();
        let mut plane = plane.unwrap_or_else(PoisonError::into_inner);
        plane.apply(&world::name(service), value);
    }
}

type Responses = mpsc::Sender<Result<Bytes, Status>>;

impl raw::Handler for Rime {
    type Responses = ReceiverStream<Result<Bytes, Status>>;

    fn open(&self, _delta: bool, requests: Streaming<Bytes>) -> Self::Responses {
        let (sender, receiver) = mpsc::channel(1);
        let stream = Stream {
            rime: self.clone(),
            kinds: [None, None],
            nonce: 0,
        };
        tokio::spawn(stream.run(requests, sender));
        ReceiverStream::new(receiver)
    }
}

struct Stream {
    rime: Rime,
    /// What the client asked for so far.
    kinds: [Option<Kind>; 2],
    nonce: u64,
}

struct Kind {
    subscriber: Subscriber,
    /// Names and versions of the response that is not acknowledged yet.
    under_way: Option<Vec<(String, u64)>>,
}

impl Stream {
    async fn run(mut self, mut requests: Streaming<Bytes>, responses: Responses) {
        loop {
            let [clusters, assignments] = &mut self.kinds;
            let response = tokio::select! {
                request = requests.message() => match request {
                    Ok(Some(request)) => self.request(&request),
                    _ => return,
                },
                update = changed(clusters) => self.respond(0, update, false),
                update = changed(assignments) => self.respond(1, update, false),
            };
            if let Some(response) = response
                && responses.send(Ok(response)).await.is_err()
            {
                return;
            }
        }
    }

    fn request(&mut self, request: &[u8]) -> Option<Bytes> {
        let type_url = pb::field(request, 2);
        let kind = TYPES
            .iter()
            .position(|known| known.as_bytes() == type_url)?;
        if let Some(known) = &mut self.kinds[kind] {
            for (name, version) in known.under_way.take().into_iter().flatten() {
                known.subscriber.acknowledge(&name, version);
            }
            return None;
        }
        let bell = self.rime.bells[kind].clone();
        let mut subscriber = self.rime.servers[kind].subscribe(bell);
        for (_, held) in pb::fields(request).filter(|(field, _)| *field == 5) {
            let name = String::from_utf8_lossy(pb::field(held, 1));
            let version = std::str::from_utf8(pb::field(held, 2)).unwrap_or_default();
            if let Ok(version) = u64::from_str_radix(version, 16) {
                subscriber.acknowledge(&name, version);
            }
        }
        let first = subscriber.initial();
        self.kinds[kind] = Some(Kind {
            subscriber,
            under_way: None,
        });
        // A first wildcard is always answered.
        self.respond(kind, first, kind == 0)
    }

    fn respond(&mut self, kind: usize, update: Update, always: bool) -> Option<Bytes> {
        if update.is_empty() && !always {
            return None;
        }
        let mut under_way = Vec::with_capacity(update.resources.len());
        let mut out = Vec::new();
        for (name, value) in update.resources {
            out.extend(world::delta_field(TYPES[kind], &name, &value));
            under_way.push((name, xxh3_64(&value)));
        }
        self.nonce += 1;
        out.extend(world::tail(TYPES[kind], self.nonce));
        self.kinds[kind].as_mut()?.under_way = Some(under_way);
        Some(out.into())
    }
}

/// The next update of a type that the client has asked for and that it has acknowledged so far.
async fn changed(kind: &mut Option<Kind>) -> Update {
    if let Some(kind) = kind
        && kind.under_way.is_none()
        && let Some(update) = kind.subscriber.changed().await
    {
        return update;
    }
    std::future::pending().await
}
