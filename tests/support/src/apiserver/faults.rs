//! What can be made to go wrong, and for whom.

use bytes::Bytes;
use serde_json::{Map, Value};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::activity::DISCOVERY;
use super::grants::Grants;
use super::object::Object;
use super::query::Call;
use super::status::Refusal;

/// Something that goes wrong with a request or with its answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A `Status` of this code instead of the answer: 401, 403, 410, 429, 500, 503, 504.
    Answer {
        /// The HTTP status.
        code: u16,
        /// Seconds, for the header `Retry-After`.
        retry_after: Option<u32>,
    },
    /// A watch is told that its revision is too old, as an `ERROR` event of an answer that begins
    /// well. As an HTTP status it is `Answer` with code 410.
    Expired,
    /// No answer at all until the fault is taken away; with a number of times, none ever.
    Hang,
    /// After so many lines a watch says nothing more and stays open, until the fault is taken away.
    Silent {
        /// Lines, bookmarks among them.
        after: usize,
    },
    /// The watch cache of a resource stands still at a revision: watches are told of no later
    /// change, their bookmarks have that revision, and lists as streams never begin. Lists read the
    /// storage.
    Stuck {
        /// The revision, as [`super::ApiServer::revision`] has it.
        at: u64,
    },
    /// The connection breaks: of a watch after so many lines, of anything else in the middle of its
    /// body.
    Cut {
        /// Lines, bookmarks among them.
        after: usize,
    },
    /// The answer ends in the middle of a line (of a watch after so many whole ones) or body, as if
    /// it were complete.
    Truncate {
        /// Lines, bookmarks among them.
        after: usize,
    },
    /// After so many whole lines of a watch every line lacks its second half; the stream goes on.
    Garble {
        /// Lines, bookmarks among them.
        after: usize,
    },
    /// 200 with a text that is not JSON, as from a proxy in between.
    NotJson,
    /// This body instead of the answer, whatever was asked for.
    Instead {
        /// The HTTP status.
        code: u16,
        /// Headers; `Content-Type` is `application/json` without one.
        headers: Vec<(&'static str, &'static str)>,
        /// The body. A watch ends behind it.
        body: Bytes,
    },
    /// Every page of a list says that another follows.
    Endless {
        /// By a token of its own, or by one and the same.
        distinct: bool,
    },
    /// Bodies come in pieces.
    Slow {
        /// Bytes.
        piece: usize,
        /// Time between two pieces.
        pause: Duration,
    },
    /// Watches say everything twice, bookmarks excepted.
    Repeat,
    /// The initial events of a watch come in an order of this seed instead of that of their names.
    Shuffle {
        /// The same seed and the same objects are the same order.
        seed: u64,
    },
    /// Some objects are served with a field changed, in lists as in watches, as if they were stored
    /// like that.
    Spoil(Spoil),
}

/// How an object is spoiled.
#[derive(Clone, Debug)]
pub struct Spoil {
    /// Which part of the objects, 0 to 100. Which objects these are depends on the seed and their
    /// names only.
    pub percent: u8,
    /// Chooses the objects.
    pub seed: u64,
    /// The field, as a JSON pointer (`/spec/ports`); `""` is the object as a whole.
    pub field: String,
    /// What it becomes.
    pub value: Value,
}

impl Spoil {
    /// All objects have a field of this value.
    pub fn all(field: &str, value: impl Into<Value>) -> Self {
        Self::some(100, 0, field, value)
    }

    /// A part of the objects have a field of this value.
    pub fn some(percent: u8, seed: u64, field: &str, value: impl Into<Value>) -> Self {
        Self {
            percent,
            seed,
            field: field.to_owned(),
            value: value.into(),
        }
    }

    /// All objects have an annotation of so many bytes.
    pub fn huge(bytes: usize) -> Self {
        Self::all("/metadata/annotations/huge", "x".repeat(bytes))
    }

