use super::*;
use crate::admin::freshness::Reached;
use crate::peers::digest::Content;

const SECOND: Duration = Duration::from_secs(1);

/// A replica at these versions, which serves this content.
fn digest(instance: &str, state: State, (version, changed): (u64, u64), hash: u64) -> Digest {
    let content = Content { count: 1, hash };
    Digest {
        instance: instance.into(),
        name: format!("replica-{instance}").into(),
        build: "0.1.0".into(),
        flags: 1,
        state,
        watches: [("services".into(), Reached { version, changed })].into(),
        contents: [(("All".into(), "cluster".into()), content)].into(),
    }
}

fn fresh(instance: &str, at: u64) -> Digest {
    digest(instance, State::Fresh, (at, at), at)
}

/// Replicas that tell each other everything once a second. Each has a clock of its own.
struct Scene {
    replicas: Vec<(Digest, Peers, Instant)>,
    standings: Vec<Standing>,
    /// Replicas that nobody hears and that hear nobody.
    apart: Vec<usize>,
}

impl Scene {
    fn new(own: Vec<Digest>) -> Scene {
        // A day apart, if clocks could be compared.
        let now = Instant::now() + Duration::from_secs(10 * 86_400);
        let clock = |number: usize| now + Duration::from_secs(86_400) * number as u32;
        let numbered = own.into_iter().enumerate();
        let replica = |(number, digest)| (digest, Peers::new(Timing::default()), clock(number));
        Scene {
            replicas: numbered.map(replica).collect(),
            standings: Vec::new(),
            apart: Vec::new(),
        }
    }

    fn own(&mut self, number: usize) -> &mut Digest {
        &mut self.replicas[number].0
    }

    /// A second passes: everybody tells what it last was, then everybody looks.
    fn second(&mut self) {
        let told: Vec<Digest> = (self.replicas.iter().enumerate())
            .map(|(number, (own, ..))| {
                let state = self
                    .standings
                    .get(number)
                    .map_or(own.state, |one| one.state);
                Digest {
                    state,
                    ..own.clone()
                }
            })
            .collect();
        self.standings.clear();
        for (number, (own, peers, now)) in self.replicas.iter_mut().enumerate() {
            *now += SECOND;
            for (other, digest) in told.iter().enumerate() {
                let hears = !self.apart.contains(&number) && !self.apart.contains(&other);
                if other != number && hears {
                    assert!(peers.heard(digest.clone(), *now));
                }
            }
            self.standings.push(peers.look(own, *now));
        }
    }

    fn seconds(&mut self, seconds: usize) {
        (0..seconds).for_each(|_| self.second());
    }

    fn states(&self) -> Vec<State> {
        self.standings.iter().map(|one| one.state).collect()
    }
}

#[test]
fn a_replica_that_lacks_a_change_for_ten_seconds_is_behind_and_lists_once() {
    let mut scene = Scene::new(vec![fresh("a", 5), fresh("b", 9)]);
    scene.seconds(11);
    assert_eq!(scene.standings[0].behind, []);
    scene.second();
    let standing = &scene.standings[0];
    let behind = Behind {
        watch: "services".into(),
        peer: "replica-b".into(),
        versions: 4,
    };
    assert_eq!(standing.behind, [behind]);
    assert_eq!(standing.list, ["services".into()]);
    assert_eq!(standing.state, State::Stale);
    assert_eq!(scene.standings[1].state, State::Fresh);
    scene.second();
    assert_eq!(scene.standings[0].list, []);
    // What it has listed brings it back before it leaves.
    *scene.own(0) = fresh("a", 9);
    scene.second();
    assert_eq!(
        (scene.states(), &*scene.standings[0].behind),
        (vec![State::Fresh; 2], &[][..])
    );
}

