//! What a Namespace asks of connections to its Services, by annotation.

use serde::{Deserialize, Serialize};

/// The annotation of a Namespace that asks for mTLS between mesh proxies.
pub const MTLS_ANNOTATION: &str = "seaway.dev/mtls";
/// The annotation of a Service with the ServiceAccounts of its pods.
pub const ACCOUNTS_ANNOTATION: &str = "seaway.dev/service-accounts";

/// Whether connections to the endpoints of a Namespace may be plain (annotation
/// `seaway.dev/mtls`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mtls {
    /// Mesh proxies with certificates speak mTLS, and all others plain text.
    Permissive,
    /// Mesh proxies with certificates speak mTLS, and no others are given endpoints.
    Strict,
}

impl Mtls {
    /// The value of the annotation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mtls::Permissive => "permissive",
            Mtls::Strict => "strict",
        }
    }
}
