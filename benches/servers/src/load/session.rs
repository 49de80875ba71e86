//! One stream's side of the protocol: what it holds, what it answers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use xxhash_rust::xxh3::xxh3_64;

use super::request::{Request, TYPES};
use super::stats::Stats;
use crate::{pb, world};

/// How many streams of a fleet have everything.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) synced: AtomicUsize,
    pub(super) changed: Notify,
}

/// Keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A version as the server wrote it; no server compared here writes longer ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    length: u8,
    bytes: [u8; 23],
}

impl Version {
    fn new(text: &[u8]) -> Version {
        let length = text.len().min(23);
        let mut bytes = [0; 23];
        bytes[..length].copy_from_slice(&text[..length]);
        Version {
            length: length as u8,
            bytes,
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Versions by the hash of the resource's name.
pub(super) type Held = HashMap<u64, Version, BuildHasherDefault<Same>>;

/// How the streams of a fleet behave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    pub(super) delta: bool,
    /// How many clusters there are; a stream that has as many, and the assignment of each, is
    /// synced.
    pub(super) clusters: usize,
    /// Of each socket; 0 is what the system gives.
    pub(super) receive_buffer: u32,
    /// How changed assignments tell their time.
    pub(super) stamps: Stamps,
}

/// Where an assignment says when it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamps {
    /// In its last bytes.
    End,
    /// In an endpoint's address 11.x.y.z, as microseconds modulo 2^24, since it came through
    /// Kubernetes objects.
    Address,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) config: Config,
    pub(super) node: String,
    pub(super) held: [Held; 2],
    /// Names by type, kept by a scout, and by any stream that must list them in each request.
    pub(super) names: [Vec<Vec<u8>>; 2],
    pub(super) keep_names: bool,
    pub(super) stats: Stats,
    /// Requests with which the stream starts, if it is not its first time.
    pub(super) resume: Vec<Bytes>,
    /// The newest version of each type in the state-of-the-world dialect.
    versions: [Vec<u8>; 2],
    synced: bool,
    progress: Arc<Progress>,
    /// Held until the stream is synced, so that not too many come at once.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl Session {
    pub(super) fn new(config: Config, node: String, progress: Arc<Progress>) -> Session {
        Session {
            config,
            node,
            held: Default::default(),
            names: Default::default(),
            keep_names: !config.delta,
            stats: Stats::default(),
            resume: Vec::new(),
            versions: Default::default(),
            synced: false,
            progress,
            permit: None,
        }
    }

    /// The first requests.
    pub(super) fn start(&mut self) -> Vec<Bytes> {
        if !self.resume.is_empty() {
            return std::mem::take(&mut self.resume);
        }
        let request = Request {
            node: Some(&self.node),
            ..Request::default()
        };
        vec![self.encode(&request)]
    }

    /// Prepares the requests of a client that was here before. `names` are all names, by type.
    pub(super) fn prepare_resume(&mut self, names: &[Vec<Vec<u8>>; 2]) {
        for kind in 0..2 {
            let held: Vec<(&[u8], &[u8])> = names[kind]
                .iter()
                .filter_map(|name| {
                    let version = self.held[kind].get(&xxh3_64(name))?;
                    Some((name.as_slice(), version.as_bytes()))
                })
                .collect();
            let request = Request {
                node: (kind == 0).then_some(self.node.as_str()),
                kind,
                names: if kind == 1 { &names[1] } else { &[] },
                held: &held,
                version: &self.versions[kind],
                ..Request::default()
            };
            let request = self.encode(&request);
            self.resume.push(request);
        }
        self.permit = None;
    }

    fn encode(&self, request: &Request<'_>) -> Bytes {
        match self.config.delta {
            true => request.delta(),
            false => request.sotw(),
        }
    }

