//! An object as it stands at one revision, in the bytes that are served, and what the server adds
//! to what is written.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::kinds::Kind;

/// Namespace (empty for kinds without) and name.
pub(super) type Key = (String, String);

/// The time of revision 0: 2026-01-01. Every revision is a second, so that times are the same in
/// every run.
const EPOCH: i64 = 1_767_225_600;

/// An object at one revision.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) kind: &'static Kind,
    pub(super) key: Key,
    pub(super) revision: u64,
    pub(super) labels: BTreeMap<String, String>,
    /// JSON without `kind` and `apiVersion`, as the items of a list are.
    pub(super) item: Bytes,
}

impl Object {
    /// An object whose metadata are complete.
    pub(super) fn new(kind: &'static Kind, key: Key, revision: u64, mut value: Value) -> Self {
        if let Value::Object(fields) = &mut value {
            fields.remove("kind");
            fields.remove("apiVersion");
        }
        value["metadata"]["resourceVersion"] = revision.to_string().into();
        let labels = value["metadata"]["labels"].as_object();
        let labels = labels.into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            kind,
            key,
            revision,
            labels: labels
                .map(|(key, value)| (key.clone(), text(value)))
                .collect(),
            item: Bytes::from(value.to_string()),
        }
    }

    /// The whole object.
    pub(super) fn value(&self) -> Value {
        serde_json::from_slice(&self.full()).unwrap_or_default()
    }

    /// JSON with `kind` and `apiVersion`, as an object is served by itself and in events.
    pub(super) fn full(&self) -> Bytes {
        let mut bytes = head(self.kind).into_bytes();
        bytes.extend_from_slice(self.item.get(1..).unwrap_or_default());
        Bytes::from(bytes)
    }

    /// The same object under a later revision, as it is shown when it is no more.
    pub(super) fn at(&self, revision: u64) -> Self {
        Self::new(self.kind, self.key.clone(), revision, self.value())
    }

    /// A field by its path (`spec.type`), as text.
    pub(super) fn field(&self, path: &str) -> String {
        let value = self.value();
        let field = path.split('.').fold(&value, |value, name| &value[name]);
        match field {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// The beginning of an object of this kind.
pub(super) fn head(kind: &Kind) -> String {
    format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",",
        kind.kind,
        kind.api_version()
    )
}

/// What stands for a revision in times.
pub(super) fn time(revision: u64) -> String {
    let seconds = EPOCH.saturating_add_unsigned(revision);
    Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}

/// Completes what is written as the real server does. A creation time that the test gives stays,
/// because it decides conflicts.
pub(super) fn stamp(
    kind: &'static Kind,
    key: &Key,
    mut value: Value,
    before: Option<&Value>,
    revision: u64,
    manager: &str,
) -> Value {
    let fields = managed(&value);
    let old = before.map_or(&Value::Null, |before| &before["metadata"]);
    let generation = match (old["generation"].as_u64(), before) {
        (Some(generation), Some(before)) if same_spec(before, &value) => generation,
        (generation, _) => generation.unwrap_or_default() + 1,
    };
    let new = &mut value["metadata"];
    new["name"] = key.1.clone().into();
    if kind.namespaced {
        new["namespace"] = key.0.clone().into();
    }
    let uid = match old["uid"].as_str() {
        Some(uid) => uid.to_owned(),
        None => uid(kind, key, revision),
    };
    new["uid"] = uid.into();
    if !old["creationTimestamp"].is_null() {
        new["creationTimestamp"] = old["creationTimestamp"].clone();
    } else if new["creationTimestamp"].is_null() {
        new["creationTimestamp"] = time(revision).into();
    }
    if kind.has_generations() {
        new["generation"] = generation.into();
    }
    new["managedFields"] = json!([{
        "manager": manager, "operation": "Update", "apiVersion": kind.api_version(),
        "time": time(revision), "fieldsType": "FieldsV1", "fieldsV1": fields,
    }]);
    value
}

/// Whether writing `new` over `old` changes nothing: the server then keeps the revision.
pub(super) fn unchanged(old: &Value, new: &Value) -> bool {
    let rest = |value: &Value| {
        let mut value = value.clone();
        if let Some(metadata) = value["metadata"].as_object_mut() {
            for field in ["resourceVersion", "managedFields", "generation"] {
                metadata.remove(field);
            }
        }
        value
    };
    rest(old) == rest(new)
}

fn same_spec(old: &Value, new: &Value) -> bool {
    let rest = |value: &Value| -> Map<String, Value> {
        let fields = value.as_object().cloned().unwrap_or_default();
        let other = |name: &str| !matches!(name, "metadata" | "status" | "kind" | "apiVersion");
        fields.into_iter().filter(|(name, _)| other(name)).collect()
    };
    rest(old) == rest(new)
}

/// Which fields are there, in the form of `fieldsV1`.
fn managed(value: &Value) -> Value {
    let Value::Object(fields) = value else {
        return json!({});
    };
    let names = fields.iter().filter(|(name, _)| {
        !matches!(
            name.as_str(),
            "kind" | "apiVersion" | "managedFields" | "uid" | "resourceVersion" | "generation"
        )
    });
    let entries = names.map(|(name, value)| (format!("f:{name}"), managed(value)));
    Value::Object(entries.collect())
}

/// A UUID that is the same in every run.
fn uid(kind: &Kind, key: &Key, revision: u64) -> String {
    let hash = xxh3_128(format!("{kind}/{}/{}/{revision}", key.0, key.1).as_bytes());
    let text = format!("{hash:032x}");
    let [a, b, c, d] = [&text[..8], &text[8..12], &text[13..16], &text[17..20]];
    format!("{a}-{b}-4{c}-8{d}-{}", &text[20..])
}
