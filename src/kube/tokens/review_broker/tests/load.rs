//! Many come at once, or the API server fails for all of them.

use super::*;

#[test]
fn while_the_api_server_is_away_new_tokens_are_told_at_once_and_it_is_left_alone() {
    for failure in [away(), answered(403), answered(429), answered(503)] {
        let mut scene = Scene::new(Limits::default());
        let known = scene.accept(9);
        (1..=3).for_each(|number| scene.ask(number));
        assert_eq!(scene.take(), [1, 2, 3]);
        scene.ask(4);
        scene.reviewed(1, Err(failure.clone()));
        let told = scene.answers();
        assert!(told.len() == 2 && told.iter().all(unavailable), "{told:?}");
        assert!(scene.told(5).is_some_and(|answer| unavailable(&answer)));
        // Those under way may still come to something, and known tokens stay known.
        scene.reviewed(2, accepted(2));
        assert!(scene.answers()[0].is_ok());
        assert!(Arc::ptr_eq(&scene.told(9).unwrap().unwrap(), &known));
        assert_eq!(scene.take(), [0; 0]);
    }
}

#[test]
fn a_pause_ends() {
    let mut scene = Scene::new(Limits::default());
    for _ in 0..10 {
        scene.ask(1);
        assert_eq!(scene.take(), [1]);
        scene.reviewed(1, Err(answered(429)));
        assert!(unavailable(&scene.answers()[0]));
        assert!(scene.told(1).is_some_and(|answer| unavailable(&answer)));
        scene.now += SECOND * 10;
    }
    scene.accept(1);
}

#[test]
fn a_failure_over_one_token_is_its_own() {
    for failure in [
        answered(500),
        Failure::Silent(SECOND),
        Failure::Garbled("?".to_owned()),
    ] {
        let mut scene = Scene::new(Limits::default());
        scene.ask(1);
        scene.ask(2);
        assert_eq!(scene.take(), [1, 2]);
        scene.reviewed(1, Err(failure));
        assert!(unavailable(&scene.answers()[0]));
        assert!(scene.told(3).is_none());
        assert_eq!(scene.take(), [3]);
    }
}

#[test]
fn missing_permission_is_named() {
    let mut scene = Scene::new(Limits::default());
    scene.ask(1);
    scene.take();
    scene.reviewed(1, Err(answered(403)));
    let text = scene.answers()[0].as_ref().unwrap_err().to_string();
    assert!(text.contains("create tokenreviews"), "{text}");
}

#[test]
fn a_flood_of_made_up_tokens_is_a_steady_trickle_and_known_tokens_are_looked_at_all_the_same() {
    let mut scene = Scene::new(Limits::default());
    let held: Vec<_> = (0..100).map(|number| scene.accept(number)).collect();
    let start = scene.now;
    let (mut made_up, mut reviews, mut looks, mut busy) = (1000, 0, 0, 0);
    while scene.now < start + MINUTE * 6 {
        for _ in 0..20 {
            made_up += 1;
            scene.ask(made_up);
        }
        for number in scene.take() {
            if number < 100 {
                looks += 1;
                scene.reviewed(number, accepted(number));
            } else {
                scene.reviewed(number, refused());
            }
            reviews += 1;
        }
        let refusals = scene.answers();
        busy += refusals
            .iter()
            .filter(|it| matches!(it, Err(Refusal::Busy)))
            .count();
        scene.now += SECOND / 20;
        made_up = if made_up > 60_000 { 1000 } else { made_up };
    }
    let most = 200 + 100 * 360;
    assert!(reviews <= most && reviews > most / 2, "{reviews} reviews");
    assert!((100..=200).contains(&looks), "{looks} of {}", held.len());
    assert!(busy > 10_000, "{busy} were told to come again");
}

#[test]
fn an_api_server_that_hangs_is_asked_little_and_nobody_waits_for_long() {
    let mut scene = Scene::new(Limits::default());
    (0..1500).for_each(|number| scene.ask(number));
    let busy = scene.answers();
    assert_eq!(busy.len(), 500, "more than may wait");
    assert_eq!(scene.take().len(), 32);
    assert_eq!(scene.wait(SECOND * 5), SECOND * 5);
    assert_eq!(scene.take(), [0; 0]);
    let late = scene.answers();
    assert_eq!(late.len(), 1000 - 32);
    assert!(
        late.iter()
            .all(|answer| matches!(answer, Err(Refusal::Busy)))
    );
}

#[test]
fn of_too_many_tokens_the_one_unused_for_longest_is_forgotten_and_those_in_use_never() {
    let limits = Limits {
        accepted: 3,
        ..Limits::default()
    };
    let mut scene = Scene::new(limits);
    let mut held = Vec::new();
    for number in 1..=3 {
        held.push(scene.accept(number));
        scene.now += SECOND;
    }
    held.truncate(1);
    held.push(scene.accept(4));
    assert!(scene.told(3).unwrap().is_ok());
    assert!(scene.told(2).is_none(), "forgotten");
    scene.take();
    scene.reviewed(2, accepted(2));
    held.extend(scene.answers().pop().unwrap().ok());
    scene.ask(5);
    scene.take();
    scene.reviewed(5, accepted(5));
    assert_eq!(scene.answers().pop().unwrap().err(), Some(Refusal::Busy));
    assert_eq!((scene.broker.cached(), held.len()), (3, 3));
}

#[test]
fn of_too_many_refused_tokens_the_oldest_is_forgotten() {
    let mut scene = Scene::new(Limits {
        refused: 2,
        ..Limits::default()
    });
    for number in 1..=3 {
        scene.ask(number);
        scene.take();
        scene.reviewed(number, refused());
    }
    scene.answers();
    assert!(scene.told(1).is_none());
    assert!(scene.told(2).is_some_and(|answer| answer.is_err()));
}

#[test]
fn no_more_streams_wait_than_may() {
    let mut scene = Scene::new(Limits {
        askers: 3,
        ..Limits::default()
    });
    (0..3).for_each(|_| scene.ask(1));
    assert_eq!(scene.told(1).unwrap().err(), Some(Refusal::Busy));
    scene.take();
    scene.reviewed(1, refused());
    assert_eq!(scene.answers().len(), 3);
    assert!(scene.told(2).is_none());
}
