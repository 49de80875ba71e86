//! Discovery requests, parsed in place: names and other strings are borrowed from the message.
//!
//! Most requests are acknowledgements. In delta they contain no names; in state of the world they
//! repeat all names, which are parsed one by one only if they differ from those of the last
//! request.

use prost::DecodeError;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use smallvec::SmallVec;
use thiserror::Error;
use tonic::Status;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::dialect::Dialect;

/// The reason for which bytes are not a discovery request, or a report of load.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Malformed {
    #[error("not a request that is understood: {0}")]
    Encoding(#[from] DecodeError),
    #[error("not a request that is understood: its length does not fit")]
    Length,
    #[error("a request of more than {MAX_FIELDS} fields")]
    Fields,
    #[error("not a request that is understood: a text is not UTF-8")]
    Text(#[from] std::str::Utf8Error),
}

impl From<Malformed> for Status {
    fn from(error: Malformed) -> Status {
        Status::invalid_argument(error.to_string())
    }
}

/// The most fields of a request, nearly all of them names: twice as many as a stream may subscribe
/// to of a type.
pub(crate) const MAX_FIELDS: usize = 500_000;

/// The place of a part in its request: a large request is taken in parts
/// ([`Parts`](crate::wire::parts::Parts)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Whether another part was before it.
    pub(crate) follows: bool,
    /// Whether another part is to come.
    pub(crate) more: bool,
    /// Whether the request adds names, and whether it drops any, in whichever part. `None`: this is
    /// the whole request.
    pub(crate) named: Option<(bool, bool)>,
}

/// A discovery request of either dialect, borrowed from its encoded message.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    /// The node, encoded.
    pub(crate) node: Option<&'a [u8]>,
    pub(crate) type_url: &'a str,
    pub(crate) nonce: &'a str,
    /// The client's error text, if it rejects the response with this nonce (xDS rule 68).
    pub(crate) error: Option<&'a str>,
    pub(crate) names: Names<'a>,
    pub(crate) part: Part,
}

/// The names of a request: a complete set (state of the world), or changes of the set (delta).
#[derive(Debug)]
pub(crate) enum Names<'a> {
    /// State of the world: the complete set, and the version the client holds (xDS rule 20).
    Complete { names: List<'a>, version: &'a str },
    /// Delta: what to add to the set and what to drop; on the first request what the client holds,
    /// by name and version (xDS rule 52).
    Change {
        subscribe: Vec<&'a str>,
        unsubscribe: Vec<&'a str>,
        initial: Vec<(&'a str, &'a str)>,
    },
}

impl Default for Names<'_> {
    fn default() -> Self {
        Names::Change {
            subscribe: Vec::new(),
            unsubscribe: Vec::new(),
            initial: Vec::new(),
        }
    }
}

impl<'a> Names<'a> {
    /// Takes a field of a `DeltaDiscoveryRequest`, if it is one of names.
    pub(crate) fn add(&mut self, number: u32, content: &'a [u8]) -> Result<(), Malformed> {
        let Names::Change {
            subscribe,
            unsubscribe,
            initial,
        } = self
        else {
            return Ok(());
        };
        match number {
            3 => subscribe.push(text(content)?),
            4 => unsubscribe.push(text(content)?),
            5 => initial.push(entry(content)?),
            // A `ResourceLocator`, of which the name counts (xDS rule 119).
            8 => subscribe.push(text(field(content, 1)?)?),
            9 => unsubscribe.push(text(field(content, 1)?)?),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Request<'a> {
    /// Parses a `DeltaDiscoveryRequest` or a `DiscoveryRequest`.
    pub(crate) fn read(dialect: Dialect, message: &'a [u8]) -> Result<Request<'a>, Malformed> {
        match dialect {
            Dialect::Delta => Request::delta(message),
            Dialect::Sotw => Request::sotw(message),
        }
    }

    fn delta(message: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let mut request = Request::default();
        let mut fields = Fields::of(message);
        while let Some((number, content)) = fields.next()? {
            request.field_of_delta(number, content)?;
            request.names.add(number, content)?;
        }
        Ok(request)
    }

    /// Parses the fields of a `DeltaDiscoveryRequest` that are not names.
    pub(crate) fn without_names(message: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let mut request = Request::default();
        let mut fields = Fields::of(message);
        while let Some((number, content)) = fields.next()? {
            request.field_of_delta(number, content)?;
        }
        Ok(request)
    }

    /// Takes a field of a `DeltaDiscoveryRequest`, if it is not one of names.
    pub(crate) fn field_of_delta(
        &mut self,
        number: u32,
        content: &'a [u8],
    ) -> Result<(), Malformed> {
        match number {
            1 => self.node = Some(content),
            2 => self.type_url = text(content)?,
            6 => self.nonce = text(content)?,
            7 => self.error = Some(text(field(content, ERROR_MESSAGE)?)?),
            _ => {}
        }
        Ok(())
    }

    fn sotw(message: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let mut request = Request::default();
        let (mut version, mut names) = ("", List::default());
        let (mut fields, mut count) = (Fields::of(message), 0);
        while let Some((number, content)) = fields.next()? {
            count += 1;
            if count > MAX_FIELDS {
                return Err(Malformed::Fields);
            }
            match number {
                1 => version = text(content)?,
                2 => request.node = Some(content),
                3 => names.extend(Kind::Name, fields.last()),
                4 => request.type_url = text(content)?,
                5 => request.nonce = text(content)?,
                6 => request.error = Some(text(field(content, ERROR_MESSAGE)?)?),
                7 => names.extend(Kind::Locator, fields.last()),
                _ => {}
            }
        }
        request.names = Names::Complete { names, version };
        Ok(request)
    }
}

/// The `id` of an encoded node.
pub(crate) fn node_id(node: &[u8]) -> Result<&str, Malformed> {
    text(field(node, 1)?)
}

/// The field number of `google.rpc.Status.message`.
const ERROR_MESSAGE: u32 = 2;

/// The names of a state-of-the-world request, still encoded.
#[derive(Debug, Default)]
pub(crate) struct List<'a>(SmallVec<[Run<'a>; 1]>);

/// Consecutive fields of one kind in an encoded request.
#[derive(Debug)]
struct Run<'a> {
    kind: Kind,
    /// The message from the first of these fields on, and the length of the fields.
    from: &'a [u8],
    len: usize,
}

