//! The status of each watch on the API server, for `/readyz` and `/metrics`: when it last received
//! something, and why it fails.
//!
//! A failing watch removes nothing (invariant 2), so it does not make the process unready either.
//! It has to be visible here.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::ConstGauge;

use super::freshness::{Freshness, Outcome, Reached};
use crate::process::outside;

/// The status of all watches. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watches(Arc<Mutex<Vec<Arc<Watch>>>>);

/// The status of one watch, which the watch updates and the admin server reads.
#[derive(Debug)]
pub(crate) struct Watch {
    name: String,
    /// Whether a cluster may do without the kind that is watched.
    optional: bool,
    errors: Counter,
    freshness: Freshness,
    state: Mutex<State>,
}

/// What a watch has last received, and whether it fails.
#[derive(Debug)]
struct State {
    heard: Instant,
    /// The server accepted the request, and nothing has been received since.
    unheard: bool,
    failing: Option<Failing>,
    synced: bool,
    /// The API server does not serve the kind, so there is nothing to watch.
    absent: bool,
    /// There may be nothing to watch for yet, so nothing is asked of the server.
    unneeded: bool,
}

/// A failure of a watch that goes on.
#[derive(Debug)]
struct Failing {
    why: String,
    since: Instant,
    /// The server accepted the request, and then sent nothing, or nothing of use.
    idle: bool,
    /// The reasons that have been logged since the watch fails, the newest last. Some take turns.
    said: Vec<String>,
}

/// How many logged reasons are remembered.
const SAID: usize = 8;

/// The state of a watch, for those who show it.
#[derive(Clone, Debug)]
pub(crate) struct WatchReport {
    /// Its name.
    pub(crate) watch: String,
    /// The word for its state: `live`, `failing`, `absent`, `unneeded` or `listing`.
    pub(crate) state: &'static str,
    /// When something was last received; `None` where there is nothing to receive.
    pub(crate) heard: Option<Instant>,
    /// Why it is not live.
    pub(crate) why: Option<String>,
}

/// The kind of a watch's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The server cannot be reached, or answered with an error.
    Away,
    /// The server sends nothing.
    Silent,
    /// The server sends something else than was asked for.
    Wrong,
}

impl Watches {
    /// Adds the status of a watch that begins. `errors` counts its failures.
    pub(crate) fn add(&self, name: String, optional: bool, errors: Counter) -> Arc<Watch> {
        let state = State {
            heard: Instant::now(),
            unheard: false,
            failing: None,
            synced: false,
            absent: false,
            unneeded: false,
        };
        let watch = Arc::new(Watch {
            name,
            optional,
            errors,
            freshness: Freshness::default(),
            state: Mutex::new(state),
        });
        lock(&self.0).push(watch.clone());
        watch
    }

    /// A line for each watch whose kind the API server does not serve. That is no failure.
    pub(crate) fn absent(&self) -> Vec<String> {
        let watches = lock(&self.0);
        let absent = watches.iter().filter(|watch| watch.is_absent());
        absent
            .map(|watch| {
                format!(
                    "watch of {}: absent: the API server does not serve it",
                    watch.name
                )
            })
            .collect()
    }

    /// The state of each watch.
    pub(crate) fn reports(&self) -> Vec<WatchReport> {
        lock(&self.0).iter().map(|watch| watch.report()).collect()
    }

    /// How far each watch has got of which that can be known, by name.
    pub(crate) fn reached(&self) -> Vec<(String, Reached)> {
        let watches = lock(&self.0);
        let reached = |watch: &Arc<Watch>| {
            let reached = watch.freshness.reached()?;
            Some((watch.name.clone(), reached))
        };
        watches.iter().filter_map(reached).collect()
    }

    /// Whether a watch is stale.
    pub(crate) fn is_stale(&self) -> bool {
        let watches = lock(&self.0);
        watches.iter().any(|watch| watch.freshness.is_stale())
    }

    /// Whether one of the watches that have worked fails now, or cannot be held against the API
    /// server.
    pub(crate) fn is_doubtful(&self) -> bool {
        let watches = lock(&self.0);
        let mut watches = watches.iter();
        watches.any(|watch| watch.is_interrupted() || watch.freshness.is_doubtful())
    }

    /// Has the watch of this name list anew.
    pub(crate) fn list_anew(&self, name: &str) {
        let watches = lock(&self.0);
        let named = watches.iter().filter(|watch| watch.name == name);
        named.for_each(|watch| watch.freshness.want_list());
    }

