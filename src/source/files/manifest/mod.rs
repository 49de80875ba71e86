//! Parses one file's bytes into objects. Every document and every list item stands alone: what is
//! wrong with one is a problem, and its neighbours count.

mod identity;
mod kind;
mod texts;

use std::collections::BTreeSet;

use seaway_translator::model::ServiceKey;
use seaway_translator::read::Described;
use seaway_translator::{
    Object, ObjectId, ObjectKind, Problem, ReadWith, Reason, Severity, Subject,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::identity::{identify, nameless, service_key};
use self::kind::Kind;
use self::texts::Texts;
use super::document::{Document, split};
use super::text;
use super::yaml::{self, Allowance};

/// How deep lists may be nested in lists.
const MAX_NESTING: usize = 8;

/// The objects and problems of one file.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// The objects, in the file's order, each once.
    pub(super) objects: Vec<Object>,
    /// Objects that the file names but that could not be decoded.
    pub(super) damaged: BTreeSet<ObjectId>,
    /// Whether some part could not be read far enough to know which objects it holds.
    pub(super) opaque: bool,
    /// Selectors and Endpoints, which are not read but may be missed.
    pub(super) unread: Unread,
    /// The problems found in the file.
    pub(super) problems: Vec<Problem>,
}

/// The Services of a file for which only a cluster would make EndpointSlices.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unread {
    /// The Services with a selector.
    pub(super) selectors: BTreeSet<ServiceKey>,
    /// The Services of which `Endpoints` name addresses.
    pub(super) endpoints: BTreeSet<ServiceKey>,
}

/// Parses the bytes of the file at `path` (below the folder).
pub(super) fn parse(path: &str, bytes: &[u8]) -> Manifest {
    read(path, bytes, None).manifest
}

/// Hashes of the texts of the Services and EndpointSlices in the file at `path`.
pub(super) fn texts(path: &str, bytes: &[u8]) -> Texts {
    let read = read(path, bytes, Some(Texts::new()));
    read.texts.unwrap_or_default()
}

fn read<'a>(path: &'a str, bytes: &[u8], texts: Option<Texts>) -> Reader<'a> {
    let mut reader = Reader {
        path,
        place: String::new(),
        allowance: Allowance::of(bytes.len()),
        ids: BTreeSet::new(),
        manifest: Manifest::default(),
        texts,
    };
    match text::decode(bytes) {
        Ok(text) if path.ends_with(".json") => reader.json(&text),
        Ok(text) => split(&text)
            .iter()
            .for_each(|document| reader.document(document)),
        Err(error) => {
            reader.place = format!("line {}", error.line);
            reader.opaque(Severity::Error, error.message);
        }
    }
    reader
}