    /// Whether an object is among those that are spoiled; a test can ask which ones it must do
    /// without.
    pub fn hits(&self, namespace: &str, name: &str) -> bool {
        let hash = xxh3_64_with_seed(format!("{namespace}/{name}").as_bytes(), self.seed);
        hash % 100 < u64::from(self.percent)
    }

    fn apply(&self, object: &mut Value) {
        if self.field.is_empty() {
            *object = self.value.clone();
            return;
        }
        let mut at = object;
        for name in self.field.split('/').skip(1) {
            at = child(at, name);
        }
        *at = self.value.clone();
    }
}

/// A field, or an item by its number; what is neither an object nor long enough becomes an object.
fn child<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
    let items = value.as_array().map_or(0, Vec::len);
    match name.parse::<usize>() {
        Ok(index) if index < items => &mut value[index],
        _ => {
            if !value.is_object() {
                *value = Value::Object(Map::new());
            }
            &mut value[name]
        }
    }
}

/// A fault and whom it concerns: everybody until it is narrowed down.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    verb: Option<&'static str>,
    resource: Option<&'static str>,
    times: Option<u32>,
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            verb: None,
            resource: None,
            times: None,
        }
    }
}

impl Fault {
    /// A `Status` of this code instead of the answer.
    pub fn answer(code: u16) -> Self {
        Self::Answer {
            code,
            retry_after: None,
        }
    }

    /// 429 with a `Retry-After` of so many seconds.
    pub fn busy(seconds: u32) -> Self {
        Self::Answer {
            code: 429,
            retry_after: Some(seconds),
        }
    }