    /// A line for each watch that fails or has not listed yet, and for each that is stale.
    pub(crate) fn degraded(&self) -> Vec<String> {
        let now = Instant::now();
        let watches = lock(&self.0);
        let lines = watches.iter();
        let lines = lines.flat_map(|watch| [watch.degraded(now), watch.stale(now)]);
        lines.flatten().collect()
    }
}

impl Watch {
    /// How far the watch has got.
    pub(crate) fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Notes whether the watch is stale. The log says when that begins and ends.
    pub(crate) fn set_stale(&self, stale: bool) {
        let watch = &self.name;
        if !self.freshness.set_stale(stale) {
            return;
        }
        match stale {
            true => tracing::error!(
                source = "kube",
                watch,
                versions = self.freshness.lag(),
                "the watch is stale: the API server has changes that it does not tell on the watch; the kind is listed again and again"
            ),
            false => tracing::info!(source = "kube", watch, "the watch is no longer stale"),
        }
    }

    /// Notes that the server sent something, be it a bookmark.
    pub(crate) fn heard(&self) {
        let mut state = lock(&self.state);
        state.heard = Instant::now();
        state.unheard = false;
        self.works(&mut state);
    }

    /// Notes that the server accepted the request. That ends no failure in which it sent nothing
    /// after that.
    pub(crate) fn opened(&self) {
        let mut state = lock(&self.state);
        state.unheard = true;
        if state.failing.as_ref().is_some_and(|failing| !failing.idle) {
            self.works(&mut state);
        }
    }

    fn works(&self, state: &mut State) {
        if let Some(Failing { since, .. }) = state.failing.take() {
            let seconds = since.elapsed().as_secs_f32();
            tracing::info!(
                source = "kube",
                watch = self.name,
                seconds,
                "the watch works again"
            );
        }
    }

    /// Notes that the API server does not serve the kind.
    pub(crate) fn absent(&self) {
        let mut state = lock(&self.state);
        self.works(&mut state);
        self.freshness.forget();
        state.synced = false;
        if !std::mem::replace(&mut state.absent, true) {
            tracing::info!(
                source = "kube",
                watch = self.name,
                "the API server does not serve this kind; it is watched as soon as it does"
            );
        }
    }

    /// Notes that the API server serves the kind, which may have been absent.
    pub(crate) fn served(&self) {
        let mut state = lock(&self.state);
        self.works(&mut state);
        if std::mem::take(&mut state.absent) {
            state.heard = Instant::now();
            tracing::info!(
                source = "kube",
                watch = self.name,
                "the API server serves this kind now; it is watched"
            );
        }
    }

    /// Notes that nothing is to be watched until [`Watch::needed`].
    pub(crate) fn unneeded(&self) {
        lock(&self.state).unneeded = true;
    }

    /// Notes that the watch begins.
    pub(crate) fn needed(&self) {
        let mut state = lock(&self.state);
        if std::mem::take(&mut state.unneeded) {
            state.heard = Instant::now();
        }
    }

    /// Notes that the first list is complete.
    pub(crate) fn synced(&self) {
        lock(&self.state).synced = true;
    }

    /// Notes a failure. Each reason is logged once until the watch works again.
    pub(crate) fn failed(&self, why: &dyn fmt::Display, how: How) {
        self.errors.inc();
        let why = outside::brief(&why.to_string());
        let mut state = lock(&self.state);
        let before = state.failing.take();
        let (since, mut said) = match before {
            Some(before) => (before.since, before.said),
            None => (Instant::now(), Vec::new()),
        };
        if !said.contains(&why) {
            tracing::warn!(
                source = "kube",
                watch = self.name,
                why,
                "the watch fails; the objects it received last are kept"
            );
            if said.len() == SAID {
                said.remove(0);
            }
            said.push(why.clone());
        }
        let unheard = std::mem::take(&mut state.unheard);
        let idle = how == How::Silent || (how == How::Wrong && unheard);
        state.failing = Some(Failing {
            why,
            since,
            idle,
            said,
        });
    }

