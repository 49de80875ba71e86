//! The watched resources of the API server: their paths, and how their objects are decoded. Fields
//! that are not used (`managedFields` above all) end here.

use std::sync::Arc;

use seaway_translator::read::{Described, Metadata};
use seaway_translator::{Object, ObjectId, ObjectKind, Problem, ReadWith, Reason};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::wire::{Failure, Kind, begins_with};
use crate::process::outside::quote;

/// Types of Secrets that have no certificate, and of which clusters have many.
const NO_CERTIFICATES: [&str; 4] = [
    "helm.sh/release.v1",
    "kubernetes.io/service-account-token",
    "kubernetes.io/dockerconfigjson",
    "bootstrap.kubernetes.io/token",
];

/// A kind of objects in one of its versions: what requests to an API server name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    kind: ObjectKind,
    api_version: &'static str,
}

/// An object as the API server sent it, decoded.
#[derive(Debug, PartialEq)]
pub(super) struct Item {
    pub id: ObjectId,
    /// Its `resourceVersion`.
    pub version: String,
    /// Its `uid`: what an Event about it has to name.
    pub uid: Box<str>,
    /// The decoded object, or why it cannot be used.
    pub content: Result<Object, Problem>,
}

/// The failure of an object whose name cannot be read.
fn unidentified(why: &str) -> Failure {
    let why = quote(why);
    Failure::Garbled(format!("an object that cannot be identified: {why}"))
}

impl Resource {
    /// The kind in the version that is preferred.
    pub(super) const fn of(kind: ObjectKind) -> Resource {
        Resource::in_version(kind, kind.api_version())
    }

    /// The kind in one of its versions.
    pub(super) const fn in_version(kind: ObjectKind, api_version: &'static str) -> Resource {
        Resource { kind, api_version }
    }

    /// The `kind` of its objects.
    pub(super) const fn kind_name(self) -> &'static str {
        self.kind.as_str()
    }

    /// The `apiVersion` of its objects.
    pub(super) const fn api_version(self) -> &'static str {
        self.api_version
    }

    /// The path of the collection, of one namespace or of all.
    pub(super) fn path(self, namespace: Option<&str>) -> String {
        self.kind.info().path(self.api_version, namespace)
    }

    /// Whether what is decoded may have content that nothing may show.
    pub(super) const fn is_secret(self) -> bool {
        self.kind.is_secret()
    }

    /// The field selector of lists and watches: without what is never a certificate.
    pub(super) fn fields(self) -> Option<String> {
        let types = NO_CERTIFICATES.map(|name| format!("type!={name}"));
        (self.kind == ObjectKind::Secret).then(|| types.join(","))
    }

    /// How many objects a page of a list has at most. Small pages keep memory small: of 250 slices
    /// with a hundred endpoints each it takes 8 MB, and a Secret may have a megabyte.
    pub(super) const fn page(self) -> u32 {
        match self.is_secret() {
            true => 50,
            false => 250,
        }
    }

    /// Decodes an object.
    ///
    /// # Errors
    /// It cannot be identified, or is of another kind.
    pub(super) fn read(self, raw: &RawValue) -> Result<Item, Failure> {
        self.kind.read_with(Raw {
            resource: self,
            raw,
        })
    }

    /// Decodes only the identity and the resourceVersion of an object.
    pub(super) fn identify(self, raw: &RawValue) -> Result<(ObjectId, String), Failure> {
        let meta = partial(raw)?;
        let version = meta.resource_version.clone().unwrap_or_default();
        Ok((self.id(&meta)?, version))
    }

    fn read_as<K>(
        self,
        raw: &RawValue,
        read: fn(&K) -> Result<Object, Problem>,
    ) -> Result<Item, Failure>
    where
        K: DeserializeOwned + Described,
    {
        let text = raw.get();
        // Whoever says what an object is says it first. Items of a list begin with their metadata.
        if !text.starts_with("{\"metadata\"") {
            self.expect(text)?;
        }
        if let Ok(object) = serde_json::from_str::<K>(text) {
            if object.is_foreign(self.api_version(), self.kind_name()) {
                self.expect(text)?;
            }
            let content = read(&object);
            return self.item(object.metadata(), content);
        }
        // Again, slower, for the name of the field; and what can still be read is who it is.
        self.expect(text)?;
        let meta = partial(raw)?;
        let id = self.id(&meta)?;
        let mut text = serde_json::Deserializer::from_str(text);
        let (field, message) = match serde_path_to_error::deserialize::<_, K>(&mut text) {
            // The error may repeat a value.
            Err(error) if self.is_secret() => (
                quote(&error.path().to_string()),
                "it cannot be read".to_owned(),
            ),
            Ok(_) => (String::new(), "it cannot be read".to_owned()),
            Err(error) => (
                quote(&error.path().to_string()),
                quote(&error.inner().to_string()),
            ),
        };
        let message = format!("{message}; its last good version stays");
        let problem = Problem::error(&id, field, Reason::InvalidValue, message);
        self.item(&meta, Err(problem))
    }

    /// Checks that the object is of this resource's kind, if it names one.
    ///
    /// # Errors
    /// The object says that it is something else.
    fn expect(self, text: &str) -> Result<(), Failure> {
        let (api_version, kind) = (self.api_version(), self.kind_name());
        if begins_with(text.as_bytes(), api_version, kind) {
            return Ok(());
        }
        match serde_json::from_str::<Kind<'_>>(text) {
            Ok(said) if !said.is_silent() => said.expect(api_version, kind),
            _ => Ok(()),
        }
    }

    fn item(self, meta: &Metadata, content: Result<Object, Problem>) -> Result<Item, Failure> {
        Ok(Item {
            id: self.id(meta)?,
            version: meta.resource_version.clone().unwrap_or_default(),
            uid: meta.uid.as_deref().unwrap_or_default().into(),
            content,
        })
    }

    fn id(self, meta: &Metadata) -> Result<ObjectId, Failure> {
        let name = meta.name.as_deref().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| unidentified("metadata.name is missing"))?;
        let namespace: Arc<str> = match self.kind.is_namespaced() {
            false => "".into(),
            true => meta.namespace.as_deref().unwrap_or("default").into(),
        };
        Ok(ObjectId {
            kind: self.kind,
            namespace,
            name: name.into(),
        })
    }
}

