//! Certificates that Envoy asks for by the name that a client asks for (Gateway rule 109). Envoys
//! before 1.37 have them in chains: what a client sees is the same.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seaway_testing::certs::Ca;
use seaway_testing::{Ask, IngressManifest, Tls, eventually, join};

use crate::case::Case;
use crate::certificates::{asked, certificate, served};
use crate::edge::{Edge, ON_DEMAND, port_443};

/// A Secret, and an Ingress that serves a host with it.
fn host(ca: &Ca, name: &str, host: &str, backend: &str) -> Result<String> {
    let ingress = IngressManifest::new(name).secured(&[host], name);
    let ingress = ingress.host(host).path("Prefix", "/", backend);
    Ok(join([
        ingress.document(),
        certificate(ca, name, &[host])?.0,
    ]))
}

/// A list with its length before it, in two bytes.
fn list(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &list(content)].concat()
}

/// The first message of a client of TLS 1.2 that asks for this name, which no library would send.
fn hello(name: &[u8]) -> Vec<u8> {
    let name = [&[0][..], &list(name)].concat();
    let extensions = [
        extension(0, &list(&name)),
        extension(10, &list(&[0, 29, 0, 23])),
        extension(11, &[1, 0]),
        extension(13, &list(&[4, 3, 8, 4, 4, 1])),
    ]
    .concat();
    let ciphers = list(&[0xc0, 0x2b, 0xc0, 0x2f]);
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        &ciphers,
        &[1, 0],
        &list(&extensions),
    ]
    .concat();
    let handshake = [&[1, 0][..], &list(&body)].concat();
    [&[22, 3, 1][..], &list(&handshake)].concat()
}

/// Whether a server says hello to a client that asks for this name; it closes the connection, or
/// says that something is wrong, if not.
fn is_greeted(edge: &Edge<'_>, name: &'static [u8]) -> Result<bool> {
    let thread = edge.world.fabric().thread("client", move || {
        let mut stream = TcpStream::connect(port_443())?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(&hello(name))?;
        let mut kind = [0];
        let read = stream.read(&mut kind);
        // What is neither is the timeout, in which a stream would have been lost.
        let is_closed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::ConnectionReset => Ok(0),
            _ => Err(error),
        };
        Ok::<_, anyhow::Error>(read.or_else(is_closed)? == 1 && kind[0] == 22)
    })?;
    thread.join()?
}

/// Names that are none, some of which end Envoy 1.40.0 or its stream where they are asked for, and
/// names that nobody serves.
#[test]
fn names_of_a_clients_choice_leave_nothing_behind() -> Result<()> {
    const NAMES: [&[u8]; 11] = [
        b"xdstp://a.test",
        b"xdstp://a/envoy.extensions.transport_sockets.tls.v3.Secret/*",
        b"XDSTP://a.test",
        b"*",
        b"\xff\xfe.test",
        b"default/one",
        b"one.test/",
        b"one.test\n",
        b"-",
        b"unknown.test",
        b"two.test.one.test",
    ];
    let ca = Ca::new("choice")?;
    let cases = [Case::new("one").with(host(&ca, "one", "one.test", "s1")?)];
    Edge::run(&[ON_DEMAND], &cases, |edge| {
        served(edge, &ca, "one.test", "s1")?;
        ensure!(is_greeted(edge, b"one.test")?);
        for name in NAMES {
            let text = String::from_utf8_lossy(name);
            ensure!(!is_greeted(edge, name)?, "{text}");
            edge.envoy.check_running()?;
            served(edge, &ca, "one.test", "s1")?;
        }
        let log = edge.envoy.log();
        ensure!(!log.contains("gRPC config stream"), "{log}");
        eventually("nothing to be asked for any more", || {
            let active = edge.envoy.stats()?.into_iter();
            let active = active.filter(|(name, _)| name.ends_with("on_demand_secret.cert_active"));
            let active: u64 = active.map(|(_, count)| count).sum();
            // The host's own, in the chain and where it is held.
            ensure!(active <= 2, "{active}");
            Ok(())
        })
    })
}

/// A name under a served wildcard, and beside a listener for all names, has its own certificate; a
/// bad one is closed. Connections outlive changes of other names.
#[test]
fn names_under_wildcards_come_without_ending_connections() -> Result<()> {
    let ca = Ca::new("under")?;
    for wide in ["*.w.test", ""] {
        let hosts: &[&str] = if wide.is_empty() { &[] } else { &[wide] };
        let ingress = IngressManifest::new("wide").secured(hosts, "wide");
        let ingress = ingress.host(wide).path("Prefix", "/", "s1");
        let (secret, _) = certificate(&ca, "wide", &["*.w.test"])?;
        let cases = [
            Case::new("wide").with(join([ingress.document(), secret])),
            Case::new("own").with(host(&ca, "own", "own.w.test", "s2")?),
        ];
        Edge::run(&[ON_DEMAND], &cases, |edge| {
            served(edge, &ca, "x.w.test", "s1")?;
            served(edge, &ca, "own.w.test", "s2")?;
            let tls = [Tls::new(&ca, "own.w.test")?, Tls::new(&ca, "x.w.test")?];
            let mut open = Vec::new();
            for tls in &tls {
                open.push(edge.secured(tls)?);
            }
            edge.save("more.yaml", &host(&ca, "more", "more.w.test", "s3")?)?;
            served(edge, &ca, "more.w.test", "s3")?;
            let mut bad = host(&ca, "bad", "bad.w.test", "s3")?;
            bad = bad.replace("PRIVATE KEY", "NO KEY");
            edge.save("bad.yaml", &bad)?;
            eventually("no certificate for bad.w.test", || {
                ensure!(!is_greeted(edge, b"bad.w.test")?);
                Ok(())
            })?;
            // Chains that change are drained for two seconds.
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                for (connection, host) in open.iter_mut().zip(["own.w.test", "x.w.test"]) {
                    let reply = connection.ask(&Ask::get(host, "/"))?;
                    ensure!(reply.status == 200, "{reply:?}");
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Every host is served without the control plane, also one that nobody has asked for before.
#[test]
fn without_the_control_plane_a_host_is_served_for_the_first_time() -> Result<()> {
    let ca = Ca::new("away")?;
    let names = ["a.test", "b.test", "c.test", "d.test"];
    let mut documents = Vec::new();
    for (number, name) in names.iter().enumerate() {
        documents.push(host(&ca, &format!("h{number}"), name, "s1")?);
    }
    let cases = [Case::new("away").with(join(documents))];
    Edge::run(&[ON_DEMAND], &cases, |edge| {
        served(edge, &ca, "a.test", "s1")?;
        eventually("all certificates", || {
            let held = edge.envoy.stats()?.into_iter();
            let held = held.filter(|(name, _)| {
                names
                    .iter()
                    .any(|host| *name == format!("sds.{host}.update_success"))
            });
            let held = held.filter(|(_, count)| *count > 0).count();
            let is_old = !edge.envoy.config_dump()?.to_string().contains("prefetch");
            ensure!(held == names.len() || is_old, "{held}");
            Ok(())
        })?;
        edge.world.seaway()?.kill()?;
        for name in names {
            ensure!(asked(edge, &Tls::new(&ca, name)?, name)? == "s1", "{name}");
        }
        Ok(())
    })
}
