//! Contents that several proxies rejected, kept from the others: xDS rule 82.

use super::*;
use crate::store::quarantine::Voter;

fn nothing(dialect: Dialect) -> Names {
    match dialect {
        Dialect::Delta => Names::Change {
            subscribe: vec![],
            unsubscribe: vec![],
            initial: HashMap::new(),
        },
        Dialect::Sotw => Names::default(),
    }
}

/// A proxy that is its own principal, or one of several of a principal: `principal/proxy`.
pub(super) fn voter(name: &str) -> Voter {
    let principal = name.split('/').next().unwrap_or(name);
    Voter {
        identity: name.into(),
        principal: principal.into(),
    }
}

impl World {
    /// These clients are sent a resource and reject it.
    pub(super) fn rejected_by(
        &mut self,
        identities: &[Option<&str>],
        url: TypeUrl,
        name: &str,
        text: &str,
    ) {
        for identity in identities {
            let mut client = self.delta();
            client.session.identify(identity.map(voter));
            client.subscribe(url, &[name]);
            let got = client.next().unwrap();
            client.reject(&got, text, nothing(Dialect::Delta));
        }
    }

    pub(super) fn condemn(&mut self, url: TypeUrl, name: &str) {
        let text = format!("{name}: no good");
        self.rejected_by(&[Some("x"), Some("y"), Some("z")], url, name, &text);
    }
}

/// A delta client that was sent the first content of a listener, and one that has not even asked.
fn two(world: &mut World) -> (Client, Client) {
    world.put(L, "l", "1");
    let mut slow = world.delta();
    slow.subscribe(L, &[]);
    slow.expect(L);
    (slow, world.delta())
}

#[test]
fn what_several_rejected_is_kept_from_the_others_until_it_changes_rule_82() {
    let mut world = World::new();
    let (mut slow, mut late) = two(&mut world);
    world.put(L, "l", "2");
    world.condemn(L, "l");
    assert_eq!(slow.expect(L).resources["l"], "1");
    slow.expect_nothing();
    late.subscribe(L, &[]);
    assert_eq!(late.expect(L).resources["l"], "1");
    world.put(L, "l", "3");
    for client in [&mut slow, &mut late] {
        assert_eq!(client.expect(L).resources["l"], "3");
    }
    assert!(world.snapshots.quarantined().is_empty());
}

#[test]
fn it_is_reported_with_its_origin_rule_82() {
    let mut world = World::new();
    two(&mut world);
    world.put(L, "l", "2");
    world.condemn(L, "l");
    let version = |value: &str| seaway_proto::Version::of(value.as_bytes());
    let report = crate::Quarantined {
        type_url: L,
        name: "l".into(),
        version: version("2"),
        origin: "Listener/l".into(),
        instead: Some(version("1")),
        reason: crate::QuarantineReason::Rejected {
            by: ["x", "y", "z"].map(Arc::from).to_vec(),
            error: "l: no good".into(),
        },
    };
    assert_eq!(world.snapshots.quarantined(), [report]);
}

#[test]
fn what_has_no_content_before_is_not_sent_and_denied_to_who_asks_by_name_rule_82() {
    let mut world = World::new();
    world.put(L, "l", "2");
    world.condemn(L, "l");
    let mut by_name = world.delta();
    by_name.subscribe(L, &["l"]);
    assert_eq!(by_name.expect(L).removed, ["l"]);
    by_name.expect_nothing();
    let mut everything = world.sotw();
    everything.names(L, "", &[]);
    let got = everything.expect(L);
    assert_eq!(got.names(), Vec::<&str>::new());
    everything.names(L, &got.nonce, &[]);
    world.put(L, "l", "3");
    assert_eq!(by_name.expect(L).resources["l"], "3");
    assert_eq!(everything.expect(L).names(), ["3"]);
}

#[test]
fn fewer_or_unverified_or_the_same_proxies_decide_nothing_rule_82() {
    let three = [Some("x"), Some("y"), Some("x")];
    for proxies in [&[None; 9][..], &[Some("x"); 9], &three] {
        let mut world = World::new();
        let (mut slow, mut late) = two(&mut world);
        world.put(L, "l", "2");
        world.rejected_by(proxies, L, "l", "l: no good");
        assert_eq!(slow.expect(L).resources["l"], "2");
        late.subscribe(L, &[]);
        assert_eq!(late.expect(L).resources["l"], "2");
    }
}

