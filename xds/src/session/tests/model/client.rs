//! The proxy: it keeps what it is sent, and answers.

use super::*;

pub(super) struct Proxy {
    dialect: Dialect,
    client_kind: ClientKind,
    types: [Type; 4],
    last: Option<Request>,
}

#[derive(Default)]
struct Type {
    begun: bool,
    asked: BTreeSet<String>,
    /// It has asked for everything at some time.
    wild: bool,
    holds: BTreeMap<String, String>,
    /// Contents it was sent and rejected.
    rejected: BTreeSet<String>,
    /// The same for a reason that may pass by itself: in the end it has them.
    clashed: BTreeSet<String>,
    /// The newest nonce, and all before.
    nonce: String,
    nonces: Vec<String>,
    /// The version of what it holds, in state of the world; another one if it holds only a part by
    /// now.
    version: String,
}

impl Type {
    fn wants(&self, name: &str) -> bool {
        self.asked.contains(name) || self.asked.contains("*")
    }
}

impl Proxy {
    pub(super) fn new(dialect: Dialect, client_kind: ClientKind) -> Proxy {
        Proxy {
            dialect,
            client_kind,
            types: Default::default(),
            last: None,
        }
    }

    fn request(&self, t: usize, nonce: &str, subscribe: &[&str], unsubscribe: &[&str]) -> Request {
        let strings = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let names = match self.dialect {
            Dialect::Delta => Names::Change {
                subscribe: strings(subscribe),
                unsubscribe: strings(unsubscribe),
                initial: HashMap::new(),
            },
            Dialect::Sotw => Names::Complete {
                names: self.types[t].asked.iter().cloned().collect(),
                version: self.types[t].version.clone(),
            },
        };
        Request {
            type_url: TYPES[t].as_str().into(),
            nonce: nonce.into(),
            error: None,
            names,
        }
    }

    fn say(&mut self, request: Request) -> Option<Request> {
        self.last = Some(request.clone());
        Some(request)
    }

    /// Asks for a name or takes it back. What is already so is said again in delta.
    pub(super) fn ask(&mut self, t: usize, name: &str, on: bool) -> Option<Request> {
        let of = &mut self.types[t];
        if !on && !of.begun {
            return None;
        }
        match on {
            true => of.asked.insert(name.to_owned()),
            false => of.asked.remove(name),
        };
        of.begun = true;
        of.wild |= name == "*";
        let asked = of.asked.clone();
        if !asked.contains("*") {
            let before = of.holds.len();
            of.holds.retain(|name, _| asked.contains(name));
            if of.holds.len() != before {
                of.version = "of more".to_owned();
            }
        }
        let request = match (self.dialect, on) {
            (Dialect::Delta, true) => self.request(t, "", &[name], &[]),
            (Dialect::Delta, false) => self.request(t, "", &[], &[name]),
            (Dialect::Sotw, _) => self.request(t, &self.types[t].nonce.clone(), &[], &[]),
        };
        self.say(request)
    }

    pub(super) fn stale(&mut self, t: usize) -> Option<Request> {
        let nonce = self.types[t].nonces.first()?.clone();
        let request = self.request(t, &nonce, &[], &[]);
        self.say(request)
    }

    pub(super) fn repeat(&mut self) -> Option<Request> {
        let last = self.last.clone()?;
        let t = index(&last.type_url);
        // In state of the world it would take back what was asked for since.
        match &last.names {
            Names::Complete { names, .. } => {
                let same = names.iter().eq(self.types[t].asked.iter());
                same.then_some(last)
            }
            // A repeated wish that is none any more is not repeated.
            Names::Change {
                subscribe,
                unsubscribe,
                ..
            } => {
                let of = &self.types[t];
                let on = subscribe.iter().all(|name| of.asked.contains(name));
                let off = !unsubscribe.iter().any(|name| of.asked.contains(name));
                (on && off).then_some(last)
            }
        }
    }

