//! Times as people read them: how long ago, unless they ask for the time itself.

use k8s_openapi::jiff::Timestamp;

/// Shows the times of one answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    now: Option<Timestamp>,
    absolute: bool,
}

impl Times {
    /// For an answer of this time: ages, or the times as they are.
    pub(crate) fn of(now: &str, absolute: bool) -> Times {
        let now = now.parse().ok();
        Times { now, absolute }
    }

    /// A time, or how long ago it was.
    pub(crate) fn show(&self, time: &str) -> String {
        let age = || {
            let then: Timestamp = time.parse().ok()?;
            let millis = self.now?.as_millisecond() - then.as_millisecond();
            Some(age(millis))
        };
        match self.absolute {
            true => time.to_owned(),
            false => age().unwrap_or_else(|| time.to_owned()),
        }
    }

    /// The same of a time that may be absent: `-`.
    pub(crate) fn show_any(&self, time: Option<&str>) -> String {
        time.map_or_else(|| "-".to_owned(), |time| self.show(time))
    }
}

/// A number of milliseconds as an age, in one or two units: `0.4s`, `14s`, `3m12s`, `2h`, `3d`.
pub(crate) fn age(millis: i64) -> String {
    let millis = millis.max(0);
    let seconds = millis / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, l: char, small: i64, s: char| match small {
        0 => format!("{large}{l}"),
        _ => format!("{large}{l}{small}{s}"),
    };
    match () {
        () if seconds < 10 => format!("{seconds}.{}s", millis % 1000 / 100),
        () if minutes < 1 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if hours < 1 => format!("{minutes}m"),
        () if hours < 10 => two(hours, 'h', minutes % 60, 'm'),
        () if days < 2 => format!("{hours}h"),
        () => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_the_units_that_matter() {
        for (millis, shown) in [
            (-5, "0.0s"),
            (420, "0.4s"),
            (9_999, "9.9s"),
            (14_000, "14s"),
            (192_000, "3m12s"),
            (180_000, "3m"),
            (41 * 60_000, "41m"),
            (7_200_000, "2h"),
            (9_000_000, "2h30m"),
            (47 * 3_600_000, "47h"),
            (3 * 86_400_000, "3d"),
        ] {
            assert_eq!(age(millis), shown);
        }
    }

    #[test]
    fn times_are_held_against_the_time_of_the_answer() {
        let times = Times::of("2026-12-01T05:00:14.200Z", false);
        assert_eq!(times.show("2026-12-01T05:00:00.000Z"), "14s");
        assert_eq!(times.show("yesterday"), "yesterday");
        assert_eq!(times.show_any(None), "-");
        let absolute = Times::of("2026-12-01T05:00:14.200Z", true);
        assert_eq!(
            absolute.show("2026-12-01T05:00:00.000Z"),
            "2026-12-01T05:00:00.000Z"
        );
    }
}