    /// Takes in a response and returns what to answer: an acknowledgement, and what follows from
    /// new clusters.
    pub(super) fn message(&mut self, message: &[u8], now: u64) -> [Option<Bytes>; 2] {
        self.stats.messages += 1;
        self.stats.bytes += message.len() as u64 + 5;
        self.stats.last = now;
        let (mut type_url, mut nonce) = (&[][..], &[][..]);
        for (field, value) in pb::fields(message) {
            match field {
                4 => type_url = value,
                5 => nonce = value,
                1 if !self.config.delta => self.note_version(message, value),
                _ => {}
            }
        }
        let Some(kind) = TYPES.iter().position(|known| known.as_bytes() == type_url) else {
            return [None, None];
        };
        let new = self.resources(kind, message, now);
        let names: &[Vec<u8>] = match kind {
            1 if !self.config.delta => &self.names[1],
            _ => &[],
        };
        let ack = self.encode(&Request {
            kind,
            nonce,
            names,
            version: &self.versions[kind],
            ..Request::default()
        });
        let follow = (!new.is_empty()).then(|| self.follow(new));
        self.check_synced();
        [Some(ack), follow]
    }

    fn note_version(&mut self, message: &[u8], version: &[u8]) {
        let kind = usize::from(pb::field(message, 4) == TYPES[1].as_bytes());
        self.versions[kind] = version.to_vec();
    }

    /// Asks for the assignments of clusters it did not know.
    fn follow(&mut self, new: Vec<Vec<u8>>) -> Bytes {
        if self.keep_names {
            self.names[1].extend(new.iter().cloned());
        }
        let names = if self.config.delta {
            &new
        } else {
            &self.names[1]
        };
        self.encode(&Request {
            kind: 1,
            names,
            version: &self.versions[1],
            ..Request::default()
        })
    }

    /// Notes what came; returns the names of clusters that are new.
    fn resources(&mut self, kind: usize, message: &[u8], now: u64) -> Vec<Vec<u8>> {
        let mut new = Vec::new();
        for (field, value) in pb::fields(message) {
            match field {
                2 => {
                    let fresh = self.resource(kind, value, now);
                    if kind == 0 {
                        new.extend(fresh);
                    }
                }
                6 if self.config.delta => {
                    self.stats.removed += 1;
                    self.held[kind].remove(&xxh3_64(value));
                }
                _ => {}
            }
        }
        new
    }

    /// Notes a resource; returns its name if it is new.
    fn resource(&mut self, kind: usize, resource: &[u8], now: u64) -> Option<Vec<u8>> {
        self.stats.resources += 1;
        let (name, version, value);
        if self.config.delta {
            let mut parts = [&[][..]; 4];
            for (field, value) in pb::fields(resource) {
                if let Some(part) = parts.get_mut(field as usize) {
                    *part = value;
                }
            }
            (name, version) = (parts[3], Version::new(parts[1]));
            value = pb::field(parts[2], 2);
        } else {
            value = pb::field(resource, 2);
            name = pb::field(value, 1);
            version = Version::new(&xxh3_64(value).to_le_bytes());
        }
        let before = self.held[kind].insert(xxh3_64(name), version);
        if kind == 1 && before.is_some_and(|before| before != version) {
            self.stats.latencies.extend(self.latency(value, now));
        }
        if before.is_some() {
            return None;
        }
        if self.keep_names && kind == 0 {
            self.names[0].push(name.to_vec());
        }
        Some(name.to_vec())
    }

    /// Microseconds since the change of this assignment.
    fn latency(&self, value: &[u8], now: u64) -> Option<u32> {
        let micros = match self.config.stamps {
            Stamps::End => now.saturating_sub(world::stamp(value)) / 1000,
            Stamps::Address => {
                let stamp = u64::from(world::stamped_address(value)?);
                (now / 1000).wrapping_sub(stamp) % (1 << 24)
            }
        };
        Some(u32::try_from(micros).unwrap_or(u32::MAX))
    }

    fn check_synced(&mut self) {
        let [clusters, assignments] = [self.held[0].len(), self.held[1].len()];
        if !self.synced && clusters >= self.config.clusters && assignments >= clusters {
            self.synced = true;
            self.permit = None;
            self.progress.synced.fetch_add(1, Ordering::Relaxed);
            self.progress.changed.notify_one();
        }
    }
}
