//! Property: whatever happens in whatever order, clients of both dialects end with exactly what the
//! snapshot holds, and what they were sent on the way was owed to them.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const TYPES: [TypeUrl; 3] = [C, E, L];
const LAYERS: [u32; 3] = [0, 1, 2];

#[derive(Clone, Debug)]
enum Step {
    Set(u32, usize, usize, u8),
    Unset(u32, usize, usize),
    Commit,
    Place(bool),
    Subscribe(usize, usize),
    Unsubscribe(usize, usize),
    Read { ack: bool },
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let layer = prop::sample::select(&LAYERS[..]);
    prop_oneof![
        4 => (layer.clone(), 0..3usize, 0..4usize, 0..3u8).prop_map(|(l, t, n, v)| Step::Set(l, t, n, v)),
        3 => (layer, 0..3usize, 0..4usize).prop_map(|(l, t, n)| Step::Unset(l, t, n)),
        3 => Just(Step::Commit),
        1 => any::<bool>().prop_map(Step::Place),
        2 => (0..3usize, 0..5usize).prop_map(|(t, n)| Step::Subscribe(t, n)),
        1 => (0..3usize, 0..5usize).prop_map(|(t, n)| Step::Unsubscribe(t, n)),
        5 => any::<bool>().prop_map(|ack| Step::Read { ack }),
        1 => Just(Step::Wait),
    ]
}

/// A client that keeps what it is sent.
struct Keeper {
    client: Client,
    dialect: Dialect,
    /// By type: names asked for (`*` among them), and what it holds.
    asked: [BTreeSet<String>; 3],
    nonce: [String; 3],
    holds: [BTreeMap<String, String>; 3],
    begun: [bool; 3],
}

impl Keeper {
    fn new(world: &mut World, dialect: Dialect) -> Keeper {
        Keeper {
            client: world.client(dialect, PLAIN),
            dialect,
            asked: Default::default(),
            nonce: Default::default(),
            holds: Default::default(),
            begun: [false; 3],
        }
    }

    fn ask(&mut self, t: usize, name: &str, on: bool) {
        let changed = match on {
            true => self.asked[t].insert(name.to_owned()),
            false => self.asked[t].remove(name),
        };
        if !changed || (!on && !self.begun[t]) {
            return;
        }
        self.begun[t] = true;
        match self.dialect {
            Dialect::Delta if on => self.client.subscribe(TYPES[t], &[name]),
            Dialect::Delta => self.client.unsubscribe(TYPES[t], &[name]),
            Dialect::Sotw => self.send_names(t),
        }
        if !self.asked[t].contains("*") {
            let asked = self.asked[t].clone();
            self.holds[t].retain(|name, _| asked.contains(name));
        }
    }

    fn send_names(&mut self, t: usize) {
        let names: Vec<String> = self.asked[t].iter().cloned().collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let nonce = self.nonce[t].clone();
        self.client.names(TYPES[t], &nonce, &names);
    }

    /// Takes one response; returns whether there was one.
    fn read(&mut self, ack: bool) -> bool {
        let Some(got) = self.client.next() else {
            return false;
        };
        let t = TYPES
            .iter()
            .position(|url| url.as_str() == got.url)
            .unwrap();
        match self.dialect {
            Dialect::Delta => {
                let removed: BTreeSet<&String> = got.removed.iter().collect();
                assert_eq!(removed.len(), got.removed.len(), "a name removed twice");
                for name in got.resources.keys() {
                    assert!(!got.removed.contains(name), "{name} both sent and removed");
                    let asked = self.asked[t].contains(name) || self.asked[t].contains("*");
                    assert!(asked, "{name} was not asked for");
                }
                self.holds[t].extend(got.resources.clone());
                self.holds[t].retain(|name, _| !got.removed.contains(name));
                if ack {
                    self.client.ack(&got);
                }
            }
            Dialect::Sotw => {
                // Values begin with their name, since resources carry none in this dialect.
                let named = got
                    .resources
                    .values()
                    .map(|v| (v[..1].to_owned(), v.clone()));
                if TYPES[t] != E {
                    self.holds[t].clear();
                }
                self.holds[t].extend(named);
                self.nonce[t] = got.nonce.clone();
                if ack {
                    self.send_names(t);
                }
            }
        }
        true
    }

    /// What the snapshot holds for this client.
    fn due(&self, world: &World, t: usize, layers: &[u32]) -> BTreeMap<String, String> {
        let named = NAMES
            .iter()
            .filter(|name| self.asked[t].contains(**name) || self.asked[t].contains("*"));
        named
            .filter_map(|name| {
                let values = world.values.get(&(TYPES[t], name.to_string()))?;
                let value = layers.iter().find_map(|layer| values.get(layer))?;
                Some((name.to_string(), value.clone()))
            })
            .collect()
    }
}

fn run(steps: Vec<Step>, dialect: Dialect) {
    let mut world = World::new();
    let mut layers = vec![1, 0];
    let place = |layers: &[u32]| {
        let layers = layers.iter().map(|layer| LayerId(*layer)).collect();
        vec![(PLAIN, Some(layers))]
    };
    world.commit_with(place(&layers));
    let mut keeper = Keeper::new(&mut world, dialect);
    for step in steps {
        match step {
            Step::Set(layer, t, n, v) => {
                world.set(layer, TYPES[t], NAMES[n], &format!("{}{v}", NAMES[n]));
            }
            Step::Unset(layer, t, n) => {
                world.unset(layer, TYPES[t], NAMES[n]);
            }
            Step::Commit => world.commit(),
            Step::Place(near) => {
                layers = if near { vec![1, 0] } else { vec![2, 0] };
                world.commit_with(place(&layers));
            }
            Step::Subscribe(t, n) => keeper.ask(t, NAMES.get(n).unwrap_or(&"*"), true),
            Step::Unsubscribe(t, n) => keeper.ask(t, NAMES.get(n).unwrap_or(&"*"), false),
            Step::Read { ack } => {
                keeper.read(ack);
            }
            Step::Wait => keeper.client.wait(PATIENCE),
        }
    }
    world.commit();
    for _ in 0..100 {
        if !keeper.read(true) {
            keeper.client.wait(PATIENCE);
            if !keeper.read(true) {
                break;
            }
        }
    }
    for (t, url) in TYPES.iter().enumerate() {
        let due = keeper.due(&world, t, &layers);
        // State of the world cannot take an assignment back (xDS rule 22).
        if dialect == Dialect::Sotw && *url == E {
            keeper.holds[t].retain(|name, _| due.contains_key(name));
        }
        assert_eq!(keeper.holds[t], due, "{url}");
    }
    assert!(
        !keeper.read(true),
        "nothing is sent to a client that has everything"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn delta_clients_converge_to_the_snapshot(steps in prop::collection::vec(step(), 0..60)) {
        run(steps, Dialect::Delta);
    }

    #[test]
    fn sotw_clients_converge_to_the_snapshot(steps in prop::collection::vec(step(), 0..60)) {
        run(steps, Dialect::Sotw);
    }
}
