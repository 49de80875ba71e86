//! Large delta requests, taken in parts: a lookup of hundreds of thousands of names at once would
//! block the writer and the other streams on the same thread.
//!
//! A request may be split between any two of its fields. No response is made before the last part
//! is taken, so the client sees no intermediate state.

use bytes::Bytes;

use crate::wire::request::{Fields, MAX_FIELDS, Malformed, Names, Part, Request};

/// The size in bytes above which a request is taken in parts.
pub(crate) const LARGE: usize = 512 << 10;
/// The number of fields in a part.
const FIELDS: usize = 4_000;

/// A large delta request, and the position up to which it was taken.
#[derive(Debug)]
pub(crate) struct Parts {
    message: Bytes,
    /// The position at which the next part begins.
    at: usize,
    type_url: Box<str>,
    part: Part,
}

impl Parts {
    /// Checks the fields of a request, which is then taken part by part.
    ///
    /// # Errors
    ///
    /// The bytes are no request, or it has too many fields.
    pub(crate) fn of(message: Bytes) -> Result<Parts, Malformed> {
        let (mut request, mut fields) = (Request::default(), Fields::of(&message));
        let (mut count, mut named) = (0, (false, false));
        while let Some((number, content)) = fields.next()? {
            request.field_of_delta(number, content)?;
            named.0 |= matches!(number, 3 | 8);
            named.1 |= matches!(number, 4 | 9);
            count += 1;
            if count > MAX_FIELDS {
                return Err(Malformed::Fields);
            }
        }
        let type_url = request.type_url.into();
        let part = Part {
            follows: false,
            more: true,
            named: Some(named),
        };
        Ok(Parts {
            message: message.clone(),
            at: 0,
            type_url,
            part,
        })
    }

    /// The next part. The first one has the node, the nonce and the error of the request, all have
    /// its type.
    pub(crate) fn next(&mut self) -> Result<Request<'_>, Malformed> {
        let mut request = match self.at {
            0 => Request::without_names(&self.message)?,
            _ => Request {
                type_url: &self.type_url,
                ..Request::default()
            },
        };
        let rest = self.message.get(self.at..).unwrap_or_default();
        let mut fields = Fields::of(rest);
        let mut names = Names::default();
        for _ in 0..FIELDS {
            let Some((number, content)) = fields.next()? else {
                break;
            };
            names.add(number, content)?;
        }
        self.at = self.message.len() - fields.left();
        self.part.more = fields.left() > 0;
        request.names = names;
        request.part = self.part;
        self.part.follows = true;
        Ok(request)
    }

    /// Whether there are parts left.
    pub(crate) fn more(&self) -> bool {
        self.part.more
    }

    /// The size of the whole request, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.message.len()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use seaway_proto::discovery::DeltaDiscoveryRequest;

    use super::*;
    use crate::dialect::Dialect;

    /// What has been read of a request in all.
    #[derive(Debug, Default, PartialEq)]
    struct Read {
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        initial: Vec<(String, String)>,
    }

    impl Read {
        fn add(&mut self, names: &Names<'_>) {
            let Names::Change {
                subscribe,
                unsubscribe,
                initial,
            } = names
            else {
                panic!("of delta");
            };
            let own = |name: &&str| (*name).to_owned();
            self.subscribe.extend(subscribe.iter().map(own));
            self.unsubscribe.extend(unsubscribe.iter().map(own));
            let pair = |(name, version): &(&str, &str)| (own(name), own(version));
            self.initial.extend(initial.iter().map(pair));
        }
    }

    #[test]
    fn the_parts_of_a_request_are_the_whole_of_it() {
        for (subscribed, given_up, held) in [(9_500, 0, 5_700), (0, 4_000, 0), (0, 0, 12_001)] {
            let name = |kind: &str, number: usize| format!("{kind}/{number}");
            let message = DeltaDiscoveryRequest {
                type_url: "type".into(),
                resource_names_subscribe: (0..subscribed).map(|n| name("a", n)).collect(),
                resource_names_unsubscribe: (0..given_up).map(|n| name("b", n)).collect(),
                initial_resource_versions: (0..held).map(|n| (name("c", n), "1".into())).collect(),
                response_nonce: "7".into(),
                ..Default::default()
            };
            let message = Bytes::from(message.encode_to_vec());
            let (mut whole, mut joined) = (Read::default(), Read::default());
            whole.add(&Request::read(Dialect::Delta, &message).unwrap().names);
            let mut parts = Parts::of(message).unwrap();
            let mut count = 0;
            while parts.more() {
                let request = parts.next().unwrap();
                assert_eq!(request.type_url, "type");
                assert_eq!(request.nonce.is_empty(), count > 0, "only the first");
                assert_eq!(request.part.follows, count > 0);
                assert_eq!(request.part.named, Some((subscribed > 0, given_up > 0)));
                joined.add(&request.names);
                count += 1;
            }
            assert_eq!(joined, whole);
            assert_eq!(count, (subscribed + given_up + held + 2).div_ceil(FIELDS));
        }
    }

    #[test]
    fn a_request_of_too_many_fields_is_none() {
        let message = [0x1a, 0].repeat(MAX_FIELDS + 1);
        assert_eq!(Parts::of(message.into()).unwrap_err(), Malformed::Fields);
    }
}
