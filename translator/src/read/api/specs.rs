//! The API types whose `spec` is read part by part, so that a field of the wrong type harms no
//! other part of its object.

use serde::Deserialize;

use super::super::decode;
use super::super::field::Value;
use super::{Described, Metadata, is_other};

/// Declares API types that have a `spec`.
macro_rules! specs {
    ($($(#[doc = $doc:literal])+ $object:ident,)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Default, Deserialize)]
            #[serde(default)]
            pub struct $object {
                #[serde(rename = "apiVersion", deserialize_with = "decode::text_or_nothing")]
                api_version: Option<String>,
                #[serde(deserialize_with = "decode::text_or_nothing")]
                kind: Option<String>,
                #[serde(deserialize_with = "decode::or_default")]
                pub(in super::super) metadata: Metadata,
                pub(in super::super) spec: Value,
            }
        )+
        super::described!($($object),+);
    };
}

specs! {
    /// An Ingress (`networking.k8s.io/v1`).
    Ingress,
    /// An IngressClass (`networking.k8s.io/v1`).
    IngressClass,
    /// A GatewayClass (`gateway.networking.k8s.io/v1`).
    GatewayClass,
    /// A Gateway (`gateway.networking.k8s.io/v1`).
    Gateway,
    /// An HTTPRoute (`gateway.networking.k8s.io/v1`).
    HTTPRoute,
    /// A ReferenceGrant (`gateway.networking.k8s.io/v1` or `v1beta1`).
    ReferenceGrant,
    /// A Namespace (`v1`).
    Namespace,
}
