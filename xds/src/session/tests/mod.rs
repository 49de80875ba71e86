//! Sessions driven by scripts: requests and commits in, responses checked, no socket and no clock.

mod acknowledgements;
mod atomic;
mod converge;
mod deliveries;
mod deliveries_end;
mod delta;
mod empty_assignments;
mod errors;
mod large;
mod layers;
mod memory;
mod model;
mod order;
mod pending_dependencies;
mod quarantine;
mod reconnect;
mod rejections;
mod reports;
mod rules;
mod sotw;
mod waits;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use seaway_proto::discovery::{DeltaDiscoveryResponse, DiscoveryResponse};
use seaway_proto::{Resource, ResourceRef, TypeUrl};

pub(super) use super::test_request::{Names, Request};
use super::*;
use crate::store::publish::{Commit, Publisher, Replace, Snapshots, channel};
use crate::wire::response;

pub(super) const C: TypeUrl = TypeUrl::CLUSTER;
pub(super) const E: TypeUrl = TypeUrl::ENDPOINT;
pub(super) const L: TypeUrl = TypeUrl::LISTENER;
pub(super) const R: TypeUrl = TypeUrl::ROUTE;

/// The layer that all test proxies share, and the placement that has only it.
pub(super) const ALL: u32 = 0;
pub(super) const PLAIN: PlacementId = PlacementId(0);

/// In place of a value: the layer hides the name.
pub(super) const HIDDEN: &str = "hidden";

/// What is published, with a writer.
pub(super) struct World {
    publisher: Publisher,
    pub(super) snapshots: Snapshots,
    values: BTreeMap<(TypeUrl, String), BTreeMap<u32, String>>,
    dirty: BTreeSet<(TypeUrl, String)>,
    streams: u64,
}

impl World {
    pub(super) fn new() -> World {
        let (mut publisher, snapshots) = channel(Types::envoy());
        publisher.commit(Commit {
            placements: vec![(PLAIN, Some(vec![LayerId(ALL)]))],
            ..Commit::default()
        });
        World {
            publisher,
            snapshots,
            values: BTreeMap::new(),
            dirty: BTreeSet::new(),
            streams: 0,
        }
    }

    /// Sets a value for the next commit.
    pub(super) fn set(&mut self, layer: u32, url: TypeUrl, name: &str, value: &str) -> &mut World {
        let key = (url, name.to_owned());
        let layers = self.values.entry(key.clone()).or_default();
        layers.insert(layer, value.to_owned());
        self.dirty.insert(key);
        self
    }

    pub(super) fn hide(&mut self, layer: u32, url: TypeUrl, name: &str) -> &mut World {
        self.set(layer, url, name, HIDDEN)
    }

    pub(super) fn unset(&mut self, layer: u32, url: TypeUrl, name: &str) -> &mut World {
        let key = (url, name.to_owned());
        self.values.entry(key.clone()).or_default().remove(&layer);
        self.dirty.insert(key);
        self
    }

    pub(super) fn commit(&mut self) {
        self.commit_with(vec![]);
    }

    pub(super) fn commit_with(&mut self, placements: Vec<(PlacementId, Option<Vec<LayerId>>)>) {
        let replace = std::mem::take(&mut self.dirty).into_iter().map(|key| {
            let values = self.values.get(&key).into_iter().flatten();
            let (hidden, shown): (Vec<_>, Vec<_>) = values.partition(|(_, v)| *v == HIDDEN);
            let resources = shown
                .iter()
                .map(|(layer, v)| (LayerId(**layer), resource(key.0, &key.1, v)));
            let hidden = hidden.iter().map(|(layer, _)| {
                let (type_url, name) = (key.0, key.1.as_str().into());
                (LayerId(**layer), ResourceRef { type_url, name })
            });
            Replace {
                origin: format!("{}/{}", key.0.short(), key.1).into(),
                resources: resources.collect(),
                hidden: hidden.collect(),
            }
        });
        let commit = Commit {
            replace: replace.collect(),
            placements,
            since: None,
        };
        self.publisher.commit(commit);
    }

