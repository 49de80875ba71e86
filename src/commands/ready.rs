//! `seaway ready`: asks a running `serve`, or an Envoy, whether it is ready, for probes that run a
//! command in an image that has no other.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::args::ReadyArgs;
use crate::commands::envoy_admin;
use crate::process::exit::{Failure, print};

/// How long connecting, sending the request and reading the response may take, each.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest response, in bytes.
const LONGEST: usize = 1 << 20;

/// Prints what `/readyz` says; the exit code is 0 if that is 200, else 1.
pub(crate) fn run(args: &ReadyArgs) -> Result<ExitCode, Failure> {
    if let Some(envoy) = &args.envoy {
        let missing = envoy_admin::not_ready(envoy).map_err(Failure::Broken)?;
        say(&format!("{}\n", missing.as_deref().unwrap_or("ok")));
        return Ok(match missing {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
        });
    }
    let address = reachable(args.admin_listen);
    let answer = ask(address)
        .with_context(|| format!("--admin-listen {address}"))
        .map_err(Failure::Broken)?;
    let (ready, body) = read(&answer);
    say(body);
    Ok(if ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints a text if that is possible: only the exit code counts.
fn say(text: &str) {
    let _ = print(text);
}

/// The address to connect to: loopback for a server that listens on all addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Sends the request and reads the whole response. HTTP/1.0: it ends with the connection and comes
/// in one piece.
fn ask(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
    let answer = envoy_admin::whole(stream.into(), PATIENCE, LONGEST)?;
    String::from_utf8(answer).context("the response is not from Seaway")
}

/// Whether the status is 200, and the body of the response.
fn read(answer: &str) -> (bool, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut words = head.split(' ');
    let http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    (http && words.next() == Some("200"), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_asked_on_loopback() {
        let at = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:18001"), "127.0.0.1:18001");
        assert_eq!(at("[::]:18001"), "[::1]:18001");
        assert_eq!(at("10.0.0.1:5"), "10.0.0.1:5");
    }

    #[test]
    fn only_status_200_is_ready() {
        assert_eq!(read("HTTP/1.0 200 OK\r\na: b\r\n\r\nok\n"), (true, "ok\n"));
        let not_yet = "HTTP/1.0 503 Service Unavailable\r\n\r\nnot synced\n";
        assert_eq!(read(not_yet), (false, "not synced\n"));
        assert_eq!(read("SSH-2.0-OpenSSH 200"), (false, ""));
        assert_eq!(read(""), (false, ""));
    }
}
