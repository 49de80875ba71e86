//! What was rejected and may pass by itself is sent again; what was rejected stays counted until
//! the client has it or it is another.

use super::*;
use crate::session::state::rejections::LONGEST;

const BOTH: [Dialect; 2] = [Dialect::Delta, Dialect::Sotw];
const TAKEN: &str = "cannot bind '10.0.0.1:80': Address already in use";

/// A client of either dialect that has asked for all listeners.
fn client(world: &mut World, dialect: Dialect) -> Client {
    let mut client = world.client(dialect, PLAIN);
    match dialect {
        Dialect::Delta => client.subscribe(L, &[]),
        Dialect::Sotw => client.names(L, "", &[]),
    }
    client
}

impl Client {
    /// Answers a response of either dialect that names nothing new.
    fn answer(&mut self, got: &Got, error: Option<&str>) -> Outcome {
        let names = match self.session.dialect {
            Dialect::Delta => Names::Change {
                subscribe: vec![],
                unsubscribe: vec![],
                initial: HashMap::new(),
            },
            Dialect::Sotw => Names::default(),
        };
        let request = Request {
            type_url: got.url.clone(),
            nonce: got.nonce.clone(),
            error: error.map(str::to_owned),
            names,
        };
        self.request(request).unwrap()
    }

    fn take(&mut self) -> Got {
        let got = self.next().expect("a response");
        self.answer(&got, None);
        got
    }

    /// Is sent something and rejects one resource of it.
    fn clash(&mut self, name: &str) -> (Got, Outcome) {
        let got = self.next().expect("a response");
        let outcome = self.answer(&got, Some(&format!("{name}: {TAKEN}")));
        (got, outcome)
    }

    fn rejects(&self) -> bool {
        self.session.is_rejecting(L.as_str())
    }

    /// When the session wants to be asked again; it has nothing to say now.
    fn due(&mut self) -> Option<Duration> {
        let store = self.snapshots.read();
        match self.session.next(&store, self.now) {
            Next::Wait(at) => at.map(|at| at - self.now),
            Next::Send(_) => panic!("there is something to send"),
        }
    }

    /// Waits until then, and is sent nothing before.
    fn wait_until_due(&mut self) -> Duration {
        let due = self.due().expect("something to wait for");
        let short = Duration::from_millis(1);
        self.wait(due - short);
        self.expect_nothing();
        self.wait(short);
        due
    }
}

#[test]
fn a_listener_that_could_not_be_bound_is_sent_again_with_growing_waits_until_it_is_accepted() {
    for dialect in BOTH {
        let mut world = World::new();
        world.set(ALL, L, "l", "l1").set(ALL, L, "m", "m1").commit();
        let mut client = client(&mut world, dialect);
        client.clash("l");
        let again = match dialect {
            Dialect::Delta => vec!["l"],
            // A complete response has the others, too.
            Dialect::Sotw => vec!["l1", "m1"],
        };
        let mut took = Duration::ZERO;
        for longest in [1, 2, 4, 8, 16, 30, 30] {
            let waited = client.wait_until_due();
            took += waited;
            let longest = Duration::from_secs(longest);
            assert!(waited <= longest && waited >= longest / 4 * 3, "{waited:?}");
            let (got, outcome) = client.clash("l");
            assert_eq!(got.names(), again);
            let Outcome::Rejected(nack) = outcome else {
                panic!("{outcome:?}");
            };
            assert!(nack.resources.iter().all(|of| of.repeated), "{nack:?}");
            assert!(client.rejects());
        }
        took += client.wait_until_due();
        assert_eq!(client.take().names(), again);
        assert!(!client.rejects());
        let after_all = client.session.take_late_acceptances();
        let after_all: Vec<_> = after_all.iter().map(|of| (&*of.name, of.took)).collect();
        assert_eq!(after_all, [("l", took)]);
        assert_eq!(client.due(), None);
    }
}

