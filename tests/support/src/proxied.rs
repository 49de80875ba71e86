//! The PROXY header that a connection may begin with, in either version: who its first client was.

use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const V1: &[u8] = b"PROXY ";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest first line of version 1.
const LONGEST_LINE: usize = 107;

/// Takes the header off a connection. Without one nothing is taken, and the answer is `None`.
pub(crate) async fn client(stream: &mut TcpStream) -> Result<Option<IpAddr>> {
    let mut start = [0; V2.len()];
    loop {
        let count = stream.peek(&mut start).await?;
        let begins = |header: &[u8]| {
            let length = count.min(header.len());
            start[..length] == header[..length]
        };
        match (begins(V1), begins(V2)) {
            _ if count == 0 => return Ok(None),
            (false, false) => return Ok(None),
            (true, false) if count >= V1.len() => return line(stream).await.map(Some),
            (false, true) if count == V2.len() => return binary(stream).await.map(Some),
            // More is on its way.
            _ => tokio::task::yield_now().await,
        }
    }
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 1234 80`.
async fn line(stream: &mut TcpStream) -> Result<IpAddr> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") && line.len() < LONGEST_LINE {
        line.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&line);
    let source = text.split(' ').nth(2).and_then(|word| word.parse().ok());
    source.ok_or_else(|| invalid(&text))
}

/// Version and command, family and protocol, and how much of addresses follows; the source is
/// first.
async fn binary(stream: &mut TcpStream) -> Result<IpAddr> {
    let mut head = [0; V2.len() + 4];
    stream.read_exact(&mut head).await?;
    let [.., command, family, high, low] = head;
    let mut rest = vec![0; usize::from(u16::from_be_bytes([high, low]))];
    stream.read_exact(&mut rest).await?;
    let source = match (command, family) {
        (0x21, 0x11) => rest.first_chunk::<4>().map(|ip| Ipv4Addr::from(*ip).into()),
        (0x21, 0x21) => rest
            .first_chunk::<16>()
            .map(|ip| Ipv6Addr::from(*ip).into()),
        _ => None,
    };
    source.ok_or_else(|| invalid(&format!("{head:?} {rest:?}")))
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("PROXY header {what:?}"))
}
