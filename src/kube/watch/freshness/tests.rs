use super::*;

const EVERY: Duration = Duration::from_secs(20);

fn at(version: u64) -> Position {
    Position::At {
        version,
        streamed: true,
        newest: 0,
    }
}

fn listed(version: u64, newest: u64) -> Position {
    Position::At {
        version,
        streamed: false,
        newest,
    }
}

/// Rounds with a clock.
struct Scene {
    rounds: Rounds,
    now: Instant,
}

impl Scene {
    fn new() -> Scene {
        let now = Instant::now();
        Scene {
            rounds: Rounds::new(Probing::every(EVERY), false, now, 0.5),
            now,
        }
    }

    /// Waits for the next thing to do and begins it.
    fn next(&mut self, position: Position) -> Task {
        loop {
            self.now = self.now.max(self.rounds.due());
            if let Some(task) = self.rounds.task(self.now, position) {
                if task == Task::Probe {
                    self.rounds.schedule(self.now, 0.5);
                }
                return task;
            }
        }
    }

    /// Probes answer with this version until a second watch is wanted; returns up to where.
    fn until_look(&mut self, seen: u64, position: Position) -> u64 {
        loop {
            match self.next(position) {
                Task::Probe => {
                    self.rounds.probed(self.now, Some(seen), position);
                }
                Task::Look { up_to, .. } => return up_to,
            }
        }
    }

    /// What follows when the API server is at `seen` and a second watch brings `sight`.
    fn round(&mut self, seen: u64, position: Position, sight: Sight) -> (Outcome, bool) {
        let up_to = self.until_look(seen, position);
        let verdict = self.rounds.looked(self.now, up_to, &sight, position);
        (verdict.outcome, verdict.list)
    }
}

#[test]
fn a_watch_that_has_reached_what_a_probe_saw_is_fresh_at_once() {
    let mut scene = Scene::new();
    assert_eq!(scene.next(at(5)), Task::Probe);
    let verdict = scene.rounds.probed(scene.now, Some(5), at(5));
    assert_eq!(verdict, Some(Verdict::of(Outcome::Fresh)));
    assert_eq!(scene.next(at(5)), Task::Probe);
}

#[test]
fn a_change_that_only_others_are_told_is_noticed_within_a_minute() {
    for begin in 0..20 {
        let mut scene = Scene::new();
        let change = scene.now + Duration::from_secs(begin);
        let list = loop {
            match scene.next(at(4)) {
                Task::Probe => {
                    let seen = if scene.now < change { 5 } else { 9 };
                    scene.rounds.probed(scene.now, Some(seen), at(4));
                }
                Task::Look { up_to, .. } => {
                    let sight = match scene.now < change {
                        true => Sight::Bookmark(5),
                        false => Sight::Change(7),
                    };
                    // The second watch takes its time.
                    scene.now += Duration::from_secs(5);
                    let verdict = scene.rounds.looked(scene.now, up_to, &sight, at(4));
                    if verdict.outcome == Outcome::Behind {
                        break verdict.list;
                    }
                    assert_eq!(verdict, Verdict::of(Outcome::Quiet));
                }
            }
        };
        assert!(list);
        let took = scene.now.duration_since(change);
        assert!(took <= Duration::from_secs(60), "{took:?} for {begin}");
    }
}

#[test]
fn what_follows_from_what_a_second_watch_brings() {
    let cases = [
        // Nothing has changed up to 9, or not before the probe.
        (Sight::Bookmark(9), Outcome::Quiet, false),
        (Sight::Bookmark(12), Outcome::Quiet, false),
        (Sight::Change(10), Outcome::Quiet, false),
        // A change that the server had when it was probed.
        (Sight::Change(9), Outcome::Behind, true),
        (Sight::Change(5), Outcome::Behind, true),
        // The server's cache may stand still.
        (Sight::Bookmark(8), Outcome::Unproven, true),
        (Sight::Nothing, Outcome::Unproven, true),
    ];
    for (sight, outcome, list) in cases {
        let said = format!("{sight:?}");
        let found = Scene::new().round(9, at(4), sight);
        assert_eq!(found, (outcome, list), "{said}");
    }
}

#[test]
fn a_watch_that_moves_is_slow_and_not_behind() {
    let mut scene = Scene::new();
    let up_to = scene.until_look(9, at(4));
    let sight = Sight::Change(5);
    let verdict = scene.rounds.looked(scene.now, up_to, &sight, at(6));
    assert_eq!(verdict, Verdict::of(Outcome::Slow));
    let verdict = scene.rounds.looked(scene.now, up_to, &sight, at(9));
    assert_eq!(verdict, Verdict::of(Outcome::Fresh));
}

