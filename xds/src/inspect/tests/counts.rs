//! Resources are counted together what they are counted one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[derive(Clone, Debug)]
enum Step {
    Put(LayerId, usize, Option<&'static str>),
    Open(PlacementId, Option<usize>),
    Send(usize),
    Deliver(usize),
    Close(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let layer = prop_oneof![Just(ALL), Just(ZONE)];
    let value = prop_oneof![Just(Some("1")), Just(Some("2")), Just(None)];
    let named = prop::option::of(0..NAMES.len());
    let placement = prop_oneof![Just(NEAR), Just(FAR)];
    prop_oneof![
        4 => (layer, 0..NAMES.len(), value).prop_map(|(layer, at, value)| Step::Put(layer, at, value)),
        2 => (placement, named).prop_map(|(placement, named)| Step::Open(placement, named)),
        1 => (0..8usize).prop_map(Step::Send),
        4 => (0..8usize).prop_map(Step::Deliver),
        1 => (0..8usize).prop_map(Step::Close),
    ]
}

/// For each name how many streams ask for it, and how many clients have it, were sent it and are
/// owed it: over all layers, by the contents that are reported of each stream.
fn one_by_one(world: &World, streams: usize) -> BTreeMap<String, [usize; 4]> {
    let mut all = BTreeMap::new();
    for number in 1..=streams as u64 {
        let contents = world.inspector.contents(number, |_, _| true, None, 100);
        for of in contents.into_iter().flatten() {
            let counts: &mut [usize; 4] = all.entry(of.name.to_string()).or_default();
            counts[0] += 1;
            match of.standing {
                Standing::Held => counts[1] += 1,
                Standing::Sent => counts[2] += 1,
                Standing::Owed => counts[3] += 1,
                Standing::Rejected | Standing::HeldBack => {}
            }
        }
    }
    all
}

proptest! {
    #[test]
    fn what_is_counted_together_is_what_each_stream_says(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new();
        let (mut streams, mut opened): (Vec<Stream>, usize) = (Vec::new(), 0);
        for step in steps {
            match step {
                Step::Put(layer, at, value) => world.put(layer, NAMES[at], value),
                Step::Open(placement, named) => {
                    let names = named.map_or("*", |at| NAMES[at]);
                    streams.push(world.open_for(placement, &[names]));
                    opened += 1;
                }
                Step::Send(at) => {
                    if let Some(stream) = streams.get(at) {
                        world.send(stream);
                    }
                }
                Step::Deliver(at) => {
                    if let Some(stream) = streams.get(at) {
                        world.deliver(stream);
                    }
                }
                Step::Close(at) => {
                    if at < streams.len() {
                        streams.remove(at);
                    }
                }
            }
            let page = world.inspector.resources(|_| true, None, 100);
            let mut together: BTreeMap<String, [usize; 4]> = BTreeMap::new();
            for of in page.resources.iter().filter(|of| of.version.is_some()) {
                let counts = together.entry(of.name.to_string()).or_default();
                for (sum, of) in counts.iter_mut().zip([of.seen_by, of.held_by, of.sent_to, of.owed_by]) {
                    *sum += of;
                }
            }
            together.retain(|_, counts| counts[0] > 0);
            prop_assert_eq!(together, one_by_one(&world, opened));
        }
    }
}
