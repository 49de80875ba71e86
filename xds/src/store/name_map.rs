//! Maps of names that a stream remembers, with the memory that they take: a client chooses the
//! number and the length of the names, so they are counted in bytes (xDS rule 218).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// The approximate memory of a map entry besides the bytes of its name.
pub(crate) const ENTRY: usize = 96;

/// The approximate memory of a remembered name, in bytes.
pub(crate) fn cost(name: &str) -> usize {
    name.len() + ENTRY
}

/// A sorted map from names to values that counts the memory of its names.
#[derive(Debug)]
pub(crate) struct NameMap<V> {
    names: BTreeMap<Arc<str>, V>,
    bytes: usize,
}

/// A sorted set of names that counts the memory of its names.
pub(crate) type NameSet = NameMap<()>;

impl<V> Default for NameMap<V> {
    fn default() -> NameMap<V> {
        NameMap {
            names: BTreeMap::new(),
            bytes: 0,
        }
    }
}

impl<V> NameMap<V> {
    /// The memory that the names take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.names.iter()
    }

    pub(crate) fn insert(&mut self, name: Arc<str>, value: V) {
        let bytes = cost(&name);
        if self.names.insert(name, value).is_none() {
            self.bytes += bytes;
        }
    }

    /// Adds a name unless it is there.
    pub(crate) fn insert_new(&mut self, name: Arc<str>, value: V) {
        if let Entry::Vacant(entry) = self.names.entry(name) {
            self.bytes += cost(entry.key());
            entry.insert(value);
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<(Arc<str>, V)> {
        let removed = self.names.remove_entry(name)?;
        self.bytes -= cost(name);
        Some(removed)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Arc<str>) -> bool) {
        let bytes = &mut self.bytes;
        self.names.retain(|name, _| {
            let keeps = keep(name);
            if !keeps {
                *bytes -= cost(name);
            }
            keeps
        });
    }

    pub(crate) fn clear(&mut self) {
        *self = NameMap::default();
    }

    /// Takes all entries out.
    pub(crate) fn take(&mut self) -> BTreeMap<Arc<str>, V> {
        std::mem::take(self).names
    }
}

impl NameMap<()> {
    pub(crate) fn add(&mut self, name: Arc<str>) {
        self.insert_new(name, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_names_that_are_there() {
        let mut names = NameMap::default();
        names.insert("a".into(), 1);
        names.insert("a".into(), 2);
        names.insert_new("a".into(), 3);
        names.insert_new("bcd".into(), 4);
        assert_eq!(names.bytes(), 4 + 2 * ENTRY);
        assert_eq!(names.remove("none"), None);
        assert_eq!(names.remove("a"), Some(("a".into(), 2)));
        assert_eq!(names.bytes(), 3 + ENTRY);
        names.retain(|name| &**name != "bcd");
        assert_eq!((names.bytes(), names.len()), (0, 0));
        names.insert("a".into(), 1);
        assert_eq!(names.take().len(), 1);
        assert_eq!((names.bytes(), names.is_empty()), (0, true));
    }
}