    /// Sets one value in the shared layer and commits it.
    pub(super) fn put(&mut self, url: TypeUrl, name: &str, value: &str) {
        self.set(ALL, url, name, value).commit();
    }

    pub(super) fn remove(&mut self, url: TypeUrl, name: &str) {
        self.unset(ALL, url, name).commit();
    }

    pub(super) fn client(&mut self, dialect: Dialect, placement: PlacementId) -> Client {
        self.streams += 1;
        let session = Session::new(
            dialect,
            Types::envoy(),
            placement,
            self.snapshots.cursor(),
            self.streams,
            "test".into(),
            Instant::now(),
        );
        Client {
            session,
            snapshots: self.snapshots.clone(),
            now: Instant::now(),
        }
    }

    pub(super) fn delta(&mut self) -> Client {
        self.client(Dialect::Delta, PLAIN)
    }

    /// A client that reads errors in state of the world.
    pub(super) fn grpc(&mut self) -> Client {
        self.client_like(Dialect::Sotw, ClientKind::Grpc)
    }

    pub(super) fn client_like(&mut self, dialect: Dialect, client_kind: ClientKind) -> Client {
        let mut client = self.client(dialect, PLAIN);
        client.session.set_client_kind(client_kind);
        client
    }

    pub(super) fn sotw(&mut self) -> Client {
        self.client(Dialect::Sotw, PLAIN)
    }
}

/// A cluster refers to the assignment of the same name, as in Envoy. The bytes need not be a
/// message: nobody here looks.
pub(super) fn resource(url: TypeUrl, name: &str, value: &str) -> Resource {
    let refs = (url == C).then(|| ResourceRef {
        type_url: E,
        name: name.into(),
    });
    let value = Bytes::from(value.to_owned());
    Resource::from_bytes(url, name, value, refs.into_iter().collect())
}

pub(super) fn version(value: &str) -> String {
    seaway_proto::Version::of(value.as_bytes()).to_string()
}

/// The client's end of a session.
pub(super) struct Client {
    pub(super) session: Session,
    snapshots: Snapshots,
    pub(super) now: Instant,
}

/// A response of either dialect, reduced to what tests look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) url: String,
    pub(super) nonce: String,
    /// Values by name; a state-of-the-world response carries no names, so there they are the values
    /// themselves.
    pub(super) resources: BTreeMap<String, String>,
    pub(super) removed: Vec<String>,
    pub(super) version: String,
}

impl Got {
    pub(super) fn names(&self) -> Vec<&str> {
        self.resources.keys().map(String::as_str).collect()
    }
}

/// The names of errors, which all say that they do not exist.
fn errors(errors: Vec<seaway_proto::discovery::ResourceError>) -> Vec<String> {
    let names = errors.into_iter().map(|error| {
        assert_eq!(error.error_detail.unwrap().code, 5);
        error.resource_name.unwrap().name
    });
    names.collect()
}

fn text(any: &seaway_proto::google::protobuf::Any) -> String {
    String::from_utf8(any.value.clone()).unwrap()
}

impl Client {
    pub(super) fn request(&mut self, request: Request) -> Result<Outcome, ProtocolError> {
        let outcome = {
            let store = self.snapshots.read();
            self.session.on_owned(request, &store, self.now)
        };
        self.verify();
        outcome
    }

    /// Fails unless the states of all types agree with the store (`state::type_state`).
    fn verify(&self) {
        let store = self.snapshots.read();
        for (index, state) in self.session.states.iter().enumerate() {
            state.verify((&store, index));
        }
    }

    fn change(&mut self, url: TypeUrl, nonce: &str, subscribe: &[&str], unsubscribe: &[&str]) {
        self.delta_request(url.as_str(), nonce, subscribe, unsubscribe, &[]);
    }

