use super::*;
use crate::kube::leader::status::concerns;
use seaway_translator::status::{Status, StatusAddress};

fn id(kind: ObjectKind, name: &str) -> ObjectId {
    ObjectId::new(kind, &"default".into(), &name.into())
}

fn route(name: &str) -> ObjectId {
    id(ObjectKind::HTTPRoute, name)
}

fn gateway() -> ObjectId {
    id(ObjectKind::Gateway, "edge")
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn queue() -> Queue<Status> {
    Queue::new(concerns, fastrand::Rng::with_seed(7))
}

/// A queue of a leader.
fn leading(now: Instant) -> Queue<Status> {
    let mut queue = queue();
    queue.lead(true, now);
    queue
}

fn hear(queue: &mut Queue<Status>, id: &ObjectId, now: Instant) {
    let status = Some(Status::Route(Vec::new()));
    queue.hear(LeaderChanges::from([(id.clone(), status)]), now);
}

/// Tells a status that is another one than the last.
fn change(queue: &mut Queue<Status>, id: &ObjectId, now: Instant) {
    let name = StatusAddress::Hostname(format!("{}", fastrand::u128(..)).into());
    let status = Some(Status::Ingress(vec![name]));
    queue.hear(LeaderChanges::from([(id.clone(), status)]), now);
}

fn gone(queue: &mut Queue<Status>, id: &ObjectId, now: Instant) {
    queue.hear(LeaderChanges::from([(id.clone(), None)]), now);
}

/// Does everything that is due up to a moment; returns what and when.
fn run(
    queue: &mut Queue<Status>,
    begin: Instant,
    end: Instant,
    outcome: impl Fn(&ObjectId) -> Outcome,
) -> Vec<(Duration, ObjectId)> {
    let (mut now, mut all) = (begin, Vec::new());
    while let Some(next) = queue.next(now).filter(|next| *next <= end) {
        now = now.max(next);
        if let Some(job) = queue.take(now) {
            queue.done(&job.id, &outcome(&job.id), now);
            all.push((now - begin, job.id));
        }
    }
    all
}

fn refused(code: u16, after: Option<u64>) -> Outcome {
    Outcome::Failed(Failure::Refused {
        code,
        message: String::new(),
        after: after.map(Duration::from_secs),
    })
}

#[test]
fn a_replica_that_is_not_the_leader_writes_nothing_and_a_new_leader_looks_at_all() {
    let (mut queue, now) = (queue(), Instant::now());
    for name in ["a", "b"] {
        change(&mut queue, &route(name), now);
    }
    assert_eq!((queue.next(now), queue.len()), (None, 0));
    assert!(queue.take(now).is_none());
    for _ in 0..2 {
        queue.lead(true, now);
        let done = run(&mut queue, now, now, |_| Outcome::Written);
        assert_eq!(done.len(), 2);
        queue.lead(false, now);
    }
    // It stops in the middle.
    queue.lead(true, now);
    let job = queue.take(now).unwrap();
    queue.lead(false, now);
    assert!(queue.take(now).is_none());
    queue.done(&job.id, &refused(500, None), now);
    assert_eq!((queue.next(now), queue.len()), (None, 0));
    // It goes on before the last one is done.
    queue.lead(true, now);
    let job = queue.take(now).unwrap();
    queue.lead(false, now);
    queue.lead(true, now);
    queue.done(&job.id, &Outcome::Written, now);
    assert_eq!(queue.len(), 2);
}

#[test]
fn a_gateway_to_which_a_thousand_routes_attach_within_a_second_is_written_a_few_times() {
    let now = Instant::now();
    let mut queue = leading(now);
    let mut writes = Vec::new();
    for number in 0..1000 {
        let at = now + millis(number);
        change(&mut queue, &gateway(), at);
        writes.extend(run(&mut queue, at, at + millis(1), |_| Outcome::Written));
    }
    let last = now + millis(999);
    let late = run(&mut queue, last, last + millis(1000), |_| Outcome::Written);
    let count = writes.len() + late.len();
    assert!((2..=20).contains(&count), "{count} writes");
    // The last change is never lost.
    assert_eq!(late.len(), 1, "{late:?}");
    assert_eq!(queue.len(), 0);
}

/// The routes themselves take ten seconds, at a hundred a second.
#[test]
fn a_gateway_does_not_wait_for_the_routes_that_attach_to_it() {
    let now = Instant::now();
    let mut queue = leading(now);
    for number in 0..1000 {
        change(&mut queue, &route(&number.to_string()), now);
        change(&mut queue, &gateway(), now);
    }
    let done = run(&mut queue, now, now + millis(500), |_| Outcome::Written);
    assert_eq!(done.first().map(|(_, id)| id), Some(&gateway()));
    change(&mut queue, &gateway(), now + millis(500));
    let done = run(&mut queue, now + millis(500), now + millis(1500), |_| {
        Outcome::Written
    });
    let at = done.iter().find(|(_, id)| *id == gateway());
    assert!(at.is_some_and(|(at, _)| *at <= millis(20)), "{at:?}");
}

#[test]
fn routes_have_their_turns_whatever_gateways_do() {
    let now = Instant::now();
    let mut queue = leading(now);
    for number in 0..1000 {
        change(
            &mut queue,
            &id(ObjectKind::Gateway, &number.to_string()),
            now,
        );
    }
    change(&mut queue, &route("a"), now);
    let done = run(&mut queue, now, now, |_| Outcome::Written);
    let at = done.iter().position(|(_, id)| *id == route("a"));
    assert_eq!(at, Some(3));
}

#[test]
fn an_object_is_written_at_once_after_a_while_without() {
    let now = Instant::now();
    let mut queue = leading(now);
    let mut waits = Vec::new();
    for at in [0, 1, 2, 3, 10_000, 10_001].map(|at| now + millis(at)) {
        change(&mut queue, &gateway(), at);
        let done = run(&mut queue, at, at + Duration::from_secs(1), |_| {
            Outcome::Written
        });
        waits.extend(done.into_iter().map(|(wait, _)| wait.as_millis()));
    }
    assert_eq!(waits, [0, 49, 148, 347, 0, 49]);
}

#[test]
fn a_hot_object_does_not_keep_others_waiting() {
    let now = Instant::now();
    let mut queue = leading(now);
    for round in 0..50 {
        let at = now + millis(20 * round);
        change(&mut queue, &gateway(), at);
        let cold = route(&format!("r{round}"));
        change(&mut queue, &cold, at);
        let done = run(&mut queue, at, at + millis(10), |_| Outcome::Written);
        assert!(done.iter().any(|(_, id)| *id == cold), "{done:?}");
    }
}

#[test]
fn what_changes_while_it_is_written_is_written_again() {
    let now = Instant::now();
    let mut queue = leading(now);
    change(&mut queue, &gateway(), now);
    let job = queue.take(now).unwrap();
    change(&mut queue, &gateway(), now);
    assert!(queue.take(now + millis(60)).is_none());
    queue.done(&job.id, &Outcome::Written, now + millis(60));
    assert!(queue.take(now + millis(60)).is_some());
}

#[test]
fn writes_are_limited_in_rate_and_in_number() {
    let now = Instant::now();
    let mut queue = leading(now);
    for number in 0..1000 {
        change(&mut queue, &route(&format!("r{number}")), now);
    }
    let running: Vec<_> = std::iter::from_fn(|| queue.take(now)).collect();
    assert_eq!(running.len(), MOST);
    assert_eq!(queue.next(now), None);
    for job in running {
        queue.done(&job.id, &Outcome::Unchanged, now);
    }
    let second = now + Duration::from_secs(1);
    let done = run(&mut queue, now, second, |_| Outcome::Unchanged);
    assert!((180..=200).contains(&done.len()), "{}", done.len());
}

#[test]
fn an_object_that_cannot_be_written_waits_longer_each_time_and_alone() {
    let now = Instant::now();
    for outcome in [refused(422, None), refused(500, None), Outcome::Conflict] {
        let mut queue = leading(now);
        let (bad, good) = (route("bad"), route("good"));
        change(&mut queue, &bad, now);
        let of = |id: &ObjectId| match *id.name == *"bad" {
            true => outcome.clone(),
            false => Outcome::Written,
        };
        let minute = now + Duration::from_secs(60);
        let tries = run(&mut queue, now, minute, of);
        assert!((6..=12).contains(&tries.len()), "{tries:?}");
        change(&mut queue, &good, minute);
        let done = run(&mut queue, minute, minute, of);
        assert!(done.iter().any(|(_, id)| *id == good), "{done:?}");
        // A new status is tried at once.
        let late = minute + Duration::from_secs(5);
        change(&mut queue, &bad, late);
        let done = run(&mut queue, late, late, |_| Outcome::Written);
        assert_eq!(done.len(), 1, "{done:?}");
        assert_eq!(queue.len(), 0);
    }
}

#[test]
fn while_the_api_server_is_away_or_asks_for_time_nothing_is_tried() {
    let now = Instant::now();
    for (outcome, least) in [
        (Outcome::Failed(Failure::Unreachable("refused".into())), 25),
        (refused(429, None), 125),
        (refused(503, Some(3)), 3000),
    ] {
        let mut queue = leading(now);
        for name in ["a", "b"] {
            change(&mut queue, &route(name), now);
        }
        let job = queue.take(now).unwrap();
        queue.done(&job.id, &outcome, now);
        let next = queue.next(now).unwrap();
        assert!(next >= now + millis(least), "{outcome:?}: {:?}", next - now);
        assert!(queue.take(next - millis(1)).is_none());
        assert_eq!(run(&mut queue, next, next, |_| Outcome::Written).len(), 2);
    }
}

#[test]
fn where_a_permission_is_missing_a_few_are_tried_now_and_then_and_all_others_go_on() {
    let now = Instant::now();
    let mut queue = leading(now);
    for number in 0..500 {
        change(&mut queue, &route(&format!("r{number}")), now);
    }
    let of = |id: &ObjectId| match id.kind {
        ObjectKind::HTTPRoute => refused(403, None),
        _ => Outcome::Written,
    };
    let late = now + Duration::from_secs(100);
    let tries = run(&mut queue, now, late, of);
    assert!((3..=6).contains(&tries.len()), "{}", tries.len());
    change(&mut queue, &gateway(), late);
    assert!(!run(&mut queue, late, late, of).is_empty());
    // It is granted.
    let end = late + Duration::from_secs(60);
    let done = run(&mut queue, late, end, |_| Outcome::Written);
    assert_eq!((done.len(), queue.len()), (500, 0));
}

#[test]
fn what_is_gone_is_forgotten_once_that_is_known_or_after_a_while() {
    let now = Instant::now();
    let mut queue = leading(now);
    let lonely = id(ObjectKind::Ingress, "lonely");
    // Nothing was ever ours.
    for id in [&lonely, &gateway()] {
        gone(&mut queue, id, now);
    }
    assert!(queue.entries.is_empty() && !queue.needs_leader());
    let addresses = Some(Status::Ingress(vec![StatusAddress::Hostname("a".into())]));
    queue.hear(LeaderChanges::from([(lonely.clone(), addresses)]), now);
    gone(&mut queue, &lonely, now);
    assert!(queue.take(now).unwrap().wanted().before.is_some());
    queue.done(&lonely, &Outcome::Gone, now);
    assert!(queue.entries.is_empty() && queue.needs_leader());
    // Of another leader's the outcome is not seen.
    for leads in [false, true] {
        queue.lead(leads, now);
        gone(&mut queue, &route("a"), now);
        run(&mut queue, now, now, |_| Outcome::Unchanged);
        assert!(!queue.entries.is_empty());
        change(&mut queue, &gateway(), now + LINGER);
        gone(&mut queue, &gateway(), now + LINGER);
        assert!(queue.entries.is_empty());
    }
}

/// As routes of other controllers do.
#[test]
fn an_object_without_a_status_of_ours_is_looked_at_once_in_a_while_however_often_it_changes() {
    let now = Instant::now();
    let mut queue = leading(now);
    let mut looks = 0;
    for second in 0..300 {
        let at = now + Duration::from_secs(second);
        gone(&mut queue, &route("foreign"), at);
        looks += run(&mut queue, at, at, |_| Outcome::Unchanged).len();
    }
    assert_eq!(looks, 3);
    assert!(!queue.needs_leader());
}

#[test]
fn what_an_object_should_say_already_is_no_change() {
    let now = Instant::now();
    let mut queue = leading(now);
    for second in 0..10 {
        let at = now + Duration::from_secs(second);
        hear(&mut queue, &route("a"), at);
        let done = run(&mut queue, at, at, |_| Outcome::Written);
        assert_eq!(done.len(), usize::from(second == 0));
    }
}

#[test]
fn an_object_that_is_created_anew_is_looked_at_again() {
    let now = Instant::now();
    let mut queue = leading(now);
    change(&mut queue, &route("a"), now);
    run(&mut queue, now, now, |_| Outcome::Gone);
    let late = now + Duration::from_secs(5);
    queue.again([route("a"), route("unknown")], late);
    assert_eq!(run(&mut queue, late, late, |_| Outcome::Written).len(), 1);
}