#[test]
fn the_second_time_in_a_row_is_stale_until_the_watch_itself_has_caught_up() {
    let mut scene = Scene::new();
    assert_eq!(scene.round(9, at(4), Sight::Change(5)).0, Outcome::Behind);
    assert!(!scene.rounds.is_stale());
    // What the new list brought is no merit of the watch.
    let verdict = scene.rounds.probed(scene.now, Some(9), listed(9, 9));
    assert_eq!(verdict, None);
    let found = scene.round(14, listed(9, 9), Sight::Change(11));
    assert_eq!(found, (Outcome::Behind, true));
    assert!(scene.rounds.is_stale());
    scene.rounds.probed(scene.now, Some(14), listed(14, 14));
    assert!(scene.rounds.is_stale());
    let found = scene.round(20, listed(14, 14), Sight::Bookmark(20));
    assert_eq!((found.0, scene.rounds.is_stale()), (Outcome::Quiet, false));
}

#[test]
fn a_server_that_told_quiet_watches_how_far_it_is_and_no_longer_does_stands_still() {
    let mut scene = Scene::new();
    let found = scene.round(9, at(4), Sight::Bookmark(9));
    assert_eq!(found, (Outcome::Quiet, false));
    for stale in [false, true] {
        let found = scene.round(20, at(4), Sight::Bookmark(9));
        assert_eq!(
            (found, scene.rounds.is_stale()),
            ((Outcome::Behind, true), stale)
        );
    }
}

#[test]
fn where_nobody_is_told_how_far_the_server_is_lists_are_asked_for_less_and_less_often() {
    let mut scene = Scene::new();
    let (mut seen, mut position, mut lists) = (9, at(4), Vec::new());
    while lists.len() < 9 {
        seen += 1;
        let (outcome, list) = scene.round(seen, position, Sight::Nothing);
        assert_eq!(outcome, Outcome::Unproven);
        if list {
            lists.push(scene.now);
            position = listed(seen, 4);
        }
    }
    let pauses: Vec<_> = lists.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.is_sorted_by(|a, b| *a <= *b + EVERY), "{pauses:?}");
    let last = pauses.last().unwrap();
    assert!(
        *last >= LONGEST && *last <= LONGEST + 4 * EVERY,
        "{pauses:?}"
    );
    assert!(!scene.rounds.is_stale());
}

#[test]
fn a_list_without_a_proof_that_brings_what_was_missing_is_the_proof() {
    let mut scene = Scene::new();
    assert_eq!(
        scene.round(9, at(4), Sight::Nothing),
        (Outcome::Unproven, true)
    );
    assert_eq!(
        scene.round(20, listed(9, 7), Sight::Nothing),
        (Outcome::Unproven, true)
    );
    assert!(!scene.rounds.is_stale());
    // There is no rest before the next one.
    assert_eq!(
        scene.round(30, listed(20, 18), Sight::Nothing),
        (Outcome::Unproven, true)
    );
    assert!(scene.rounds.is_stale());
}

#[test]
fn resource_versions_that_are_no_numbers_prove_nothing() {
    let mut scene = Scene::new();
    for (seen, position) in [(None, at(4)), (Some(9), Position::Incomparable)] {
        assert_eq!(scene.next(position), Task::Probe);
        let verdict = scene.rounds.probed(scene.now, seen, position);
        assert_eq!(verdict, Some(Verdict::of(Outcome::Incomparable)));
    }
}

#[test]
fn nothing_is_asked_while_a_list_is_read_and_what_was_pending_is_in_it() {
    let mut scene = Scene::new();
    scene.until_look(9, at(4));
    assert_eq!(scene.rounds.task(scene.now, Position::Listing), None);
    let verdict = scene.rounds.probed(scene.now, Some(9), listed(9, 9));
    assert_eq!(verdict, None);
    assert_eq!(scene.next(listed(9, 9)), Task::Probe);
}

#[test]
fn a_second_watch_that_cannot_be_opened_is_tried_again_later() {
    let mut scene = Scene::new();
    scene.until_look(9, at(4));
    let failed = scene.now;
    scene.rounds.failed(scene.now);
    scene.until_look(9, at(4));
    assert!(scene.now >= failed + Probing::every(EVERY).patience);
}
