//! Filter state: values of a connection that one filter sets and another one reads.

use seaway_proto::any;
use seaway_proto::envoy::cel_formatter::Cel;
use seaway_proto::envoy::core::TypedExtensionConfig;
use seaway_proto::envoy::filter_state_value::FilterStateValue;
use seaway_proto::envoy::filter_state_value::filter_state_value::{Key, Value};
use seaway_proto::envoy::listener::Filter;
use seaway_proto::envoy::set_filter_state::Config;

use super::listener::network_filter;
use super::substituted;

/// One entry of filter state: a key, and a format string for its value.
#[derive(Clone, Debug)]
pub(super) struct Note(FilterStateValue);

impl Note {
    /// The entry with this value under a key that Envoy knows.
    pub(super) fn new(key: &str, text: String) -> Note {
        Note(FilterStateValue {
            key: Some(Key::ObjectKey(key.to_owned())),
            value: Some(Value::FormatString(substituted(text))),
            ..Default::default()
        })
    }

    /// Adds the formatter for CEL expressions in the value.
    pub(super) fn computed(mut self) -> Note {
        if let Some(Value::FormatString(text)) = &mut self.0.value {
            text.formatters.push(TypedExtensionConfig {
                name: "envoy.formatter.cel".to_owned(),
                typed_config: Some(any(&Cel::default())),
            });
        }
        self
    }
}

/// The network filter that sets the entry when a connection comes.
pub(super) fn filter(note: Note) -> Filter {
    let config = Config {
        on_new_connection: vec![note.0],
        ..Default::default()
    };
    network_filter("envoy.filters.network.set_filter_state", any(&config))
}
