//! One file's bytes, read into objects. Every document and every list item stands alone: what is wrong with one is a
//! problem, and its neighbours count.

use std::collections::BTreeSet;
use std::sync::Arc;

use seaway_translator::read::{EndpointSlice, Node, Service};
use seaway_translator::{Object, ObjectId, ObjectKind, Problem, Reason, Severity, read};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::{MessageFormatter, UserMessageFormatter};

use super::document::{Document, split};

/// Lists inside lists inside lists.
const MAX_NESTING: usize = 8;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// The objects, in the file's order, each once.
    pub(super) objects: Vec<Object>,
    /// Objects the file names but does not describe in a way that can be understood.
    pub(super) damaged: BTreeSet<ObjectId>,
    /// Some part could not be read far enough to know which objects it holds.
    pub(super) opaque: bool,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
}

/// Reads the bytes of the file at `path` (below the folder).
pub(super) fn parse(path: &str, bytes: &[u8]) -> Manifest {
    let mut reader = Reader {
        path,
        place: String::new(),
        ids: BTreeSet::new(),
        manifest: Manifest::default(),
    };
    match std::str::from_utf8(bytes) {
        Ok(text) if path.ends_with(".json") => reader.json(text),
        Ok(text) => split(text)
            .iter()
            .for_each(|document| reader.yaml(document)),
        Err(error) => {
            let line = bytes[..error.valid_up_to()]
                .split(|byte| *byte == b'\n')
                .count();
            reader.place = format!("line {line}");
            reader.opaque(Severity::Error, "not UTF-8 text");
        }
    }
    reader.manifest
}

/// The kinds Seaway reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Service,
    EndpointSlice,
    Node,
    List,
    Other,
}

impl Kind {
    fn of(api_version: &str, kind: &str) -> Kind {
        match (api_version, kind) {
            ("v1", "Service") => Kind::Service,
            ("v1", "Node") => Kind::Node,
            ("v1", "List" | "ServiceList" | "NodeList") => Kind::List,
            ("discovery.k8s.io/v1", "EndpointSlice") => Kind::EndpointSlice,
            ("discovery.k8s.io/v1", "EndpointSliceList") => Kind::List,
            _ => Kind::Other,
        }
    }
}

struct Reader<'a> {
    path: &'a str,
    /// Where in the file the reader is, for people.
    place: String,
    ids: BTreeSet<ObjectId>,
    manifest: Manifest,
}