#[test]
fn what_is_wrong_with_the_resource_is_not_sent_again_and_nothing_is_waited_for() {
    for dialect in BOTH {
        let mut world = World::new();
        world.put(L, "l", "l1");
        let mut client = client(&mut world, dialect);
        assert!(!client.rejects());
        let got = client.next().unwrap();
        client.answer(&got, Some("l: unknown filter"));
        assert_eq!(client.due(), None);
        client.wait(LONGEST * 2);
        client.expect_nothing();
        assert!(client.rejects());
    }
}

#[test]
fn another_acknowledgement_leaves_a_rejection_standing_rule_79() {
    for dialect in BOTH {
        let mut world = World::new();
        world.put(L, "l", "l1");
        let mut client = client(&mut world, dialect);
        let got = client.next().unwrap();
        client.answer(&got, Some("l: unknown filter"));
        for value in ["m1", "m2"] {
            world.put(L, "m", value);
            assert_eq!(client.take().resources.len(), 1);
            assert!(client.rejects());
        }
        assert!(client.session.take_late_acceptances().is_empty());
    }
}

#[test]
fn a_rejection_ends_with_the_content_rule_79() {
    for dialect in BOTH {
        for (value, text) in [(Some("l2"), TAKEN), (None, TAKEN), (Some("l2"), "no good")] {
            let mut world = World::new();
            world.put(L, "l", "l1");
            let mut client = client(&mut world, dialect);
            let got = client.next().unwrap();
            client.answer(&got, Some(&format!("l: {text}")));
            assert!(client.rejects());
            match value {
                Some(value) => world.put(L, "l", value),
                None => world.remove(L, "l"),
            }
            while let Some(got) = client.next() {
                client.answer(&got, None);
            }
            assert!(!client.rejects());
            assert_eq!(client.due(), None);
        }
    }
}

#[test]
fn who_does_not_want_it_any_more_rejects_it_no_longer_rule_79() {
    let mut world = World::new();
    world.put(L, "l", "l1");
    let mut client = world.delta();
    client.subscribe(L, &["l"]);
    client.clash("l");
    client.unsubscribe(L, &["l"]);
    assert!(!client.rejects());
    assert_eq!(client.due(), None);
}

#[test]
fn a_rejection_without_a_name_stands_until_all_of_the_response_is_accepted_or_another_rule_79() {
    let mut world = World::new();
    world.set(ALL, L, "l", "l1").set(ALL, L, "m", "m1").commit();
    let mut client = client(&mut world, Dialect::Delta);
    let got = client.next().unwrap();
    client.answer(&got, Some("no good"));
    assert_eq!(client.due(), None);
    world.put(L, "l", "l2");
    client.take();
    assert!(client.rejects());
    world.put(L, "m", "m2");
    client.take();
    assert!(!client.rejects());
}

/// Envoy cuts what it says: with a thousand listeners it names the first of those that it could not
/// bind.
#[test]
fn of_a_rejection_that_was_cut_what_it_does_not_name_is_sent_again_too() {
    let mut world = World::new();
    let names: Vec<String> = (100..200).map(|n| format!("l{n}")).collect();
    for name in &names {
        world.set(ALL, L, name, &format!("{name}-1"));
    }
    world.commit();
    let mut text: String = names
        .iter()
        .map(|name| format!("{name}: {TAKEN}\n"))
        .collect();
    text.truncate(4096);
    text.push_str("...(truncated)");
    for dialect in BOTH {
        let mut client = client(&mut world, dialect);
        for repeated in [false, true] {
            let got = client.next().unwrap();
            assert_eq!(got.resources.len(), 100);
            let Outcome::Rejected(nack) = client.answer(&got, Some(&text)) else {
                panic!();
            };
            assert!(nack.resources.len() > 20 && nack.resources.len() < 90);
            assert!(nack.resources.iter().all(|of| of.repeated == repeated));
            client.wait_until_due();
        }
        assert_eq!(client.take().resources.len(), 100);
        assert!(!client.rejects());
        assert_eq!(client.session.take_late_acceptances().len(), 100);
        assert_eq!(client.due(), None);
    }
}