#[test]
fn bookmarks_that_come_later_are_no_lag_and_neither_is_a_steady_stream_of_changes() {
    let mut scene = Scene::new(vec![fresh("a", 5), fresh("b", 5)]);
    scene.own(1).watches.get_mut("services").unwrap().version = 900;
    scene.seconds(60);
    assert_eq!(scene.states(), [State::Fresh; 2]);
    // Each time it is looked at, the other one has just heard of one more.
    for number in 0..60 {
        *scene.own(0) = fresh("a", 1000 + number);
        *scene.own(1) = fresh("b", 1001 + number);
        scene.second();
        assert_eq!(scene.states(), [State::Fresh; 2]);
    }
}

#[test]
fn nobody_is_behind_of_a_peer_that_is_stale_or_has_other_flags_or_is_silent() {
    for change in [
        |digest: &mut Digest| digest.state = State::Stale,
        |digest: &mut Digest| digest.flags = 2,
        |digest: &mut Digest| digest.state = State::Syncing,
    ] {
        let mut scene = Scene::new(vec![fresh("a", 5), fresh("b", 9)]);
        change(scene.own(1));
        scene.seconds(30);
        assert_eq!(scene.states()[0], State::Fresh);
    }
    let mut scene = Scene::new(vec![fresh("a", 5), fresh("b", 9)]);
    scene.seconds(9);
    scene.apart = vec![1];
    scene.seconds(30);
    assert_eq!(scene.states()[0], State::Fresh);
}

#[test]
fn a_stale_replica_leaves_once_it_has_told_so_and_a_fresh_one_answers() {
    let mut scene = Scene::new(vec![fresh("a", 5), fresh("b", 5)]);
    scene.second();
    scene.own(0).state = State::Stale;
    scene.seconds(4);
    assert_eq!(scene.states(), [State::Stale, State::Fresh]);
    scene.second();
    assert_eq!(scene.states(), [State::Out, State::Fresh]);
    scene.seconds(100);
    assert_eq!(scene.states(), [State::Out, State::Fresh]);
}

#[test]
fn a_replica_that_is_out_comes_back_when_it_has_what_a_fresh_one_has() {
    let mut scene = Scene::new(vec![digest("a", State::Stale, (5, 5), 5), fresh("b", 9)]);
    scene.seconds(6);
    assert_eq!(scene.states(), [State::Out, State::Fresh]);
    // It works again, and has yet to get there.
    scene.own(0).state = State::Fresh;
    scene.seconds(3);
    assert_eq!(scene.states()[0], State::Out);
    // It has got there, and has yet to publish it.
    *scene.own(0) = digest("a", State::Fresh, (9, 9), 5);
    scene.seconds(3);
    assert_eq!(scene.states()[0], State::Out);
    *scene.own(0) = fresh("a", 9);
    scene.second();
    assert_eq!(scene.states(), [State::Fresh; 2]);
}

#[test]
fn replicas_that_are_all_stale_all_stay() {
    for count in [1, 2, 3, 7] {
        let stale = |number: usize| digest(&number.to_string(), State::Stale, (5, 5), 5);
        let mut scene = Scene::new((0..count).map(stale).collect());
        scene.seconds(60);
        assert_eq!(scene.states(), vec![State::Stale; count]);
    }
}

#[test]
fn of_replicas_that_become_stale_one_after_the_other_the_last_one_stays() {
    for pause in 0..12 {
        let mut scene = Scene::new((0..3).map(|n| fresh(&n.to_string(), 5)).collect());
        scene.second();
        for number in 0..3 {
            scene.own(number).state = State::Stale;
            scene.seconds(pause);
        }
        for _ in 0..60 {
            scene.second();
            let stays = scene
                .states()
                .iter()
                .filter(|state| **state == State::Stale)
                .count();
            assert!(stays >= 1, "{pause}: {:?}", scene.states());
        }
    }
}

