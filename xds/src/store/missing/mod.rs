//! The names that streams subscribe to and that do not exist (xDS rule 107): typing errors in a
//! configuration, or resources that never came. Proxies wait for them in silence, so the server
//! reports them. Those of which a resource is made when a client asks for them are counted in
//! `demand`, whether they exist or not.

pub(crate) mod demand;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use seaway_proto::TypeUrl;

use crate::metrics::Metrics;
use crate::store::name_map::cost;
use crate::types::Types;

/// The most names of one type that are listed.
const LISTED: usize = 10_000;
/// The most names of one type that one stream may add to the list.
const LISTED_OF_STREAM: usize = 1_000;

/// A name that streams subscribe to and that does not exist in their layers (xDS rule 107).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingName {
    /// The resource type of the subscription.
    pub type_url: TypeUrl,
    /// The name that does not exist.
    pub name: Arc<str>,
    /// The number of streams that subscribe to it now.
    pub streams: usize,
}

/// The list of all names that streams subscribe to and that do not exist, by type, with its
/// metrics.
#[derive(Debug)]
pub(crate) struct Missing {
    types: Types,
    lists: Mutex<Vec<BTreeMap<Arc<str>, usize>>>,
    gauges: OnceLock<Vec<Gauge>>,
}

impl Missing {
    pub(crate) fn new(types: &Types) -> Missing {
        Missing {
            types: types.clone(),
            lists: Mutex::new(vec![BTreeMap::new(); types.len()]),
            gauges: OnceLock::new(),
        }
    }

    pub(crate) fn configure(&self, metrics: &Metrics) {
        let urls = (0..self.types.len()).map(|index| self.types.spec(index).url);
        let gauges = urls.map(|url| metrics.missing(url)).collect();
        // A second server over the same publisher reports through the metrics of the first.
        let _ = self.gauges.set(gauges);
    }

    /// All listed names, in the order of the types and then by name.
    pub(crate) fn reports(&self) -> Vec<MissingName> {
        self.first(LISTED)
    }

    /// The first names of each type.
    pub(crate) fn first(&self, limit: usize) -> Vec<MissingName> {
        let lists = self.lists();
        let of_type = |(index, list): (usize, &BTreeMap<Arc<str>, usize>)| {
            let type_url = self.types.spec(index).url;
            let report = move |(name, streams): (&Arc<str>, &usize)| MissingName {
                type_url,
                name: name.clone(),
                streams: *streams,
            };
            list.iter().take(limit).map(report).collect::<Vec<_>>()
        };
        lists.iter().enumerate().flat_map(of_type).collect()
    }

    /// Updates the list after a stream's missing names changed: adds `more` and removes `fewer`.
    fn change<'a>(
        &self,
        index: usize,
        more: impl Iterator<Item = &'a Arc<str>>,
        fewer: impl Iterator<Item = &'a Arc<str>>,
    ) {
        let mut lists = self.lists();
        let list = &mut lists[index];
        for name in fewer {
            match list.get_mut(name) {
                Some(1) => _ = list.remove(name),
                Some(streams) => *streams -= 1,
                None => {}
            }
        }
        // An empty name is how some clients say that they ask for nothing.
        for name in more.filter(|name| !name.is_empty()) {
            if list.len() < LISTED || list.contains_key(name) {
                *list.entry(name.clone()).or_default() += 1;
            }
        }
        if let Some(gauges) = self.gauges.get() {
            gauges[index].set(i64::try_from(list.len()).unwrap_or(i64::MAX));
        }
    }

    fn lists(&self) -> MutexGuard<'_, Vec<BTreeMap<Arc<str>, usize>>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names of one type that one stream subscribes to and that do not exist. While it lives, they
/// are listed in the server's [`Missing`].
#[derive(Debug, Default)]
pub(crate) struct MissingNames {
    names: HashSet<Arc<str>>,
    /// The names of these that this stream has listed: all, or as many as one stream may.
    listed: HashSet<Arc<str>>,
    bytes: usize,
    listed_in: Option<(Arc<Missing>, usize)>,
}

