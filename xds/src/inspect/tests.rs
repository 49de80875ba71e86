//! Resources in layers, and the streams that see them there.

mod counts;
mod differences;
mod shares;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use seaway_proto::{Resource, ResourceRef, TypeUrl};

use super::*;
use crate::dialect::Dialect;
use crate::session::test_request::{Names, Request};
use crate::session::{Next, Session, Standing};
use crate::store::publish::{Commit, Publisher, Replace, channel};
use crate::store::{LayerId, PlacementId};

const E: TypeUrl = TypeUrl::ENDPOINT;
const ALL: LayerId = LayerId(0);
const ZONE: LayerId = LayerId(1);
const FAR: PlacementId = PlacementId(0);
const NEAR: PlacementId = PlacementId(1);

/// What is published, and who looks at it.
struct World {
    publisher: Publisher,
    inspector: Inspector,
}

/// An open stream.
struct Stream {
    session: SharedSession,
    _listed: Listed,
}

impl World {
    fn new() -> World {
        let (mut publisher, snapshots) = channel(Types::envoy());
        publisher.commit(Commit {
            placements: vec![(FAR, Some(vec![ALL])), (NEAR, Some(vec![ZONE, ALL]))],
            ..Commit::default()
        });
        let open = Arc::new(OpenStreams::new(Types::envoy()));
        World {
            publisher,
            inspector: Inspector::new(snapshots, open, Arc::default()),
        }
    }

    fn put(&mut self, layer: LayerId, name: &str, value: Option<&'static str>) {
        let resource = value.map(|value| {
            let value = Bytes::from_static(value.as_bytes());
            (layer, Resource::from_bytes(E, name, value, Vec::new()))
        });
        let hidden = ResourceRef {
            type_url: E,
            name: name.into(),
        };
        self.publisher.commit(Commit {
            replace: vec![Replace {
                origin: format!("{name} in {}", layer.0).into(),
                hidden: if resource.is_none() {
                    vec![(layer, hidden)]
                } else {
                    vec![]
                },
                resources: resource.into_iter().collect(),
            }],
            ..Commit::default()
        });
    }

    /// A stream that asks for all assignments and has not read anything.
    fn open(&self, placement: PlacementId) -> Stream {
        self.open_for(placement, &["*"])
    }

    /// One that asks for assignments by these names.
    fn open_for(&self, placement: PlacementId, names: &[&str]) -> Stream {
        let snapshots = &self.inspector.snapshots;
        let (now, cursor) = (Instant::now(), snapshots.cursor());
        let types = Types::envoy();
        let session = Session::new(Dialect::Delta, types, placement, cursor, 1, "x".into(), now);
        let session = Arc::new(Mutex::new(session));
        let facts = StreamFacts {
            number: 0,
            node: "n".into(),
            about: Vec::new(),
            identity: None,
            peer: None,
            client: String::new(),
            dialect: Dialect::Delta,
            since: now,
            placement,
        };
        let listed = self.inspector.open.list(facts, &session);
        let stream = Stream {
            session,
            _listed: listed,
        };
        self.request(&stream, "", names);
        stream
    }

    fn request(&self, stream: &Stream, nonce: &str, names: &[&str]) {
        let request = Request {
            type_url: E.as_str().to_owned(),
            nonce: nonce.to_owned(),
            error: None,
            names: Names::Change {
                subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
                unsubscribe: Vec::new(),
                initial: Default::default(),
            },
        };
        let mut session = lock(&stream.session);
        let store = self.inspector.snapshots.read();
        session.on_owned(request, &store, Instant::now()).unwrap();
    }

    /// Has a stream read the newest commits and send what it owes; returns the nonce.
    fn send(&self, stream: &Stream) -> String {
        use prost::Message;
        use seaway_proto::discovery::DeltaDiscoveryResponse;
        let mut session = lock(&stream.session);
        let store = self.inspector.snapshots.read();
        let Next::Send(response) = session.next(&store, Instant::now()) else {
            return String::new();
        };
        let bytes = crate::wire::response::content(&response.message);
        DeltaDiscoveryResponse::decode(&*bytes).unwrap().nonce
    }

    fn deliver(&self, stream: &Stream) {
        let nonce = self.send(stream);
        self.request(stream, &nonce, &[]);
    }

    /// Each resource with its layer, the streams that see it, and those that hold it, were sent it
    /// and are owed it.
    fn counts(&self) -> Vec<(String, u32, [usize; 4])> {
        let page = self.inspector.resources(|_| true, None, 100);
        let all = page.resources;
        assert_eq!(page.total, all.len());
        let counts = all.iter().map(|of| {
            let counts = [of.seen_by, of.held_by, of.sent_to, of.owed_by];
            (of.name.to_string(), of.layer.0, counts)
        });
        counts.collect()
    }
}

