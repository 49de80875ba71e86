//! Names that fit into a response: those of what does not exist are as many as a client asks for, and a response is bounded
//! (xDS rule 124).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Room that names find in any response, however large it is otherwise: so that they get their turn.
const AT_LEAST: usize = 16 << 10;
/// What a name takes besides its own bytes, at most: the frame of an error.
const FRAME: usize = 48;

/// Takes out the first names that fit into so many bytes, at least one.
pub(super) fn take_names(from: &mut BTreeSet<Arc<str>>, room: usize) -> Vec<Arc<str>> {
    let count = fitting(from.iter(), room);
    std::iter::from_fn(|| from.pop_first())
        .take(count)
        .collect()
}

/// The same out of a map.
pub(super) fn take_keys<V>(from: &mut BTreeMap<Arc<str>, V>, room: usize) -> Vec<Arc<str>> {
    let count = fitting(from.keys(), room);
    let entries = std::iter::from_fn(|| from.pop_first()).take(count);
    entries.map(|(name, _)| name).collect()
}

fn fitting<'a>(names: impl Iterator<Item = &'a Arc<str>>, room: usize) -> usize {
    let mut left = room.max(AT_LEAST);
    let fits = |name: &&Arc<str>| {
        let size = name.len() + FRAME;
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    };
    // A name that has no room by itself goes alone.
    names.take_while(fits).count().max(1)
}
