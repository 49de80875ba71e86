//! What proxies report of their load, added up: plain state of a bounded size.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seaway_translator::model::ServiceKey;

/// How many Services, each in one zone, are counted for themselves; what is reported of others is
/// counted together. What drops requests is counted for as many Services.
pub(super) const SERIES: usize = 1000;
/// How long nothing must have been reported of one of them before it makes room for another.
const IDLE: Duration = Duration::from_secs(600);
/// How often at most those are looked for.
const LOOK: Duration = Duration::from_secs(10);
/// The largest number taken of a report: no proxy has so many requests between two of them, and no
/// liar makes a sum too large.
const MOST: u64 = 1 << 32;

/// A Service, in one zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) service: ServiceKey,
    /// Empty where endpoints have none.
    pub(super) zone: Arc<str>,
}

/// The requests of all proxies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) issued: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    /// Those that had not ended when each proxy reported last.
    pub(super) in_progress: u64,
}

impl Load {
    /// The load of which a proxy speaks, as far as it is believed.
    pub(super) fn reported(load: &seaway_xds::LocalityLoad<'_>) -> Load {
        Load {
            issued: load.issued.min(MOST),
            succeeded: load.succeeded.min(MOST),
            failed: load.failed.min(MOST),
            in_progress: load.in_progress.min(MOST),
        }
    }

    fn add(&mut self, more: Load) {
        self.issued = self.issued.wrapping_add(more.issued);
        self.succeeded = self.succeeded.wrapping_add(more.succeeded);
        self.failed = self.failed.wrapping_add(more.failed);
        self.in_progress = self.in_progress.wrapping_add(more.in_progress);
    }
}

/// Values by key, no more than so many; the rest has one value together.
#[derive(Debug)]
struct Bounded<K, V> {
    rows: HashMap<K, (V, Instant)>,
    rest: V,
    /// When room was looked for last.
    looked: Option<Instant>,
}

impl<K, V: Default> Default for Bounded<K, V> {
    fn default() -> Bounded<K, V> {
        Bounded {
            rows: HashMap::new(),
            rest: V::default(),
            looked: None,
        }
    }
}

impl<K: Eq + Hash, V: Default> Bounded<K, V> {
    /// Whether a key has, or may get, a row. Those that are idle and `done` make room.
    fn has_room(&mut self, key: &K, now: Instant, done: impl Fn(&V) -> bool) -> bool {
        if self.rows.len() < SERIES || self.rows.contains_key(key) {
            return true;
        }
        let since = |then: Instant| now.saturating_duration_since(then);
        if self.looked.is_some_and(|looked| since(looked) < LOOK) {
            return false;
        }
        self.looked = Some(now);
        self.rows
            .retain(|_, (value, last)| since(*last) < IDLE || !done(value));
        self.rows.len() < SERIES
    }

    /// The value of a key, which gets one; `None`: that of the rest.
    fn value(&mut self, key: Option<K>, now: Instant) -> &mut V {
        let Some(key) = key else {
            return &mut self.rest;
        };
        let (value, last) = self.rows.entry(key).or_insert_with(|| (V::default(), now));
        *last = now;
        value
    }
}

/// The loads of all Services.
#[derive(Debug, Default)]
pub(super) struct Table {
    requests: Bounded<Place, Load>,
    dropped: Bounded<ServiceKey, u64>,
}

/// What one stream has in progress, by place (`None`: the rest): taken back with its next report.
pub(super) type InProgress = HashMap<Option<Place>, u64>;

impl Table {
    /// Adds what a proxy reports of a place. A place that is not known yet has to be there, if it
    /// is to be counted: `exists` says so.
    pub(super) fn add(
        &mut self,
        place: Place,
        load: Load,
        kept: &mut InProgress,
        now: Instant,
        exists: impl FnOnce(&Place) -> bool,
    ) {
        let finished = |load: &Load| load.in_progress == 0;
        let place = match self.requests.has_room(&place, now, finished) {
            true if self.requests.rows.contains_key(&place) || exists(&place) => Some(place),
            true => return,
            false => None,
        };
        if load.in_progress > 0 {
            let count = kept.entry(place.clone()).or_default();
            *count = count.wrapping_add(load.in_progress);
        }
        self.requests.value(place, now).add(load);
    }

