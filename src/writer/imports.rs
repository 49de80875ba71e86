//! How many different lists of imports proxies may say at a time: each is a placement of its own,
//! and for those that take routes as one table a table. What a Namespace says is the operator's,
//! and not counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaway_translator::{Imports, View};

/// The most lists of proxies that take scopes.
const LISTS: usize = 4096;
/// The most lists, each in a namespace, of proxies that take one table.
const TABLES: usize = 64;

/// The lists that views in use have, each with how many views have it.
#[derive(Debug, Default)]
pub(super) struct ImportLists {
    lists: BTreeMap<Imports, usize>,
    tables: BTreeMap<(Imports, Option<Arc<str>>), usize>,
}

impl ImportLists {
    /// Counts the list of a view that comes.
    ///
    /// # Errors
    /// There are as many others as there may be; nothing was counted.
    pub(super) fn add(&mut self, view: &View) -> Result<(), String> {
        let Some(imports) = view.imports.clone() else {
            return Ok(());
        };
        match view.whole_table {
            true => add(&mut self.tables, (imports, view.namespace.clone()), TABLES),
            false => add(&mut self.lists, imports, LISTS),
        }
    }

    /// Counts off the list of a view that goes.
    pub(super) fn remove(&mut self, view: &View) {
        let Some(imports) = view.imports.clone() else {
            return;
        };
        match view.whole_table {
            true => remove(&mut self.tables, &(imports, view.namespace.clone())),
            false => remove(&mut self.lists, &imports),
        }
    }
}

fn add<K: Ord>(all: &mut BTreeMap<K, usize>, key: K, most: usize) -> Result<(), String> {
    if all.len() >= most && !all.contains_key(&key) {
        return Err(format!(
            "proxies import {most} different lists, and there may be no more: let proxies that need the same say the same"
        ));
    }
    *all.entry(key).or_default() += 1;
    Ok(())
}

fn remove<K: Ord>(all: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = all.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            all.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use seaway_translator::Role;

    use super::*;

    #[test]
    fn so_many_different_lists_are_known_at_a_time() {
        let view = |number: usize, whole_table: bool| View {
            imports: Some(format!("n{number}").parse().unwrap()),
            whole_table,
            ..View::of(Role::Mesh)
        };
        for (whole_table, most) in [(false, LISTS), (true, TABLES)] {
            let mut lists = ImportLists::default();
            for number in 0..most {
                assert_eq!(lists.add(&view(number, whole_table)), Ok(()));
            }
            assert_eq!(lists.add(&view(0, whole_table)), Ok(()));
            assert!(lists.add(&view(most, whole_table)).is_err());
            lists.remove(&view(0, whole_table));
            assert!(lists.add(&view(most, whole_table)).is_err());
            lists.remove(&view(0, whole_table));
            assert_eq!(lists.add(&view(most, whole_table)), Ok(()));
            assert_eq!(lists.add(&View::of(Role::Mesh)), Ok(()));
        }
    }
}
