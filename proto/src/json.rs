//! Any message as protobuf JSON or YAML, with nested `Any` opened, and back (by reflection).
//!
//! Field names are the original ones (snake_case), as Envoy's own documentation and `config_dump`
//! write them. Keys are sorted, so equal messages print equally.

use std::sync::OnceLock;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use serde_json::Value;
use thiserror::Error;

use crate::map_order;

/// The encoded descriptors of all compiled-in messages, and of the services that are made of them:
/// a `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The error of printing a message as JSON or YAML, or of reading one.
#[derive(Debug, Error)]
pub enum JsonError {
    /// The type is not among those compiled in (see `build.rs`).
    #[error("message type {0} is not known")]
    UnknownType(String),
    /// The bytes are not an encoding of that type.
    #[error("not an encoding of {0}: {1}")]
    Decode(String, prost::DecodeError),
    /// The JSON does not fit the type, or an `Any` inside holds an unknown type.
    #[error("{0}: {1}")]
    Json(String, serde_json::Error),
    /// The text is not YAML, or the value cannot be written as YAML.
    #[error("YAML: {0}")]
    Yaml(String),
}

/// Prints an encoded message as JSON. `name` is its full name or its type URL.
pub fn to_value(name: &str, bytes: &[u8]) -> Result<Value, JsonError> {
    let descriptor = message(name)?;
    let message = DynamicMessage::decode(descriptor, bytes)
        .map_err(|error| JsonError::Decode(name.to_owned(), error))?;
    let options = SerializeOptions::new().use_proto_field_name(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| JsonError::Json(name.to_owned(), error))
}

/// Reads a message from JSON (either spelling of field names) and encodes it deterministically.
pub fn from_value(name: &str, value: &Value) -> Result<Vec<u8>, JsonError> {
    let descriptor = message(name)?;
    let full_name = descriptor.full_name().to_owned();
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(descriptor, value, &options)
        .map_err(|error| JsonError::Json(name.to_owned(), error))?;
    let mut bytes = message.encode_to_vec();
    map_order::sort(&full_name, &mut bytes);
    Ok(bytes)
}

/// Writes a JSON value as YAML.
pub fn to_yaml(value: &Value) -> Result<String, JsonError> {
    serde_saphyr::to_string(value).map_err(|error| JsonError::Yaml(error.to_string()))
}

/// Reads a YAML document as a JSON value.
pub fn from_yaml(text: &str) -> Result<Value, JsonError> {
    serde_saphyr::from_str(text).map_err(|error| JsonError::Yaml(error.to_string()))
}

/// The descriptor of the message type with this full name or type URL.
fn message(name: &str) -> Result<MessageDescriptor, JsonError> {
    let full_name = name.rsplit('/').next().unwrap_or(name);
    pool()
        .get_message_by_name(full_name)
        .ok_or_else(|| JsonError::UnknownType(full_name.to_owned()))
}

/// The descriptors of all compiled-in message types, decoded when first needed: serving needs none
/// of them.
fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        #[expect(
            clippy::expect_used,
            reason = "build.rs wrote these bytes from descriptors"
        )]
        DescriptorPool::decode(DESCRIPTORS).expect("compiled-in descriptors are valid")
    })
}

#[cfg(test)]
mod tests {
    use prost::Name;

    use super::*;
    use crate::envoy::listener::{Filter, FilterChain, Listener, filter::ConfigType};
    use crate::envoy::tcp_proxy::{TcpProxy, tcp_proxy::ClusterSpecifier};
    use crate::{any, encode};

    fn listener() -> Listener {
        let proxy = TcpProxy {
            stat_prefix: "p".into(),
            cluster_specifier: Some(ClusterSpecifier::Cluster("c".into())),
            ..Default::default()
        };
        let filter = Filter {
            name: "tcp".into(),
            config_type: Some(ConfigType::TypedConfig(any(&proxy))),
        };
        Listener {
            name: "default/web/80@clusterip:10.96.0.1:80".into(),
            filter_chains: vec![FilterChain {
                filters: vec![filter],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn nested_any_is_opened_and_read_back() {
        let bytes = encode(&listener());
        let value = to_value(&Listener::type_url(), &bytes).unwrap();
        let config = &value["filter_chains"][0]["filters"][0]["typed_config"];
        assert_eq!(config["cluster"], "c");
        assert_eq!(config["stat_prefix"], "p");
        assert_eq!(from_value(&Listener::full_name(), &value).unwrap(), bytes);
    }

    #[test]
    fn yaml_reads_back_to_the_same_bytes() {
        let bytes = encode(&listener());
        let text = to_yaml(&to_value(&Listener::type_url(), &bytes).unwrap()).unwrap();
        let value = from_yaml(&text).unwrap();
        assert_eq!(from_value(&Listener::type_url(), &value).unwrap(), bytes);
    }

    #[test]
    fn unknown_types_and_fields_are_named() {
        let error = to_value("no.Such", &[]).unwrap_err();
        assert_eq!(error.to_string(), "message type no.Such is not known");
        let value = serde_json::json!({"nmae": "x"});
        let error = from_value(&Listener::type_url(), &value).unwrap_err();
        assert!(error.to_string().contains("nmae"), "{error}");
    }
}
