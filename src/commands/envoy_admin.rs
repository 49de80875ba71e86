//! A client of Envoy's admin interface: on a Unix socket (`seaway bootstrap --admin-socket`), for
//! `seaway ready --envoy` and `seaway drain`, and there or at a port of this host for `seaway
//! diff`.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::args::EnvoyAdmin;
use crate::process::outside::brief;

/// How long writing a request may take, and reading the response.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest response that is read, in bytes.
const LONGEST: usize = 1 << 24;
/// The same two of a dump of its configuration, which may be large.
const DUMP_PATIENCE: Duration = Duration::from_secs(30);
const LONGEST_DUMP: usize = 1 << 28;
/// How many of an Envoy's listeners are not Services': those for the proxy's own health and mode.
const OWN_LISTENERS: u64 = 2;
/// The end of a response's version when more responses follow.
const MORE: char = '+';
/// The path of statistics about listeners: the version of Seaway's last response, and how many
/// listeners are warming.
const LISTENERS: &str = "/stats?filter=%5Elistener_manager%5C.(lds.(version_text%7Cupdate_success%7Cupdate_rejected)%7Ctotal_listeners_(active%7Cwarming))$";
/// The path of statistics about open connections (updated every five seconds) and UDP flows.
const CONNECTIONS: &str =
    "/stats?usedonly&filter=%5Eserver.total_connections$%7Cdownstream_sess_active$";
/// The path of statistics about refused connections and UDP flows, by listener and cluster, without
/// those that are 0.
const REFUSED: &str = "/stats?usedonly&type=Counters&filter=_cx_over(flow%7Cload_reject)$";

/// Why an Envoy is not ready; `None` if it is live and all listeners that Seaway has for it accept
/// connections.
pub(crate) fn not_ready(socket: &Path) -> anyhow::Result<Option<String>> {
    let (status, said) = ask(socket, "GET", "/ready")?;
    if status != 200 {
        return Ok(Some(format!("Envoy answers {}", brief(said.trim()))));
    }
    Ok(missing_listeners(&stats(socket, LISTENERS)?))
}

fn missing_listeners(stats: &str) -> Option<String> {
    let value = |wanted: &str| {
        let mut all = values(stats).filter(|(name, _)| name.ends_with(wanted));
        all.next().map(|(_, value)| value.trim_matches('"'))
    };
    let number =
        |name: &str| -> u64 { value(name).and_then(|v| v.parse().ok()).unwrap_or_default() };
    if value("version_text").is_some_and(|version| version.ends_with(MORE)) {
        return Some("more listeners are on their way".to_owned());
    }
    let (warming, active) = (number("listeners_warming"), number("listeners_active"));
    if warming > 0 {
        return Some(format!("{warming} listeners are still warming"));
    }
    // One that cannot be bound is no reason to wait for, and has every response rejected that
    // brings it. None but those is: then another Envoy serves what this one cannot.
    if number("update_rejected") > 0 && number("update_success") == 0 && active <= OWN_LISTENERS {
        return Some("Envoy has rejected its listeners".to_owned());
    }
    None
}

/// How many connections and UDP flows are open.
pub(crate) fn connections(socket: &Path) -> anyhow::Result<u64> {
    let text = stats(socket, CONNECTIONS)?;
    let counts = values(&text).filter_map(|(_, value)| value.parse::<u64>().ok());
    Ok(counts.sum())
}

/// How many connections and UDP flows were refused, by statistic.
pub(crate) fn refused(socket: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let text = stats(socket, REFUSED)?;
    let counts =
        values(&text).filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
    Ok(counts.collect())
}

/// Has Envoy accept no more connections. Open ones stay, and so do UDP listeners, whose sockets
/// would swallow what the kernel still gives them.
pub(crate) fn stop_accepting(socket: &Path) -> anyhow::Result<()> {
    let (status, said) = ask(socket, "POST", "/drain_listeners?inboundonly")?;
    ensure!(
        status == 200,
        "Envoy answers {status} {}",
        brief(said.trim())
    );
    Ok(())
}

/// What Envoy says of its configuration for this query; `None` if it knows no such part of it.
///
/// # Errors
///
/// It is not there, or does not answer as an Envoy does.
pub(crate) fn config_dump(address: &EnvoyAdmin, query: &str) -> anyhow::Result<Option<String>> {
    let (stream, place) = match address {
        EnvoyAdmin::Socket(path) => (connect(path), path.display().to_string()),
        EnvoyAdmin::Port(address) => (connect_to(*address), address.to_string()),
    };
    let stream = stream.with_context(|| format!("no Envoy at {place}"))?;
    let path = format!("/config_dump?{query}");
    let bounds = (DUMP_PATIENCE, LONGEST_DUMP);
    let (status, text) = exchange(stream, "GET", &path, bounds).with_context(|| place.clone())?;
    let said = brief(text.trim());
    match status {
        200 => Ok(Some(text)),
        404 => Ok(None),
        _ => bail!("Envoy at {place} answers {status} {said}"),
    }
}

