//! Times as text: RFC 3339 in UTC, to the millisecond.

use std::time::{Instant, SystemTime};

use k8s_openapi::jiff::Timestamp;

/// The time of an answer, by which moments of the monotonic clock become times of day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    instant: Instant,
    system: SystemTime,
}

impl Now {
    pub(crate) fn read() -> Now {
        Now {
            instant: Instant::now(),
            system: SystemTime::now(),
        }
    }

    /// The moment.
    pub(crate) fn instant(&self) -> Instant {
        self.instant
    }

    /// The time of day of a moment.
    pub(crate) fn time(&self, moment: Instant) -> SystemTime {
        let ago = self.instant.saturating_duration_since(moment);
        self.system.checked_sub(ago).unwrap_or(self.system)
    }

    /// The time of day of a moment, as text.
    pub(super) fn at(&self, moment: Instant) -> String {
        text(self.time(moment))
    }

    /// Seconds since a moment.
    pub(super) fn seconds_since(&self, moment: Instant) -> f64 {
        self.instant.saturating_duration_since(moment).as_secs_f64()
    }

    /// Whether a time is less than this long ago.
    pub(super) fn is_within(&self, time: SystemTime, seconds: u64) -> bool {
        let ago = self.system.duration_since(time).unwrap_or_default();
        ago.as_secs() < seconds
    }

    pub(super) fn text(&self) -> String {
        text(self.system)
    }
}

/// A time as text.
pub(super) fn text(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    let time = Timestamp::from_millisecond(time.as_millisecond()).unwrap_or_default();
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_has_milliseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_600_000_000_900_700);
        assert_eq!(text(time), "2020-09-13T12:26:40.900Z");
    }
}
