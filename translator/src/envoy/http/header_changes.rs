//! Changes of headers, as Envoy's lists of headers to add and to remove (Gateway rule 68).

use std::sync::Arc;

use seaway_proto::envoy::core::header_value_option::HeaderAppendAction;
use seaway_proto::envoy::core::{HeaderValue, HeaderValueOption};

use crate::model::HeaderChanges;

/// The headers to set and to add.
pub(super) fn added(changes: &HeaderChanges) -> Vec<HeaderValueOption> {
    let literal = |action| {
        move |(name, value): &(Arc<str>, Arc<str>)| option(name, value.replace('%', "%%"), action)
    };
    let set = literal(HeaderAppendAction::OverwriteIfExistsOrAdd);
    let add = literal(HeaderAppendAction::AppendIfExistsOrAdd);
    let set = changes.set.iter().map(set);
    set.chain(changes.add.iter().map(add)).collect()
}

/// The names of the headers to remove.
pub(super) fn removed(changes: &HeaderChanges) -> Vec<String> {
    changes.remove.iter().map(ToString::to_string).collect()
}

/// The changes of a rule followed by those of a backend, as one: what the backend sets or removes
/// is nothing that the rule can change any more (Gateway rule 68). Envoy removes first, then sets,
/// then adds.
pub(super) fn followed(rule: &HeaderChanges, backend: &HeaderChanges) -> HeaderChanges {
    let decided = |name: &Arc<str>| {
        backend.set.iter().any(|(set, _)| set == name) || backend.remove.contains(name)
    };
    let pairs = |of: &[(Arc<str>, Arc<str>)], then: &[(Arc<str>, Arc<str>)]| {
        let kept = of.iter().filter(|(name, _)| !decided(name));
        kept.chain(then).cloned().collect()
    };
    let removed = rule.remove.iter().filter(|name| !decided(name));
    HeaderChanges {
        set: pairs(&rule.set, &backend.set),
        add: pairs(&rule.add, &backend.add),
        remove: removed.chain(&backend.remove).cloned().collect(),
    }
}

/// A header with a format string for its value, in which `%` stands for itself only if it is
/// doubled.
pub(super) fn option(name: &str, value: String, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        // Otherwise a header without a value would not be set.
        keep_empty_value: value.is_empty(),
        header: Some(HeaderValue {
            key: name.to_owned(),
            value,
            ..Default::default()
        }),
        append_action: action as i32,
        ..Default::default()
    }
}
