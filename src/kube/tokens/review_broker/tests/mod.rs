//! Streams come with tokens, an API server answers or does not, and time passes.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::super::review::Identity;
use super::*;

mod load;
mod properties;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn token(number: u16, until: Instant) -> Token {
    let mut hash = Hash::default();
    hash[..2].copy_from_slice(&number.to_be_bytes());
    Token {
        text: Arc::new(format!("token {number}").into()),
        hash,
        expires: SystemTime::now(),
        until,
    }
}

fn number(token: &Token) -> u16 {
    u16::from_be_bytes([token.hash[0], token.hash[1]])
}

fn accepted(number: u16) -> Result<Verdict, Failure> {
    Ok(Verdict::Accepted(Identity {
        namespace: "shop".into(),
        name: format!("envoy-{number}").into(),
        node: None,
        pod: None,
    }))
}

fn refused() -> Result<Verdict, Failure> {
    Ok(Verdict::Refused("gone".to_owned()))
}

fn away() -> Failure {
    Failure::Unreachable("connection refused".to_owned())
}

fn answered(code: u16) -> Failure {
    Failure::Refused {
        code,
        message: "no".to_owned(),
        after: None,
    }
}

/// A broker, and the moment.
struct Scene {
    broker: ReviewBroker<usize>,
    now: Instant,
    /// When every token of [`Scene::ask`] expires.
    until: Instant,
    askers: usize,
}

impl Scene {
    fn new(limits: Limits) -> Scene {
        let now = Instant::now();
        Scene {
            broker: ReviewBroker::new(limits, fastrand::Rng::with_seed(7)),
            now,
            until: now + MINUTE * 60,
            askers: 0,
        }
    }

    fn ask(&mut self, number: u16) {
        self.askers += 1;
        self.broker
            .ask(token(number, self.until), self.askers, self.now);
    }

    /// Takes all reviews that may begin.
    fn take(&mut self) -> Vec<u16> {
        let mut taken = Vec::new();
        while let Some(token) = self.broker.take(self.now) {
            taken.push(number(&token));
        }
        taken
    }

    fn reviewed(&mut self, number: u16, result: Result<Verdict, Failure>) {
        let hash = token(number, self.until).hash;
        self.broker.reviewed(&hash, result, self.now);
    }

    fn answers(&mut self) -> Vec<Answer> {
        let answers = self.broker.answers().into_iter();
        answers.map(|(_, answer)| answer).collect()
    }

    /// What one who asks is told at once.
    fn told(&mut self, number: u16) -> Option<Answer> {
        self.ask(number);
        self.answers().pop()
    }

    /// A token that has just been accepted.
    fn accept(&mut self, number: u16) -> Arc<Account> {
        self.ask(number);
        assert_eq!(self.take(), [number]);
        self.reviewed(number, accepted(number));
        self.answers().pop().unwrap().unwrap()
    }

    /// Lets time pass up to the next thing to do, which is within `limit`.
    fn wait(&mut self, limit: Duration) -> Duration {
        let next = self.broker.next(self.now).unwrap();
        let waited = next.saturating_duration_since(self.now);
        assert!(waited <= limit, "{waited:?}");
        self.now = self.now.max(next);
        waited
    }
}

fn unavailable(answer: &Answer) -> bool {
    matches!(answer, Err(Refusal::Unavailable(_)))
}

#[test]
fn a_thousand_streams_with_one_token_are_one_review() {
    let mut scene = Scene::new(Limits::default());
    (0..1000).for_each(|_| scene.ask(1));
    assert_eq!(scene.take(), [1]);
    scene.ask(1);
    assert!(scene.take().is_empty() && scene.answers().is_empty());
    scene.reviewed(1, accepted(1));
    let answers = scene.answers();
    assert_eq!(answers.len(), 1001);
    let first = answers[0].as_ref().unwrap();
    let shared = |answer: &Answer| answer.as_ref().is_ok_and(|it| Arc::ptr_eq(it, first));
    assert!(answers.iter().all(shared));
    scene.now += MINUTE;
    assert!(scene.told(1).is_some_and(|answer| shared(&answer)));
    assert_eq!(scene.take(), [0; 0]);
}

#[test]
fn a_refused_token_is_not_asked_about_again_for_some_seconds() {
    let mut scene = Scene::new(Limits::default());
    scene.ask(1);
    assert_eq!(scene.take(), [1]);
    scene.reviewed(1, refused());
    let refusal = Some(Refusal::NotAccepted("gone".to_owned()));
    assert_eq!(scene.answers().pop().unwrap().err(), refusal);
    scene.now += SECOND * 9;
    assert_eq!(scene.told(1).unwrap().err(), refusal);
    scene.now += SECOND;
    assert!(scene.told(1).is_none());
    assert_eq!(scene.take(), [1]);
}