/// Decodes the documents of one file into a [`Manifest`].
struct Reader<'a> {
    path: &'a str,
    /// The position in the file, for messages.
    place: String,
    /// How much memory aliases may still take.
    allowance: Allowance,
    ids: BTreeSet<ObjectId>,
    manifest: Manifest,
    /// If only texts are asked for, what they are; then nothing is decoded.
    texts: Option<Texts>,
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

    fn document(&mut self, document: &Document<'_>) {
        // A file may hold JSON whatever it is called. What only begins like JSON is YAML.
        match json_values(document) {
            Some(values) => {
                for (line, value) in values {
                    self.place = format!("document {}, line {line}", document.number);
                    self.value(value, 0);
                }
            }
            None => self.yaml(document),
        }
    }

    fn yaml(&mut self, document: &Document<'_>) {
        let place = |line: usize| {
            let line = document.line + line.max(1) - 1;
            format!("document {}, line {line}", document.number)
        };
        match yaml::read(document.text, &mut self.allowance) {
            Ok((value, remarks)) => {
                for remark in remarks {
                    self.place = place(remark.line);
                    let message = unquoted(document.text, remark.message);
                    self.problem(Severity::Warning, Reason::InvalidValue, message);
                }
                self.place = place(1);
                self.value(value, 0);
            }
            Err(remark) => {
                self.place = place(remark.line);
                let template = is_template(document.text);
                let message = unquoted(document.text, remark.message);
                self.opaque(Severity::Error, &with_hint(message, template));
            }
        }
    }

    fn value(&mut self, mut value: Value, depth: usize) {
        if value.is_null() {
            return;
        }
        if !value.is_object() {
            return self.opaque(
                Severity::Error,
                "not an object: expected fields like apiVersion and kind",
            );
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if is_kustomization(self.path, api_version, kind) {
            let message = "a Kustomization is not applied: put what `kubectl kustomize` prints into the folder instead";
            return self.problem(Severity::Warning, Reason::UnsupportedKind, message.into());
        }
        let known = matches!(Kind::of(api_version, kind), Kind::OtherVersion(_));
        if kind.is_empty() || api_version.is_empty() && !known {
            return self.opaque(
                Severity::Warning,
                "without apiVersion and kind this says nothing; ignored",
            );
        }
        match Kind::of(api_version, kind) {
            Kind::Read(kind) if self.texts.is_some() => self.note_text(kind, &value),
            Kind::Read(kind) => {
                self.note_selector(kind, &value);
                kind.read_with(ObjectOf {
                    reader: self,
                    value,
                });
            }
            Kind::List => self.list(&mut value, depth),
            Kind::Endpoints => self.endpoints(&value),
            Kind::OtherVersion(kind) | Kind::Misspelt(kind) => self.unread(kind, &value),
            Kind::Kustomization | Kind::Other => {}
        }
    }

    /// Notes a Service with a selector: in a cluster, EndpointSlices would be made for it.
    fn note_selector(&mut self, kind: ObjectKind, value: &Value) {
        let selector = value["spec"]["selector"].as_object();
        let any = selector.is_some_and(|selector| !selector.is_empty());
        if kind == ObjectKind::Service && any {
            self.manifest.unread.selectors.extend(service_key(value));
        }
    }

    /// Reports an object whose kind is read, but in another version or spelling.
    fn unread(&mut self, kind: ObjectKind, value: &Value) {
        let id = identify(kind, value);
        let (name, version) = (kind.as_str(), kind.api_version());
        let found = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        let message = format!(
            "apiVersion {:?}, kind {:?} is not read; write it as apiVersion {version}, kind {name} ({}, {})",
            found("apiVersion"),
            found("kind"),
            self.path,
            self.place
        );
        let object = self.name_of(id.as_ref());
        let problem = Problem::error(object, "apiVersion", Reason::UnsupportedKind, message);
        self.damaged(id, problem);
    }

    /// Notes Endpoints that have an address.
    fn endpoints(&mut self, value: &Value) {
        let is_some = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
        let mut subsets = value["subsets"].as_array().into_iter().flatten();
        let any = subsets.any(|s| is_some(&s["addresses"]) || is_some(&s["notReadyAddresses"]));
        // They are called as their Service is.
        if any && let Some(key) = service_key(value) {
            self.manifest.unread.endpoints.insert(key);
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
            let message = format!("{id} is in this file more than once; the first one is used");
            return self.problem(Severity::Warning, Reason::DuplicateObject, message);
        }
        if id.is_none()
            && let Some(message) = nameless(&value)
        {
            let message = format!("{message} ({}, {})", self.path, self.place);
            let object = self.name_of(None);
            let problem = Problem::error(object, "metadata.name", Reason::InvalidName, message);
            return self.damaged(None, problem);
        }
        let problem = match serde_path_to_error::deserialize::<_, K>(value) {
            Ok(object) => match read(&object) {
                Ok(object) => return self.manifest.objects.push(object),
                Err(mut problem) => {
                    let template = is_template(&problem.message);
                    problem.message = with_hint(problem.message, template);
                    problem
                }
            },
            Err(error) => {
                let (path, place) = (self.path, &self.place);
                let why = match kind.is_secret() {
                    // The error may repeat a value.
                    true => "it cannot be read".to_owned(),
                    false => in_quotes(&error.inner().to_string()),
                };
                let message = format!("{why} ({path}, {place})");
                let field = error.path().to_string();
                let object = self.name_of(id.as_ref());
                Problem::error(object, field, Reason::InvalidValue, message)
            }
        };
        self.damaged(id, problem);
    }

    fn name_of(&self, id: Option<&ObjectId>) -> Subject {
        id.map_or_else(|| Subject::File(self.path.into()), Subject::from)
    }

    /// Reports an object that could not be decoded. Without an identity it may be any that the file
    /// held before.
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
        let (object, field) = (Subject::File(self.path.into()), self.place.clone());
        self.manifest.problems.push(Problem {
            severity,
            ..Problem::error(object, field, reason, message)
        });
    }
}

/// An object whose kind is known and which is to be decoded as that kind's type.
struct ObjectOf<'r, 'a> {
    reader: &'r mut Reader<'a>,
    value: Value,
}

impl ReadWith for ObjectOf<'_, '_> {
    type Output = ();

    fn read<K>(self, kind: ObjectKind, read: fn(&K) -> Result<Object, Problem>)
    where
        K: DeserializeOwned + Described,
    {
        self.reader.object(self.value, kind, read);
    }
}

/// The JSON values of a document, each with its line of the file, if the whole of it is JSON.
fn json_values(document: &Document<'_>) -> Option<Vec<(usize, Value)>> {
    let text = document.text;
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut values = Vec::new();
    let (mut line, mut counted) = (document.line, 0);
    let mut stream = serde_json::Deserializer::from_str(text).into_iter();
    loop {
        let rest = text.get(stream.byte_offset()..)?;
        let start = text.len() - rest.trim_start().len();
        line += text[counted..start].matches('\n').count();
        counted = start;
        match stream.next() {
            Some(value) => values.push((line, value.ok()?)),
            None => return Some(values),
        }
    }
}

/// Whether an object is, or is in the file of, what `kubectl kustomize` reads.
fn is_kustomization(path: &str, api_version: &str, kind: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    let named = kind.is_empty() && matches!(file, "kustomization.yaml" | "kustomization.yml");
    named || Kind::of(api_version, kind) == Kind::Kustomization
}

/// Whether a text contains template markers, so that it was never meant to be read as it is.
fn is_template(text: &str) -> bool {
    text.contains("{{")
}

fn with_hint(message: String, template: bool) -> String {
    if template {
        return format!(
            "{message}; it looks like a template ({{{{ }}}}), which has to be rendered first"
        );
    }
    message
}

/// A message about a text without what it quotes, if the text may be a Secret's.
fn unquoted(text: &str, message: String) -> String {
    let may_be_secret = text.contains(ObjectKind::Secret.as_str());
    match may_be_secret && message.contains('"') {
        true => {
            "what is here is ambiguous or wrong, and not quoted, since a Secret is near".to_owned()
        }
        false => message,
    }
}

/// Adds to an error about a number or a word in place of a text that quotes make it one.
fn in_quotes(message: &str) -> String {
    let plain = ["integer", "floating", "boolean"];
    let meant = message.contains("expected a string") && plain.iter().any(|p| message.contains(p));
    if meant {
        return format!("{message}: in quotes it is one");
    }
    message.to_owned()
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