    fn report(&self) -> WatchReport {
        let state = lock(&self.state);
        let (word, why) = match &state.failing {
            Some(failing) => ("failing", Some(failing.why.clone())),
            None if state.absent => (
                "absent",
                Some("the API server does not serve it".to_owned()),
            ),
            None if state.unneeded => ("unneeded", None),
            None if !state.synced => ("listing", None),
            None if self.freshness.is_stale() => {
                let why = "the API server has changes that it does not tell on the watch";
                ("stale", Some(why.to_owned()))
            }
            None => ("live", None),
        };
        WatchReport {
            watch: self.name.clone(),
            state: word,
            heard: (!state.absent && !state.unneeded).then_some(state.heard),
            why,
        }
    }

    fn degraded(&self, now: Instant) -> Option<String> {
        let state = lock(&self.state);
        let name = &self.name;
        if let Some(Failing { why, since, .. }) = &state.failing {
            let seconds = now.saturating_duration_since(*since).as_secs();
            return Some(format!("watch of {name}: failing for {seconds} s: {why}"));
        }
        let waiting = !state.synced && !state.absent && !state.unneeded;
        waiting.then(|| format!("watch of {name}: its first list is not complete yet"))
    }

    fn stale(&self, now: Instant) -> Option<String> {
        let (since, lag) = self.freshness.stale()?;
        let seconds = now.saturating_duration_since(since).as_secs();
        let name = &self.name;
        Some(format!(
            "watch of {name}: STALE for {seconds} s: {lag} versions behind the API server"
        ))
    }

    /// How long ago something was received; `None` where there is nothing to receive.
    fn age(&self) -> Option<Duration> {
        let state = lock(&self.state);
        (!state.absent && !state.unneeded).then(|| state.heard.elapsed())
    }

    fn is_absent(&self) -> bool {
        lock(&self.state).absent
    }

    /// Whether it fails after its first list was complete.
    fn is_interrupted(&self) -> bool {
        let state = lock(&self.state);
        state.synced && state.failing.is_some()
    }

    fn is_failing(&self) -> bool {
        lock(&self.state).failing.is_some()
    }
}

impl Collector for Watches {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let watches = lock(&self.0);
        /// The value of a gauge for one watch; `None` if the watch has none.
        type Value = fn(&Watch) -> Option<f64>;
        let gauges: [(&str, &str, Value); 5] = [
            (
                "watch_age_seconds",
                "Time since the API server last sent an object or a bookmark on a watch",
                |watch| watch.age().map(|age| age.as_secs_f64()),
            ),
            ("watch_failing", "1 while a watch fails", |watch| {
                Some(f64::from(u8::from(watch.is_failing())))
            }),
            (
                "watch_absent",
                "1 while the API server does not serve the optional kind of a watch",
                |watch| {
                    let absent = f64::from(u8::from(watch.is_absent()));
                    watch.optional.then_some(absent)
                },
            ),
            (
                "watch_lag_versions",
                "How many versions a watch was behind the API server by the last probe",
                |watch| watch.freshness.lag().map(|lag| lag as f64),
            ),
            (
                "watch_stale",
                "1 while the API server does not tell a watch what it tells others",
                |watch| Some(f64::from(u8::from(watch.freshness.stale().is_some()))),
            ),
        ];
        for (name, help, value) in gauges {
            let values = watches.iter().map(|watch| (watch, value(watch)));
            let values: Vec<_> = values
                .filter_map(|(watch, value)| Some((watch, value?)))
                .collect();
            if values.is_empty() {
                continue;
            }
            let kind = prometheus_client::metrics::MetricType::Gauge;
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (watch, value) in values {
                let label = [("watch", watch.name.as_str())];
                let metric = family.encode_family(&label)?;
                ConstGauge::new(value).encode(metric)?;
            }
        }
        encode_probes(&watches, &mut encoder)
    }
}

/// Encodes how many probes of all watches had which outcome.
fn encode_probes(watches: &[Arc<Watch>], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    if watches.is_empty() {
        return Ok(());
    }
    let help = "Probes by which watches are held against the API server, by outcome";
    let kind = prometheus_client::metrics::MetricType::Counter;
    let mut family = encoder.encode_descriptor("freshness_probes", help, None, kind)?;
    for outcome in Outcome::ALL {
        let counts = watches.iter().map(|watch| watch.freshness.count(outcome));
        let label = [("outcome", outcome.as_str())];
        let metric = family.encode_family(&label)?;
        ConstCounter::new(counts.sum::<u64>()).encode(metric)?;
    }
    Ok(())
}

/// Locks a mutex, poisoned or not: nothing that holds it can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