#[test]
fn in_between_it_stays_at_what_the_client_had_rule_80() {
    let mut world = World::new();
    world.put(L, "l", "l1");
    let mut client = client(&mut world, Dialect::Sotw);
    client.take();
    world.put(L, "l", "l2");
    client.clash("l");
    for value in ["m1", "m2"] {
        world.put(L, "m", value);
        assert_eq!(client.take().names(), ["l1", value]);
    }
    client.wait_until_due();
    let (got, _) = client.clash("l");
    assert_eq!(got.names(), ["l2", "m2"]);
    world.put(L, "m", "m3");
    assert_eq!(client.take().names(), ["l1", "m3"]);
    client.wait_until_due();
    assert_eq!(client.take().names(), ["l2", "m3"]);
    assert!(!client.rejects());
}

#[test]
fn it_takes_its_turn_behind_clusters_rule_87() {
    for dialect in BOTH {
        let mut world = World::new();
        world.put(L, "l", "l1");
        let mut client = client(&mut world, dialect);
        match dialect {
            Dialect::Delta => client.subscribe(C, &[]),
            Dialect::Sotw => client.names(C, "", &[]),
        }
        while let Some(got) = client.next() {
            let clash = (got.url == L.as_str()).then(|| format!("l: {TAKEN}"));
            client.answer(&got, clash.as_deref());
        }
        client.wait_until_due();
        world.put(C, "c", "c1");
        let clusters = client.next().unwrap();
        assert_eq!(clusters.url, C.as_str());
        client.expect_nothing();
        client.answer(&clusters, None);
        assert_eq!(client.next().unwrap().url, L.as_str());
    }
}

#[test]
fn what_several_others_rejected_is_not_tried_again_rule_82() {
    for dialect in BOTH {
        let mut world = World::new();
        world.put(L, "l", "l1");
        let mut client = client(&mut world, dialect);
        client.clash("l");
        world.condemn(L, "l");
        client.wait(LONGEST);
        client.expect_nothing();
        assert_eq!(client.due(), None);
        assert!(client.rejects());
        world.put(L, "l", "l2");
        client.take();
        assert!(!client.rejects());
    }
}

/// Rejections of different moments have few responses together.
#[test]
fn many_rejections_are_tried_again_together() {
    let mut world = World::new();
    let mut client = client(&mut world, Dialect::Delta);
    client.take();
    for n in 0..40 {
        let name = format!("l{n}");
        world.put(L, &name, &format!("{name}-1"));
        client.clash(&name);
        client.wait(Duration::from_millis(1));
    }
    let (begin, mut responses) = (client.now, 0);
    while client.now < begin + LONGEST * 10 {
        let due = client.due().unwrap();
        client.wait(due);
        let got = client.next().unwrap();
        let names = got.names().into_iter();
        let words: Vec<String> = names.map(|name| format!("{name}: {TAKEN}")).collect();
        client.answer(&got, Some(&words.join("\n")));
        responses += 1;
    }
    assert!(responses <= 25, "{responses}");
}

/// Without any answer a client is not pressed; with the next one it is known that there will be
/// none.
#[test]
fn who_does_not_answer_is_asked_again_after_the_next_answer() {
    let mut world = World::new();
    world.put(L, "l", "l1");
    let mut client = client(&mut world, Dialect::Delta);
    client.clash("l");
    client.wait_until_due();
    client.next().expect("it is sent again");
    client.wait(LONGEST * 4);
    client.expect_nothing();
    world.put(L, "m", "m1");
    assert_eq!(client.take().names(), ["m"]);
    client.wait_until_due();
    assert_eq!(client.take().names(), ["l"]);
    assert!(!client.rejects());
}

#[test]
fn what_is_said_of_something_that_is_gone_is_said_of_nothing_else() {
    for dialect in BOTH {
        let mut world = World::new();
        world.set(ALL, L, "l", "l1").set(ALL, L, "m", "m1").commit();
        let mut client = client(&mut world, dialect);
        let got = client.next().unwrap();
        world.remove(L, "l");
        client.expect_nothing();
        // By then nobody remembers what it was called.
        world.put(C, "c", "c1");
        client.answer(&got, Some(&format!("l: {TAKEN}")));
        assert!(!client.rejects());
    }
}
