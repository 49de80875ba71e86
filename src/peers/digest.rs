//! What replicas tell each other, read into types of bounded size.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaway_proto::peers;
pub(crate) use seaway_proto::peers::State;

use crate::admin::freshness::Reached;
use crate::process::outside::quote;

/// The longest name that is kept, in bytes.
const MAX_NAME: usize = 256;
/// The most watches and the most contents that are taken of a peer. Watches are one for each kind
/// and namespace.
const MAX_PARTS: usize = 8192;

/// What a layer has of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) count: u64,
    pub(crate) hash: u64,
}

/// The layer and the type of a [`Content`].
pub(crate) type ContentKey = (Arc<str>, Arc<str>);

/// What one replica serves, and from what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Digest {
    /// A random name of its run.
    pub(crate) instance: Arc<str>,
    /// Its name in logs.
    pub(crate) name: Arc<str>,
    pub(crate) build: Arc<str>,
    /// A hash of the flags that decide what is served.
    pub(crate) flags: u64,
    pub(crate) state: State,
    pub(crate) watches: BTreeMap<Arc<str>, Reached>,
    pub(crate) contents: BTreeMap<ContentKey, Content>,
}

/// Why a digest of a peer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("it is no digest")]
    Garbled,
    #[error("it has {0} parts")]
    Large(usize),
    #[error("it has no instance, or one that is too long")]
    Nameless,
}

impl Digest {
    /// Reads a peer's digest.
    ///
    /// # Errors
    /// It is none, or has more than any replica has.
    pub(crate) fn read(bytes: &[u8]) -> Result<Digest, Unusable> {
        let read = peers::Digest::from_bytes(bytes).map_err(|_| Unusable::Garbled)?;
        let parts = read.watches.len().max(read.contents.len());
        if parts > MAX_PARTS {
            return Err(Unusable::Large(parts));
        }
        if read.instance.is_empty() || read.instance.len() > MAX_NAME {
            return Err(Unusable::Nameless);
        }
        let state = read.state();
        let watches = read.watches.into_iter().map(|watch| {
            let (version, changed) = (watch.reached, watch.changed);
            (name(&watch.name), Reached { version, changed })
        });
        let contents = read.contents.into_iter().map(|content| {
            let key = (name(&content.layer), name(&content.r#type));
            let (count, hash) = (content.count, content.hash);
            (key, Content { count, hash })
        });
        Ok(Digest {
            instance: read.instance.into(),
            // It is shown in logs.
            name: quote(&name(&read.name)).into(),
            build: name(&read.build),
            flags: read.flags,
            state,
            watches: watches.collect(),
            contents: contents.collect(),
        })
    }

    /// The bytes that are sent.
    pub(crate) fn write(&self) -> Vec<u8> {
        let watches = self.watches.iter().map(|(name, reached)| peers::Watch {
            name: name.to_string(),
            reached: reached.version,
            changed: reached.changed,
        });
        let contents = self.contents.iter();
        let contents = contents.map(|((layer, of), content)| peers::Content {
            layer: layer.to_string(),
            r#type: of.to_string(),
            count: content.count,
            hash: content.hash,
        });
        let digest = peers::Digest {
            instance: self.instance.to_string(),
            name: self.name.to_string(),
            build: self.build.to_string(),
            flags: self.flags,
            state: self.state.into(),
            watches: watches.collect(),
            contents: contents.collect(),
        };
        digest.to_bytes()
    }
}

/// A name of a peer's, cut to the longest that there is.
fn name(text: &str) -> Arc<str> {
    let mut end = text.len().min(MAX_NAME);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_was_written() {
        let reached = Reached {
            version: 9,
            changed: 7,
        };
        let content = Content { count: 2, hash: 3 };
        let digest = Digest {
            instance: "i".into(),
            name: "seaway-1".into(),
            build: "0.1.0".into(),
            flags: 5,
            state: State::Stale,
            watches: [("services".into(), reached)].into(),
            contents: [(("All".into(), "cluster".into()), content)].into(),
        };
        assert_eq!(Digest::read(&digest.write()).unwrap(), digest);
    }

    #[test]
    fn what_is_no_digest_or_too_large_is_refused_and_names_are_cut() {
        assert!(matches!(Digest::read(b"\xff"), Err(Unusable::Garbled)));
        assert!(matches!(Digest::read(b""), Err(Unusable::Nameless)));
        let long = peers::Digest {
            instance: "i".to_owned(),
            name: "é".repeat(MAX_NAME),
            ..peers::Digest::default()
        };
        let read = Digest::read(&long.to_bytes()).unwrap();
        assert_eq!(
            read.name.chars().filter(|c| *c == 'é').count(),
            MAX_NAME / 2
        );
        assert_eq!(read.state, State::Unspecified);
        let many = peers::Digest {
            watches: vec![peers::Watch::default(); MAX_PARTS + 1],
            ..long
        };
        assert!(matches!(
            Digest::read(&many.to_bytes()),
            Err(Unusable::Large(_))
        ));
    }
}
