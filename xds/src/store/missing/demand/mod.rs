//! The names of resources that are made when a client asks for them: those that a proxyless gRPC
//! client dials. How many streams want a name is counted here; the application hears of the first
//! one that wants it and of the end of the last, makes the resource, or lets it be, and says when
//! all that is committed. So long a stream that asked waits: an answer without a resource would
//! tell a client that comes back that it was deleted.
//!
//! What is kept is as much as clients ask for, of names that the application could ever make: so
//! many names of a stream, and each is charged to the memory of its client.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use seaway_proto::TypeUrl;
use tokio::sync::{Notify, watch};

use crate::store::name_map::cost;

/// The most names that one stream may have made for it; others do not exist for it unless somebody
/// else has them made.
const NAMES_OF_STREAM: usize = 1_000;
/// What a name costs beside its own memory, in bytes: the resource that is made of it, or what the
/// application remembers so as to make it later.
const MADE: usize = 1_536;

/// The resources that are made for a client when it asks for their names.
#[derive(Clone)]
pub struct OnDemand {
    /// The type of the resources.
    pub type_url: TypeUrl,
    /// Whether a resource could ever be made of a name; nothing is kept of any other.
    pub may_be: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl fmt::Debug for OnDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("OnDemand");
        debug
            .field("type_url", &self.type_url)
            .finish_non_exhaustive()
    }
}

/// The names that all streams want.
#[derive(Debug)]
pub(crate) struct Demand {
    names: Mutex<Names>,
    asked: Notify,
    /// The number up to which names were made.
    made: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Names {
    /// The number of streams that want each name.
    streams: BTreeMap<Arc<str>, usize>,
    /// The names that are wanted and were not when the application last heard of them, or the other
    /// way round: no more than are wanted now and were then.
    changed: BTreeSet<Arc<str>>,
    /// Counts the names that were not wanted before.
    number: u64,
}

impl Names {
    /// Takes in that a name is wanted now, or no longer. Returns whether the application has to
    /// hear of it: otherwise it is as the application last heard.
    fn turn(&mut self, name: &Arc<str>) -> bool {
        let is_news = !self.changed.remove(name);
        if is_news {
            self.changed.insert(name.clone());
        }
        is_news
    }
}

impl Default for Demand {
    fn default() -> Demand {
        Demand {
            names: Mutex::default(),
            asked: Notify::new(),
            made: watch::Sender::new(0),
        }
    }
}

impl Demand {
    /// Waits until everything is made that was asked for up to this number.
    pub(crate) async fn made(&self, number: u64) {
        let mut made = self.made.subscribe();
        // The sender is here.
        let _ = made.wait_for(|made| *made >= number).await;
    }

    fn change<'a>(
        &self,
        more: impl Iterator<Item = &'a Arc<str>>,
        fewer: impl Iterator<Item = &'a Arc<str>>,
    ) -> u64 {
        let mut names = self.names();
        for name in more {
            let streams = names.streams.entry(name.clone()).or_default();
            *streams += 1;
            // What the application never heard the end of is there, or was asked for before.
            if *streams == 1 && names.turn(name) {
                names.number += 1;
            }
        }
        for name in fewer {
            match names.streams.get_mut(name) {
                Some(streams) if *streams > 1 => *streams -= 1,
                Some(_) => {
                    names.streams.remove(name);
                    names.turn(name);
                }
                None => {}
            }
        }
        if !names.changed.is_empty() {
            self.asked.notify_one();
        }
        names.number
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What clients want to be made: for the one who makes it.
#[derive(Debug)]
pub struct Demands {
    demand: Arc<Demand>,
    /// The number up to which names were taken.
    taken: u64,
}

impl Demands {
    pub(crate) fn new(demand: Arc<Demand>) -> Demands {
        Demands { demand, taken: 0 }
    }

    /// Waits until there is something to be taken.
    pub async fn changed(&self) {
        self.demand.asked.notified().await;
    }

    /// The names that are wanted (`true`), or that nobody wants any more, since the last call.
    pub fn take(&mut self) -> Vec<(Arc<str>, bool)> {
        let mut names = self.demand.names();
        self.taken = names.number;
        let changed = std::mem::take(&mut names.changed).into_iter();
        let streams = &names.streams;
        changed
            .map(|name| {
                let is_wanted = streams.contains_key(&name);
                (name, is_wanted)
            })
            .collect()
    }

    /// Says that all that was taken is committed, as far as it can be made: streams that wait for
    /// it go on.
    pub fn settle(&self) {
        let taken = self.taken;
        self.demand
            .made
            .send_if_modified(|made| std::mem::replace(made, taken) != taken);
    }
}

/// The names of one stream that are counted in the server's [`Demand`] while it lives.
#[derive(Debug)]
pub(crate) struct DemandedNames {
    demand: Arc<Demand>,
    on_demand: OnDemand,
    names: HashSet<Arc<str>>,
    bytes: usize,
    /// The number up to which names have to be made before the stream answers.
    awaits: Option<u64>,
}

impl DemandedNames {
    pub(crate) fn new(demand: Arc<Demand>, on_demand: OnDemand) -> DemandedNames {
        DemandedNames {
            demand,
            on_demand,
            names: HashSet::new(),
            bytes: 0,
            awaits: None,
        }
    }

    pub(crate) fn type_url(&self) -> TypeUrl {
        self.on_demand.type_url
    }

    /// The memory that the names take, and what is made of them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the stream has to wait for since it asked.
    pub(crate) fn take_awaited(&mut self) -> Option<u64> {
        self.awaits.take()
    }

    /// Asks for more names, and for others no longer. A name among both is not asked for, as the
    /// session has it.
    pub(crate) fn change(&mut self, more: &[&str], fewer: &[&str]) {
        let gone = fewer.iter().filter_map(|name| self.names.take(*name));
        let gone: Vec<Arc<str>> = gone.collect();
        let fewer: HashSet<&str> = fewer.iter().copied().collect();
        let more = more.iter().copied();
        let new = self.new_ones(more.filter(|name| !fewer.contains(name)));
        self.settle(new, &gone);
    }

    /// Asks for these names alone.
    pub(crate) fn replace(&mut self, names: &[&str]) {
        let all: HashSet<&str> = names.iter().copied().collect();
        let gone = self.names.extract_if(|name| !all.contains(&**name));
        let gone: Vec<Arc<str>> = gone.collect();
        let new = self.new_ones(names.iter().copied());
        self.settle(new, &gone);
    }

    fn new_ones<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<Arc<str>> {
        let room = NAMES_OF_STREAM.saturating_sub(self.names.len());
        let mut new = BTreeSet::new();
        for name in names {
            if new.len() == room {
                break;
            }
            if !self.names.contains(name) && (self.on_demand.may_be)(name) {
                new.insert(Arc::from(name));
            }
        }
        new.into_iter().collect()
    }

    fn settle(&mut self, new: Vec<Arc<str>>, gone: &[Arc<str>]) {
        if new.is_empty() && gone.is_empty() {
            return;
        }
        let number = self.demand.change(new.iter(), gone.iter());
        if !new.is_empty() && *self.demand.made.borrow() < number {
            self.awaits = Some(number);
        }
        self.bytes += new.iter().map(|name| MADE + cost(name)).sum::<usize>();
        self.bytes -= gone.iter().map(|name| MADE + cost(name)).sum::<usize>();
        self.names.extend(new);
    }
}

impl Drop for DemandedNames {
    fn drop(&mut self) {
        self.demand.change([].iter(), self.names.iter());
    }
}

#[cfg(test)]
mod tests;
