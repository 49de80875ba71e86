//! Reads the certificate and the private key of a Secret.

mod certificate;
mod rsa;

pub(crate) use certificate::CERTIFICATE_NAMES;

use super::api as k8s;
use super::report::Identity;
use crate::Problem;
use crate::model::Secret;

/// The type of Secrets that are meant to have a certificate.
const TLS: &str = "kubernetes.io/tls";

/// Reads a Secret. What is wrong with its certificate is kept in place of it.
pub(super) fn read(secret: &k8s::Secret) -> Result<Secret, Problem> {
    let (identity, report) = Identity::namespaced("Secret", &secret.metadata)?;
    Ok(Secret {
        certificate: certificate::read(&secret.chain(), &secret.key()).map_err(Into::into),
        is_tls: secret.is_of_type(TLS),
        namespace: identity.namespace,
        name: identity.name,
        problems: report.finish(),
    })
}

#[cfg(test)]
mod tests;