#[test]
fn a_replica_that_is_out_comes_back_when_there_is_no_fresh_one_any_more() {
    for end in [
        |scene: &mut Scene| scene.apart = vec![1],
        |scene: &mut Scene| scene.own(1).state = State::Stale,
        |scene: &mut Scene| scene.own(1).state = State::Draining,
    ] {
        let mut scene = Scene::new(vec![digest("a", State::Stale, (5, 5), 5), fresh("b", 5)]);
        scene.seconds(8);
        assert_eq!(scene.states()[0], State::Out);
        end(&mut scene);
        scene.seconds(8);
        assert_eq!(scene.states()[0], State::Stale);
        // It leaves anew when somebody fresh is back.
        scene.apart.clear();
        scene.own(1).state = State::Fresh;
        scene.seconds(8);
        assert_eq!(scene.states()[0], State::Out);
    }
}

#[test]
fn a_replica_without_peers_never_leaves() {
    let mut scene = Scene::new(vec![digest("a", State::Stale, (5, 5), 5)]);
    scene.seconds(100);
    assert_eq!(scene.states(), [State::Stale]);
    assert!(scene.standings[0].peers.is_empty());
}

#[test]
fn equal_replicas_that_serve_something_else_disagree_and_nobody_leaves() {
    let mut scene = Scene::new(vec![fresh("a", 5), fresh("b", 5)]);
    *scene.own(1) = digest("b", State::Fresh, (5, 5), 6);
    scene.seconds(11);
    assert_eq!(scene.standings[0].disagreements, []);
    scene.seconds(1);
    let disagreement = Disagreement {
        layer: "All".into(),
        of: "cluster".into(),
        peer: "replica-b".into(),
    };
    assert_eq!(scene.standings[0].disagreements, [disagreement]);
    assert_eq!(scene.standings[1].disagreements.len(), 1);
    scene.seconds(60);
    assert_eq!(scene.states(), [State::Fresh; 2]);
}

#[test]
fn what_changes_all_the_time_or_is_made_by_another_build_is_no_disagreement() {
    let mut scene = Scene::new(vec![fresh("a", 5), fresh("b", 5)]);
    for number in 0..60 {
        *scene.own(0) = digest("a", State::Fresh, (9, 9), number);
        *scene.own(1) = digest("b", State::Fresh, (9, 9), number + 1);
        scene.second();
        assert_eq!(scene.standings[0].disagreements, []);
    }
    for change in [
        |digest: &mut Digest| digest.build = "0.2.0".into(),
        |digest: &mut Digest| digest.flags = 2,
        // A layer that exists for a proxy that is connected there.
        |digest: &mut Digest| {
            let contents = std::mem::take(&mut digest.contents).into_values();
            digest.contents = contents
                .map(|content| (("OnDemand".into(), "cluster".into()), content))
                .collect();
        },
    ] {
        let mut scene = Scene::new(vec![fresh("a", 5), digest("b", State::Fresh, (5, 5), 6)]);
        change(scene.own(1));
        scene.seconds(60);
        assert_eq!(scene.standings[0].disagreements, []);
    }
}

#[test]
fn there_is_an_end_to_peers_and_those_that_are_gone_are_forgotten() {
    let mut peers = Peers::new(Timing::default());
    let (own, now) = (fresh("own", 5), Instant::now());
    for number in 0..MAX_PEERS {
        assert!(peers.heard(fresh(&number.to_string(), 5), now));
    }
    assert!(!peers.heard(fresh("more", 5), now));
    let standing = peers.look(&own, now + 10 * SECOND);
    assert_eq!(standing.peers, vec![None; MAX_PEERS]);
    assert_eq!(peers.look(&own, now + FORGOTTEN).peers, []);
    assert!(peers.heard(fresh("more", 5), now));
}

#[test]
fn a_process_that_ends_or_begins_says_so_whatever_its_peers_say() {
    for state in [State::Syncing, State::Draining] {
        let mut scene = Scene::new(vec![digest("a", state, (5, 5), 5), fresh("b", 9)]);
        scene.seconds(60);
        assert_eq!(scene.states()[0], state);
    }
}
