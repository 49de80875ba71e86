//! Deterministic encoding: equal messages give equal bytes, in every run and on every replica (xDS
//! rules 73, 75).

use prost::{Message, Name};

use crate::google::protobuf::Any;
use crate::map_order;

/// Encodes a message deterministically.
///
/// prost writes fields in the order of their numbers, which leaves only maps (`HashMap` in the
/// generated types) to chance: their entries are put in order afterwards. An `Any` inside the
/// message keeps the bytes it has, so make it with [`any`].
pub fn encode<M: Message + Name>(message: &M) -> Vec<u8> {
    let mut bytes = message.encode_to_vec();
    map_order::sort(&M::full_name(), &mut bytes);
    bytes
}

/// Packs a message into an `Any`, deterministically.
pub fn any<M: Message + Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: encode(message),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::envoy::cluster::Cluster;
    use crate::envoy::core::Metadata;
    use crate::google::protobuf::{Struct, Value, value::Kind};

    fn metadata(keys: &[&str]) -> Metadata {
        let number = |n: f64| Value {
            kind: Some(Kind::NumberValue(n)),
        };
        let fields = keys.iter().map(|k| (k.to_string(), number(1.0)));
        let inner = Struct {
            fields: fields.collect(),
        };
        Metadata {
            filter_metadata: keys
                .iter()
                .map(|k| (k.to_string(), inner.clone()))
                .collect(),
            ..Default::default()
        }
    }

    /// Every HashMap has its own random order: fifty of them would show a chance in the bytes.
    #[test]
    fn equal_maps_encode_equally_whatever_their_order() {
        let encodings: BTreeSet<Vec<u8>> = (0..50)
            .map(|i| {
                let mut keys = ["a", "bb", "ccc", "dddd", "e", "f"];
                keys.rotate_left(i % 6);
                let cluster = Cluster {
                    name: "c".into(),
                    metadata: Some(metadata(&keys)),
                    ..Default::default()
                };
                encode(&cluster)
            })
            .collect();
        assert_eq!(encodings.len(), 1);
        let bytes = encodings.first().unwrap();
        let decoded = Cluster::decode(bytes.as_slice()).unwrap();
        assert_eq!(
            decoded.metadata,
            Some(metadata(&["a", "bb", "ccc", "dddd", "e", "f"]))
        );
    }

    #[test]
    fn any_carries_the_type_url() {
        assert_eq!(
            any(&Cluster::default()).type_url,
            "type.googleapis.com/envoy.config.cluster.v3.Cluster"
        );
    }
}
