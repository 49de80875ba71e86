//! The endpoints that are asked: as little work as possible for each answer, so that the way there
//! is what is measured.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;

use anyhow::Result;
use seaway_testing::Namespace;

/// The port of TCP and of UDP.
pub(crate) const PORT: u16 = 8080;
/// Bytes of a question and of its answer, which begins with the endpoint's name.
pub(crate) const SIZE: usize = 64;
/// First byte of a question after whose answer the endpoint closes. It is the endpoint who does, as
/// an HTTP server asked to: the ports of closed connections then wait on its side, and clients do
/// not run out of them.
pub(crate) const ONCE: u8 = b'1';
/// First byte of a question after which others follow.
pub(crate) const KEPT: u8 = b'k';
/// First byte of bulk data up to the end of the stream; the answer is how many bytes came.
pub(crate) const BULK: u8 = b'b';

/// Connections that are served at a time: more than any load has, since those that end overlap with
/// the next.
const TAKERS: usize = 64;
/// Threads that answer datagrams.
const ECHOES: usize = 2;
const STACK: usize = 128 * 1024;
const CHUNK: usize = 256 * 1024;

/// Answers in this namespace with this name, until the program ends.
pub(crate) fn serve(namespace: &Namespace, name: u8) -> Result<()> {
    // Sockets belong to the namespace in which they were made, whoever uses them.
    let (tcp, udp) = namespace.run(|| -> io::Result<_> {
        let any = (Ipv4Addr::UNSPECIFIED, PORT);
        Ok((TcpListener::bind(any)?, UdpSocket::bind(any)?))
    })??;
    let tcp = Arc::new(tcp);
    for _ in 0..TAKERS {
        let tcp = tcp.clone();
        start(move || {
            for stream in tcp.incoming().flatten() {
                // An error is a client that went away: its side counts it.
                let _ = answer(stream, name);
            }
        })?;
    }
    for _ in 0..ECHOES {
        let udp = udp.try_clone()?;
        start(move || {
            let mut buffer = [0; SIZE];
            while let Ok((count, client)) = udp.recv_from(&mut buffer) {
                buffer[0] = name;
                let _ = udp.send_to(&buffer[..count], client);
            }
        })?;
    }
    Ok(())
}

fn start(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().stack_size(STACK);
    thread.spawn(work).map(drop)
}

fn answer(mut stream: TcpStream, name: u8) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut question = [0; SIZE];
    loop {
        stream.read_exact(&mut question)?;
        match question[0] {
            BULK => return swallow(&mut stream),
            kind => {
                let mut text = question;
                text[0] = name;
                stream.write_all(&text)?;
                if kind == ONCE {
                    return Ok(());
                }
            }
        }
    }
}

fn swallow(stream: &mut TcpStream) -> io::Result<()> {
    let (mut chunk, mut bytes) = (vec![0; CHUNK], 0_u64);
    loop {
        match stream.read(&mut chunk)? {
            0 => return stream.write_all(&bytes.to_be_bytes()),
            count => bytes += count as u64,
        }
    }
}
