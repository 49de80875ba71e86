//! [`Subject`]: the object, file or other thing that a problem is about.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{SHOWN, shortened};
use crate::model::ServiceKey;
use crate::{ObjectId, ObjectKind, Role};

/// The object, file or other thing that a problem is about. Displays as people read it: `Service
/// default/web`, `Node n1`, `File a.yaml`. Subjects that display alike are equal, and their order
/// is that of what they display.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Subject {
    /// An object of a kind that is read.
    Object(ObjectId),
    /// A route table that is made of many objects.
    RouteTable(Arc<str>),
    /// All proxies of a role.
    Role(Role),
    /// A file with manifests.
    File(Arc<str>),
    /// A folder with manifests.
    Folder(Arc<str>),
    /// The watch of a resource of the API server.
    Watch(Arc<str>),
    /// Anything else, in words: its kind first.
    Other(Arc<str>),
}

const ROUTE_TABLE: &str = "RouteConfiguration";
const ROLE: &str = "Role";
const FILE: &str = "File";
const FOLDER: &str = "Folder";
const WATCH: &str = "Watch";

impl Subject {
    /// The object, if the subject is one of a kind that is read.
    #[must_use]
    pub fn object(&self) -> Option<&ObjectId> {
        match self {
            Subject::Object(id) => Some(id),
            _ => None,
        }
    }

    /// The subject with its text shortened, as messages of problems are.
    pub(super) fn shortened(self) -> Subject {
        let length: usize = self.texts().iter().map(|text| text.len()).sum();
        if length <= SHOWN.0 + SHOWN.1 {
            return self;
        }
        Subject::Other(shortened(self.to_string()).into())
    }

    /// The text that the subject displays, in parts.
    fn texts(&self) -> [&str; 5] {
        match self {
            Subject::Object(id) if id.namespace.is_empty() => {
                [id.kind.as_str(), " ", "", "", &id.name]
            }
            Subject::Object(id) => [id.kind.as_str(), " ", &id.namespace, "/", &id.name],
            Subject::RouteTable(name) => [ROUTE_TABLE, " ", "", "", name],
            Subject::Role(role) => [ROLE, " ", "", "", role.as_str()],
            Subject::File(path) => [FILE, " ", "", "", path],
            Subject::Folder(path) => [FOLDER, " ", "", "", path],
            Subject::Watch(name) => [WATCH, " ", "", "", name],
            Subject::Other(text) => ["", "", "", "", text],
        }
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.texts().into_iter().flat_map(str::bytes)
    }
}

impl Ord for Subject {
    fn cmp(&self, other: &Subject) -> Ordering {
        match (self, other) {
            (Subject::Object(a), Subject::Object(b))
                if (a.kind, &a.namespace) == (b.kind, &b.namespace) =>
            {
                a.name.cmp(&b.name)
            }
            _ => self.bytes().cmp(other.bytes()),
        }
    }
}

impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Subject) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Subject {
    fn eq(&self, other: &Subject) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Subject {}

impl Hash for Subject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().for_each(|byte| state.write_u8(byte));
        state.write_u8(0xff);
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.texts().iter().try_for_each(|text| f.write_str(text))
    }
}

impl From<ObjectId> for Subject {
    fn from(id: ObjectId) -> Subject {
        Subject::Object(id)
    }
}

impl From<&ObjectId> for Subject {
    fn from(id: &ObjectId) -> Subject {
        Subject::Object(id.clone())
    }
}

impl From<&ServiceKey> for Subject {
    fn from(key: &ServiceKey) -> Subject {
        Subject::Object(ObjectId::of_service(key))
    }
}

/// The subject that displays as this text.
impl From<&str> for Subject {
    fn from(text: &str) -> Subject {
        let parse = || {
            let (word, name) = text.split_once(' ')?;
            Some(match word {
                ROUTE_TABLE => Subject::RouteTable(name.into()),
                ROLE => Subject::Role(name.parse().ok()?),
                FILE => Subject::File(name.into()),
                FOLDER => Subject::Folder(name.into()),
                WATCH => Subject::Watch(name.into()),
                kind => Subject::Object(ObjectId::named(ObjectKind::of_name(kind)?, name)?),
            })
        };
        parse().unwrap_or_else(|| Subject::Other(text.into()))
    }
}

impl From<String> for Subject {
    fn from(text: String) -> Subject {
        Subject::from(&*text)
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Subject, D::Error> {
        String::deserialize(deserializer).map(Subject::from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_subject_is_what_it_displays(
            word in "(Service|EndpointSlice|Node|Role|File|Watch|[A-Z][a-z]{0,3})?",
            rest in " ?[a-c/-]{0,4}",
            other in "(Service|Node|File) [a-c/-]{0,4}",
        ) {
            let text = format!("{word}{rest}");
            let (subject, other_subject) = (Subject::from(&*text), Subject::from(&*other));
            prop_assert_eq!(subject.to_string(), text.clone());
            prop_assert_eq!(subject.cmp(&other_subject), text.cmp(&other));
            prop_assert_eq!(&subject, &Subject::Other(text.into()));
        }
    }
}
