//! Bounded numbers of names for a response: a client may subscribe to any number of names that do
//! not exist, and a response is bounded (xDS rule 124).

use std::sync::Arc;

use crate::store::name_map::NameMap;

/// The room for names in any response, in bytes, however large it is otherwise: so names always get
/// their turn.
const AT_LEAST: usize = 16 << 10;
/// The most bytes that a name takes besides its own: the frame of an error.
const FRAME: usize = 48;

/// Takes out the first names that fit into `room` bytes, at least one.
pub(super) fn take_names<V>(from: &mut NameMap<V>, room: usize) -> Vec<Arc<str>> {
    let names: Vec<Arc<str>> = fitting(from.iter().map(|(name, _)| name), room)
        .cloned()
        .collect();
    for name in &names {
        from.remove(name);
    }
    names
}

/// The first names that fit into `room` bytes, at least one if there is any.
pub(super) fn fitting<'a>(
    names: impl Iterator<Item = &'a Arc<str>>,
    room: usize,
) -> impl Iterator<Item = &'a Arc<str>> {
    let mut left = room.max(AT_LEAST);
    let mut first = true;
    names.take_while(move |name| {
        let size = name.len() + FRAME;
        // A name that has no room by itself goes alone.
        let fits = size <= left || std::mem::take(&mut first);
        first = false;
        left = left.saturating_sub(size);
        fits
    })
}
