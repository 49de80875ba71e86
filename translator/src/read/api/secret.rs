//! The API type of Secrets, of which only a certificate and its key are read.

use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::decode::{self, Text};
use super::{Described, Metadata, is_other};

/// A Secret (`v1`).
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Secret {
    api_version: Option<Text>,
    kind: Option<Text>,
    #[serde(deserialize_with = "decode::or_default")]
    pub(in super::super) metadata: Metadata,
    r#type: Option<Text>,
    data: Lenient,
    string_data: Lenient,
}

/// The data of a Secret, or a value of another type, which is as good as none: an error would
/// repeat it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient {
    Data(Data),
    Other(IgnoredAny),
}

impl Default for Lenient {
    fn default() -> Lenient {
        Lenient::Other(IgnoredAny)
    }
}

/// The keys of a Secret that are read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    #[serde(rename = "tls.crt")]
    chain: Option<Text>,
    #[serde(rename = "tls.key")]
    key: Option<Text>,
}

/// What a key of a Secret has, as it is written. It is never printed.
pub(in super::super) enum Content<'a> {
    /// There is no such key.
    Missing,
    /// Text: `stringData`, which manifests may have.
    Plain(&'a str),
    /// Bytes in base64: `data`.
    Base64(&'a str),
}

impl Secret {
    /// The certificate with those that signed it.
    pub(in super::super) fn chain(&self) -> Content<'_> {
        self.content(|data| &data.chain)
    }

    /// The private key.
    pub(in super::super) fn key(&self) -> Content<'_> {
        self.content(|data| &data.key)
    }

    /// Whether the Secret is of this type.
    pub(in super::super) fn is_of_type(&self, wanted: &str) -> bool {
        text(&self.r#type) == Some(wanted)
    }

    /// What `stringData` has, which wins as at an API server, else what `data` has.
    fn content(&self, of: impl Fn(&Data) -> &Option<Text>) -> Content<'_> {
        match (self.string_data.text(&of), self.data.text(&of)) {
            (Some(plain), _) => Content::Plain(plain),
            (None, Some(encoded)) => Content::Base64(encoded),
            (None, None) => Content::Missing,
        }
    }
}

impl Lenient {
    fn text(&self, of: impl Fn(&Data) -> &Option<Text>) -> Option<&str> {
        match self {
            Lenient::Data(data) => text(of(data)),
            Lenient::Other(_) => None,
        }
    }
}

impl Described for Secret {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn is_foreign(&self, api_version: &str, kind: &str) -> bool {
        let owned = |text: &Option<Text>| self::text(text).map(str::to_owned);
        is_other(&owned(&self.api_version), api_version) || is_other(&owned(&self.kind), kind)
    }
}

/// Shows the identity alone.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metadata = &self.metadata;
        f.debug_struct("Secret")
            .field("metadata", metadata)
            .finish_non_exhaustive()
    }
}

fn text(value: &Option<Text>) -> Option<&str> {
    value.as_ref().and_then(|text| text.0.as_deref())
}
