//! Reads one YAML document as `kubectl` does: into JSON values, numbers and words by the rules of
//! YAML 1.1.
//!
//! A library scans and parses; what its events mean together is decided here. Aliases become
//! copies, so what they add is bounded: no file may make itself much larger than it is.

mod mapping;
mod scalar;

use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde_json::Value;

use mapping::{Key, Mapping};

/// How deep values may be nested, aliases included. Kubernetes' own objects are hardly ten deep.
const MAX_DEPTH: usize = 200;
/// How much memory the aliases of any file may take, in bytes, roughly.
const LEAST_ALIASED: usize = 32 * 1024 * 1024;
/// How much the aliases of a large file may take, for each of its bytes.
const ALIASED_PER_BYTE: usize = 8;
/// The memory that a value takes beside its text, roughly.
const VALUE: usize = 32;
/// The memory that a mapping takes beside its values, roughly.
const MAPPING: usize = 256;

/// How many remarks there may be on one document.
const MAX_REMARKS: usize = 20;

/// How much memory the aliases of a file may still take, in bytes.
#[derive(Debug)]
pub(super) struct Allowance(usize);

impl Allowance {
    /// The allowance of a file of this many bytes.
    pub(super) fn of(size: usize) -> Allowance {
        Allowance(LEAST_ALIASED.max(size.saturating_mul(ALIASED_PER_BYTE)))
    }

    fn take(&mut self, size: usize) -> Result<(), String> {
        let rest = self.0.checked_sub(size);
        self.0 = rest.ok_or("its aliases make it too large")?;
        Ok(())
    }
}

/// A message about a line of the text, counted from 1.
#[derive(Debug)]
pub(super) struct Remark {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Reads a document. The remarks are about what can be read in two ways.
///
/// # Errors
///
/// It is no YAML, or means nothing in Kubernetes.
pub(super) fn read(text: &str, allowance: &mut Allowance) -> Result<(Value, Vec<Remark>), Remark> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut composer = Composer {
        allowance,
        aliased: text.contains('*'),
        anchors: BTreeMap::new(),
        open: Vec::new(),
        root: Value::Null,
        remarks: Vec::new(),
    };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| broken(&error))?;
        let line = span.start.line();
        let taken = composer.take(event, line);
        taken.map_err(|message| Remark { line, message })?;
    }
    Ok((composer.root, composer.remarks))
}

fn broken(error: &ScanError) -> Remark {
    Remark {
        line: error.marker().line(),
        message: error.info(),
    }
}

/// A JSON value with how much memory it takes, roughly, and how deep it is nested.
#[derive(Clone)]
struct Composed {
    value: Value,
    size: usize,
    height: usize,
}

impl Composed {
    fn scalar(value: Value) -> Composed {
        let text = value.as_str().map_or(0, str::len);
        Composed {
            value,
            size: VALUE + text,
            height: 0,
        }
    }
}

/// A list or a mapping whose end has not been reached.
struct Open {
    content: Content,
    anchor: usize,
    size: usize,
    height: usize,
}

/// What has been read of a list or a mapping.
enum Content {
    List(Vec<Value>),
    Mapping(Mapping),
}

/// Builds the value of one document from the parser's events.
struct Composer<'a> {
    allowance: &'a mut Allowance,
    /// Whether there may be aliases: anchors that nothing refers to are not worth a copy.
    aliased: bool,
    anchors: BTreeMap<usize, Composed>,
    open: Vec<Open>,
    root: Value,
    remarks: Vec<Remark>,
}

impl Composer<'_> {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text, style, anchor, tag.as_deref(), line)
            }
            Event::Alias(anchor) => self.alias(anchor, line),
            Event::SequenceStart(_, anchor, _) => self.begin(Content::List(Vec::new()), anchor),
            Event::MappingStart(_, anchor, _) => {
                self.begin(Content::Mapping(Mapping::default()), anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(line),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        line: usize,
    ) -> Result<(), String> {
        if let Some(mapping) = self.awaits_key()
            && text == "<<"
            && style == ScalarStyle::Plain
        {
            (mapping.key, mapping.line) = (Some(Key::Merge), line);
            return Ok(());
        }
        let composed = Composed::scalar(scalar::read(text, style, tag)?);
        self.remember(anchor, &composed)?;
        self.place(composed, line)
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), String> {
        let Some(target) = self.anchors.get(&anchor) else {
            return Err("an alias inside of what it stands for".to_owned());
        };
        self.allowance.take(target.size)?;
        if self.open.len() + target.height > MAX_DEPTH {
            return Err(too_deep());
        }
        let composed = target.clone();
        self.place(composed, line)
    }

    fn begin(&mut self, content: Content, anchor: usize) -> Result<(), String> {
        if self.awaits_key().is_some() {
            return Err("a list or a mapping cannot be the name of a field".to_owned());
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep());
        }
        let size = match &content {
            Content::List(_) => VALUE,
            Content::Mapping(_) => MAPPING,
        };
        self.open.push(Open {
            content,
            anchor,
            size,
            height: 0,
        });
        Ok(())
    }

    fn end(&mut self, line: usize) -> Result<(), String> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.content {
            Content::List(items) => Value::Array(items),
            Content::Mapping(mapping) => Value::Object(mapping.fields),
        };
        let composed = Composed {
            value,
            size: open.size,
            height: open.height + 1,
        };
        self.remember(open.anchor, &composed)?;
        self.place(composed, line)
    }

    /// The innermost mapping, if what comes next is the name of a field.
    fn awaits_key(&mut self) -> Option<&mut Mapping> {
        match &mut self.open.last_mut()?.content {
            Content::Mapping(mapping) if mapping.key.is_none() => Some(mapping),
            _ => None,
        }
    }

    fn remember(&mut self, anchor: usize, composed: &Composed) -> Result<(), String> {
        if anchor != 0 && self.aliased {
            self.allowance.take(composed.size)?;
            self.anchors.insert(anchor, composed.clone());
        }
        Ok(())
    }

    /// Puts a complete value into the list or mapping around it, or makes it the document's.
    fn place(&mut self, composed: Composed, line: usize) -> Result<(), String> {
        let Some(open) = self.open.last_mut() else {
            self.root = composed.value;
            return Ok(());
        };
        open.size += composed.size;
        open.height = open.height.max(composed.height);
        let mapping = match &mut open.content {
            Content::List(items) => {
                items.push(composed.value);
                return Ok(());
            }
            Content::Mapping(mapping) => mapping,
        };
        let remarks = &mut self.remarks;
        mapping.take(composed.value, line, |line, message| {
            if remarks.len() < MAX_REMARKS {
                remarks.push(Remark { line, message });
            }
        })
    }
}

fn too_deep() -> String {
    format!("more than {MAX_DEPTH} values in each other")
}

#[cfg(test)]
mod tests;
