//! The identity flags of `seaway bootstrap`, checked against each other.

use std::path::Path;

use crate::args::{BootstrapArgs, ProofArgs, ServerName};
use crate::process::exit::Failure;

/// How a proxy authenticates the control plane, and itself to it. Paths are absolute.
#[derive(Debug)]
pub(super) struct Proof<'a> {
    /// The file with the authorities of the control plane's certificate.
    pub(super) ca: &'a str,
    /// The name or address that the control plane's certificate must have.
    pub(super) server: ServerName,
    /// The proxy's own certificate.
    pub(super) certificate: Option<Certificate<'a>>,
    /// The file with the token of its service account.
    pub(super) token: Option<&'a str>,
}

/// The files of a client certificate and its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Certificate<'a> {
    pub(super) cert: &'a str,
    pub(super) key: &'a str,
}

impl Proof<'_> {
    /// The identity that the flags ask for; `None` is plaintext.
    pub(super) fn of(args: &BootstrapArgs) -> Result<Option<Proof<'_>>, Failure> {
        let ProofArgs {
            tls_ca,
            tls_server_name,
            tls_cert,
            tls_key,
            token_file,
        } = &args.proof;
        let Some(ca) = tls_ca else {
            return refuse_in_plaintext(&args.proof).map(|()| None);
        };
        let certificate = match (tls_cert, tls_key) {
            (Some(cert), Some(key)) => Some(Certificate { cert, key }),
            (None, None) => None,
            (Some(_), None) => return Err(Failure::unusable("--tls-cert needs --tls-key")),
            (None, Some(_)) => return Err(Failure::unusable("--tls-key needs --tls-cert")),
        };
        let server = match tls_server_name {
            Some(name) => name.clone(),
            None => host(args)?,
        };
        let token = token_file.as_deref();
        Ok(Some(Proof {
            ca,
            server,
            certificate,
            token,
        }))
    }
}

fn refuse_in_plaintext(args: &ProofArgs) -> Result<(), Failure> {
    for (flag, given) in [
        ("--tls-server-name", args.tls_server_name.is_some()),
        ("--tls-cert", args.tls_cert.is_some()),
        ("--tls-key", args.tls_key.is_some()),
        ("--token-file", args.token_file.is_some()),
    ] {
        if given {
            let line = format!("{flag} needs --tls-ca: without it the proxy does not use TLS");
            return Err(Failure::unusable(line));
        }
    }
    Ok(())
}

fn host(args: &BootstrapArgs) -> Result<ServerName, Failure> {
    let host = &args.xds.host;
    let read = host.parse();
    read.map_err(|error| Failure::unusable(format!("--xds {host}: {error}")))
}

/// The folder that a file is in.
pub(super) fn folder(file: &str) -> &str {
    let parent = Path::new(file).parent();
    parent.and_then(Path::to_str).unwrap_or("/")
}