/// A JSON object that is to be decoded as the type of its kind.
struct Raw<'a> {
    resource: Resource,
    raw: &'a RawValue,
}

impl ReadWith for Raw<'_> {
    type Output = Result<Item, Failure>;

    fn read<K>(self, _: ObjectKind, read: fn(&K) -> Result<Object, Problem>) -> Self::Output
    where
        K: DeserializeOwned + Described,
    {
        self.resource.read_as(self.raw, read)
    }
}

/// Decodes the metadata of an object whose other fields may be unreadable.
fn partial(raw: &RawValue) -> Result<Metadata, Failure> {
    /// An object of which only the metadata is decoded.
    #[derive(Deserialize)]
    struct Partial {
        metadata: Identity,
    }
    /// The fields of `metadata` that tell an object and its version.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Identity {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
    }
    let Partial { metadata } =
        serde_json::from_str(raw.get()).map_err(|error| unidentified(&error.to_string()))?;
    let Identity {
        name,
        namespace,
        uid,
        resource_version,
    } = metadata;
    Ok(Metadata::of(name, namespace, uid, resource_version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Item {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        Resource::of(ObjectKind::Service).read(&raw).unwrap()
    }

    #[test]
    fn what_is_not_used_cannot_make_an_object_unreadable() {
        let item = read(
            r#"{"metadata": {"name": "a", "namespace": "x", "uid": "u", "resourceVersion": "7", "managedFields": [{"time": 5}],
                "creationTimestamp": null}, "spec": {"ports": [{"port": 80, "targetPort": {}}]},
                "status": {"conditions": [{"type": "Ready"}], "loadBalancer": null}}"#,
        );
        assert!(item.content.is_ok(), "{item:?}");
        assert_eq!((&*item.version, &*item.uid), ("7", "u"));
    }

    #[test]
    fn a_used_field_of_a_wrong_type_is_named() {
        let item = read(
            r#"{"metadata": {"name": "a", "resourceVersion": "7"}, "spec": {"ports": [{"port": "80"}]}}"#,
        );
        assert_eq!(item.version, "7");
        let problem = item.content.unwrap_err();
        assert_eq!(
            (problem.object.to_string().as_str(), &*problem.field),
            ("Service default/a", "spec.ports[0].port")
        );
    }
}
