//! Packets that belong to no connection, as far as the node can tell: late, repeated or mangled
//! ones on the way from an endpoint to a client whose address Envoy has taken over. The client
//! knows nothing of Envoy's connection, and would end it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, recv, sendto, socket};
use seaway_testing::{Cluster, Setup, SliceManifest, eventually};

use crate::{service, with};

crate::all_captures!(a_packet_out_of_its_window_ends_no_connection);
const PORT: u16 = 9090;

/// How far behind or ahead of a connection stray packets are. Newer kernels let those behind it
/// pass as overly late.
const OFF: [u32; 2] = [100_000_u32.wrapping_neg(), 100_000_000];

/// The sum that TCP wants over a segment between two addresses.
fn checksum(from: Ipv4Addr, to: Ipv4Addr, segment: &[u8]) -> u16 {
    let length = u8::try_from(segment.len()).unwrap_or(u8::MAX);
    let pseudo = [
        &from.octets()[..],
        &to.octets(),
        &[0, 6, 0, length],
        segment,
    ]
    .concat();
    let words = pseudo.chunks(2).map(|word| match word {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        rest => u32::from(rest[0]) << 8,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// Where a connection is, as the last segment that came to the server says: what the server sends
/// next, and what it has received.
fn position(packet: &[u8], peer_port: u16) -> Option<(u32, u32)> {
    let header = usize::from(packet.first()? & 15) * 4;
    let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    let tcp = packet.get(header..total)?;
    let ports = [peer_port.to_be_bytes(), PORT.to_be_bytes()].concat();
    let number = |at: usize| Some(u32::from_be_bytes(tcp.get(at..at + 4)?.try_into().ok()?));
    let payload = tcp.len().checked_sub(usize::from(tcp.get(12)? >> 4) * 4)?;
    let received = number(4)?.wrapping_add(u32::try_from(payload).ok()?);
    (tcp.starts_with(&ports) && payload > 0).then_some((number(8)?, received))
}

/// A server of one connection that answers every byte, each time after a stray packet to its
/// client.
fn serve(listener: &TcpListener, own: Ipv4Addr) -> Result<()> {
    let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::TCP))?;
    let (mut connection, peer) = listener.accept()?;
    let SocketAddr::V4(peer) = peer else {
        anyhow::bail!("{peer} is not IPv4")
    };
    let (mut byte, mut packet) = ([0], [0; 2048]);
    while connection
        .read(&mut byte)
        .context("the server's connection")?
        > 0
    {
        let (next, received) = loop {
            let (count, _) = recv(&raw, &mut packet, RecvFlags::empty())?;
            if let Some(found) = position(&packet[..count], peer.port()) {
                break found;
            }
        };
        let mut segment = [PORT.to_be_bytes(), peer.port().to_be_bytes()].concat();
        segment.extend(
            next.wrapping_add(OFF[usize::from(byte[0] & 1)])
                .to_be_bytes(),
        );
        segment.extend(received.to_be_bytes());
        // Five words of header; an acknowledgement; a window; no sum yet; nothing urgent.
        segment.extend([0x50, 0x10, 0x20, 0, 0, 0, 0, 0]);
        let sum = checksum(own, *peer.ip(), &segment);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        sendto(
            &raw,
            &segment,
            SendFlags::empty(),
            &SocketAddrV4::new(*peer.ip(), 0),
        )?;
        connection.write_all(&byte)?;
    }
    Ok(())
}

/// A connection after one byte and its answer.
fn echoed(mut connection: TcpStream, byte: u8) -> std::io::Result<TcpStream> {
    connection.write_all(&[byte])?;
    connection.read_exact(&mut [0])?;
    Ok(connection)
}

/// Service rule 111. Mirrors Conntrack's "drop INVALID conntrack entries" and "proxy implementation
/// should not be vulnerable to the invalid conntrack state bug".
fn a_packet_out_of_its_window_ends_no_connection(setup: &Setup<'_>) -> Result<()> {
    Cluster::run(&["a", "a"], setup, |cluster| {
        cluster.client("client", "n1")?;
        for (number, node, early) in [(1, "n1", 1), (2, "n2", 1), (3, "n1", 0), (4, "n2", 0)] {
            // By default the kernel looks for the socket of a segment before the way that it would
            // be forwarded.
            let setting = format!("echo {early} >/proc/sys/net/ipv4/ip_early_demux");
            let mut command = Command::new("sh");
            command.args(["-c", &setting]);
            cluster.at("n1")?.command(command)?;
            let name = format!("server-{number}");
            let own = cluster.client(&name, node)?.v4;
            let listener = cluster
                .at(&name)?
                .run(move || TcpListener::bind((own, PORT)))??;
            let server = cluster
                .at(&name)?
                .thread("server", move || serve(&listener, own))?;
            let slice = SliceManifest::new("web").port("http", PORT);
            let slice = slice.endpoint_on(&own.to_string(), node, "a");
            let address = format!("10.96.0.{number}");
            let all = with(&service("web", &address), &slice);
            cluster.world.manifests().save("web.yaml", &all)?;
            let target: SocketAddr = format!("{address}:80").parse()?;
            let client = cluster.at("client")?;
            let mut connection = eventually("a connection", || {
                let connection = client.run(move || TcpStream::connect(target))??;
                connection.set_read_timeout(Some(Duration::from_secs(5)))?;
                Ok(echoed(connection, 0)?)
            })?;
            for round in 1..20 {
                connection = echoed(connection, round)
                    .with_context(|| format!("round {round} with {name}, early demux {early}"))?;
            }
            drop(connection);
            server.join()??;
        }
        Ok(())
    })
}
