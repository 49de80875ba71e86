//! Property: a client behind a slow line in both directions, that asks, takes back, repeats,
//! rejects, answers late or never and reconnects, ends with what the server has; and every single
//! resource it was sent on the way was owed to it.
//!
//! `client` is the proxy, `judge` watches what the session sends and knows for what reasons it may.

mod client;
mod judge;
mod passing;

use std::collections::VecDeque;

use proptest::prelude::*;
use seaway_proto::Version;

use super::*;
use crate::Quarantined;
use crate::session::state::rejections::LONGEST;
use client::Proxy;
use judge::Judge;

const NAMES: [&str; 3] = ["a", "b", "c"];
const TYPES: [TypeUrl; 4] = [C, E, L, R];

#[derive(Clone, Debug)]
enum Step {
    Set(u32, usize, usize, u8),
    Unset(u32, usize, usize),
    Hide(u32, usize, usize),
    Commit,
    /// Several other clients reject what a name has now (xDS rule 82).
    Condemn(usize, usize),
    Place(bool),
    /// The client asks for a name (or `*`), or takes it back.
    Ask(usize, usize),
    Drop(usize, usize),
    /// A request with a nonce of long ago.
    Stale(usize),
    /// What it said last, again.
    Repeat,
    /// The server reads a request; it writes a response.
    Hear,
    Send,
    /// The client reads a response and acknowledges it, rejects it, or keeps silent.
    Read(Answer),
    /// All that is under way arrives, and is answered, until nobody has anything to say.
    Settle,
    Wait,
    /// Until what may have passed is tried again.
    WaitLong,
    Reconnect,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Ack,
    Nack,
    /// It rejects something for a reason that may pass by itself.
    Clash,
    Silence,
}

fn step() -> impl Strategy<Value = Step> {
    let layer = prop::sample::select(&[0, 1, ABOVE][..]);
    let answer = prop_oneof![
        6 => Just(Answer::Ack),
        2 => Just(Answer::Nack),
        2 => Just(Answer::Clash),
        1 => Just(Answer::Silence),
    ];
    prop_oneof![
        8 => (layer.clone(), 0..4usize, 0..3usize, 0..3u8).prop_map(|(l, t, n, v)| Step::Set(l, t, n, v)),
        5 => (layer.clone(), 0..4usize, 0..3usize).prop_map(|(l, t, n)| Step::Unset(l, t, n)),
        3 => (layer, 0..4usize, 0..3usize).prop_map(|(l, t, n)| Step::Hide(l, t, n)),
        6 => Just(Step::Commit),
        2 => (0..4usize, 0..3usize).prop_map(|(t, n)| Step::Condemn(t, n)),
        1 => any::<bool>().prop_map(Step::Place),
        5 => (0..4usize, 0..4usize).prop_map(|(t, n)| Step::Ask(t, n)),
        2 => (0..4usize, 0..4usize).prop_map(|(t, n)| Step::Drop(t, n)),
        1 => (0..4usize).prop_map(Step::Stale),
        1 => Just(Step::Repeat),
        7 => Just(Step::Hear),
        7 => Just(Step::Send),
        7 => answer.prop_map(Step::Read),
        1 => Just(Step::Settle),
        1 => Just(Step::Wait),
        1 => Just(Step::WaitLong),
        1 => Just(Step::Reconnect),
    ]
}

/// The server's end, the line, and the client's end.
struct Line {
    world: World,
    layers: Vec<u32>,
    server: Client,
    judge: Judge,
    proxy: Proxy,
    up: VecDeque<Request>,
    down: VecDeque<Got>,
    /// What was committed since the server's end looked last.
    unheard: Interest,
}

impl Line {
    fn new(dialect: Dialect, client_kind: ClientKind) -> Line {
        let mut world = World::new();
        let layers = vec![1, 0];
        world.commit_with(vec![(PLAIN, Some(ids(&layers)))]);
        Line {
            server: world.client_like(dialect, client_kind),
            judge: Judge::new(dialect, client_kind),
            proxy: Proxy::new(dialect, client_kind),
            world,
            layers,
            up: VecDeque::new(),
            down: VecDeque::new(),
            unheard: Interest::EVERYTHING,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Set(layer, t, n, v) => {
                let value = format!("{}{v}", NAMES[n]);
                self.world.set(layer, TYPES[t], NAMES[n], &value);
            }
            Step::Unset(layer, t, n) => {
                self.world.unset(layer, TYPES[t], NAMES[n]);
            }
            Step::Hide(layer, t, n) => {
                self.world.hide(layer, TYPES[t], NAMES[n]);
            }
            Step::Commit => self.commit(vec![]),
            Step::Condemn(t, n) => self.condemn(TYPES[t], NAMES[n]),
            Step::Place(near) => {
                self.layers = vec![if near { 1 } else { ABOVE }, 0];
                self.commit(vec![(PLAIN, Some(ids(&self.layers)))]);
            }
            Step::Ask(t, n) => self.say(|proxy| proxy.ask(t, NAMES.get(n).unwrap_or(&"*"), true)),
            Step::Drop(t, n) => self.say(|proxy| proxy.ask(t, NAMES.get(n).unwrap_or(&"*"), false)),
            Step::Stale(t) => self.say(|proxy| proxy.stale(t)),
            Step::Repeat => self.say(|proxy| proxy.repeat()),
            Step::Hear => _ = self.hear(),
            Step::Send => _ = self.send(),
            Step::Read(answer) => _ = self.read(answer),
            Step::Settle => self.settle(),
            Step::Wait => self.server.wait(PATIENCE),
            Step::WaitLong => self.server.wait(LONGEST),
            Step::Reconnect => self.reconnect(),
        }
        self.server.verify();
    }