impl MissingNames {
    /// Lists the names in `all` from now on.
    pub(crate) fn list_in(&mut self, all: Arc<Missing>, type_index: usize) {
        self.listed_in = Some((all, type_index));
        self.list();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The memory that the names take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(crate) fn insert(&mut self, name: Arc<str>) {
        if !self.names.insert(name.clone()) {
            return;
        }
        self.bytes += cost(&name);
        if self.listed.len() < LISTED_OF_STREAM
            && let Some((all, index)) = &self.listed_in
        {
            all.change(*index, [&name].into_iter(), [].iter());
            self.listed.insert(name);
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let Some(name) = self.names.take(name) else {
            return false;
        };
        self.bytes -= cost(&name);
        if self.listed.remove(&name)
            && let Some((all, index)) = &self.listed_in
        {
            all.change(*index, [].iter(), [&name].into_iter());
        }
        true
    }

    pub(crate) fn replace(&mut self, names: HashSet<Arc<str>>) {
        self.bytes = names.iter().map(|name| cost(name)).sum();
        self.names = names;
        self.list();
    }

    /// Brings the server's list up to date with these names. All streams share that list, so its
    /// lock is held for a few names only, however many there are.
    fn list(&mut self) {
        let Some((all, index)) = &self.listed_in else {
            return;
        };
        let gone = self.listed.extract_if(|name| !self.names.contains(name));
        let fewer: Vec<Arc<str>> = gone.collect();
        let room = LISTED_OF_STREAM - self.listed.len();
        let new = self
            .names
            .iter()
            .filter(|name| !self.listed.contains(*name));
        let more: Vec<Arc<str>> = new.take(room).cloned().collect();
        if !more.is_empty() || !fewer.is_empty() {
            all.change(*index, more.iter(), fewer.iter());
            self.listed.extend(more);
        }
    }
}

impl Drop for MissingNames {
    fn drop(&mut self) {
        if let Some((all, index)) = &self.listed_in {
            all.change(*index, [].iter(), self.listed.iter());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> HashSet<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    fn listed(all: &Missing) -> Vec<(String, usize)> {
        let reports = all.reports().into_iter();
        reports.map(|m| (m.name.to_string(), m.streams)).collect()
    }

    fn stream(all: &Arc<Missing>) -> MissingNames {
        let mut names = MissingNames::default();
        names.list_in(all.clone(), 1);
        names
    }

    #[test]
    fn names_are_listed_as_long_as_somebody_misses_them_rule_107() {
        let all = Arc::new(Missing::new(&Types::envoy()));
        let (mut one, mut two) = (stream(&all), stream(&all));
        for name in ["a", "b", "b", ""] {
            one.insert(name.into());
        }
        two.replace(set(&["b", "c"]));
        let count = |name: &str, streams| (name.to_owned(), streams);
        assert_eq!(listed(&all), [count("a", 1), count("b", 2), count("c", 1)]);
        two.replace(set(&["c", "d"]));
        assert!(one.remove("a") && !one.remove("a"));
        assert_eq!(listed(&all), [count("b", 1), count("c", 1), count("d", 1)]);
        drop(two);
        assert_eq!(listed(&all), [count("b", 1)]);
        drop(one);
        assert!(listed(&all).is_empty());
    }

    #[test]
    fn the_list_is_bounded_rules_107_218() {
        let all = Arc::new(Missing::new(&Types::envoy()));
        let mut streams: Vec<MissingNames> = (0..11).map(|_| stream(&all)).collect();
        for (number, stream) in streams.iter_mut().enumerate() {
            let name = |other| Arc::from(format!("{number} {other}"));
            (0..LISTED_OF_STREAM).for_each(|other| stream.insert(name(other)));
        }
        assert_eq!(all.reports().len(), LISTED);
        drop(streams);
        assert!(all.reports().is_empty());
    }

    #[test]
    fn one_stream_fills_a_part_of_the_list_however_it_asks_rule_107() {
        let all = Arc::new(Missing::new(&Types::envoy()));
        let many = |from: usize| (from..from + 5_000).map(|name| Arc::from(name.to_string()));
        let (mut one, mut two) = (stream(&all), stream(&all));
        many(0).for_each(|name| one.insert(name));
        two.replace(many(0).collect());
        let listed = listed(&all).into_iter();
        assert_eq!(listed.map(|(_, streams)| streams).sum::<usize>(), 2_000);
        // What is listed makes room for others when it is gone.
        two.replace(many(10_000).collect());
        many(0).for_each(|name| assert!(one.remove(&name)));
        assert_eq!(all.reports().len(), 1_000);
        assert!(all.reports().iter().all(|missing| missing.name.len() == 5));
        drop((one, two));
        assert!(all.reports().is_empty());
    }
}
