//! The inspection API beyond loopback: over TLS, to whom `--admin-allow` names, who proves it as
//! proxies do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use seaway_testing::World;

use crate::Secured;
use crate::call::Shows;

/// The port, open to other machines.
const OPEN: [&str; 2] = ["--admin-listen", "0.0.0.0:18001"];
/// Who may read.
const READERS: [&str; 3] = [
    "--admin-allow",
    "serviceaccount:seaway/operator",
    "--admin-allow=dns:operator.seaway",
];

/// Connects as another machine would: not to loopback.
fn dial(at: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// A TLS connection of somebody who shows what he has.
fn secured(stream: TcpStream, shows: &Shows) -> Result<StreamOwned<ClientConnection, TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(shows.trusts.as_bytes())?)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match &shows.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    let name = ServerName::try_from("localhost")?;
    let session = ClientConnection::new(Arc::new(config), name)?;
    Ok(StreamOwned::new(session, stream))
}

/// The request, and how it is answered: with which status, and the whole text.
fn exchange(mut stream: impl Read + Write, path: &str, headers: &str) -> Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    // The end may come without TLS's own word for it.
    let ended = stream.read_to_string(&mut answer);
    ensure!(ended.is_ok() || !answer.is_empty(), "{ended:?}");
    let status = answer.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, answer))
}

const OWN: &str = "Host: seaway.seaway.svc:18001\r\n";

/// How somebody is answered over TLS.
fn over_tls(
    world: &World,
    at: SocketAddr,
    shows: &Shows,
    path: &str,
    headers: &str,
) -> Result<(u16, String)> {
    let (shows, path) = (shows.clone(), path.to_owned());
    let token = shows.token.as_ref();
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let headers = format!("{headers}{}", token.unwrap_or_default());
    world
        .fabric()
        .run(move || exchange(secured(dial(at)?, &shows)?, &path, &headers))?
}

/// How anybody is answered in plain text.
fn plainly(world: &World, at: SocketAddr, path: &str, headers: &str) -> Result<(u16, String)> {
    let (path, headers) = (path.to_owned(), headers.to_owned());
    world
        .fabric()
        .run(move || exchange(dial(at)?, &path, &headers))?
}

/// The admin port as other machines, and as this one, get to it.
fn ports(world: &World) -> Result<(SocketAddr, SocketAddr)> {
    let outside = SocketAddr::new(world.replica(0)?.address().ip(), 18001);
    Ok((outside, "127.0.0.1:18001".parse()?))
}

#[test]
fn beyond_loopback_whom_the_flag_names_is_answered_over_tls_and_nobody_else() -> Result<()> {
    let flags = [&OPEN[..], &READERS].concat();
    Secured::run(&flags, |world, secured| {
        let (outside, loopback) = ports(world)?;
        let nobody = secured.nobody();
        let token = |account| nobody.clone().token(&secured.token(account, "n1"));
        let certificate =
            |name| -> Result<Shows> { Ok(nobody.clone().certificate(&secured.certificate(name)?)) };
        for (who, shows, status, word) in [
            ("an operator", token("operator"), 200, "\"replica\""),
            (
                "an operator's certificate",
                certificate("operator.seaway")?,
                200,
                "\"replica\"",
            ),
            ("a proxy", token("seaway-node"), 403, "--admin-allow"),
            (
                "a proxy's certificate",
                certificate("n1.node.seaway")?,
                403,
                "--admin-allow",
            ),
            ("nobody", nobody.clone(), 401, "nothing proves who you are"),
            (
                "a bad token",
                nobody.clone().token("a.b.c"),
                401,
                "\"error\"",
            ),
            (
                "a bad token beside a good certificate",
                certificate("operator.seaway")?.token("a.b.c"),
                401,
                "\"error\"",
            ),
        ] {
            for at in [outside, loopback] {
                let (found, answer) = over_tls(world, at, &shows, "/api/v1/status", OWN)?;
                ensure!(found == status, "{who} at {at}: {answer}");
                ensure!(answer.contains(word), "{who} at {at}: {answer}");
                let asked = answer.contains("www-authenticate: Bearer");
                ensure!(asked == (status == 401), "{who} at {at}: {answer}");
            }
        }
        Ok(())
    })
}

#[test]
fn a_foreign_page_is_not_answered_over_tls_and_no_token_counts_in_plain_text() -> Result<()> {
    let flags = [&OPEN[..], &READERS].concat();
    Secured::run(&flags, |world, secured| {
        let (outside, loopback) = ports(world)?;
        let nobody = secured.nobody();
        let operator = secured.certificate("operator.seaway")?;
        // A page in a browser of an operator's machine is no operator.
        let operator = nobody.clone().certificate(&operator);
        for headers in [
            "Host: rebound.example.com\r\n",
            &format!("{OWN}Origin: https://example.com\r\n"),
        ] {
            let (found, answer) = over_tls(world, outside, &operator, "/api/v1/status", headers)?;
            ensure!(found == 403, "{answer}");
        }
        // Health and metrics are for all, either way; a token is no good in plain text.
        for path in ["/livez", "/readyz", "/metrics"] {
            ensure!(over_tls(world, outside, &nobody, path, OWN)?.0 == 200);
            ensure!(plainly(world, outside, path, OWN)?.0 == 200);
        }
        let bare = format!(
            "{OWN}Authorization: Bearer {}\r\n",
            secured.token("operator", "n1")
        );
        let (found, answer) = plainly(world, outside, "/api/v1/status", &bare)?;
        ensure!(found == 403 && answer.contains("over TLS"), "{answer}");
        ensure!(plainly(world, loopback, "/api/v1/status", OWN)?.0 == 200);
        Ok(())
    })
}

#[test]
fn a_rotated_certificate_is_that_of_the_admin_port_too() -> Result<()> {
    let flags = [&OPEN[..], &READERS].concat();
    Secured::run(&flags, |world, secured| {
        let (outside, _) = ports(world)?;
        let before = secured.nobody();
        ensure!(over_tls(world, outside, &before, "/livez", OWN)?.0 == 200);
        secured.ca = seaway_testing::certs::Ca::new("others")?;
        let (leaf, clients) = (secured.ca.server(&["localhost"])?, secured.clients.pem());
        secured.mount(&leaf, &clients)?;
        let after = secured.nobody();
        seaway_testing::eventually("the new certificate", || {
            ensure!(over_tls(world, outside, &after, "/livez", OWN)?.0 == 200);
            Ok(())
        })?;
        ensure!(over_tls(world, outside, &before, "/livez", OWN).is_err());
        Ok(())
    })
}

#[test]
fn without_the_flag_the_port_speaks_no_tls_and_answers_on_loopback_alone() -> Result<()> {
    Secured::run(&OPEN, |world, secured| {
        let (outside, loopback) = ports(world)?;
        let operator = secured.certificate("operator.seaway")?;
        let operator = secured.nobody().certificate(&operator);
        ensure!(over_tls(world, outside, &operator, "/api/v1/status", OWN).is_err());
        let (found, answer) = plainly(world, outside, "/api/v1/status", OWN)?;
        ensure!(found == 403 && answer.contains("loopback only"), "{answer}");
        ensure!(plainly(world, loopback, "/api/v1/status", OWN)?.0 == 200);
        Ok(())
    })
}