    fn say(&mut self, what: impl FnOnce(&mut Proxy) -> Option<Request>) {
        self.up.extend(what(&mut self.proxy));
    }

    fn commit(&mut self, placements: Vec<(PlacementId, Option<Vec<LayerId>>)>) {
        let settled = self.up.is_empty() && self.down.is_empty() && self.judge.is_settled();
        let touched = self.world.dirty.clone();
        for (url, name) in &touched {
            let index = Types::envoy().index(url.as_str()).unwrap();
            self.unheard = self.unheard | Interest::change(index, name);
        }
        if !placements.is_empty() {
            self.unheard = Interest::EVERYTHING;
        }
        self.world.commit_with(placements);
        let view = view(&self.world, &self.layers);
        self.judge.committed(view, &touched, settled);
        self.judge.condemned(self.world.snapshots.quarantined());
        self.sleeps_well();
    }

    /// A stream whom nothing concerned is not woken, and must have nothing to say then (xDS rule
    /// 133).
    fn sleeps_well(&mut self) {
        let session = &mut self.server.session;
        if !session.interest().meets(self.unheard) && !session.is_pending() {
            self.judge.caught_up();
            assert_eq!(self.server.next(), None, "it should have been woken");
        }
    }

    /// Only what this client's place sees is rejected, so that it is always about the same content.
    fn condemn(&mut self, url: TypeUrl, name: &str) {
        let exists = self.judge.sees(url, name);
        let held_back = self.world.snapshots.quarantined();
        let known = |held: &Quarantined| held.type_url == url && &*held.name == name;
        if exists && !held_back.iter().any(known) {
            self.world.condemn(url, name);
            self.judge.condemned(self.world.snapshots.quarantined());
        }
    }

    /// The server reads a request.
    fn hear(&mut self) -> bool {
        let Some(request) = self.up.pop_front() else {
            return false;
        };
        self.judge.heard(&request, self.server.now);
        self.unheard = Interest::default();
        self.server.request(request).unwrap();
        true
    }

    /// The server writes a response; two may be under way.
    fn send(&mut self) -> bool {
        if self.down.len() == 2 {
            return false;
        }
        self.judge.caught_up();
        self.unheard = Interest::default();
        let got = self.server.next();
        if let Some(got) = got {
            self.judge.sent(&got, self.server.now);
            self.down.push_back(got);
            return true;
        }
        false
    }

    fn read(&mut self, answer: Answer) -> bool {
        let Some(got) = self.down.pop_front() else {
            return false;
        };
        self.up.extend(self.proxy.read(got, answer));
        true
    }

    fn settle(&mut self) {
        // Twice a second passes in vain, and then the longest time: nothing is waited for any more.
        let mut idle = 0;
        for _ in 0..400 {
            if self.hear() || self.send() || self.read(Answer::Ack) {
                idle = 0;
            } else if idle == 3 {
                self.judge.now_settled();
                return;
            } else {
                idle += 1;
                self.server.wait(if idle == 3 { LONGEST } else { PATIENCE });
            }
        }
        panic!("the two never come to rest");
    }

    fn reconnect(&mut self) {
        self.up.clear();
        self.down.clear();
        let now = self.server.now;
        let session = &self.server.session;
        self.server = self.world.client_like(session.dialect, session.client_kind);
        self.server.now = now;
        self.unheard = Interest::EVERYTHING;
        self.judge.restarted();
        self.up.extend(self.proxy.reconnect());
    }
}

fn ids(layers: &[u32]) -> Vec<LayerId> {
    layers.iter().map(|layer| LayerId(*layer)).collect()
}

/// A layer that only overrides.
const ABOVE: u32 = LayerId::overriding(2).0;

