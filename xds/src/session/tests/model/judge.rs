//! Who knows what a session may send: every resource needs a reason, every response too, and one
//! commit goes out in order.

use super::client::{index, name_of};
use super::passing::Passing;
use super::*;

pub(super) struct Judge {
    dialect: Dialect,
    /// Whether the client is told what does not exist.
    says_absent: bool,
    view: View,
    types: [Known; 4],
    condemned: Vec<Quarantined>,
    /// Names touched since the session last looked, and in how many commits.
    touched: BTreeMap<(TypeUrl, String), usize>,
    /// Nothing is owed by anybody.
    settled: bool,
    /// The place in the order that the newest response had, while a commit alone decides what goes
    /// out.
    order: Option<(usize, usize)>,
}

/// What the server knows of one type.
#[derive(Default)]
struct Known {
    begun: bool,
    names: BTreeSet<String>,
    wildcard: bool,
    /// What was sent last and not taken back.
    sent: BTreeMap<String, String>,
    /// Names that may be sent although unchanged, by rules 23, 42, 44, 47, 88, or because they
    /// changed and changed back.
    may: BTreeSet<String>,
    /// Names that have to be answered in delta (rules 47, 48).
    must: BTreeSet<String>,
    /// What the client rejected: while that stands, it may be sent again what it had before.
    rejected: BTreeSet<String>,
    passing: Passing,
    /// A complete response may go out because of additions; because of removals; a response may be
    /// empty (rule 31).
    additions: bool,
    removals: bool,
    empty: bool,
    /// A response said that more follows.
    several: bool,
}

impl Known {
    fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    fn forget_uncovered(&mut self) {
        let (wildcard, names) = (self.wildcard, self.names.clone());
        self.sent.retain(|name, _| wildcard || names.contains(name));
        self.must.retain(|name| names.contains(name));
    }
}

impl Judge {
    pub(super) fn new(dialect: Dialect, client_kind: ClientKind) -> Judge {
        Judge {
            dialect,
            says_absent: dialect == Dialect::Delta || client_kind == ClientKind::Grpc,
            view: View::default(),
            types: Default::default(),
            condemned: Vec::new(),
            touched: BTreeMap::new(),
            settled: true,
            order: None,
        }
    }

    pub(super) fn sees(&self, url: TypeUrl, name: &str) -> bool {
        self.view[index(url.as_str())].contains_key(name)
    }

