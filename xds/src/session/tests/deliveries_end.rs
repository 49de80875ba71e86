//! Property: whatever happens to a stream, every commit that is on its way there is done at last.

use proptest::collection::vec;
use proptest::prelude::*;

use super::deliveries::Told;
use super::*;

/// What may happen to a stream and to what is published.
#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize, u8),
    Remove(usize, usize),
    Subscribe(usize, usize),
    Unsubscribe(usize, usize),
    Next,
    Ack,
    Nack,
    Wait(u64),
    Move,
}

const URLS: [TypeUrl; 3] = [C, E, L];
const NAMES: [&str; 3] = ["a", "b", "*"];

fn step() -> impl Strategy<Value = Step> {
    let (urls, names) = (0..URLS.len(), 0..NAMES.len());
    prop_oneof![
        6 => (urls.clone(), 0..2usize, 0..3u8).prop_map(|(u, n, v)| Step::Put(u, n, v)),
        2 => (urls.clone(), 0..2usize).prop_map(|(u, n)| Step::Remove(u, n)),
        2 => (urls.clone(), names.clone()).prop_map(|(u, n)| Step::Subscribe(u, n)),
        1 => (urls, names).prop_map(|(u, n)| Step::Unsubscribe(u, n)),
        4 => Just(Step::Next),
        3 => Just(Step::Ack),
        1 => Just(Step::Nack),
        1 => (0..1500u64).prop_map(Step::Wait),
        1 => Just(Step::Move),
    ]
}

/// A stream and the responses that it has not answered.
struct Line {
    world: World,
    told: Told,
    unanswered: Vec<Got>,
    moved: bool,
}

impl Line {
    fn step(&mut self, step: &Step) {
        let Line { world, told, .. } = self;
        match step {
            Step::Put(url, name, value) => {
                world.put(URLS[*url], NAMES[*name], &value.to_string());
            }
            Step::Remove(url, name) => world.remove(URLS[*url], NAMES[*name]),
            Step::Subscribe(url, name) => told.subscribe(URLS[*url], &[NAMES[*name]]),
            Step::Unsubscribe(url, name) => told.unsubscribe(URLS[*url], &[NAMES[*name]]),
            Step::Next => self.unanswered.extend(told.next()),
            Step::Ack | Step::Nack if self.unanswered.is_empty() => {}
            Step::Ack => {
                let got = self.unanswered.remove(0);
                told.ack(&got);
            }
            Step::Nack => {
                let got = self.unanswered.remove(0);
                let names = Names::Change {
                    subscribe: vec![],
                    unsubscribe: vec![],
                    initial: HashMap::new(),
                };
                told.reject(&got, "a: no good", names);
            }
            Step::Wait(millis) => told.wait(Duration::from_millis(*millis)),
            Step::Move => {
                self.moved = !self.moved;
                let layers = if self.moved { vec![1, ALL] } else { vec![ALL] };
                let layers = layers.into_iter().map(LayerId).collect();
                world.commit_with(vec![(PLAIN, Some(layers))]);
            }
        }
        self.told.register();
    }
}

proptest! {
    /// Whatever happens, a commit waits for a stream until the stream has nothing more to send or
    /// to be answered, and no longer.
    #[test]
    fn every_commit_is_done_once_its_stream_is(steps in vec(step(), 1..60)) {
        let mut world = World::new();
        world.set(1, E, "a", "near").set(1, L, "a", "near").commit();
        let mut client = world.delta();
        client.subscribe(E, &["a"]);
        let told = Told::of(client, 1);
        let mut line = Line { world, told, unanswered: Vec::new(), moved: false };
        for one in &steps {
            line.step(one);
        }
        for _ in 0..100 {
            line.step(&Step::Next);
            line.step(&Step::Ack);
            line.step(&Step::Wait(500));
        }
        prop_assert!(line.unanswered.is_empty());
        for change in line.world.snapshots.changes().all() {
            for of in &change.types {
                prop_assert_eq!((of.waiting(), of.lost()), (0, 0), "{:?}", change);
                prop_assert_eq!(of.acked().is_some(), of.sent().is_some());
                prop_assert!(of.concerned() == 0 || of.acked().is_some());
            }
        }
        let report = line.told.session.unacknowledged().flatten().next();
        prop_assert_eq!(report, None);
    }
}
