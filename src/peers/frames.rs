//! The messages in the body of a gRPC call: each has a prefix of five bytes.

/// The longest message taken of a peer, in bytes.
const MAX_MESSAGE: usize = 1 << 20;
/// The length of a prefix: whether the message is compressed, and how long it is.
const PREFIX: usize = 5;

/// A message without content, as it is sent.
pub(super) const EMPTY: &[u8] = &[0; PREFIX];

/// Why what a peer sends cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("a message is compressed, which was not asked for")]
    Compressed,
    #[error("a message of {0} bytes")]
    Long(usize),
}

/// Cuts a body into messages.
#[derive(Debug, Default)]
pub(super) struct Frames(Vec<u8>);

impl Frames {
    /// Adds a part of the body.
    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.extend_from_slice(part);
    }

    /// The next whole message.
    ///
    /// # Errors
    /// It is none that this replica takes.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Unreadable> {
        let Some(([compressed, length @ ..], rest)) = self.0.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        if *compressed != 0 {
            return Err(Unreadable::Compressed);
        }
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE {
            return Err(Unreadable::Long(length));
        }
        let Some((message, rest)) = rest.split_at_checked(length) else {
            return Ok(None);
        };
        let (message, rest) = (message.to_vec(), rest.to_vec());
        self.0 = rest;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_whole_however_they_come() {
        let body = [b"\0\0\0\0\x02ab".as_slice(), EMPTY, b"\0\0\0\0\x01c"].concat();
        for piece in 1..body.len() {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for part in body.chunks(piece) {
                frames.add(part);
                while let Some(message) = frames.next().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, [b"ab".to_vec(), Vec::new(), b"c".to_vec()]);
        }
    }

    #[test]
    fn what_is_too_long_is_not_waited_for() {
        let mut frames = Frames::default();
        frames.add(b"\0\xff\xff\xff\xff");
        assert_eq!(frames.next(), Err(Unreadable::Long(0xffff_ffff)));
        let mut frames = Frames::default();
        frames.add(b"\x01\0\0\0\0");
        assert_eq!(frames.next(), Err(Unreadable::Compressed));
    }
}
