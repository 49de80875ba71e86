use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use seaway_proto::{TypeUrl, Version};

use super::*;
use crate::dialect::Dialect;
use crate::store::interest::Interest;
use crate::store::notify::{CommitWaiter, StreamLayers};
use crate::store::quarantine::{Suspect, Voter};

#[derive(Default)]
struct Count(AtomicUsize);

impl std::task::Wake for Count {
    fn wake(self: Arc<Count>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Connections with a stream each, which asks for all assignments, and how often each was woken.
struct Fleet {
    publisher: Publisher,
    snapshots: Snapshots,
    connections: Vec<(CommitWaiter, Arc<Count>)>,
}

const ALL: LayerId = LayerId(0);

impl Fleet {
    fn new() -> Fleet {
        let (publisher, snapshots) = channel(Types::envoy());
        Fleet {
            publisher,
            snapshots,
            connections: Vec::new(),
        }
    }

    /// The stream of a node that has a layer of its own.
    fn join(&mut self, number: u32) {
        let placement = PlacementId(number.into());
        let layers = vec![LayerId(number), ALL];
        self.place(number, layers);
        let index = self.snapshots.types().index(TypeUrl::ENDPOINT.as_str());
        let mut listener = self.snapshots.notifier().listen();
        let count = Arc::new(Count::default());
        listener.newest(&Waker::from(count.clone()));
        let layers = self.snapshots.read().placement(placement).cloned().unwrap();
        let interest_handle = listener.interest_handle();
        let layers = StreamLayers { placement, layers };
        interest_handle.stream_layers(0, layers, &Arc::default());
        interest_handle.add(Interest::wildcard(index.unwrap()));
        self.connections.push((listener, count));
    }

    fn place(&mut self, number: u32, layers: Vec<LayerId>) -> Committed {
        self.publisher.commit(Commit {
            placements: vec![(PlacementId(number.into()), Some(layers))],
            ..Commit::default()
        })
    }

    fn put(&mut self, layer: LayerId, value: &'static str) {
        let (name, bytes): (Arc<str>, _) =
            ("a".into(), bytes::Bytes::from_static(value.as_bytes()));
        let resource = Resource::from_bytes(TypeUrl::ENDPOINT, name, bytes, Vec::new());
        assert_eq!(resource.version, Version::of(value.as_bytes()));
        let committed = self.publisher.commit(Commit {
            replace: vec![Replace {
                origin: format!("{layer:?}").into(),
                resources: vec![(layer, resource)],
                hidden: Vec::new(),
            }],
            placements: Vec::new(),
            since: None,
        });
        assert_eq!(committed.set, 1);
    }

    /// How often each was woken since this was asked last.
    fn woken(&self) -> Vec<usize> {
        let counts = self.connections.iter();
        counts
            .map(|(_, count)| count.0.swap(0, Ordering::SeqCst))
            .collect()
    }
}

#[test]
fn who_joins_wakes_nobody_and_what_is_a_nodes_own_nobody_else() {
    let mut fleet = Fleet::new();
    let mut woken = 0;
    for number in 1..=200 {
        fleet.join(number);
        fleet.put(LayerId(number), "own");
        woken += fleet.woken().iter().sum::<usize>();
    }
    assert_eq!(woken, 200, "each by its own");
    fleet.put(ALL, "everybody's");
    assert_eq!(fleet.woken(), [1; 200]);
}

#[test]
fn a_placement_that_moves_wakes_its_streams_alone() {
    let mut fleet = Fleet::new();
    (1..=3).for_each(|number| fleet.join(number));
    let before = fleet.snapshots.read().seq();
    fleet.place(2, vec![LayerId(2), ALL]);
    assert_eq!(fleet.woken(), [0, 0, 0], "to where it was");
    assert_eq!(fleet.snapshots.read().seq(), before);
    fleet.place(2, vec![LayerId(9), ALL]);
    assert_eq!(fleet.woken(), [0, 1, 0]);
    assert!(fleet.snapshots.read().seq() > before, "it has to read that");
}

/// A stream that is gone has its connection woken no more.
#[test]
fn a_stream_that_left_is_not_woken_for() {
    let mut fleet = Fleet::new();
    fleet.join(1);
    fleet.connections[0].0.interest_handle().leave(0);
    fleet.put(ALL, "everybody's");
    assert_eq!(fleet.woken(), [0]);
}

/// Who took a content is asked when it is accused, also where nothing else happens.
#[test]
fn an_accusation_wakes_who_may_have_taken_it_rule_82() {
    let mut fleet = Fleet::new();
    (1..=2).for_each(|number| fleet.join(number));
    fleet.put(ALL, "bad");
    fleet.woken();
    let store = fleet.snapshots.read();
    let index = fleet.snapshots.types().index(TypeUrl::ENDPOINT.as_str());
    let (type_index, id) = (index.unwrap(), ResourceId::FIRST);
    let slot = store.slot(type_index, id);
    let suspect = Suspect {
        type_url: TypeUrl::ENDPOINT,
        type_index,
        id,
        name: &slot.name,
        content: slot.resolve(&[ALL]).unwrap(),
        before: None,
    };
    let before = fleet.snapshots.notifier().newest();
    for (accuser, woken) in [("x", 0), ("y", 0), ("z", 1)] {
        let voter = Voter {
            identity: accuser.into(),
            principal: accuser.into(),
        };
        store.quarantine().reject(&suspect, &voter, "no good");
        assert_eq!(fleet.woken(), [woken; 2]);
    }
    assert_ne!(
        fleet.snapshots.notifier().newest(),
        before,
        "they have to look"
    );
}

fn change(n: usize) -> Commit {
    let value = n.to_string().into_bytes();
    let resource = Resource::from_bytes(TypeUrl::ENDPOINT, "a", value.into(), vec![]);
    let replace = Replace {
        origin: "a".into(),
        resources: vec![(LayerId(0), resource)],
        hidden: vec![],
    };
    Commit {
        replace: vec![replace],
        placements: vec![],
        since: None,
    }
}

/// What a commit costs is proportional to it, not to all streams.
#[test]
fn a_commit_does_not_look_at_every_stream() {
    for streams in [1, 100, 10_000] {
        let (mut publisher, snapshots) = channel(Types::envoy());
        let cursors: Vec<Cursor> = (0..streams).map(|_| snapshots.cursor()).collect();
        publisher.shared.cursors.looks();
        let commits = 1000;
        for n in 0..commits {
            publisher.commit(change(n));
        }
        let looks = publisher.shared.cursors.looks();
        assert!(looks <= commits * LOOKS.min(streams), "{streams}: {looks}");
        // Streams that have read all let go of all, soon.
        let newest = snapshots.read().seq();
        cursors.iter().for_each(|cursor| cursor.advance(newest));
        for n in 0..2 * streams.div_ceil(LOOKS) {
            publisher.commit(change(commits + n));
        }
        let store = snapshots.read();
        assert!(store.records_after(newest - 1).is_none(), "{streams}");
        assert!(store.records_after(newest).is_some());
    }
}

/// What only differs in what a client claims of itself is put together once, and nothing is left of
/// it.
#[test]
fn placements_with_the_same_layers_share_their_first_syncs() {
    let mut fleet = Fleet::new();
    fleet.place(0, vec![ALL]);
    fleet.put(ALL, "a");
    let sync = |fleet: &Fleet, number: u32| {
        let store = fleet.snapshots.read();
        let placement = PlacementId(number.into());
        store.initial_sync(placement, 0, Dialect::Delta, 1).unwrap()
    };
    let first = sync(&fleet, 0);
    for number in 1..=50 {
        fleet.place(number, vec![ALL]);
        assert!(Arc::ptr_eq(&first, &sync(&fleet, number)));
    }
    fleet.place(51, vec![LayerId(1), ALL]);
    assert!(!Arc::ptr_eq(&first, &sync(&fleet, 51)));
    assert_eq!(fleet.snapshots.read().remembered(), (2, 2));
    let all = (0..=51).map(|number| (PlacementId(number), None));
    fleet.publisher.commit(Commit {
        placements: all.collect(),
        ..Commit::default()
    });
    assert_eq!(fleet.snapshots.read().remembered(), (0, 0));
}

#[test]
fn digests_tell_contents_apart_and_not_the_order_they_came_in() {
    let resource = |name: &'static str, value: &'static str| {
        let value = value.as_bytes().to_vec();
        Resource::from_bytes(TypeUrl::ENDPOINT, name, value.into(), vec![])
    };
    let replace = |origin: &str, resources: &[(u32, &'static str, &'static str)]| Replace {
        origin: origin.into(),
        resources: (resources.iter())
            .map(|(layer, name, value)| (LayerId(*layer), resource(name, value)))
            .collect(),
        hidden: Vec::new(),
    };
    let publish = |replaces: Vec<Replace>| {
        let (mut publisher, snapshots) = channel(Types::envoy());
        for replace in replaces {
            publisher.commit(Commit {
                replace: vec![replace],
                ..Commit::default()
            });
        }
        snapshots.digests(|layer| layer != LayerId(9))
    };
    let one = publish(vec![
        replace("a", &[(1, "a", "x"), (9, "a", "z")]),
        replace("b", &[(1, "b", "y"), (2, "b", "y")]),
    ]);
    assert_eq!(one.len(), 2);
    assert_eq!((one[0].layer, one[0].count), (LayerId(1), 2));
    let other = publish(vec![
        replace("b", &[(1, "b", "old"), (2, "b", "y"), (2, "c", "y")]),
        replace("a", &[(1, "a", "x"), (3, "a", "x")]),
        replace("b", &[(1, "b", "y"), (2, "b", "y")]),
        replace("a", &[(1, "a", "x")]),
    ]);
    assert_eq!(one, other);
    let differs = publish(vec![
        replace("a", &[(1, "a", "x")]),
        replace("b", &[(1, "b", "z"), (2, "b", "y")]),
    ]);
    assert_ne!(one[0].hash, differs[0].hash);
    assert_eq!(one[1], differs[1]);
}
