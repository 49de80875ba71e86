//! The writes of clients: POST, PUT, PATCH and DELETE of single objects.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::object::{Key, Object};
use super::query::Call;
use super::shared::Shared;
use super::status::Refusal;
use super::store::Store;

/// Does what the request says and returns the status and the object of the answer.
pub(super) fn write(
    shared: &Shared,
    call: &Call,
    media: &str,
    manager: &str,
    body: &Bytes,
) -> Result<(u16, Bytes), Refusal> {
    if call.verb == "delete" {
        let key = key(call, &Value::Null)?;
        let options: Value = serde_json::from_slice(body).unwrap_or_default();
        let gone = shared.write(|store| {
            let old = store.get(call.kind, &key);
            let old = old.ok_or_else(|| Refusal::not_found(call.kind, &key.1))?;
            check_preconditions(old, &options["preconditions"])?;
            let gone = store.delete(call.kind, &key);
            gone.ok_or_else(|| Refusal::not_found(call.kind, &key.1))
        })?;
        return Ok((200, gone.full()));
    }
    let given: Value = if media.contains("yaml") {
        let text = std::str::from_utf8(body).unwrap_or_default();
        serde_saphyr::from_str(text).map_err(|error| Refusal::bad_request(error.to_string()))?
    } else {
        serde_json::from_slice(body).map_err(|error| Refusal::bad_request(error.to_string()))?
    };
    if !given.is_object() {
        return Err(Refusal::bad_request("the body is not an object"));
    }
    shared.write(|store| match call.verb {
        "create" => create(store, call, given, manager),
        "update" => update(store, call, given, manager),
        _ => patch(store, call, media, &given, manager),
    })
}

/// Which object is meant: the name of the path, or of the object, or one made of `generateName`.
fn key(call: &Call, given: &Value) -> Result<Key, Refusal> {
    let metadata = &given["metadata"];
    let namespace = call.namespace.clone().unwrap_or_default();
    if let Some(other) = metadata["namespace"].as_str()
        && call.kind.namespaced
        && other != namespace
    {
        let text =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Refusal::bad_request(text));
    }
    let named = metadata["name"].as_str().filter(|name| !name.is_empty());
    let name = match (call.name.as_deref(), named) {
        (Some(path), Some(name)) if path != name => {
            let text = format!(
                "the name of the object ({name}) does not match the name on the URL ({path})"
            );
            return Err(Refusal::bad_request(text));
        }
        (Some(name), _) | (None, Some(name)) => name.to_owned(),
        (None, None) => {
            return Err(Refusal::new(
                422,
                "Invalid",
                "metadata.name: Required value: name or generateName is required",
            ));
        }
    };
    Ok((namespace, name))
}

fn create(
    store: &mut Store,
    call: &Call,
    mut given: Value,
    manager: &str,
) -> Result<(u16, Bytes), Refusal> {
    let metadata = &given["metadata"];
    if let (None, Some(prefix)) = (metadata["name"].as_str(), metadata["generateName"].as_str()) {
        given["metadata"]["name"] = format!("{prefix}{:05x}", store.revision()).into();
    }
    let key = key(call, &given)?;
    if store.get(call.kind, &key).is_some() {
        return Err(Refusal::exists(call.kind, &key));
    }
    Ok((201, store.put(call.kind, &key, given, manager).full()))
}

fn update(
    store: &mut Store,
    call: &Call,
    given: Value,
    manager: &str,
) -> Result<(u16, Bytes), Refusal> {
    let key = key(call, &given)?;
    let old = store.get(call.kind, &key);
    let old = old.ok_or_else(|| Refusal::not_found(call.kind, &key.1))?;
    check_revision(old, &given)?;
    let old = old.value();
    let new = if call.subresource.is_some() {
        merged(old, &status_of(&given))
    } else {
        keep_status(&old, given)
    };
    Ok((200, store.put(call.kind, &key, new, manager).full()))
}

fn patch(
    store: &mut Store,
    call: &Call,
    media: &str,
    given: &Value,
    manager: &str,
) -> Result<(u16, Bytes), Refusal> {
    let key = key(call, given)?;
    let applies = media.starts_with("application/apply-patch");
    // Where nothing is listed by a key, the strategic merge is the plain one.
    let merges = applies || media.contains("merge-patch+json");
    if !merges {
        let text = format!("the body of the request was in an unknown format - {media:?}");
        return Err(Refusal::new(415, "UnsupportedMediaType", text));
    }
    let Some(old) = store.get(call.kind, &key) else {
        if applies {
            return Ok((
                201,
                store.put(call.kind, &key, given.clone(), manager).full(),
            ));
        }
        return Err(Refusal::not_found(call.kind, &key.1));
    };
    check_revision(old, given)?;
    let given = match call.subresource {
        Some(_) => status_of(given),
        None => given.clone(),
    };
    let new = merged(old.value(), &given);
    Ok((200, store.put(call.kind, &key, new, manager).full()))
}

/// A write that names a revision is for that one alone.
fn check_revision(old: &Object, given: &Value) -> Result<(), Refusal> {
    match given["metadata"]["resourceVersion"].as_str() {
        Some(text) if !text.is_empty() && text != old.revision.to_string() => {
            Err(Refusal::conflict(old.kind, &old.key))
        }
        _ => Ok(()),
    }
}

/// A deletion that names a UID or a revision is of that object alone.
fn check_preconditions(old: &Object, wanted: &Value) -> Result<(), Refusal> {
    let metadata = &old.value()["metadata"];
    let differs = |name: &str| !wanted[name].is_null() && wanted[name] != metadata[name];
    match differs("uid") || differs("resourceVersion") {
        true => Err(Refusal::conflict(old.kind, &old.key)),
        false => Ok(()),
    }
}

fn status_of(given: &Value) -> Value {
    let status = [("status".to_owned(), given["status"].clone())];
    Value::Object(Map::from_iter(status))
}

/// A write of the object itself leaves its status.
pub(super) fn keep_status(old: &Value, mut new: Value) -> Value {
    if new["status"].is_null() {
        match &old["status"] {
            Value::Null => drop(new.as_object_mut().and_then(|new| new.remove("status"))),
            status => new["status"] = status.clone(),
        }
    }
    new
}

/// A JSON merge patch (RFC 7396).
fn merged(mut value: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    if !value.is_object() {
        value = Value::Object(Map::new());
    }
    if let Value::Object(fields) = &mut value {
        for (name, patch) in patch {
            if patch.is_null() {
                fields.remove(name);
            } else {
                let old = fields.remove(name).unwrap_or_default();
                fields.insert(name.clone(), merged(old, patch));
            }
        }
    }
    value
}
