//! [`Fleet`]: which of several sets of ingress proxies.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::OptionError;
use crate::names::is_label;

/// A set of ingress proxies that serve the same: those with this name in their metadata. A Gateway
/// or an IngressClass names its fleet by the label [`FLEET_LABEL`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fleet(Arc<str>);

/// The label by which an object names its fleet.
pub const FLEET_LABEL: &str = "seaway.dev/fleet";

/// The fleet of proxies and objects that name none.
const DEFAULT: &str = "default";

impl Fleet {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the fleet of those that name none.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self.0 == *DEFAULT
    }
}

impl Default for Fleet {
    fn default() -> Self {
        Fleet(DEFAULT.into())
    }
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Fleet {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match is_label(text) {
            true => Ok(Fleet(text.into())),
            false => Err(OptionError::Unknown {
                value: text.to_owned(),
                expected: "the name of a fleet, an RFC 1123 label",
            }),
        }
    }
}

impl TryFrom<String> for Fleet {
    type Error = OptionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Fleet> for String {
    fn from(fleet: Fleet) -> String {
        fleet.0.to_string()
    }
}
