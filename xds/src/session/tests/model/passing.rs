//! What a client of one type rejected for a reason that may pass by itself, as the judge knows it:
//! it may be sent again a while after the last answer, and not once more before the next.

use super::*;
use crate::session::state::type_state::REMEMBERED;

/// The least time before something is sent again.
const A_WHILE: Duration = Duration::from_millis(750);

#[derive(Default)]
pub(super) struct Passing {
    /// By name the content, not accepted since, and when it was answered last unless it was sent
    /// again.
    by_name: BTreeMap<String, (String, Option<Instant>)>,
    /// The responses that have no answer yet, each with its nonce.
    unanswered: VecDeque<(String, Vec<String>)>,
}

impl Passing {
    /// An answer to a response that has none yet: takes back what it accepts, or notes what may
    /// pass.
    pub(super) fn answered(&mut self, request: &Request, now: Instant) {
        let mut unanswered = self.unanswered.iter();
        let Some(at) = unanswered.position(|(nonce, _)| *nonce == request.nonce) else {
            return;
        };
        let answered = self.unanswered.drain(..=at).next_back();
        let words = request.error.as_deref().unwrap_or_default();
        let bad = words.rsplit(' ').next().unwrap_or_default();
        for value in answered.into_iter().flat_map(|(_, values)| values) {
            let name = &value[..1];
            if bad != value {
                if self.is(name, &value) {
                    self.by_name.remove(name);
                }
            } else if words.contains("cannot bind") {
                self.by_name.insert(name.to_owned(), (value, Some(now)));
            }
        }
        for (_, since) in self.by_name.values_mut() {
            since.get_or_insert(now);
        }
    }

    /// A response goes out.
    pub(super) fn sent(&mut self, got: &Got) {
        let values = got.resources.values().filter(|v| !v.starts_with('\n'));
        let values: Vec<String> = values.cloned().collect();
        for value in &values {
            if let Some((passing, since)) = self.by_name.get_mut(&value[..1])
                && passing == value
            {
                *since = None;
            }
        }
        if self.unanswered.len() == REMEMBERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back((got.nonce.clone(), values));
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.by_name.get(name).is_some_and(|of| of.0 == value)
    }

    /// Notes as sent again what may have passed by now and is kept from the client for another
    /// reason: it is sent what it has instead. Returns whether there was any.
    pub(super) fn retry_kept(&mut self, now: Instant, kept: impl Fn(&String) -> bool) -> bool {
        let mut any = false;
        for (value, since) in self.by_name.values_mut() {
            let due = since.is_some_and(|since| now >= since + A_WHILE);
            if due && kept(value) {
                (*since, any) = (None, true);
            }
        }
        any
    }

    /// Whether this content may have passed by now.
    pub(super) fn is_due(&self, name: &str, value: &str, now: Instant) -> bool {
        let of = self.by_name.get(name).filter(|of| of.0 == value);
        of.is_some_and(|of| of.1.is_some_and(|since| now >= since + A_WHILE))
    }
}