    pub(super) fn condemned(&mut self, held_back: Vec<Quarantined>) {
        let before = std::mem::replace(&mut self.condemned, held_back);
        for over in before.iter().filter(|held| !self.condemned.contains(held)) {
            let of = &mut self.types[index(over.type_url.as_str())];
            of.may.insert(over.name.to_string());
            of.additions |= of.covers(&over.name);
            self.order = None;
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    pub(super) fn now_settled(&mut self) {
        self.settled = true;
        for of in &mut self.types {
            (of.additions, of.removals, of.empty) = (false, false, false);
            of.may.clear();
        }
    }

    pub(super) fn restarted(&mut self) {
        self.types = Default::default();
        self.settled = false;
        self.order = None;
    }

    pub(super) fn committed(
        &mut self,
        view: View,
        touched: &BTreeSet<(TypeUrl, String)>,
        settled: bool,
    ) {
        for (t, of) in self.types.iter_mut().enumerate() {
            for name in NAMES {
                let (before, now) = (self.view[t].get(name), view[t].get(name));
                if before != now && of.covers(name) {
                    of.may.insert(name.to_owned());
                    match now {
                        Some(_) => of.additions = true,
                        None => of.removals = true,
                    }
                }
            }
        }
        // What a cluster referred to is gone with it (rule 95).
        let gone = NAMES.iter().filter(|name| !view[0].contains_key(**name));
        let gone = gone.filter(|name| self.view[0].contains_key(**name));
        let assignments = &mut self.types[1];
        assignments.may.extend(gone.map(|name| name.to_string()));
        for key in touched {
            *self.touched.entry(key.clone()).or_default() += 1;
        }
        self.view = view;
        self.settled = false;
        // What is kept from this client may look like an addition, and is none.
        self.order = (settled && self.condemned.is_empty()).then_some((0, 0));
    }

    /// The session has looked at all commits. Of what changed twice in between it does not know
    /// what was there.
    pub(super) fn caught_up(&mut self) {
        for ((url, name), times) in std::mem::take(&mut self.touched) {
            if times > 1 {
                let of = &mut self.types[index(url.as_str())];
                of.may.insert(name);
                of.additions = true;
            }
        }
    }

    pub(super) fn heard(&mut self, request: &Request, now: Instant) {
        self.caught_up();
        let t = index(&request.type_url);
        self.types[t].passing.answered(request, now);
        let plain = self.hear_names(t, &request.names);
        let rejected = request.error.as_ref();
        let rejected = rejected.and_then(|error| error.rsplit(' ').next().map(str::to_owned));
        // Who rejects the last of several still waits for what comes after it.
        self.types[t].empty |= rejected.is_some() && self.types[t].several;
        self.types[t].rejected.extend(rejected);
        if !plain || request.error.is_some() {
            self.settled = false;
            self.order = None;
        }
    }

    /// Returns whether nothing but an answer was said.
    fn hear_names(&mut self, t: usize, names: &Names) -> bool {
        let of = &mut self.types[t];
        let first = !std::mem::replace(&mut of.begun, true);
        match names {
            Names::Complete { names, version } => {
                let wildcard = names.iter().any(|name| name == "*");
                let names: BTreeSet<String> = names.iter().cloned().collect();
                let new: Vec<String> = match wildcard && !of.wildcard {
                    true => NAMES.map(str::to_owned).to_vec(),
                    false => names.difference(&of.names).cloned().collect(),
                };
                let plain = !first && names == of.names;
                of.additions |= !new.is_empty();
                if self.says_absent && !wildcard {
                    of.must.extend(new.iter().cloned());
                }
                of.empty |= (first && !version.is_empty()) || (wildcard && !of.wildcard);
                of.may.extend(new);
                of.names = names;
                of.wildcard = wildcard;
                of.forget_uncovered();
                plain
            }
            Names::Change {
                subscribe,
                unsubscribe,
                initial,
            } => {
                for name in subscribe {
                    of.must.insert(name.clone());
                    of.may.insert(name.clone());
                    of.names.insert(name.clone());
                }
                if subscribe.iter().any(|name| name == "*") {
                    of.must.remove("*");
                    of.empty |= !of.wildcard;
                    // Old responses may be under way, with something that is gone by now.
                    of.may.extend(NAMES.map(str::to_owned));
                    of.wildcard = true;
                }
                for name in unsubscribe {
                    of.names.remove(name);
                    of.wildcard &= name != "*";
                    of.may.insert(name.clone());
                }
                of.forget_uncovered();
                for (name, version) in initial {
                    let now = self.view[t].get(name);
                    let Some(value) = now.filter(|v| super::version(v) == *version) else {
                        of.sent.insert(name.clone(), "something else".to_owned());
                        continue;
                    };
                    of.sent.insert(name.clone(), value.clone());
                    of.must.remove(name);
                    // Only of assignments is a client not believed, whose cluster has just changed.
                    match TYPES[t] == E {
                        true => of.may.insert(name.clone()),
                        false => of.may.remove(name),
                    };
                }
                !first && subscribe.is_empty() && unsubscribe.is_empty()
            }
        }
    }

    pub(super) fn sent(&mut self, got: &Got, now: Instant) {
        let t = index(&got.url);
        let complete = self.dialect == Dialect::Sotw && (TYPES[t] == C || TYPES[t] == L);
        let removal = match complete {
            true => self.complete(t, got, now),
            false => self.partial(t, got, now),
        };
        self.types[t].passing.sent(got);
        if TYPES[t] == C {
            let reloaded = got.resources.values().map(|value| value[..1].to_owned());
            self.types[1].may.extend(reloaded);
        }
        self.in_order(t, removal);
    }

    /// A response that lists only what the client needs; returns whether it only takes back.
    fn partial(&mut self, t: usize, got: &Got, now: Instant) -> bool {
        let empties = got.resources.values().filter(|v| v.starts_with('\n'));
        let empties: Vec<&String> = empties.collect();
        if !empties.is_empty() {
            self.empties(t, got, &empties);
            return true;
        }
        let of = &mut self.types[t];
        let removal =
            got.resources.is_empty() && got.removed.iter().any(|n| of.sent.contains_key(n));
        if got.resources.is_empty() && got.removed.is_empty() {
            assert!(of.empty, "an empty response without a reason");
        }
        // Who was told that more follows is told when nothing does.
        of.empty = got.version.ends_with('+');
        of.several |= of.empty;
        for value in got.resources.values() {
            let name = &value[..1];
            assert!(of.covers(name), "{name} was not asked for");
            let newest = self.view[t].get(name);
            let instead = instead(&self.condemned, TYPES[t], newest).flatten();
            assert!(
                newest == Some(value)
                    || newest.is_some_and(|value| of.rejected.contains(value))
                    || instead == Some(Version::of(value.as_bytes())),
                "{value} is not the newest"
            );
            let again = of.sent.get(name) == Some(value);
            let may = of.may.contains(name) || of.passing.is_due(name, value, now);
            assert!(!again || may, "{value} is sent again");
            of.sent.insert(name.to_owned(), value.clone());
            of.may.remove(name);
            of.must.remove(name);
        }
        self.removed(t, got);
        removal
    }

    /// Names that do not exist, or not any more.
    fn removed(&mut self, t: usize, got: &Got) {
        assert!(self.says_absent || got.removed.is_empty());
        let of = &mut self.types[t];
        let distinct: BTreeSet<&String> = got.removed.iter().collect();
        assert_eq!(distinct.len(), got.removed.len(), "a name removed twice");
        let sent = got.resources.values().map(|value| &value[..1]);
        for name in sent {
            assert!(
                !got.removed.iter().any(|n| n == name),
                "{name} is sent and removed"
            );
        }
        for name in &got.removed {
            let value = self.view[t].get(name);
            let nothing = instead(&self.condemned, TYPES[t], value) == Some(None)
                || value.is_some_and(|value| of.rejected.contains(value));
            assert!(value.is_none() || nothing, "{name} exists");
            let known = of.sent.remove(name).is_some();
            assert!(
                known || of.may.contains(name),
                "{name} is removed for nothing"
            );
            of.may.remove(name);
            of.must.remove(name);
        }
    }

    /// Empty values instead of what is gone, in state of the world (rule 95).
    fn empties(&mut self, t: usize, got: &Got, empties: &[&String]) {
        assert_eq!((TYPES[t], self.dialect), (E, Dialect::Sotw));
        assert_eq!(empties.len(), got.resources.len(), "not alone");
        for value in empties {
            let name = name_of(value);
            let of = &mut self.types[t];
            assert!(of.names.contains(name), "{name} was not asked for");
            let known = of.sent.remove(name).is_some();
            assert!(known || of.may.contains(name), "{name} never existed");
            let views = [&self.view[t], &self.view[0]];
            assert!(
                views.iter().all(|view| !view.contains_key(name)),
                "{name} exists"
            );
        }
    }

    /// A response that lists everything; returns whether only a removal is its reason.
    fn complete(&mut self, t: usize, got: &Got, now: Instant) -> bool {
        let of = &mut self.types[t];
        let mut values = got.resources.values();
        let mut again = values.any(|value| of.passing.is_due(&value[..1], value, now));
        let condemned = &self.condemned;
        let kept = |value: &String| instead(condemned, TYPES[t], Some(value)).is_some();
        again |= of.passing.retry_kept(now, kept);
        let removal = !of.additions && !of.empty && !again;
        assert!(
            !removal || of.removals,
            "a complete response without a reason"
        );
        if removal || TYPES[t] == L {
            // What went with a later change is listed until that is through.
            let mut names = got.resources.values().map(|value| &value[..1]);
            of.removals = names.any(|name| !self.view[t].contains_key(name));
        }
        of.empty = false;
        for value in got.resources.values() {
            let name = &value[..1];
            assert!(of.covers(name), "{name} was not asked for");
            of.sent.insert(name.to_owned(), value.clone());
            of.must.remove(name);
        }
        // What is new may wait for an answer of an earlier type, and comes later.
        let sent_now = |name: &str| got.resources.values().any(|value| value.starts_with(name));
        let mut later = self.view[t].keys().filter(|name| of.may.contains(*name));
        of.additions =
            later.any(|name| of.covers(name) && !sent_now(name) && !of.sent.contains_key(name));
        for name in self.view[t].keys().filter(|name| of.covers(name)) {
            // Which content, the proxy checks in the end: one that it rejected may be held back.
            let there = sent_now(name);
            let condemned = instead(&self.condemned, TYPES[t], self.view[t].get(name)).is_some();
            assert!(
                there || condemned || of.may.contains(name) || of.sent.contains_key(name),
                "{name} is not there"
            );
        }
        self.removed(t, got);
        // What it does not list any more is gone from the client.
        let (view, of) = (&self.view[t], &mut self.types[t]);
        let listed = |name: &str| got.resources.values().any(|value| value.starts_with(name));
        of.sent
            .retain(|name, _| view.contains_key(name) || listed(name));
        removal
    }

    /// Additions in the order of the types, then removals the other way (rules 84, 86).
    fn in_order(&mut self, t: usize, removal: bool) {
        self.settled = false;
        let Some(last) = self.order else { return };
        // Listeners, routes, clusters, assignments.
        let rank = [2, 3, 0, 1][t];
        let place = if removal { (1, rank) } else { (0, t) };
        assert!(last <= place, "{place:?} after {last:?}");
        self.order = Some(place);
    }

    pub(super) fn check(&self) {
        for (t, of) in self.types.iter().enumerate() {
            // Who has an older content is not told that it does not exist.
            let silent = |name: &String| {
                let value = self.view[t].get(name);
                instead(&self.condemned, TYPES[t], value) == Some(None)
            };
            assert!(
                !self.says_absent || of.must.iter().all(silent),
                "{}: {:?} was never answered",
                TYPES[t].short(),
                of.must
            );
        }
    }
}
