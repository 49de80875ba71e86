//! The identity of an object (kind, namespace, name), read before the rest of it is decoded.

use std::sync::Arc;

use seaway_translator::model::ServiceKey;
use seaway_translator::{ObjectId, ObjectKind};
use serde_json::Value;

/// Why an object has no name, as a message; `None` if it has one, or metadata too broken to tell.
pub(super) fn nameless(value: &Value) -> Option<&'static str> {
    let metadata = value.get("metadata").unwrap_or(&Value::Null);
    let unset = |field: &Value| field.is_null() || field == "";
    if !metadata.is_object() && !metadata.is_null() || !unset(&metadata["name"]) {
        return None;
    }
    if unset(&metadata["generateName"]) {
        return Some("it has no name");
    }
    Some("it has no name: an API server makes one from generateName, a folder does not")
}

/// The key of the Service that this Service describes, or that these Endpoints belong to, which
/// have its name.
pub(super) fn service_key(value: &Value) -> Option<ServiceKey> {
    let id = identify(ObjectKind::Service, value)?;
    Some(ServiceKey {
        namespace: id.namespace,
        name: id.name,
    })
}

/// The identity of an object; `None` if its name or namespace is missing or no text.
pub(super) fn identify(kind: ObjectKind, value: &Value) -> Option<ObjectId> {
    let metadata = value.get("metadata")?;
    let name = metadata
        .get("name")?
        .as_str()
        .filter(|name| !name.is_empty())?;
    let namespace = match (kind.is_namespaced(), metadata.get("namespace")) {
        (false, _) => "",
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