#[test]
fn a_proxy_that_cannot_bind_says_nothing_of_the_resource_rule_82() {
    let mut world = World::new();
    let (mut slow, _) = two(&mut world);
    world.set(ALL, L, "l", "2").set(ALL, L, "m", "1").commit();
    let text = "l: cannot bind '10.0.0.1:80': Address already in use\nm: unknown filter";
    let proxies = ["x", "y", "z"].map(Some);
    for name in ["l", "m"] {
        world.rejected_by(&proxies, L, name, text);
    }
    let got = slow.expect(L);
    assert_eq!((got.names(), got.resources["l"].as_str()), (vec!["l"], "2"));
}

#[test]
fn a_rejection_in_another_layer_concerns_only_that_rule_82() {
    let mut world = World::new();
    let near = PlacementId(1);
    let layers = [1, ALL].map(LayerId).to_vec();
    world.commit_with(vec![(near, Some(layers))]);
    world.set(ALL, L, "l", "1").set(1, L, "l", "near").commit();
    world.condemn(L, "l");
    let mut client = world.client(Dialect::Delta, near);
    client.subscribe(L, &[]);
    assert_eq!(client.expect(L).resources["l"], "near");
}

/// Who was sent it and did not complain has it; to others it goes back to what was.
#[test]
fn who_has_it_keeps_it_rule_82() {
    let mut world = World::new();
    let (_, mut late) = two(&mut world);
    world.put(L, "l", "2");
    let mut has_it = world.sotw();
    has_it.names(L, "", &[]);
    let got = has_it.expect(L);
    has_it.names(L, &got.nonce, &[]);
    world.condemn(L, "l");
    world.put(L, "m", "m1");
    assert_eq!(has_it.expect(L).names(), ["2", "m1"]);
    late.subscribe(L, &[]);
    let got = late.expect(L);
    let values: Vec<&String> = got.resources.values().collect();
    assert_eq!(values, ["1", "m1"]);
}

#[test]
fn an_assignment_is_loaded_anew_as_it_was_rule_82() {
    let mut world = World::new();
    world.set(ALL, C, "a", "c1").set(ALL, E, "a", "e1").commit();
    let mut has_it = world.delta();
    let mut slow = world.delta();
    for client in [&mut has_it, &mut slow] {
        client.subscribe(C, &[]);
        client.expect(C);
        client.subscribe(E, &["a"]);
        client.expect(E);
    }
    world.put(E, "a", "e2");
    has_it.expect(E);
    world.condemn(E, "a");
    has_it.expect_nothing();
    world.put(C, "a", "c2");
    for (client, value) in [(&mut has_it, "e2"), (&mut slow, "e1")] {
        client.expect(C);
        assert_eq!(client.expect(E).resources["a"], value);
        client.expect_nothing();
    }
}

#[test]
fn one_bad_content_after_the_other_leaves_the_last_good_one_rule_82() {
    let mut world = World::new();
    let (mut slow, mut late) = two(&mut world);
    for value in ["2", "3"] {
        world.put(L, "l", value);
        world.condemn(L, "l");
    }
    assert_eq!(slow.expect(L).resources["l"], "1");
    late.subscribe(L, &[]);
    assert_eq!(late.expect(L).resources["l"], "1");
}

#[test]
fn a_client_that_rejects_twice_stays_at_what_it_accepted_rule_80() {
    let mut world = World::new();
    world.put(L, "l", "1");
    let mut client = world.sotw();
    client.names(L, "", &[]);
    let got = client.expect(L);
    client.names(L, &got.nonce, &[]);
    for value in ["2", "3"] {
        world.put(L, "l", value);
        let got = client.expect(L);
        assert_eq!(got.names(), [value]);
        client.reject(&got, "l: no good", nothing(Dialect::Sotw));
    }
    world.put(L, "m", "m1");
    assert_eq!(client.expect(L).names(), ["1", "m1"]);
}

