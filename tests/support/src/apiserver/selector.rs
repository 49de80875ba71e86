//! `labelSelector` and `fieldSelector`.

use std::collections::{BTreeMap, BTreeSet};

use super::kinds::Kind;
use super::object::Object;
use super::status::Refusal;

/// What one request sees of a kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) namespace: Option<String>,
    pub(super) labels: Vec<Requirement>,
    pub(super) fields: Vec<Field>,
}

/// One condition on labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Exists,
    Missing,
    In(BTreeSet<String>),
    /// Holds where the label is missing, too.
    NotIn(BTreeSet<String>),
}

/// One condition on a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    path: String,
    value: String,
    equal: bool,
}

impl Filter {
    pub(super) fn matches(&self, object: &Object) -> bool {
        self.covers(object)
            && self.labels.iter().all(|label| label.holds(&object.labels))
            && self.fields.iter().all(|field| field.holds(object))
    }

    /// Whether the object is where the request looks, whatever its labels and fields are.
    pub(super) fn covers(&self, object: &Object) -> bool {
        self.namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == object.key.0)
    }

    pub(super) fn selects(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match &self.condition {
            Condition::Exists => value.is_some(),
            Condition::Missing => value.is_none(),
            Condition::In(values) => value.is_some_and(|value| values.contains(value)),
            Condition::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
        }
    }
}

impl Field {
    fn holds(&self, object: &Object) -> bool {
        let equal = match self.path.as_str() {
            "metadata.name" => object.key.1 == self.value,
            "metadata.namespace" => object.key.0 == self.value,
            path => object.field(path) == self.value,
        };
        equal == self.equal
    }
}

/// Reads a `labelSelector`.
pub(super) fn labels(text: &str) -> Result<Vec<Requirement>, Refusal> {
    split(text)
        .into_iter()
        .map(|part| {
            requirement(part).ok_or_else(|| {
                Refusal::bad_request(format!("unable to parse requirement: {part:?} of {text:?}"))
            })
        })
        .collect()
}

/// Reads a `fieldSelector`.
pub(super) fn fields(kind: &Kind, text: &str) -> Result<Vec<Field>, Refusal> {
    split(text)
        .into_iter()
        .map(|part| {
            let (path, equal, value) = comparison(part).ok_or_else(|| {
                Refusal::bad_request(format!("invalid selector: {part:?}; can't understand it"))
            })?;
            if !kind.selectable(path) {
                let text = format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"");
                return Err(Refusal::bad_request(text));
            }
            Ok(Field {
                path: path.to_owned(),
                value: value.to_owned(),
                equal,
            })
        })
        .collect()
}

/// The parts between the commas that are not inside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|character| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

/// `path`, whether it is to be equal, and `value`.
fn comparison(part: &str) -> Option<(&str, bool, &str)> {
    let (path, equal, value) = if let Some((path, value)) = part.split_once("!=") {
        (path, false, value)
    } else if let Some((path, value)) = part.split_once("==") {
        (path, true, value)
    } else {
        let (path, value) = part.split_once('=')?;
        (path, true, value)
    };
    let (path, value) = (path.trim(), value.trim());
    (!path.is_empty()).then_some((path, equal, value))
}

fn requirement(part: &str) -> Option<Requirement> {
    let of = |key: &str, condition| {
        let key = key.trim();
        let word = !key.is_empty() && !key.contains([' ', '(', ')', '!', '=']);
        word.then(|| Requirement {
            key: key.to_owned(),
            condition,
        })
    };
    if let Some(head) = part.strip_suffix(')') {
        let (head, values) = head.split_once('(')?;
        let values = values.split(',').map(|value| value.trim().to_owned());
        let (key, word) = head.trim().rsplit_once(' ')?;
        return match word {
            "in" => of(key, Condition::In(values.collect())),
            "notin" => of(key, Condition::NotIn(values.collect())),
            _ => None,
        };
    }
    if let Some((key, equal, value)) = comparison(part) {
        let value = BTreeSet::from([value.to_owned()]);
        return of(
            key,
            if equal {
                Condition::In(value)
            } else {
                Condition::NotIn(value)
            },
        );
    }
    match part.strip_prefix('!') {
        Some(key) => of(key, Condition::Missing),
        None => of(part, Condition::Exists),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(selector: &str) -> Vec<&'static str> {
        let objects = [
            ("none", vec![]),
            ("blue", vec![("app", "web"), ("colour", "blue")]),
            ("green", vec![("app", "web"), ("colour", "green")]),
            ("other", vec![("app", "db")]),
        ];
        let selector = labels(selector).expect("a selector");
        let held = objects.into_iter().filter(|(_, labels)| {
            let labels = labels
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()));
            let labels = labels.collect();
            selector
                .iter()
                .all(|requirement| requirement.holds(&labels))
        });
        held.map(|(name, _)| name).collect()
    }

    #[test]
    fn every_form_of_a_label_selector_is_understood() {
        assert_eq!(matching("app=web,colour==blue"), ["blue"]);
        assert_eq!(matching("colour!=blue"), ["none", "green", "other"]);
        assert_eq!(matching("colour in (blue, green)"), ["blue", "green"]);
        assert_eq!(matching("app,colour notin (blue)"), ["green", "other"]);
        assert_eq!(matching("app , !colour"), ["other"]);
        assert_eq!(matching("").len(), 4);
    }

    #[test]
    fn what_is_no_label_selector_is_refused() {
        for bad in ["a b", "=x", "a within (b)", "a in b)", "!"] {
            assert!(labels(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_fields_that_the_real_server_knows_select() {
        let kind = Kind::named("services").expect("a kind");
        assert_eq!(
            fields(kind, "metadata.name!=web").map_or(0, |fields| fields.len()),
            1
        );
        assert!(fields(kind, "spec.externalName=x").is_err());
    }
}
