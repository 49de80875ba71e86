//! The error text of a NACK: which resources it names, and what it says of each.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::state::type_state::InFlight;
use crate::store::{ResourceId, Store};

/// The most bytes kept of a client's error text.
const ERROR_LIMIT: usize = 4096;

/// A NACK: the client's error text, and the resources of the response that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nack {
    pub(crate) error: String,
    pub(crate) resources: Vec<Rejected>,
    /// The only resource of the response, if the error names none: it is what was rejected.
    pub(crate) sole: Option<Rejected>,
    /// Whether it repeats earlier rejections of all resources of the response that it does not
    /// name.
    pub(crate) repeated: bool,
}

/// A resource named in a NACK, and the object it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) id: ResourceId,
    pub(crate) name: Arc<str>,
    pub(crate) origin: Arc<str>,
    /// Whether the client rejected it before, and was sent it again.
    pub(crate) repeated: bool,
}

impl Nack {
    /// The NACK of a response, with the resources that the error text names.
    pub(super) fn new(
        answered: &InFlight,
        text: &str,
        (store, type_index): (&Store, usize),
    ) -> Nack {
        let error = bounded(text);
        // The last line of a cut text may be incomplete.
        let said = match error.rsplit_once('\n') {
            Some((lines, _)) if is_cut(text) => lines,
            _ => &error,
        };
        let brought = answered.ids.iter().filter_map(|id| {
            let slot = store.try_slot(type_index, *id)?;
            let body = slot.any_body()?;
            Some(Rejected {
                id: *id,
                name: slot.name.clone(),
                origin: body.origin.clone(),
                repeated: false,
            })
        });
        let mut brought = brought.peekable();
        let sole = brought.peek().filter(|_| answered.ids.len() == 1).cloned();
        let resources: Vec<_> = brought.filter(|one| mentions(said, &one.name)).collect();
        Nack {
            sole: sole.filter(|_| resources.is_empty()),
            error,
            resources,
            repeated: false,
        }
    }
}

/// The hash of an error text, by which rejections are compared.
pub(crate) fn error_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// The lines of an error text that name a resource: Envoy gives each resource a line.
pub(crate) fn of_resource(error: &str, name: &str) -> String {
    let lines = error.lines().filter(|line| mentions(line, name));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether an error text may be cut: Envoy cuts it at this length and appends a note.
pub(super) fn is_cut(text: &str) -> bool {
    text.len() > ERROR_LIMIT
}

/// The text, or its beginning if it is long.
pub(super) fn bounded(text: &str) -> String {
    let mut end = text.len().min(ERROR_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Whether a text names a resource, and not just one whose name is longer.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || "-_./~@[]".contains(c);
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + name.len()..].chars();
        let goes_on = match after.next() {
            // A colon ends a name in a sentence, and a full stop does, unless something follows at
            // once.
            Some(':' | '.') => after.next().is_some_and(of_name),
            Some(c) => of_name(c),
            None => false,
        };
        !name.is_empty() && !before.is_some_and(of_name) && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_name_is_another_name() {
        let check = |text, name, expected| assert_eq!(mentions(text, name), expected, "{text}");
        let name = "default/web/80@clusterip:10.96.0.1:80";
        check(
            "default/web/80@clusterip:10.96.0.1:80: cannot bind",
            name,
            true,
        );
        check(
            "cannot add 'default/web/80@clusterip:10.96.0.1:80'.",
            name,
            true,
        );
        check(
            "default/web/80@clusterip:10.96.0.1:8080: cannot bind",
            name,
            false,
        );
        check("other-default/web/80@clusterip:10.96.0.1:80", name, false);
        check(name, "default/web/80", false);
        check("default/web/80: unknown field", "default/web/80", true);
        check("anything", "", false);
    }
}
