//! What replicas tell each other (`proto/seaway/v1/peers.proto`, which says what each field is).

use prost::Message;

/// The path of the call that `WatchRequest` opens.
pub const WATCH: &str = "/seaway.v1.Peers/Watch";

/// The message `Digest`.
#[derive(Clone, PartialEq, Message)]
#[allow(missing_docs, reason = "the .proto file has them")]
pub struct Digest {
    #[prost(string, tag = "1")]
    pub instance: String,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(string, tag = "3")]
    pub build: String,
    #[prost(fixed64, tag = "4")]
    pub flags: u64,
    #[prost(enumeration = "State", tag = "5")]
    pub state: i32,
    #[prost(message, repeated, tag = "6")]
    pub watches: Vec<Watch>,
    #[prost(message, repeated, tag = "7")]
    pub contents: Vec<Content>,
}

/// The enum `State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[allow(missing_docs, reason = "the .proto file has them")]
pub enum State {
    Unspecified = 0,
    Syncing = 1,
    Fresh = 2,
    Stale = 3,
    Out = 4,
    Draining = 5,
    Doubtful = 6,
}

/// The message `Watch`.
#[derive(Clone, PartialEq, Message)]
#[allow(missing_docs, reason = "the .proto file has them")]
pub struct Watch {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(uint64, tag = "2")]
    pub reached: u64,
    #[prost(uint64, tag = "3")]
    pub changed: u64,
}

/// The message `Content`.
#[derive(Clone, PartialEq, Message)]
#[allow(missing_docs, reason = "the .proto file has them")]
pub struct Content {
    #[prost(string, tag = "1")]
    pub layer: String,
    #[prost(string, tag = "2")]
    pub r#type: String,
    #[prost(uint64, tag = "3")]
    pub count: u64,
    #[prost(fixed64, tag = "4")]
    pub hash: u64,
}

impl Digest {
    /// The message's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Reads the message.
    ///
    /// # Errors
    /// These bytes are no such message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Digest, prost::DecodeError> {
        Digest::decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_those_of_the_file() {
        let digest = Digest {
            instance: "i".to_owned(),
            name: "n".to_owned(),
            build: "b".to_owned(),
            flags: 7,
            state: State::Out.into(),
            watches: vec![Watch {
                name: "services".to_owned(),
                reached: 9,
                changed: 8,
            }],
            contents: vec![Content {
                layer: "All".to_owned(),
                r#type: "t".to_owned(),
                count: 2,
                hash: 3,
            }],
        };
        let shown = crate::json::to_value("seaway.v1.Digest", &digest.to_bytes()).unwrap();
        let expected = serde_json::json!({
            "instance": "i", "name": "n", "build": "b", "flags": "7", "state": "OUT",
            "watches": [{"name": "services", "reached": "9", "changed": "8"}],
            "contents": [{"layer": "All", "type": "t", "count": "2", "hash": "3"}],
        });
        assert_eq!(shown, expected);
        assert_eq!(Digest::from_bytes(&digest.to_bytes()).unwrap(), digest);
    }
}