fn connect_to(address: SocketAddr) -> io::Result<Socket> {
    let stream = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.connect_timeout(&address.into(), PATIENCE)?;
    Ok(stream)
}

fn stats(socket: &Path, path: &str) -> anyhow::Result<String> {
    let (status, text) = ask(socket, "GET", path)?;
    ensure!(
        status == 200,
        "Envoy answers {status} {}",
        brief(text.trim())
    );
    Ok(text)
}

/// The lines `name: value` of a response.
fn values(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once(": "))
}

fn ask(socket: &Path, method: &str, path: &str) -> anyhow::Result<(u16, String)> {
    let stream = connect(socket).with_context(|| format!("no Envoy at {}", socket.display()))?;
    exchange(stream, method, path, (PATIENCE, LONGEST))
}

fn exchange(
    mut stream: Socket,
    method: &str,
    path: &str,
    (patience, longest): (Duration, usize),
) -> anyhow::Result<(u16, String)> {
    let head = "Host: envoy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(format!("{method} {path} HTTP/1.1\r\n{head}").as_bytes())?;
    let seconds = patience.as_secs();
    let answer =
        whole(stream, patience, longest).with_context(|| format!("no response in {seconds} s"))?;
    let answer = String::from_utf8(answer).context("the response is not from Envoy")?;
    read(&answer).context("the response is not from Envoy")
}

/// Connects to the socket, and does not wait longer than [`PATIENCE`] for that either.
fn connect(path: &Path) -> io::Result<Socket> {
    let stream = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.connect(&SockAddr::unix(path)?)?;
    Ok(stream)
}

/// Reads until the other side closes, within a time and a size.
pub(crate) fn whole(
    mut stream: Socket,
    patience: Duration,
    longest: usize,
) -> anyhow::Result<Vec<u8>> {
    let end = Instant::now() + patience;
    let mut answer = Vec::new();
    let mut part = [0; 1 << 14];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        ensure!(
            !left.is_zero() && answer.len() < longest,
            "it goes on and on"
        );
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part)? {
            0 => return Ok(answer),
            count => answer.extend_from_slice(part.get(..count).unwrap_or_default()),
        }
    }
}

/// The status and the body of a response.
fn read(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?;
    let status = status.split(' ').next()?.parse().ok()?;
    let chunked = lines.any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    let body = match chunked {
        true => joined(body)?,
        false => body.to_owned(),
    };
    Some((status, body))
}

/// The body of a response in chunked encoding.
fn joined(mut chunks: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (length, rest) = chunks.split_once("\r\n")?;
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body += rest.get(..length)?;
        chunks = rest.get(length..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_in_both_forms() {
        let plain = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nINIT\n";
        assert_eq!(read(plain), Some((503, "INIT\n".to_owned())));
        let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na: \r\nb\r\n1\n2\n3\n4\n5\n6\r\n0\r\n\r\n";
        assert_eq!(read(chunks), Some((200, "a: 1\n2\n3\n4\n5\n6".to_owned())));
        let cut = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\na: ";
        assert_eq!(read(cut), None);
        assert_eq!(read("SSH-2.0-OpenSSH"), None);
    }

    #[test]
    fn an_envoy_waits_for_all_of_its_listeners() {
        let of = |version: &str, warming: u32| {
            missing_listeners(&format!(
                "listener_manager.lds.version_text: \"{version}\"\nlistener_manager.total_listeners_warming: {warming}\n"
            ))
        };
        assert_eq!(of("000000000000000a", 0), None);
        assert_eq!(of("", 0), None);
        assert_eq!(missing_listeners(""), None);
        let more = of("000000000000000a+", 0);
        assert_eq!(more.as_deref(), Some("more listeners are on their way"));
        let warming = of("000000000000000a", 3);
        assert_eq!(warming.as_deref(), Some("3 listeners are still warming"));
        let rejected = |success: u32, active: u32| {
            missing_listeners(&format!(
                "listener_manager.lds.update_rejected: 3\nlistener_manager.lds.update_success: {success}\n\
                 listener_manager.total_listeners_active: {active}\n"
            ))
        };
        assert!(rejected(0, 2).is_some());
        assert_eq!(rejected(0, 3), None);
        assert_eq!(rejected(1, 2), None);
    }
}
