//! Collects the fields of a YAML mapping in the order in which they come: of duplicates the last
//! counts, as for `kubectl`.

use std::collections::BTreeSet;

use serde_json::map::Entry;
use serde_json::{Map, Value};

/// A YAML mapping whose fields are being read.
#[derive(Default)]
pub(super) struct Mapping {
    pub(super) fields: Map<String, Value>,
    /// Fields that came by a merge key (`<<`), which any explicit field may replace.
    merged: BTreeSet<String>,
    /// The key whose value comes next.
    pub(super) key: Option<Key>,
    /// The line of that key.
    pub(super) line: usize,
}

/// The key in front of a value.
pub(super) enum Key {
    Field(String),
    /// `<<`: the fields of the value, or of the values in it, are fields of this mapping.
    Merge,
}

impl Mapping {
    /// Takes in a key, or the value of the key before it. What could be read in two ways is
    /// remarked on.
    pub(super) fn take(
        &mut self,
        value: Value,
        line: usize,
        mut remark: impl FnMut(usize, String),
    ) -> Result<(), String> {
        let key_line = self.line;
        let remark = |message| remark(key_line, message);
        match self.key.take() {
            None => (self.key, self.line) = (Some(Key::Field(name(value)?)), line),
            Some(Key::Field(name)) => self.set(name, value, remark),
            Some(Key::Merge) => self.merge(value, remark)?,
        }
        Ok(())
    }

    fn set(&mut self, name: String, value: Value, mut remark: impl FnMut(String)) {
        match self.fields.entry(name) {
            Entry::Vacant(entry) => drop(entry.insert(value)),
            Entry::Occupied(mut entry) => {
                if !self.merged.remove(entry.key()) {
                    let name = entry.key();
                    remark(format!("{name:?} is there twice; the last one counts"));
                }
                entry.insert(value);
            }
        }
    }

    fn merge(&mut self, value: Value, mut remark: impl FnMut(String)) -> Result<(), String> {
        let sources = match value {
            Value::Array(items) => items,
            one => vec![one],
        };
        // Of several the first counts.
        for source in sources.into_iter().rev() {
            let Value::Object(fields) = source else {
                return Err("<< takes a mapping or a list of mappings".to_owned());
            };
            for (name, value) in fields {
                let before = self.fields.insert(name.clone(), value);
                if before.is_some() && !self.merged.contains(&name) {
                    remark(format!(
                        "{name:?} is there, and in << behind it, which counts"
                    ));
                }
                self.merged.insert(name);
            }
        }
        Ok(())
    }
}

/// The text of a field's name; numbers and booleans become texts.
fn name(value: Value) -> Result<String, String> {
    match value {
        Value::String(name) => Ok(name),
        // `1.0` is 1, as a name, too.
        Value::Number(number) if number.is_f64() => {
            Ok(number.as_f64().unwrap_or_default().to_string())
        }
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null => Err("a field without a name".to_owned()),
        Value::Array(_) | Value::Object(_) => {
            Err("a list or a mapping cannot be the name of a field".to_owned())
        }
    }
}