#[test]
fn a_token_in_use_is_looked_at_again_and_one_out_of_use_is_forgotten() {
    let mut scene = Scene::new(Limits::default());
    let held = scene.accept(1);
    drop(scene.accept(2));
    let mut looks = BTreeMap::<u16, u32>::new();
    while scene.now < scene.until {
        scene.wait(MINUTE * 6);
        for number in scene.take() {
            *looks.entry(number).or_default() += 1;
            scene.reviewed(number, accepted(number));
        }
    }
    assert_eq!(scene.now, scene.until);
    // Every five minutes of an hour; the other may have been used a moment before its first.
    assert!((10..=13).contains(&looks[&1]), "{looks:?}");
    assert!(looks.get(&2).is_none_or(|count| *count <= 1), "{looks:?}");
    assert_eq!(scene.broker.cached(), 0);
    assert!(!held.revoked.is_cancelled());
}

#[test]
fn a_token_that_is_refused_twice_in_a_row_is_revoked() {
    let mut scene = Scene::new(Limits::default());
    let account = scene.accept(1);
    scene.wait(MINUTE * 6);
    assert_eq!(scene.take(), [1]);
    scene.reviewed(1, refused());
    assert!(!account.revoked.is_cancelled());
    assert!(scene.told(1).unwrap().is_ok());
    // It was a mistake.
    assert_eq!(scene.wait(SECOND * 15), SECOND * 15);
    assert_eq!(scene.take(), [1]);
    scene.reviewed(1, accepted(1));
    scene.wait(MINUTE * 6);
    assert_eq!(scene.take(), [1]);
    scene.reviewed(1, refused());
    // A failure in between proves nothing.
    scene.wait(SECOND * 15);
    assert_eq!(scene.take(), [1]);
    scene.reviewed(1, Err(answered(500)));
    assert!(!account.revoked.is_cancelled());
    scene.wait(SECOND * 33);
    assert_eq!(scene.take(), [1]);
    scene.reviewed(1, refused());
    assert!(account.revoked.is_cancelled());
    assert!(scene.told(1).unwrap().is_err());
    assert_eq!(scene.broker.cached(), 0);
}

#[test]
fn a_token_that_is_somebody_elses_now_is_revoked_at_once() {
    let mut scene = Scene::new(Limits::default());
    let account = scene.accept(1);
    scene.wait(MINUTE * 6);
    assert_eq!(scene.take(), [1]);
    scene.reviewed(1, accepted(2));
    assert!(account.revoked.is_cancelled());
}

#[test]
fn an_api_server_that_does_not_answer_changes_nothing_until_the_token_expires() {
    let failures = [
        away(),
        Failure::Silent(SECOND * 5),
        Failure::Garbled("hotel".to_owned()),
    ];
    let codes = [400, 401, 403, 404, 422, 429, 500, 503, 504];
    for failure in failures.into_iter().chain(codes.map(answered)) {
        let mut scene = Scene::new(Limits::default());
        let account = scene.accept(1);
        let mut asked = 0;
        while scene.now < scene.until {
            scene.wait(MINUTE * 6);
            for number in scene.take() {
                asked += 1;
                scene.reviewed(number, Err(failure.clone()));
            }
            if scene.now < scene.until {
                assert!(scene.told(1).unwrap().is_ok(), "{failure}");
            }
        }
        assert!(asked > 50, "{asked}: it goes on asking");
        assert!(!account.revoked.is_cancelled(), "{failure}");
        assert_eq!(scene.broker.cached(), 0, "expired");
    }
}

#[test]
fn a_token_that_expires_while_it_waits_or_while_it_is_known_is_not_accepted() {
    let mut scene = Scene::new(Limits {
        in_flight: 1,
        ..Limits::default()
    });
    let later = std::mem::replace(&mut scene.until, scene.now + SECOND);
    drop(scene.accept(1));
    scene.ask(2);
    scene.ask(3);
    assert_eq!(scene.take(), [2]);
    scene.now += SECOND;
    assert!(scene.told(1).is_none(), "it is known no more");
    scene.reviewed(2, accepted(2));
    assert_eq!(scene.take(), [0; 0]);
    let answers = scene.answers();
    let expired = |answer: &Answer| answer.as_ref().err() == Some(&Flaw::Expired.into());
    assert!(
        answers.len() == 3 && answers.iter().all(expired),
        "{answers:?}"
    );
    assert_eq!(scene.broker.cached(), 0);
    scene.until = later;
    scene.accept(4);
}

#[test]
fn a_token_that_streams_come_with_now_and_then_stays_known() {
    let mut scene = Scene::new(Limits::default());
    drop(scene.accept(1));
    for _ in 0..50 {
        scene.now += MINUTE;
        for number in scene.take() {
            scene.reviewed(number, accepted(number));
        }
        assert!(scene.told(1).is_some_and(|answer| answer.is_ok()));
    }
}
