//! Entry points for fuzzing: bytes are turned into what a client may send, and nothing may panic,
//! loop or break the form of a response.

#![expect(clippy::unwrap_used, reason = "a failure is what is looked for")]

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use prost::Message;
use seaway_proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use seaway_proto::{Resource, ResourceRef, TypeUrl, Version};

use crate::client_kind::ClientKind;
use crate::dialect::Dialect;
use crate::session::test_request::{Names, Request};
use crate::session::{Next, PATIENCE, Response, Session};
use crate::store::publish::{Commit, Publisher, Replace, Snapshots, channel};
use crate::store::{LayerId, PlacementId};
use crate::types::Types;
use crate::wire::request;
use crate::wire::response;

const TYPES: [TypeUrl; 5] = [
    TypeUrl::CLUSTER,
    TypeUrl::ENDPOINT,
    TypeUrl::SECRET,
    TypeUrl::LISTENER,
    TypeUrl::ROUTE,
];
const NAMES: [&str; 8] = ["a", "b", "c", "d", "*", "", "a/b:80", "none"];
const PLACE: PlacementId = PlacementId(0);

/// Whatever prost reads as a request of either dialect, and writes again, is read here; and a
/// session takes it.
pub fn decode(data: &[u8]) {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        if let Ok(request) = request::Request::read(dialect, data) {
            take(dialect, &request);
        }
        let again = match dialect {
            Dialect::Delta => DeltaDiscoveryRequest::decode(data).map(|r| r.encode_to_vec()),
            Dialect::Sotw => DiscoveryRequest::decode(data).map(|r| r.encode_to_vec()),
        };
        if let Ok(again) = again {
            take(dialect, &request::Request::read(dialect, &again).unwrap());
        }
    }
}

fn take(dialect: Dialect, request: &request::Request<'_>) {
    let mut world = World::new(dialect);
    world.put(0, TypeUrl::CLUSTER, "a", Some(1));
    let store = world.snapshots.read();
    // A fault is an answer, too.
    let _ = world.session.on_request(request, &store, world.now);
    drop(store);
    world.drain();
}

/// Bytes are steps of a client, a publisher and the time.
pub fn requests(data: &[u8]) {
    let mut data = data.iter().copied();
    let (dialect, client_kind) = match data.next() {
        Some(byte) if byte % 2 == 0 => (Dialect::Delta, ClientKind::Other),
        Some(byte) if byte % 4 == 1 => (Dialect::Sotw, ClientKind::Other),
        Some(_) => (Dialect::Sotw, ClientKind::Grpc),
        None => return,
    };
    let mut world = World::new(dialect);
    world.session.set_client_kind(client_kind);
    while world.step(&mut data).is_some() {}
    world.drain();
}

struct World {
    publisher: Publisher,
    snapshots: Snapshots,
    session: Session,
    dialect: Dialect,
    now: Instant,
    nonces: Vec<(String, String)>,
}

impl World {
    fn new(dialect: Dialect) -> World {
        let (mut publisher, snapshots) = channel(Types::envoy());
        publisher.commit(placed(&[1, 0]));
        let session = Session::new(
            dialect,
            Types::envoy(),
            PLACE,
            snapshots.cursor(),
            1,
            "fuzz".into(),
            Instant::now(),
        );
        World {
            publisher,
            snapshots,
            session,
            dialect,
            now: Instant::now(),
            nonces: Vec::new(),
        }
    }

    fn step(&mut self, data: &mut impl Iterator<Item = u8>) -> Option<()> {
        match data.next()? % 8 {
            0 | 1 => {
                let request = self.request(data)?;
                let store = self.snapshots.read();
                let _ = self.session.on_owned(request, &store, self.now);
            }
            2 | 3 => {
                let (what, value) = (data.next()?, data.next()?);
                let url = TYPES[usize::from(what) % TYPES.len()];
                let name = NAMES[usize::from(what / 8) % 4];
                let value = (value % 4 != 0).then_some(value);
                self.put(u32::from(what / 64), url, name, value);
            }
            4 => {
                let layer = u32::from(data.next()? % 3);
                self.publisher.commit(placed(&[layer + 1, 0]));
            }
            5 => self.now += PATIENCE,
            _ => {
                self.next();
            }
        }
        Some(())
    }