/// By type, what a client at these layers is to see.
type View = [BTreeMap<String, String>; 4];

fn view(world: &World, layers: &[u32]) -> View {
    TYPES.map(|url| {
        let seen = NAMES.iter().filter_map(|name| {
            let values = world.values.get(&(url, name.to_string()))?;
            let value = layers.iter().find_map(|layer| values.get(layer))?;
            let is_below = |layer: &u32| *layer != ABOVE && values.contains_key(layer);
            layers.iter().any(is_below).then_some(())?;
            (value != HIDDEN).then(|| (name.to_string(), value.clone()))
        });
        seen.collect()
    })
}

/// What is kept from clients that were not sent this value yet: `Some` with what they are sent
/// instead.
fn instead(held: &[Quarantined], url: TypeUrl, value: Option<&String>) -> Option<Option<Version>> {
    let version = Version::of(value?.as_bytes());
    let mut held = held.iter();
    let held = held.find(|held| (held.type_url, held.version) == (url, version))?;
    Some(held.instead)
}

fn run(steps: Vec<Step>, dialect: Dialect, client_kind: ClientKind) {
    let mut line = Line::new(dialect, client_kind);
    for step in steps {
        line.step(step);
    }
    line.commit(vec![]);
    line.settle();
    let view = view(&line.world, &line.layers);
    line.proxy.check(&view, &line.world.snapshots.quarantined());
    line.judge.check();
    assert!(!line.send(), "sent to a client that has everything");
}

fn config() -> ProptestConfig {
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None => 1000,
    };
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_delta_client_is_sent_all_it_is_owed_and_nothing_else(steps in prop::collection::vec(step(), 0..120)) {
        run(steps, Dialect::Delta, ClientKind::Other);
    }

    #[test]
    fn a_sotw_client_is_sent_all_it_is_owed_and_nothing_else(steps in prop::collection::vec(step(), 0..120)) {
        run(steps, Dialect::Sotw, ClientKind::Other);
    }

    #[test]
    fn a_sotw_client_that_reads_errors_is_told_of_all_that_does_not_exist(steps in prop::collection::vec(step(), 0..120)) {
        run(steps, Dialect::Sotw, ClientKind::Grpc);
    }
}

/// Found by the property above: the name of a cluster that goes is asked for beside a wildcard
/// before its removal is sent.
#[test]
fn a_removal_is_not_lost_when_its_name_is_asked_for() {
    for client_kind in [ClientKind::Other, ClientKind::Grpc] {
        let steps = vec![
            Step::Place(false),
            Step::Set(2, 0, 2, 0),
            Step::Ask(0, 3),
            Step::Commit,
            Step::Hear,
            Step::Ask(0, 0),
            Step::Send,
            Step::Read(Answer::Ack),
            Step::Ask(0, 2),
            Step::Set(0, 0, 0, 0),
            Step::Hear,
            Step::Place(true),
            Step::Hear,
            Step::Send,
            Step::Drop(0, 2),
        ];
        run(steps, Dialect::Sotw, client_kind);
    }
}

/// Found by the property above: a listener is gone, comes back while its turn has not come, and
/// goes after one that may go already.
#[test]
fn a_listener_that_comes_back_may_come_after_another_that_waited_longer() {
    let steps = vec![
        Step::Ask(2, 2),
        Step::Set(1, 2, 2, 0),
        Step::Set(0, 0, 0, 0),
        Step::Commit,
        Step::Set(0, 2, 1, 0),
        Step::Settle,
        Step::Place(false),
        Step::Send,
        Step::Ask(2, 1),
        Step::Ask(0, 0),
        Step::Hear,
        Step::Hear,
        Step::Wait,
        Step::Set(2, 2, 2, 0),
    ];
    run(steps, Dialect::Sotw, ClientKind::Other);
}

/// Found by the property above: what is tried again has been condemned by others meanwhile, so the
/// client is sent what it has.
#[test]
fn a_retry_of_what_others_rejected_too_is_what_the_client_has() {
    let steps = vec![
        Step::Set(0, 0, 0, 0),
        Step::Set(0, 2, 1, 1),
        Step::Place(false),
        Step::Ask(2, 3),
        Step::Settle,
        Step::Set(2, 2, 0, 0),
        Step::Set(2, 2, 1, 0),
        Step::Commit,
        Step::Send,
        Step::Ask(2, 1),
        Step::Read(Answer::Nack),
        Step::Hear,
        Step::Hear,
        Step::Send,
        Step::Read(Answer::Clash),
        Step::Hear,
        Step::Condemn(2, 1),
        Step::Set(0, 0, 0, 0),
    ];
    run(steps, Dialect::Sotw, ClientKind::Grpc);
}