    /// Adds the requests of a Service that a proxy has dropped.
    pub(super) fn drop_requests(&mut self, service: ServiceKey, count: u64, now: Instant) {
        let room = self.dropped.has_room(&service, now, |_| true);
        let sum = self.dropped.value(room.then_some(service), now);
        *sum = sum.wrapping_add(count.min(MOST));
    }

    /// Takes back what a stream had in progress.
    pub(super) fn take_back(&mut self, kept: InProgress) {
        for (place, count) in kept {
            let load = match place {
                // A row stays for as long as it has something in progress.
                Some(place) => self.requests.rows.get_mut(&place).map(|(load, _)| load),
                None => Some(&mut self.requests.rest),
            };
            if let Some(load) = load {
                load.in_progress = load.in_progress.wrapping_sub(count);
            }
        }
    }

    /// The loads by place, sorted; of the rest last, if there is any.
    pub(super) fn requests(&self) -> Vec<(Option<Place>, Load)> {
        sorted(&self.requests)
    }

    /// The requests that were dropped, by Service; of the rest last, if there are any.
    pub(super) fn dropped(&self) -> Vec<(Option<ServiceKey>, u64)> {
        sorted(&self.dropped)
    }
}

fn sorted<K: Clone + Ord, V: Copy + Default + PartialEq>(
    bounded: &Bounded<K, V>,
) -> Vec<(Option<K>, V)> {
    let rows = bounded.rows.iter();
    let mut all: Vec<_> = rows
        .map(|(key, (value, _))| (Some(key.clone()), *value))
        .collect();
    all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    all.extend((bounded.rest != V::default()).then_some((None, bounded.rest)));
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(number: usize) -> ServiceKey {
        ServiceKey {
            namespace: "d".into(),
            name: format!("web-{number}").into(),
        }
    }

    fn place(number: usize, zone: &str) -> Place {
        Place {
            service: service(number),
            zone: zone.into(),
        }
    }

    fn load(issued: u64, in_progress: u64) -> Load {
        Load {
            issued,
            succeeded: issued / 2,
            failed: issued - issued / 2,
            in_progress,
        }
    }

    fn sum(table: &Table) -> Load {
        let mut sum = Load::default();
        for (_, load) in table.requests() {
            sum.add(load);
        }
        sum
    }

    /// One stream's report: of how many places, and what of each.
    type Report = (usize, Vec<(usize, u8, u64, u64)>);

    proptest! {
        #[test]
        fn sums_are_those_of_all_reports_and_what_is_in_progress_of_the_last_of_each(
            reports in prop::collection::vec(
                (0..4_usize, prop::collection::vec((0..3_usize, 0..2_u8, 0..9_u64, 0..9_u64), 0..6)),
                0..20,
            ),
            ends in prop::collection::vec(any::<bool>(), 4),
        ) {
            let reports: Vec<Report> = reports;
            let (mut table, now) = (Table::default(), Instant::now());
            let mut streams = vec![InProgress::default(); 4];
            let mut expected: HashMap<Place, Load> = HashMap::new();
            let mut last: Vec<Vec<(Place, u64)>> = vec![Vec::new(); 4];
            for (stream, places) in reports {
                table.take_back(std::mem::take(&mut streams[stream]));
                last[stream].clear();
                for (number, zone, issued, in_progress) in places {
                    let place = place(number, &zone.to_string());
                    let load = load(issued, in_progress);
                    table.add(place.clone(), load, &mut streams[stream], now, |_| true);
                    let finished = Load { in_progress: 0, ..load };
                    expected.entry(place.clone()).or_default().add(finished);
                    last[stream].push((place, in_progress));
                }
            }
            for (stream, ends) in ends.into_iter().enumerate() {
                if ends {
                    table.take_back(std::mem::take(&mut streams[stream]));
                    last[stream].clear();
                }
            }
            for (place, in_progress) in last.into_iter().flatten() {
                expected.entry(place).or_default().in_progress += in_progress;
            }
            let mut expected: Vec<_> = expected.into_iter().map(|(place, load)| (Some(place), load)).collect();
            expected.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            prop_assert_eq!(table.requests(), expected);
        }
    }

    #[test]
    fn what_has_no_room_is_counted_together_until_something_idle_makes_room() {
        let (mut table, now) = (Table::default(), Instant::now());
        let mut kept = InProgress::default();
        for number in 0..SERIES {
            let in_progress = u64::from(number == 0);
            table.add(
                place(number, "a"),
                load(1, in_progress),
                &mut kept,
                now,
                |_| true,
            );
        }
        let mut other = InProgress::default();
        for number in SERIES..3 * SERIES {
            table.add(place(number, "a"), load(1, 2), &mut other, now, |_| true);
        }
        let all = table.requests();
        assert_eq!(all.len(), SERIES + 1);
        let together = 2 * SERIES as u64;
        let rest = Load {
            issued: together,
            succeeded: 0,
            failed: together,
            in_progress: 2 * together,
        };
        assert_eq!(all.last(), Some(&(None, rest)));
        assert_eq!(
            other.len(),
            1,
            "what the rest has in progress is one number"
        );
        table.take_back(other);
        assert_eq!(sum(&table).in_progress, 1);

        // All but the first, which has something in progress, and the second, which is busy.
        let later = now + IDLE;
        table.add(place(1, "a"), load(1, 0), &mut kept, later, |_| true);
        table.add(place(SERIES, "a"), load(5, 0), &mut kept, later, |_| true);
        let named = table
            .requests()
            .into_iter()
            .filter_map(|(place, load)| Some((place?, load.issued)));
        let named: Vec<_> = named.collect();
        assert_eq!(
            named,
            [
                (place(0, "a"), 1),
                (place(1, "a"), 2),
                (place(SERIES, "a"), 5)
            ]
        );
        table.take_back(kept);
        assert_eq!(sum(&table).in_progress, 0);
    }

    #[test]
    fn a_place_that_is_not_there_takes_no_room_and_one_that_is_counted_is_not_asked_about_again() {
        let (mut table, now) = (Table::default(), Instant::now());
        let mut kept = InProgress::default();
        table.add(place(0, "x"), load(1, 1), &mut kept, now, |_| false);
        assert!(table.requests().is_empty() && kept.is_empty());
        table.add(place(0, "a"), load(1, 0), &mut kept, now, |_| true);
        table.add(place(0, "a"), load(2, 0), &mut kept, now, |_| {
            panic!("asked again")
        });
        assert_eq!(sum(&table).issued, 3);
    }

    #[test]
    fn dropped_requests_are_those_of_a_service_and_bounded_too() {
        let (mut table, now) = (Table::default(), Instant::now());
        for number in 0..=SERIES {
            table.drop_requests(service(number), 2, now);
        }
        table.drop_requests(service(0), 3, now);
        let dropped = table.dropped();
        assert_eq!(dropped.len(), SERIES + 1);
        assert_eq!(dropped[0], (Some(service(0)), 5));
        assert_eq!(dropped[SERIES], (None, 2));
    }

    #[test]
    fn no_number_is_so_large_that_sums_go_wrong() {
        let most = seaway_xds::LocalityLoad {
            issued: u64::MAX,
            in_progress: u64::MAX,
            ..Default::default()
        };
        let load = Load::reported(&most);
        assert_eq!((load.issued, load.in_progress), (MOST, MOST));
    }
}
