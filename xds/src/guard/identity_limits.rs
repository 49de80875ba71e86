//! Limits of each identity on connections, streams and initial syncs, so that one identity cannot
//! use up the resources of all.

use std::collections::btree_map::Entry as Moment;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tonic::Status;

use crate::guard::identity::Identity;
use crate::guard::liveness::Connection;
use crate::guard::memory::MemoryAccount;
use crate::guard::token_bucket::TokenBucket;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::store::quarantine::Voter;

/// The usage of all identities that have a stream, and the limits of each of them.
#[derive(Debug)]
pub(crate) struct Identities {
    connections: usize,
    streams: usize,
    initial_syncs: u32,
    longest_wait: Duration,
    open: Mutex<Open>,
}

/// The usage of each identity, and when the proofs expire that open streams rest on.
#[derive(Debug, Default)]
struct Open {
    by_name: HashMap<Arc<str>, Usage>,
    /// The number of open streams, by the kind of their proof and by the time at which it expires.
    expiries: BTreeMap<&'static str, BTreeMap<SystemTime, u32>>,
}

/// What one identity has open: connections, streams, first syncs and memory.
#[derive(Debug)]
struct Usage {
    /// The number of streams of each connection, by the connection's address in memory: each stream
    /// keeps its connection alive, and so at that address.
    connections: HashMap<usize, usize>,
    streams: usize,
    initial_syncs: TokenBucket,
    memory: Arc<MemoryAccount>,
}

/// The permit of one open stream of an identity; the stream is no longer counted when it is
/// dropped.
#[derive(Debug)]
pub(crate) struct StreamPermit {
    identities: Arc<Identities>,
    identity: Identity,
    connection: Arc<Connection>,
    memory: Arc<MemoryAccount>,
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.identities
            .lock()
            .leave(&self.identity, key(&self.connection));
    }
}

/// The address of a connection in memory, by which its streams are counted.
fn key(connection: &Arc<Connection>) -> usize {
    Arc::as_ptr(connection).addr()
}

impl Identities {
    pub(crate) fn new(limits: &Limits) -> Identities {
        Identities {
            connections: limits.connections_per_identity.max(1),
            streams: limits.streams_per_identity.max(1),
            initial_syncs: limits.first_syncs_per_identity.max(1),
            longest_wait: limits.longest_wait,
            open: Mutex::default(),
        }
    }

    /// Counts one more stream of an identity, on this connection.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if it, or its connection, is one too many.
    pub(crate) fn enter(
        self: &Arc<Identities>,
        identity: &Identity,
        connection: &Arc<Connection>,
    ) -> Result<StreamPermit, Status> {
        let mut open = self.lock();
        let usage = open
            .by_name
            .entry(identity.name.clone())
            .or_insert_with(|| Usage::new(self.initial_syncs));
        let known = usage.connections.contains_key(&key(connection));
        let full = if usage.streams >= self.streams {
            Some("streams")
        } else if !known && usage.connections.len() >= self.connections {
            Some("connections")
        } else {
            None
        };
        if let Some(full) = full {
            drop(open);
            return Err(too_many(full, &identity.name));
        }
        usage.streams += 1;
        *usage.connections.entry(key(connection)).or_default() += 1;
        let memory = usage.memory.clone();
        if let Some(expires) = identity.expires {
            let moments = open.expiries.entry(identity.kind).or_default();
            *moments.entry(expires).or_default() += 1;
        }
        drop(open);
        Ok(StreamPermit {
            identities: self.clone(),
            identity: identity.clone(),
            connection: connection.clone(),
            memory,
        })
    }

    /// Sets the metric of when the first proof of each kind expires that an open stream rests on.
    /// And forgets identities without streams, once their bucket of first syncs is full again: or
    /// they could take its tokens twice.
    pub(crate) fn look(&self, metrics: &Metrics) {
        let (mut open, now) = (self.lock(), Instant::now());
        open.by_name
            .retain(|_, usage| usage.streams > 0 || !usage.initial_syncs.is_full(now));
        for (kind, moments) in &open.expiries {
            let first = moments.keys().next().copied();
            metrics.identity_expiry(kind, first);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The status with which a stream over a limit ends. It is logged and counted where streams are
/// denied.
fn too_many(what: &str, name: &str) -> Status {
    Status::resource_exhausted(format!("too many {what} of {name}"))
}

impl Usage {
    fn new(initial_syncs: u32) -> Usage {
        Usage {
            connections: HashMap::new(),
            streams: 0,
            initial_syncs: TokenBucket::new(initial_syncs, Instant::now()),
            memory: Arc::default(),
        }
    }
}

impl Open {
    fn leave(&mut self, identity: &Identity, connection: usize) {
        if let Some(usage) = self.by_name.get_mut(&identity.name) {
            usage.streams -= 1;
            let streams = usage.connections.entry(connection).or_insert(1);
            *streams -= 1;
            if *streams == 0 {
                usage.connections.remove(&connection);
            }
        }
        if let Some(expires) = identity.expires
            && let Some(moments) = self.expiries.get_mut(identity.kind)
            && let Moment::Occupied(mut streams) = moments.entry(expires)
        {
            *streams.get_mut() -= 1;
            if *streams.get() == 0 {
                streams.remove();
            }
        }
    }
}

impl StreamPermit {
    /// The name of the stream's identity.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.identity.name
    }

    /// The memory account of the identity.
    pub(crate) fn memory(&self) -> &Arc<MemoryAccount> {
        &self.memory
    }

    /// The identity and principal by which the stream's ACKs and NACKs count.
    pub(crate) fn voter(&self) -> Voter {
        Voter {
            identity: self.identity.name.clone(),
            principal: self.identity.principal.clone(),
        }
    }

    /// Waits until the identity may have one more first sync.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if it would have to wait for longer than is allowed.
    pub(crate) async fn initial_sync(&self) -> Result<(), Status> {
        let now = Instant::now();
        let at = {
            let mut open = self.identities.lock();
            let usage = open.by_name.get_mut(&self.identity.name);
            usage.map_or(Some(now), |usage| {
                usage
                    .initial_syncs
                    .take(now, now + self.identities.longest_wait)
            })
        };
        match at {
            Some(at) if at > now => tokio::time::sleep_until(at.into()).await,
            Some(_) => {}
            None => return Err(too_many("first syncs a second", self.name())),
        }
        Ok(())
    }
}
