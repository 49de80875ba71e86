//! Which streams a commit concerns, roughly: so that a change wakes who subscribes to it and not everybody (xDS rule 133).
//!
//! A connection's interest is a set of bits, in which every type and every name has its own or shares one with few others. It is
//! held where the bell looks through all connections, one after the other, so that passing one over costs next to nothing. A stream
//! that is woken in vain finds nothing; one that is not woken must never have had anything to find.

use std::ops::BitOr;

use xxhash_rust::xxh3::xxh3_64_with_seed;

const WORDS: usize = 4;

/// Types and names: of a commit those it changed, of a connection those its streams ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest([u64; WORDS]);

impl Interest {
    /// Whatever there is.
    pub(crate) const EVERYTHING: Interest = Interest([u64::MAX; WORDS]);

    /// All names of a type.
    pub(crate) fn wildcard(type_index: usize) -> Interest {
        // The first word is for types; more of them than it has bits share the last.
        Interest([1 << type_index.min(u64::BITS as usize - 1), 0, 0, 0])
    }

    /// One name of a type, as somebody who asks for it.
    pub(crate) fn name(type_index: usize, name: &str) -> Interest {
        let hash = xxh3_64_with_seed(name.as_bytes(), type_index as u64);
        let mut words = [0; WORDS];
        let word = 1 + (hash >> 32) as usize % (WORDS - 1);
        words[word] = 1 << (hash % u64::from(u64::BITS));
        Interest(words)
    }

    /// One name of a type, as something that changed: it concerns those who ask for it, and those who ask for all.
    pub(crate) fn change(type_index: usize, name: &str) -> Interest {
        Interest::name(type_index, name) | Interest::wildcard(type_index)
    }

    /// Adds the names that somebody asks for. Those of a client that asks for very many say nothing any more.
    pub(crate) fn add_names(&mut self, type_index: usize, names: &[&str]) {
        for name in names {
            if self.0[1..].iter().all(|word| *word == u64::MAX) {
                return;
            }
            *self = *self | Interest::name(type_index, name);
        }
    }

    pub(crate) fn meets(self, other: Interest) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_concerns_who_asks_for_it_and_few_others() {
        let change = Interest::change(1, "default/web/80");
        assert!(change.meets(Interest::name(1, "default/web/80")));
        assert!(change.meets(Interest::wildcard(1)));
        assert!(change.meets(Interest::EVERYTHING));
        assert!(!change.meets(Interest::wildcard(0)));
        assert!(!change.meets(Interest::default()));
        let others = (0..1000).map(|other| Interest::name(1, &format!("default/web-{other}/80")));
        let in_vain = others.filter(|other| change.meets(*other)).count();
        assert!(in_vain < 20, "{in_vain}");
    }
}