    pub(super) fn delta_request(
        &mut self,
        url: &str,
        nonce: &str,
        subscribe: &[&str],
        unsubscribe: &[&str],
        initial: &[(&str, &str)],
    ) {
        let strings = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let initial = initial.iter().map(|(n, v)| (n.to_string(), version(v)));
        let request = Request {
            type_url: url.to_owned(),
            nonce: nonce.to_owned(),
            error: None,
            names: Names::Change {
                subscribe: strings(subscribe),
                unsubscribe: strings(unsubscribe),
                initial: initial.collect(),
            },
        };
        self.request(request).unwrap();
    }

    pub(super) fn subscribe(&mut self, url: TypeUrl, names: &[&str]) {
        self.change(url, "", names, &[]);
    }

    pub(super) fn unsubscribe(&mut self, url: TypeUrl, names: &[&str]) {
        self.change(url, "", &[], names);
    }

    /// A state-of-the-world request.
    pub(super) fn names(&mut self, url: TypeUrl, nonce: &str, names: &[&str]) {
        self.names_at(url, nonce, "", names);
    }

    pub(super) fn names_at(&mut self, url: TypeUrl, nonce: &str, version: &str, names: &[&str]) {
        let request = Request {
            type_url: url.as_str().to_owned(),
            nonce: nonce.to_owned(),
            error: None,
            names: Names::Complete {
                names: names.iter().map(|name| name.to_string()).collect(),
                version: version.to_owned(),
            },
        };
        self.request(request).unwrap();
    }

    pub(super) fn next(&mut self) -> Option<Got> {
        let next = {
            let store = self.snapshots.read();
            self.session.next(&store, self.now)
        };
        self.verify();
        let Next::Send(response) = next else {
            return None;
        };
        let bytes = response::content(&response.message);
        let dialect = self.session.dialect;
        let got = match dialect {
            Dialect::Delta => {
                let m = DeltaDiscoveryResponse::decode(bytes.as_slice()).unwrap();
                assert_eq!(m.control_plane.unwrap().identifier, "test");
                let values = m.resources.into_iter().map(|r| {
                    let value = text(&r.resource.unwrap());
                    assert_eq!(r.version, version(&value));
                    (r.name, value)
                });
                Got {
                    url: m.type_url,
                    nonce: m.nonce,
                    resources: values.collect(),
                    removed: m.removed_resources,
                    version: m.system_version_info,
                }
            }
            Dialect::Sotw => {
                let m = DiscoveryResponse::decode(bytes.as_slice()).unwrap();
                assert_eq!(m.control_plane.unwrap().identifier, "test");
                let values: Vec<String> = m.resources.iter().map(text).collect();
                Got {
                    url: m.type_url,
                    nonce: m.nonce,
                    resources: values.into_iter().map(|v| (v.clone(), v)).collect(),
                    removed: errors(m.resource_errors),
                    version: m.version_info,
                }
            }
        };
        let served = response.type_url.map(|url| url.as_str());
        assert!(served.is_none_or(|url| url == got.url));
        Some(got)
    }

    /// The next response, which must be of this type; acknowledged if it is a delta one.
    pub(super) fn expect(&mut self, url: TypeUrl) -> Got {
        let got = self.next().expect("a response");
        assert_eq!(got.url, url.as_str());
        if self.session.dialect == Dialect::Delta {
            self.ack(&got);
        }
        got
    }

    pub(super) fn expect_nothing(&mut self) {
        assert_eq!(self.next(), None);
    }

    pub(super) fn ack(&mut self, got: &Got) {
        self.delta_request(&got.url.clone(), &got.nonce, &[], &[], &[]);
    }

    /// Rejects a response of either dialect.
    pub(super) fn reject(&mut self, got: &Got, text: &str, names: Names) -> Outcome {
        self.request(Request {
            type_url: got.url.clone(),
            nonce: got.nonce.clone(),
            error: Some(text.to_owned()),
            names,
        })
        .unwrap()
    }

    /// How far the client is with a type that it has asked for.
    pub(super) fn report(&self, url: TypeUrl) -> TypeReport {
        let store = self.snapshots.read();
        let changes = self.snapshots.changes();
        let all = self.session.reports(&store, changes, self.now);
        all.into_iter().find(|of| of.type_url == url).unwrap()
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now += time;
    }
}