    fn request(&self, data: &mut impl Iterator<Item = u8>) -> Option<Request> {
        let (what, how) = (data.next()?, data.next()?);
        let type_url = match usize::from(what % 8) {
            6 => "no.such/Type".to_owned(),
            7 => String::new(),
            t => TYPES[t % TYPES.len()].as_str().to_owned(),
        };
        let mut of_type = self.nonces.iter().filter(|(url, _)| *url == type_url);
        let nonce = match what / 8 % 4 {
            0 => None,
            1 => of_type.next(),
            2 => self.nonces.last(),
            _ => of_type.next_back(),
        };
        let version = Version::of(&[how % 4]).to_string();
        let names = match self.dialect {
            Dialect::Delta => Names::Change {
                subscribe: some_names(data.next()?),
                unsubscribe: some_names(data.next()?),
                initial: initial(data.next()?, &version),
            },
            Dialect::Sotw => Names::Complete {
                names: some_names(data.next()?),
                version,
            },
        };
        let error = (how & 0x80 != 0).then(|| format!("{}: no", NAMES[usize::from(how) % 4]));
        let nonce = nonce.map(|(_, nonce)| nonce.clone()).unwrap_or_default();
        Some(Request {
            type_url,
            nonce,
            error,
            names,
        })
    }

    fn put(&mut self, layer: u32, url: TypeUrl, name: &str, value: Option<u8>) {
        let refs = (url == TypeUrl::CLUSTER).then(|| ResourceRef {
            type_url: TypeUrl::ENDPOINT,
            name: name.into(),
        });
        let resource = value.map(|value| {
            let refs = refs.into_iter().collect();
            let bytes = vec![value].into();
            (LayerId(layer), Resource::from_bytes(url, name, bytes, refs))
        });
        // Now and then a layer hides a name.
        let hidden = value.is_some_and(|value| value % 8 == 5);
        let hidden = hidden.then(|| {
            let name = name.into();
            (
                LayerId(layer),
                ResourceRef {
                    type_url: url,
                    name,
                },
            )
        });
        let hidden = hidden.into_iter().collect();
        self.publisher.commit(Commit {
            replace: vec![Replace {
                origin: format!("{layer}{url}{name}").into(),
                resources: resource.into_iter().collect(),
                hidden,
            }],
            ..Commit::default()
        });
    }

    fn next(&mut self) -> Option<(String, String)> {
        let store = self.snapshots.read();
        let Next::Send(response) = self.session.next(&store, self.now) else {
            return None;
        };
        let said = match response.type_url {
            None => check_delta(&response),
            Some(_) if self.dialect == Dialect::Delta => check_delta(&response),
            Some(_) => check_sotw(&response),
        };
        self.nonces.push(said.clone());
        Some(said)
    }

    /// A client that acknowledges everything comes to rest.
    fn drain(&mut self) {
        let mut idle = 0;
        for _ in 0..1000 {
            match self.next() {
                Some((type_url, nonce)) => {
                    idle = 0;
                    self.acknowledge(type_url, nonce);
                }
                None if idle == 2 => return,
                None => {
                    idle += 1;
                    self.now += PATIENCE;
                }
            }
        }
        panic!("a session that never comes to rest");
    }

    /// In delta alone: in state of the world an answer says the names again.
    fn acknowledge(&mut self, type_url: String, nonce: String) {
        if self.dialect == Dialect::Sotw {
            return;
        }
        let request = Request {
            type_url,
            nonce,
            error: None,
            names: Names::Change {
                subscribe: Vec::new(),
                unsubscribe: Vec::new(),
                initial: HashMap::new(),
            },
        };
        let store = self.snapshots.read();
        let _ = self.session.on_owned(request, &store, self.now);
    }
}

fn placed(layers: &[u32]) -> Commit {
    let layers = layers.iter().map(|layer| LayerId(*layer)).collect();
    Commit {
        placements: vec![(PLACE, Some(layers))],
        ..Commit::default()
    }
}

/// The names whose bits are set.
fn some_names(bits: u8) -> Vec<String> {
    let names = NAMES
        .iter()
        .zip(0..)
        .filter(|(_, bit)| bits >> bit & 1 == 1);
    names.map(|(name, _)| (*name).to_owned()).collect()
}

fn initial(bits: u8, version: &str) -> HashMap<String, String> {
    let names = some_names(bits).into_iter();
    names.map(|name| (name, version.to_owned())).collect()
}

fn check_delta(response: &Response) -> (String, String) {
    let message = DeltaDiscoveryResponse::decode(&*response::content(&response.message)).unwrap();
    let resources = message.resources.iter().map(|resource| &resource.name);
    let named: Vec<&String> = resources.chain(&message.removed_resources).collect();
    let distinct: BTreeSet<&String> = named.iter().copied().collect();
    assert_eq!(distinct.len(), named.len(), "a name twice in one response");
    assert!(
        message
            .resources
            .iter()
            .all(|r| !r.version.is_empty() && r.resource.is_some())
    );
    (message.type_url, message.nonce)
}

fn check_sotw(response: &Response) -> (String, String) {
    let message = DiscoveryResponse::decode(&*response::content(&response.message)).unwrap();
    assert!(!message.nonce.is_empty() && !message.version_info.is_empty());
    (message.type_url, message.nonce)
}
