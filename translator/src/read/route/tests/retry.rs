//! When a request is sent again (Gateway rule 77).

use std::num::NonZeroU32;

use super::*;
use crate::model::Retry;

fn retry(text: &str) -> Option<Retry> {
    good(&format!("retry: {text}\n{BACKEND}")).retry
}

#[test]
fn codes_attempts_and_a_pause() {
    let read = |attempts, codes: &[u16], pause| {
        Some(Retry {
            attempts,
            codes: codes.into(),
            pause: NonZeroU32::new(pause),
        })
    };
    assert_eq!(
        retry("{codes: [503, 500, 500], attempts: 3, backoff: 1s500ms}"),
        read(3, &[500, 503], 1500)
    );
    assert_eq!(retry("{}"), read(1, &[], 0));
    assert_eq!(retry("{attempts: 0, backoff: 0s}"), read(0, &[], 0));
    assert_eq!(good(BACKEND).retry, None);
}

#[test]
fn what_is_no_retry_breaks_its_rule_alone() {
    for (text, field) in [
        ("5", ""),
        ("{attempts: -1}", ".attempts"),
        ("{attempts: many}", ".attempts"),
        ("{codes: [200]}", ".codes[0]"),
        ("{codes: [500, 600]}", ".codes[1]"),
        ("{codes: 500}", ".codes"),
        ("{backoff: soon}", ".backoff"),
    ] {
        let route = rule(&format!("retry: {text}\n{BACKEND}"));
        let field = format!("spec.rules[0].retry{field}");
        assert_eq!(
            problems(&route.problems),
            [(&*field, Reason::InvalidValue)],
            "{text}"
        );
        assert!(route.rules[0].broken, "{text}");
    }
    let codes: Vec<u16> = (400..=599).chain([400]).collect();
    let route = rule(&format!("retry: {{codes: {codes:?}}}\n{BACKEND}"));
    assert_eq!(
        problems(&route.problems),
        [("spec.rules[0].retry.codes", Reason::TooLarge)]
    );
}

#[test]
fn there_are_not_any_number_of_attempts() {
    let route = rule(&format!("retry: {{attempts: 1000}}\n{BACKEND}"));
    let attempts = route.rules[0].retry.as_ref().map(|retry| retry.attempts);
    assert_eq!((attempts, route.rules[0].broken), (Some(20), false));
    assert_eq!(
        problems(&route.problems),
        [("spec.rules[0].retry.attempts", Reason::InvalidValue)]
    );
}
