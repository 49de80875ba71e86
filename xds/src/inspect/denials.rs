//! The last denials: who was not let in for what they could or could not prove, and why.
//!
//! Whoever reaches the port can cause denials, so there are few, each is short, and the same one
//! again is counted.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many denials are kept.
const KEPT: usize = 8;
/// For how long a denial is news.
const NEWS: Duration = Duration::from_secs(600);
/// The most characters of an identity, and of a reason.
const LONGEST: usize = 300;

/// A stream that was denied for its identity, or for the lack of one, and those that were like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenialReport {
    /// The remote address.
    pub peer: Option<IpAddr>,
    /// The verified identity, if there was one.
    pub identity: Option<Box<str>>,
    /// Why it was denied, in words.
    pub why: Box<str>,
    /// How often.
    pub times: u64,
    /// When it was denied last.
    pub last: Instant,
}

/// The last denials of a server.
#[derive(Debug, Default)]
pub(crate) struct Denials(Mutex<Vec<DenialReport>>);

impl Denials {
    /// Keeps a denial, or counts it with those like it. The oldest makes room.
    pub(crate) fn add(
        &self,
        peer: Option<IpAddr>,
        identity: Option<&str>,
        why: &str,
        now: Instant,
    ) {
        let (identity, why) = (identity.map(short), short(why));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_like =
            |one: &DenialReport| (one.peer, &one.identity, &one.why) == (peer, &identity, &why);
        let times = match all.iter().position(is_like) {
            Some(at) => all.remove(at).times.saturating_add(1),
            None => 1,
        };
        // They are in the order of their last time.
        if all.len() >= KEPT {
            all.remove(0);
        }
        all.push(DenialReport {
            peer,
            identity,
            why,
            times,
            last: now,
        });
    }

    /// Those of the last ten minutes, the newest first.
    pub(crate) fn reports(&self, now: Instant) -> Vec<DenialReport> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |one: &&DenialReport| now.saturating_duration_since(one.last) < NEWS;
        all.iter().rev().take_while(is_new).cloned().collect()
    }
}

/// A text as one line that is not too long: a proxy's own words may be in it.
fn short(text: &str) -> Box<str> {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whys(denials: &Denials, now: Instant) -> Vec<(String, u64)> {
        let reports = denials.reports(now).into_iter();
        reports.map(|one| (one.why.into(), one.times)).collect()
    }

    #[test]
    fn the_same_denial_again_is_counted_and_the_newest_is_first() {
        let (denials, now) = (Denials::default(), Instant::now());
        for why in ["one", "two", "one"] {
            denials.add(None, Some("n1"), why, now);
        }
        denials.add(None, Some("n2"), "one", now);
        let expected = [("one", 1), ("one", 2), ("two", 1)];
        let expected = expected.map(|(why, times)| (why.to_owned(), times));
        assert_eq!(whys(&denials, now), expected);
        assert_eq!(whys(&denials, now + NEWS), []);
    }

    #[test]
    fn a_flood_of_different_denials_takes_no_more_room() {
        let (denials, now) = (Denials::default(), Instant::now());
        for number in 0..1000 {
            denials.add(
                None,
                None,
                &format!("{number}\x1b{}", "x".repeat(1000)),
                now,
            );
        }
        let kept = whys(&denials, now);
        assert_eq!(kept.len(), KEPT);
        assert!(kept[0].0.starts_with("999 x"), "{kept:?}");
        assert!(kept.iter().all(|(why, _)| why.chars().count() == LONGEST));
    }
}
