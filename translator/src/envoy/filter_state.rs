//! What one filter notes of a connection and another one reads, here or behind an internal listener.

use seaway_proto::any;
use seaway_proto::envoy::cel_formatter::Cel;
use seaway_proto::envoy::core::TypedExtensionConfig;
use seaway_proto::envoy::filter_state_value::FilterStateValue;
use seaway_proto::envoy::filter_state_value::filter_state_value::{Key, SharedWithUpstream, Value};
use seaway_proto::envoy::listener::Filter;
use seaway_proto::envoy::set_filter_state::Config;

use super::listener::network_filter;
use super::substituted;

/// One thing to note, made of a text with substitutions.
#[derive(Clone, Debug)]
pub(super) struct Note(FilterStateValue);

impl Note {
    /// Notes `text` under a key that Envoy knows.
    pub(super) fn new(key: &str, text: String) -> Note {
        Note(FilterStateValue {
            key: Some(Key::ObjectKey(key.to_owned())),
            value: Some(Value::FormatString(substituted(text))),
            ..Default::default()
        })
    }

    /// Notes a plain text under a key of our own.
    pub(super) fn text(key: &str, text: String) -> Note {
        let mut note = Note::new(key, text);
        note.0.factory_key = "envoy.string".to_owned();
        note
    }

    /// Has the text computed with CEL where it says so.
    pub(super) fn computed(mut self) -> Note {
        if let Some(Value::FormatString(text)) = &mut self.0.value {
            text.formatters.push(TypedExtensionConfig {
                name: "envoy.formatter.cel".to_owned(),
                typed_config: Some(any(&Cel::default())),
            });
        }
        self
    }

    /// Passes it on to the internal listener that the connection is handed to.
    pub(super) fn passed_on(mut self) -> Note {
        self.0.shared_with_upstream = SharedWithUpstream::Once as i32;
        self
    }
}

/// The filter that notes these things when a connection comes.
pub(super) fn filter(notes: Vec<Note>) -> Filter {
    let config = Config {
        on_new_connection: notes.into_iter().map(|note| note.0).collect(),
        ..Default::default()
    };
    network_filter("envoy.filters.network.set_filter_state", any(&config))
}