    /// Takes a response in and answers it.
    pub(super) fn read(&mut self, got: Got, answer: Answer) -> Option<Request> {
        let t = index(&got.url);
        let complete = self.dialect == Dialect::Sotw && (TYPES[t] == C || TYPES[t] == L);
        let of = &mut self.types[t];
        let bad = match answer {
            Answer::Nack | Answer::Clash => got
                .resources
                .values()
                .find(|v| !v.starts_with('\n'))
                .cloned(),
            _ => None,
        };
        let kept = match complete {
            true => std::mem::take(&mut of.holds),
            false => BTreeMap::new(),
        };
        let mut part = bad.is_some();
        for value in got.resources.values() {
            let name = name_of(value);
            if !of.wants(name) {
                part = true;
                continue;
            }
            let value = match bad.as_ref() == Some(value) {
                // It stays at what it had.
                true => {
                    match answer {
                        Answer::Clash => of.clashed.insert(value.clone()),
                        _ => of.rejected.insert(value.clone()),
                    };
                    kept.get(name)
                }
                false => {
                    of.rejected.remove(value);
                    of.clashed.remove(value);
                    Some(value)
                }
            };
            if let Some(value) = value {
                of.holds.insert(name.to_owned(), value.clone());
            }
        }
        of.holds.retain(|name, _| !got.removed.contains(name));
        of.nonces.push(got.nonce.clone());
        of.nonce = got.nonce;
        of.version = if part {
            "of a part".to_owned()
        } else {
            got.version
        };
        if matches!(answer, Answer::Silence) {
            return None;
        }
        let nonce = of.nonce.clone();
        let mut request = self.request(t, &nonce, &[], &[]);
        let what = match answer {
            Answer::Clash => "cannot bind",
            _ => "no good",
        };
        request.error = bad.map(|value| format!("{}: {what} {value}", &value[..1]));
        self.say(request)
    }

    /// The first requests of a new stream.
    pub(super) fn reconnect(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        self.last = None;
        for t in 0..TYPES.len() {
            self.types[t].nonce.clear();
            self.types[t].nonces.clear();
            if !self.types[t].begun {
                continue;
            }
            let asked: Vec<String> = self.types[t].asked.iter().cloned().collect();
            let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
            // A client that wants nothing must not be taken for one that wants everything.
            if asked.is_empty() {
                self.types[t].begun = false;
                continue;
            }
            let mut request = self.request(t, "", &asked, &[]);
            if let Names::Change { initial, .. } = &mut request.names {
                let held = self.types[t].holds.iter();
                *initial = held.map(|(name, v)| (name.clone(), version(v))).collect();
            }
            requests.push(request);
        }
        requests
    }

    /// It has what it is to see, but for what it or several others rejected.
    pub(super) fn check(&self, view: &View, held_back: &[Quarantined]) {
        for (t, of) in self.types.iter().enumerate() {
            for name in NAMES {
                let due = view[t].get(name).filter(|_| of.wants(name));
                let holds = of.holds.get(name);
                let rejected = due.is_some_and(|due| of.rejected.contains(due));
                let instead = instead(held_back, TYPES[t], due).is_some_and(|instead| {
                    let has = holds.map(|value| Version::of(value.as_bytes()));
                    let refused = |value: &String| Some(Version::of(value.as_bytes())) == instead;
                    instead.is_none()
                        || has == instead
                        || of.rejected.iter().chain(&of.clashed).any(refused)
                        || due.is_some_and(|due| of.clashed.contains(due))
                });
                // State of the world cannot take these back (xDS rule 22), but says of assignments
                // without a cluster, if they were asked for by name, that they are empty (rule 95).
                let empty = holds.is_some_and(|value| value.starts_with('\n'));
                let named = of.asked.contains(name) && !of.wild;
                let says = TYPES[t] == E && named && !view[0].contains_key(name);
                // Who reads errors is told of everything it asked for by name.
                let taken_back = match self.client_kind {
                    ClientKind::Grpc => of.wild,
                    _ => empty || !says,
                };
                let kept =
                    self.dialect == Dialect::Sotw && t % 2 == 1 && due.is_none() && taken_back;
                assert!(
                    holds == due || rejected || instead || kept,
                    "{} {name}: has {holds:?}, is to have {due:?}",
                    TYPES[t].short()
                );
            }
        }
    }
}

/// The name is what a value begins with; an empty one is a message that has it as its field 1.
pub(super) fn name_of(value: &str) -> &str {
    match value.strip_prefix("\n\u{1}") {
        Some(name) => name,
        None => &value[..1],
    }
}

pub(super) fn index(url: &str) -> usize {
    TYPES.iter().position(|of| of.as_str() == url).unwrap()
}
