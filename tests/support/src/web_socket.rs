//! A WebSocket through an Envoy.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::Namespace;

/// Opens a WebSocket from a namespace and sees that bytes go both ways.
pub fn web_socket(from: &Namespace, target: SocketAddr, host: &str, path: &str) -> Result<()> {
    let mut stream = from.run(move || TcpStream::connect(target))??;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    ensure!(head.starts_with("HTTP/1.1 101"), "{path}: {head}");
    for message in [&b"ping"[..], b"and pong"] {
        stream.write_all(message)?;
        let mut answer = vec![0; message.len()];
        stream.read_exact(&mut answer)?;
        ensure!(answer == message, "{path}: {answer:?}");
    }
    Ok(())
}
