//! Maps that are kept up to date by what came and what went.

use std::collections::{BTreeMap, BTreeSet};

/// Puts a value in place of what a key has, or (`None`) removes that. Returns the old one.
pub(super) fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, new: Option<V>) -> Option<V> {
    match new {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

/// Moves a key from where it was filed to where it belongs now.
pub(super) fn refile<K: Ord, V: Ord + Clone>(
    files: &mut BTreeMap<K, BTreeSet<V>>,
    key: &V,
    old: &BTreeSet<K>,
    new: BTreeSet<K>,
) {
    for name in old.difference(&new) {
        if let Some(keys) = files.get_mut(name) {
            keys.remove(key);
            if keys.is_empty() {
                files.remove(name);
            }
        }
    }
    for name in new {
        files.entry(name).or_default().insert(key.clone());
    }
}