    /// 200 with this body instead of the answer.
    pub fn instead(body: impl Into<Bytes>) -> Self {
        Self::Instead {
            code: 200,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// A page of so many bytes that is no `Status`, as of a load balancer that has no server.
    pub fn page(code: u16, bytes: usize) -> Self {
        let mut body = b"<html><body>".to_vec();
        body.resize(bytes, b'x');
        Self::Instead {
            code,
            headers: vec![("content-type", "text/html")],
            body: body.into(),
        }
    }

    /// Only for requests of this resource (its plural, `endpointslices`), or of `discovery`
    /// documents, for which there is [`Fault::Answer`] alone.
    pub fn on(self, resource: &'static str) -> Rule {
        Rule::from(self).on(resource)
    }

    /// Only for requests of this verb, as in RBAC rules: `list`, `watch`, `create`.
    pub fn verb(self, verb: &'static str) -> Rule {
        Rule::from(self).verb(verb)
    }

    /// Only for the next so many requests.
    pub fn times(self, times: u32) -> Rule {
        Rule::from(self).times(times)
    }
}

impl Rule {
    /// Only for requests of this resource (its plural, `endpointslices`).
    #[must_use]
    pub fn on(mut self, resource: &'static str) -> Self {
        self.resource = Some(resource);
        self
    }

    /// Only for requests of this verb, as in RBAC rules.
    #[must_use]
    pub fn verb(mut self, verb: &'static str) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Only for the next so many requests. Without this, requests that are being answered are
    /// concerned, too.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    fn concerns(&self, call: &Call) -> bool {
        self.verb.is_none_or(|verb| verb == call.verb)
            && self
                .resource
                .is_none_or(|resource| resource == call.kind.resource)
    }
}

/// The faults that are in force.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
    /// Verb and resource that RBAC refuses.
    forbidden: Vec<(String, String)>,
    /// All that RBAC grants; everything without.
    pub(super) grants: Option<Grants>,
}

impl Faults {
    pub(super) fn inject(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(super) fn heal(&mut self) {
        self.rules.clear();
    }

    pub(super) fn forbid(&mut self, verb: &str, resource: &str) {
        self.forbidden.push((verb.to_owned(), resource.to_owned()));
    }

    pub(super) fn allow(&mut self, verb: &str, resource: &str) {
        self.forbidden
            .retain(|(other, of)| (other.as_str(), of.as_str()) != (verb, resource));
    }

    /// What RBAC says.
    pub(super) fn authorize(&self, call: &Call) -> Result<(), Refusal> {
        let hit = self.forbidden.iter().any(|(verb, resource)| {
            (verb == "*" || verb == call.verb)
                && (resource == "*" || resource == call.kind.resource)
        });
        let granted = self.grants.as_ref().is_none_or(|grants| grants.cover(call));
        if hit || !granted {
            let name = call.name.as_deref().unwrap_or_default();
            return Err(Refusal::forbidden(
                call.kind,
                call.verb,
                call.namespace.as_deref(),
                name,
            ));
        }
        Ok(())
    }

    /// What RBAC and the faults say of a discovery document. Whoever is authenticated may read all
    /// of them, whatever else is granted, unless they are forbidden by name.
    pub(super) fn refuse_discovery(&mut self, path: &str) -> Result<(), Refusal> {
        let mut forbidden = self.forbidden.iter();
        if forbidden.any(|(_, resource)| resource == DISCOVERY) {
            let text = format!("forbidden: User \"test\" cannot get path {path:?}");
            return Err(Refusal::new(403, "Forbidden", text));
        }
        let mut refused = Ok(());
        for rule in &mut self.rules {
            let concerned = rule.verb.is_none_or(|verb| verb == "get")
                && rule.resource.is_none_or(|resource| resource == DISCOVERY);
            if let Fault::Answer { code, .. } = rule.fault
                && concerned
            {
                refused = Err(Refusal::of_code(code));
                if let Some(times) = &mut rule.times {
                    *times = times.saturating_sub(1);
                }
            }
        }
        self.rules.retain(|rule| rule.times != Some(0));
        refused
    }

    /// Takes the faults with a number of times that this request uses up.
    pub(super) fn take(&mut self, call: &Call) -> Vec<Fault> {
        let mut taken = Vec::new();
        for rule in self.rules.iter_mut().filter(|rule| rule.concerns(call)) {
            if let Some(times) = &mut rule.times {
                *times = times.saturating_sub(1);
                taken.push(rule.fault.clone());
            }
        }
        self.rules.retain(|rule| rule.times != Some(0));
        taken
    }

    /// The faults that concern a request for as long as they are in force.
    pub(super) fn lasting(&self, call: &Call) -> Vec<Fault> {
        let lasting = self.rules.iter().filter(|rule| rule.times.is_none());
        let concerned = lasting.filter(|rule| rule.concerns(call));
        concerned.map(|rule| rule.fault.clone()).collect()
    }
}

/// The object as it is served under these faults: `None` where it is served as it is.
pub(super) fn spoiled(faults: &[Fault], object: &Object) -> Option<Value> {
    let mut value = None;
    for fault in faults {
        match fault {
            Fault::Spoil(spoil) if spoil.hits(&object.key.0, &object.key.1) => {
                spoil.apply(value.get_or_insert_with(|| object.value()));
            }
            _ => {}
        }
    }
    value
}

/// What tokens of lists without an end begin with.
const ENDLESS: &str = "endless/";

/// The token that a page of a list gets, after the one by which it was asked for, and that one if
/// it is a real one.
pub(super) fn endless(faults: &[Fault], asked: Option<String>) -> (Option<String>, Option<String>) {
    let number = asked
        .as_deref()
        .and_then(|token| token.strip_prefix(ENDLESS));
    let next = faults.iter().find_map(|fault| match fault {
        Fault::Endless { distinct: false } => Some(0),
        Fault::Endless { distinct: true } => {
            let number = number.and_then(|number| number.parse::<u64>().ok());
            Some(number.map_or(0, |number| number + 1))
        }
        _ => None,
    });
    let next = next.map(|number| format!("{ENDLESS}{number}"));
    let real = number.is_none();
    (next, asked.filter(|_| real))
}

/// Something that is not JSON.
pub(super) fn not_json() -> Bytes {
    Bytes::from_static(b"<html><body><h1>Welcome to the hotel's network</h1></body></html>\n")
}