impl Reader<'_> {
    fn json(&mut self, text: &str) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, value) in serde_json::Deserializer::from_str(text)
            .into_iter()
            .enumerate()
        {
            self.place = format!("document {}", index + 1);
            match value {
                Ok(value) => self.value(value, 0),
                Err(error) => {
                    self.place = format!("document {}, line {}", index + 1, error.line());
                    self.opaque(Severity::Error, &error.to_string());
                    return;
                }
            }
        }
    }

    fn yaml(&mut self, document: &Document<'_>) {
        self.place = format!("document {}, line {}", document.number, document.line);
        match serde_saphyr::from_str_with_options::<Value>(document.text, options(document.text)) {
            Ok(value) => self.value(value, 0),
            Err(error) => {
                let error = error.without_snippet();
                let line = error
                    .location()
                    .map_or(1, |location| location.line().max(1));
                let line = document.line + usize::try_from(line).unwrap_or(1) - 1;
                self.place = format!("document {}, line {line}", document.number);
                self.opaque(Severity::Error, &UserMessageFormatter.format_message(error));
            }
        }
    }

    fn value(&mut self, mut value: Value, depth: usize) {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind_name) = (text("apiVersion"), text("kind"));
        if !value.is_object() {
            return self.opaque(
                Severity::Error,
                "not an object: expected fields like apiVersion and kind",
            );
        }
        if api_version.is_empty() || kind_name.is_empty() {
            return self.opaque(
                Severity::Warning,
                "without apiVersion and kind this says nothing; ignored",
            );
        }
        if kind_name == "EndpointSlice" && api_version.starts_with("discovery.k8s.io/v1beta") {
            let message = format!("{api_version} is no longer read; use discovery.k8s.io/v1");
            return self.opaque(Severity::Error, &message);
        }
        match Kind::of(api_version, kind_name) {
            Kind::Service => self.object::<Service>(value, ObjectKind::Service, read::service),
            Kind::EndpointSlice => {
                self.object::<EndpointSlice>(
                    value,
                    ObjectKind::EndpointSlice,
                    read::endpoint_slice,
                );
            }
            Kind::Node => self.object::<Node>(value, ObjectKind::Node, read::node),
            Kind::List => self.list(&mut value, depth),
            Kind::Other => {}
        }
    }

    fn list(&mut self, list: &mut Value, depth: usize) {
        let item_type = list["kind"]
            .as_str()
            .and_then(|kind| kind.strip_suffix("List"))
            .map(str::to_owned);
        let api_version = list["apiVersion"].take();
        let items = match list.get_mut("items").map(Value::take) {
            None | Some(Value::Null) => return,
            Some(Value::Array(items)) if depth < MAX_NESTING => items,
            Some(Value::Array(_)) => {
                return self.opaque(Severity::Error, "too many lists inside lists");
            }
            Some(_) => return self.opaque(Severity::Error, "items is not a list"),
        };
        let place = self.place.clone();
        for (index, mut item) in items.into_iter().enumerate() {
            self.place = format!("{place}, items[{index}]");
            // The items of a typed list need not repeat what they are.
            if let (Some(kind), Value::Object(fields)) =
                (item_type.as_deref().filter(|k| !k.is_empty()), &mut item)
            {
                fields.entry("kind").or_insert_with(|| kind.into());
                fields
                    .entry("apiVersion")
                    .or_insert_with(|| api_version.clone());
            }
            self.value(item, depth + 1);
        }
        self.place = place;
    }

    fn object<K: DeserializeOwned>(
        &mut self,
        value: Value,
        kind: ObjectKind,
        read: fn(&K) -> Result<Object, Problem>,
    ) {
        let id = identify(kind, &value);
        if let Some(id) = &id
            && !self.ids.insert(id.clone())
        {
            let message = format!("{id} is in this file already; the first one counts");
            return self.problem(Severity::Warning, Reason::DuplicateObject, message);
        }
        match serde_path_to_error::deserialize::<_, K>(value) {
            Ok(object) => match read(&object) {
                Ok(object) => self.manifest.objects.push(object),
                Err(problem) => self.damaged(id, problem),
            },
            Err(error) => {
                let object = id
                    .as_ref()
                    .map_or_else(|| format!("File {}", self.path), ToString::to_string);
                let message = format!("{} ({}, {})", error.inner(), self.path, self.place);
                let problem = Problem::error(
                    object,
                    error.path().to_string(),
                    Reason::InvalidValue,
                    message,
                );
                self.damaged(id, problem);
            }
        }
    }

    /// An object that cannot be used. Without an identity it may be any that the file held before.
    fn damaged(&mut self, id: Option<ObjectId>, problem: Problem) {
        self.manifest.problems.push(problem);
        match id {
            Some(id) => drop(self.manifest.damaged.insert(id)),
            None => self.manifest.opaque = true,
        }
    }

    fn opaque(&mut self, severity: Severity, message: &str) {
        self.manifest.opaque = true;
        self.problem(severity, Reason::Unreadable, one_line(message));
    }

    fn problem(&mut self, severity: Severity, reason: Reason, message: String) {
        let (object, field) = (format!("File {}", self.path), self.place.clone());
        self.manifest.problems.push(Problem {
            severity,
            ..Problem::error(object, field, reason, message)
        });
    }
}

/// Who a document is about, read before the document is understood.
fn identify(kind: ObjectKind, value: &Value) -> Option<ObjectId> {
    let metadata = value.get("metadata")?;
    let name = metadata
        .get("name")?
        .as_str()
        .filter(|name| !name.is_empty())?;
    let namespace = match (kind, metadata.get("namespace")) {
        (ObjectKind::Node, _) => "",
        (_, None | Some(Value::Null)) => "default",
        (_, Some(Value::String(namespace))) if namespace.is_empty() => "default",
        (_, Some(Value::String(namespace))) => namespace,
        _ => return None,
    };
    Some(ObjectId {
        kind,
        namespace: Arc::from(namespace),
        name: Arc::from(name),
    })
}

/// Limits that hold off aliases that explode, and let everything through that merely is large.
fn options(text: &str) -> serde_saphyr::Options {
    let size = text.len();
    let mut budget = serde_saphyr::Budget::default();
    budget.max_nodes = budget.max_nodes.max(size);
    budget.max_events = budget.max_events.max(size.saturating_mul(2));
    budget.max_total_scalar_bytes = budget.max_total_scalar_bytes.max(size.saturating_mul(2));
    let mut options = serde_saphyr::Options::default();
    options.budget = Some(budget);
    options.with_snippet = false;
    options
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
