//! Puts the entries of protobuf maps in order, in the encoded bytes.
//!
//! Sorting moves whole entries and so keeps every length: the pass works in place and touches only
//! the fields that can lead to a map (`MAP_PLAN`, computed at build time). A message without a map
//! of two or more entries is only skimmed.

use std::ops::Range;

/// The fields of one message through which a map can be reached.
pub(crate) struct MessagePlan {
    name: &'static str,
    fields: &'static [FieldPlan],
}

/// A field through which a map can be reached: a map itself, or a message that leads to one.
pub(crate) struct FieldPlan {
    number: u32,
    is_map: bool,
    /// Index in `MAP_PLAN` of the field's message (for a map: of its entry), if a map can be
    /// reached from there.
    message: Option<usize>,
}

include!(concat!(env!("OUT_DIR"), "/map_plan.rs"));

/// Sorts the entries of all maps in the encoding of the message with this full name.
pub(crate) fn sort(message: &str, bytes: &mut [u8]) {
    if let Ok(index) = MAP_PLAN.binary_search_by(|plan| plan.name.cmp(message)) {
        sort_message(&MAP_PLAN[index], bytes);
    }
}

/// Sorts the entries of all maps in an encoded message.
fn sort_message(plan: &MessagePlan, bytes: &mut [u8]) {
    let mut run = Run::default();
    let mut at = 0;
    while let Some(field) = Field::read(bytes, at) {
        let known = plan.fields.iter().find(|f| f.number == field.number);
        if let (Some(known), Some(body)) = (known, field.body.clone()) {
            if let Some(child) = known.message {
                sort_message(&MAP_PLAN[child], &mut bytes[body.clone()]);
            }
            if known.is_map {
                run.push(bytes, field.number, at..field.end, body);
            }
        }
        at = field.end;
    }
    run.finish(bytes);
}

/// Consecutive entries of one map field; prost writes the entries of a map one after the other.
#[derive(Default)]
struct Run {
    number: u32,
    entries: Vec<(Range<usize>, Range<usize>)>,
}

impl Run {
    /// Adds an entry; one of another field ends the run.
    fn push(&mut self, bytes: &mut [u8], number: u32, whole: Range<usize>, body: Range<usize>) {
        if self.number != number {
            self.finish(bytes);
            self.number = number;
        }
        self.entries.push((whole, body));
    }

    /// Sorts the entries of the run in place and ends it.
    fn finish(&mut self, bytes: &mut [u8]) {
        let entries = std::mem::take(&mut self.entries);
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return;
        };
        let run = first.0.start..last.0.end;
        if entries.len() < 2 {
            return;
        }
        let mut sorted: Vec<&(Range<usize>, Range<usize>)> = entries.iter().collect();
        sorted.sort_by(|a, b| bytes[a.1.clone()].cmp(&bytes[b.1.clone()]));
        let copy: Vec<u8> = sorted
            .iter()
            .flat_map(|(whole, _)| bytes[whole.clone()].iter().copied())
            .collect();
        bytes[run].copy_from_slice(&copy);
    }
}

/// One field of an encoded message, as it stands on the wire.
struct Field {
    number: u32,
    /// The content of a length-delimited field.
    body: Option<Range<usize>>,
    end: usize,
}

impl Field {
    /// Reads the field that starts at `at`; `None` at the end (or where the bytes are not protobuf,
    /// which prost never writes).
    fn read(bytes: &[u8], at: usize) -> Option<Field> {
        let (key, start) = varint(bytes, at)?;
        let number = u32::try_from(key >> 3).ok()?;
        let (body, end) = match key & 7 {
            0 => (None, varint(bytes, start)?.1),
            1 => (None, start.checked_add(8)?),
            5 => (None, start.checked_add(4)?),
            2 => {
                let (length, start) = varint(bytes, start)?;
                let end = start.checked_add(usize::try_from(length).ok()?)?;
                (Some(start..end), end)
            }
            _ => return None,
        };
        (end <= bytes.len()).then_some(Field { number, body, end })
    }
}

/// Reads a varint and returns its value and the position behind it.
fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}
