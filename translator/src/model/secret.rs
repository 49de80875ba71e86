//! [`Secret`]: a certificate with its private key.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::Sensitive;
use crate::Problem;

/// A Secret, of which only a certificate with its key is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
    /// The certificate, or what is wrong with it, in words that do not repeat it (Gateway rule 35).
    pub certificate: Result<Certificate, Arc<str>>,
    /// Whether it is of the type `kubernetes.io/tls`; another type is served with a warning.
    pub is_tls: bool,
    /// The problems found while the object was read. What is wrong with its certificate is none of
    /// them: it matters to those who refer to it.
    pub problems: Box<[Problem]>,
}

/// A certificate that fits its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The chain as PEM, the certificate itself first.
    pub chain: Arc<str>,
    /// The private key as PEM.
    pub key: Sensitive<Arc<str>>,
    /// The kind of the key: of two certificates for one name, a client may prefer one of them.
    pub algorithm: KeyAlgorithm,
    /// The DNS names that the certificate is for, in lower case.
    pub names: Box<[Arc<str>]>,
    /// When the certificate expires, in seconds since 1970.
    pub expires: i64,
}

/// The kind of a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// RSA, of 2048 bits or more.
    Rsa,
    /// ECDSA.
    Ecdsa,
}

/// Nothing of a Secret is ever written: it is in no checkpoint.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("a Secret is not written"))
    }
}

/// See the implementation of [`Serialize`].
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Secret, D::Error> {
        Err(de::Error::custom(
            "a Secret is not read from where objects are kept",
        ))
    }
}