/// The kind of a field with a name: a plain name, or a `ResourceLocator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name,
    Locator,
}

impl<'a> List<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A hash of the names in their order.
    pub(crate) fn hash(&self) -> u64 {
        self.0.iter().fold(0, |hash, run| {
            xxh3_64_with_seed(&run.from[..run.len], hash ^ run.kind as u64)
        })
    }

    /// The names in their order.
    pub(crate) fn read(&self) -> Result<Vec<&'a str>, Malformed> {
        let mut names = Vec::new();
        for run in &self.0 {
            let mut fields = Fields::of(&run.from[..run.len]);
            while let Some((_, content)) = fields.next()? {
                names.push(match run.kind {
                    Kind::Name => text(content)?,
                    Kind::Locator => text(field(content, 1)?)?,
                });
            }
        }
        Ok(names)
    }

    /// Adds a field: `message` begins with it, and it has `len` bytes.
    fn extend(&mut self, kind: Kind, (message, len): (&'a [u8], usize)) {
        if let Some(run) = self.0.last_mut()
            && run.kind == kind
            && run.from.len() - run.len == message.len()
        {
            run.len += len;
            return;
        }
        let from = message;
        self.0.push(Run { kind, from, len });
    }
}

/// A cursor over the length-delimited fields of an encoded message; other fields are skipped.
pub(crate) struct Fields<'a> {
    left: &'a [u8],
    /// The message from the last field on.
    last: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Fields<'a> {
        Fields {
            left: message,
            last: message,
        }
    }

    /// The next field's number and content.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, &'a [u8])>, Malformed> {
        while !self.left.is_empty() {
            self.last = self.left;
            let (number, wire_type) = decode_key(&mut self.left)?;
            if wire_type != WireType::LengthDelimited {
                skip_field(wire_type, number, &mut self.left, DecodeContext::default())?;
                continue;
            }
            let length = decode_varint(&mut self.left)?;
            let length = usize::try_from(length).map_err(|_| Malformed::Length)?;
            let content = self.left.get(..length).ok_or(Malformed::Length)?;
            self.left.advance(length);
            return Ok(Some((number, content)));
        }
        Ok(None)
    }

    /// The number of bytes that are left to parse.
    pub(crate) fn left(&self) -> usize {
        self.left.len()
    }

    /// The message from the last field on, and that field's length.
    fn last(&self) -> (&'a [u8], usize) {
        (self.last, self.last.len() - self.left.len())
    }
}

/// The content of the last field with a number, empty if there is none.
fn field(message: &[u8], wanted: u32) -> Result<&[u8], Malformed> {
    let mut found = &[][..];
    let mut fields = Fields::of(message);
    while let Some((number, content)) = fields.next()? {
        if number == wanted {
            found = content;
        }
    }
    Ok(found)
}

/// The key and the value of an entry of a map of strings, in one pass: a client that comes back
/// sends thousands of them.
fn entry(message: &[u8]) -> Result<(&str, &str), Malformed> {
    let (mut key, mut value) = (&[][..], &[][..]);
    let mut fields = Fields::of(message);
    while let Some((number, content)) = fields.next()? {
        match number {
            1 => key = content,
            2 => value = content,
            _ => {}
        }
    }
    Ok((text(key)?, text(value)?))
}

pub(crate) fn text(content: &[u8]) -> Result<&str, Malformed> {
    Ok(std::str::from_utf8(content)?)
}

#[cfg(test)]
mod tests;