/// What it accepted last is not forgotten with an acknowledgement of something else, or of what it
/// was sent in place of the bad one.
#[test]
fn another_acknowledgement_in_between_changes_nothing_of_that_rule_80() {
    let mut world = World::new();
    world.put(L, "l", "1");
    let mut client = world.sotw();
    client.names(L, "", &[]);
    let got = client.expect(L);
    client.names(L, &got.nonce, &[]);
    world.put(L, "l", "2");
    let got = client.expect(L);
    client.reject(&got, "l: no good", nothing(Dialect::Sotw));
    world.put(L, "m", "m1");
    let other = client.expect(L);
    assert_eq!(other.names(), ["1", "m1"]);
    world.put(L, "l", "3");
    client.expect_nothing();
    client.names(L, &other.nonce, &[]);
    let got = client.expect(L);
    assert_eq!(got.names(), ["3", "m1"]);
    client.reject(&got, "l: no good", nothing(Dialect::Sotw));
    world.put(L, "m", "m2");
    assert_eq!(client.expect(L).names(), ["1", "m2"]);
}

/// A client that has a listener, and says so or not.
fn has_it(world: &mut World, name: &str, acknowledges: bool) -> (Client, Got) {
    let mut client = world.delta();
    client.session.identify(Some(voter(name)));
    client.subscribe(L, &[]);
    let got = client.next().unwrap();
    if acknowledges {
        client.ack(&got);
    }
    (client, got)
}

/// Three pods of one tenant are one, however many there are.
#[test]
fn many_proxies_of_one_principal_decide_nothing_rule_82() {
    let mut world = World::new();
    let (mut slow, _) = two(&mut world);
    world.put(L, "l", "2");
    let names: Vec<String> = (0..9).map(|pod| format!("tenant/{pod}")).collect();
    let proxies: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
    world.rejected_by(&proxies, L, "l", "l: no good");
    assert_eq!(slow.expect(L).resources["l"], "2");
}

/// A few that reject are not believed against many that took it, whether these say so before or
/// after.
#[test]
fn a_few_do_not_outvote_those_that_took_it_rule_82() {
    for acknowledges_first in [true, false] {
        let mut world = World::new();
        let (mut slow, mut late) = two(&mut world);
        world.put(L, "l", "2");
        let names: Vec<String> = (0..10).map(|pod| format!("fleet/{pod}")).collect();
        let fleet = names
            .iter()
            .map(|name| has_it(&mut world, name, acknowledges_first));
        let mut fleet: Vec<(Client, Got)> = fleet.collect();
        world.condemn(L, "l");
        for (client, got) in &mut fleet {
            if acknowledges_first {
                client.expect_nothing();
            } else {
                client.ack(got);
            }
        }
        assert!(world.snapshots.quarantined().is_empty());
        assert_eq!(slow.expect(L).resources["l"], "2");
        late.subscribe(L, &[]);
        assert_eq!(late.expect(L).resources["l"], "2");
        // As many more reject it as took it, and one.
        let names: Vec<String> = (0..8).map(|pod| format!("other/{pod}")).collect();
        let proxies: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        world.rejected_by(&proxies, L, "l", "l: no good");
        assert_eq!(world.snapshots.quarantined().len(), 1);
    }
}

/// To whom it was not sent while it was held back, it is sent after all.
#[test]
fn what_is_held_back_no_longer_is_sent_after_all_rule_82() {
    let mut world = World::new();
    let (mut slow, mut late) = two(&mut world);
    world.put(L, "l", "2");
    let (mut one, got) = has_it(&mut world, "fleet/1", false);
    let (mut two, same) = has_it(&mut world, "fleet/2", false);
    let (mut three, again) = has_it(&mut world, "fleet/3", false);
    world.condemn(L, "l");
    assert_eq!(slow.expect(L).resources["l"], "1");
    late.subscribe(L, &[]);
    assert_eq!(late.expect(L).resources["l"], "1");
    one.ack(&got);
    two.ack(&same);
    late.expect_nothing();
    three.ack(&again);
    for client in [&mut slow, &mut late] {
        assert_eq!(client.expect(L).resources["l"], "2");
    }
}
