//! Merges conditions into those that stand in an object (Gateway rules 98 and 99).

use seaway_translator::status::Condition;
use serde_json::{Value, json};

use super::Around;

/// The types of conditions that Gateway API gives to the controller of an object. One of these that
/// is not wanted does not hold any more; those of other types are somebody else's.
const OURS: [&str; 7] = [
    "Accepted",
    "Conflicted",
    "OverlappingTLSConfig",
    "PartiallyInvalid",
    "Programmed",
    "ResolvedRefs",
    "SupportedVersion",
];
/// The most conditions that there may be.
const MOST: usize = 8;
/// The longest `message` that a condition may have, in bytes.
const MAX_MESSAGE: usize = 32_768;

/// The list `conditions` as it should be: those of other types as they are and where they are, and
/// of ours as many as there is room for: with one too many the API server would take none.
pub(super) fn merged(current: &Value, wanted: &[Condition], around: &Around<'_>) -> Value {
    let current = current.as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |kind: &str| wanted.iter().find(|wanted| wanted.kind == kind);
    let mut merged = Vec::with_capacity(current.len().max(wanted.len()));
    for condition in current {
        let kind = condition["type"].as_str().unwrap_or_default();
        match of(kind) {
            Some(wanted) => merged.push(updated(condition.clone(), wanted, around)),
            None if OURS.contains(&kind) => {}
            None => merged.push(condition.clone()),
        }
    }
    for wanted in wanted {
        if !current.iter().any(|there| there["type"] == wanted.kind) {
            merged.push(updated(json!({"type": wanted.kind}), wanted, around));
        }
    }
    merged.truncate(MOST);
    Value::Array(merged)
}

/// A condition as it should be. The time of its last transition changes with `status` alone.
fn updated(mut condition: Value, wanted: &Condition, around: &Around<'_>) -> Value {
    let judged = condition["observedGeneration"].as_i64().unwrap_or_default();
    // Somebody has judged a newer version, unless that version cannot be.
    if judged > wanted.generation && judged <= around.generation {
        return condition;
    }
    let status = if wanted.status { "True" } else { "False" };
    if condition["status"] != status || !condition["lastTransitionTime"].is_string() {
        condition["lastTransitionTime"] = json!(around.time);
    }
    condition["status"] = json!(status);
    condition["reason"] = json!(wanted.reason);
    condition["message"] = json!(cut(&wanted.message));
    condition["observedGeneration"] = json!(wanted.generation);
    condition
}

/// The beginning of a message, as long as a condition may have it.
fn cut(message: &str) -> &str {
    let mut end = message.len().min(MAX_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}