#[test]
fn a_stream_counts_in_the_layer_whose_value_it_sees() {
    let mut world = World::new();
    world.put(ALL, "a", Some("1"));
    world.put(ALL, "b", Some("1"));
    world.put(ZONE, "b", Some("2"));
    world.put(ALL, "c", Some("1"));
    let (near, far) = (world.open(NEAR), world.open(FAR));
    let counted = |near_and_far, all, zone| {
        let of = |name: &str, layer, counts| (name.to_owned(), layer, counts);
        [
            of("a", 0, near_and_far),
            of("b", 0, all),
            of("b", 1, zone),
            of("c", 0, near_and_far),
        ]
    };
    assert_eq!(
        world.counts(),
        counted([2, 0, 0, 2], [1, 0, 0, 1], [1, 0, 0, 1])
    );
    world.deliver(&far);
    world.send(&near);
    assert_eq!(
        world.counts(),
        counted([2, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 0])
    );
    // A name that is hidden is seen where that is said.
    world.put(ZONE, "c", None);
    let expected = |layer, held| ("c".to_owned(), layer, [1, held, 0, 0]);
    assert_eq!(world.counts()[3..], [expected(0, 1), expected(1, 0)]);
    let hidden = world
        .inspector
        .resources(|of| of.name == "c", None, 9)
        .resources
        .remove(1);
    assert_eq!((hidden.version, &*hidden.origin), (None, "c in 1"));
    // One layer behind the other, in the order of layers.
    let key = world
        .inspector
        .resources(|of| of.name == "b", None, 1)
        .resources[0]
        .key();
    let next = world.inspector.resources(|_| true, Some(&key), 1);
    assert_eq!(next.total, world.counts().len());
    let next = &next.resources[0];
    assert_eq!((&*next.name, next.layer), ("b", ZONE));
    drop(near);
    assert_eq!(world.counts()[1], ("b".to_owned(), 0, [1, 1, 0, 0]));
    assert_eq!(world.counts()[2], ("b".to_owned(), 1, [0, 0, 0, 0]));
}

#[test]
fn who_has_not_read_a_change_is_owed_it_and_who_has_the_same_bytes_holds_them() {
    let mut world = World::new();
    world.put(ALL, "a", Some("1"));
    let (near, far) = (world.open(NEAR), world.open(FAR));
    world.deliver(&near);
    world.deliver(&far);
    world.put(ALL, "a", Some("2"));
    assert_eq!(world.counts(), [("a".to_owned(), 0, [2, 0, 0, 2])]);
    world.deliver(&far);
    assert_eq!(world.counts(), [("a".to_owned(), 0, [2, 1, 0, 1])]);
    world.deliver(&near);
    // Another layer has the same bytes: nothing is sent.
    world.put(ZONE, "a", Some("2"));
    let expected = [
        ("a".to_owned(), 0, [1, 1, 0, 0]),
        ("a".to_owned(), 1, [1, 1, 0, 0]),
    ];
    assert_eq!(world.counts(), expected);
}

#[test]
fn contents_are_read_page_by_page_with_their_bytes() {
    let mut world = World::new();
    for name in ["c", "a", "b"] {
        world.put(ALL, name, Some("1"));
    }
    world.put(ZONE, "b", Some("2"));
    let stream = world.open(NEAR);
    world.send(&stream);
    world.put(ALL, "c", Some("3"));
    let of = |after: Option<&str>, limit| {
        let after = after.map(|name| (E, name));
        let all = world
            .inspector
            .contents(1, |_, _| true, after, limit)
            .unwrap();
        let of = all.into_iter().map(|of| {
            let value = String::from_utf8(of.value.unwrap().to_vec()).unwrap();
            (of.name.to_string(), value, of.standing)
        });
        of.collect::<Vec<_>>()
    };
    let all = [
        ("a".to_owned(), "1".to_owned(), Standing::Sent),
        ("b".to_owned(), "2".to_owned(), Standing::Sent),
        ("c".to_owned(), "3".to_owned(), Standing::Owed),
    ];
    assert_eq!(of(None, 9), all);
    assert_eq!(of(None, 2), all[..2]);
    assert_eq!(of(Some("b"), 2), all[2..]);
    assert!(world.inspector.contents(7, |_, _| true, None, 9).is_none());
}

#[test]
fn the_last_thousand_commits_are_remembered_and_the_newest_is_the_first() {
    let mut world = World::new();
    for number in 0..1100 {
        world.put(ALL, "a", Some(["1", "2"][number % 2]));
    }
    let all = world.inspector.changes();
    assert_eq!(all.len(), 1000);
    assert_eq!(all[0].seq, world.inspector.seq());
    assert!(all.is_sorted_by(|one, other| one.seq == other.seq + 1));
    assert!(world.inspector.change(all[999].seq).is_some());
    assert!(world.inspector.change(all[999].seq - 1).is_none());
}

#[test]
fn the_origins_of_a_commit_are_listed_within_bounds() {
    let mut world = World::new();
    let replace = (0..100).map(|number| {
        let name: Arc<str> = format!("n{number}").into();
        let resource = Resource::from_bytes(E, name.clone(), Bytes::from_static(b"1"), Vec::new());
        Replace {
            origin: name,
            resources: vec![(ALL, resource)],
            ..Replace::default()
        }
    });
    let replace: Vec<Replace> = replace.collect();
    let mut again = replace.clone();
    world.publisher.commit(Commit {
        replace,
        ..Commit::default()
    });
    let change = world.inspector.changes().remove(0);
    assert_eq!((change.origins.len(), change.origin_count), (16, 100));
    assert_eq!((change.types[0].set, change.types.len()), (100, 1));
    assert!(change.types[0].bytes > 100);
    // Of one that says the same again, nothing.
    again[7].resources.clear();
    world.publisher.commit(Commit {
        replace: again,
        ..Commit::default()
    });
    let change = world.inspector.changes().remove(0);
    assert_eq!(
        (&*change.origins, change.types[0].removed),
        (&["n7".into()][..], 1)
    );
}
