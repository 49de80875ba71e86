//! The pod that floods: datagrams, each from another port, and connections that are held, both at
//! a fixed pace.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use seaway_testing::usage::own_cpu;
use seaway_testing::{Inside, Namespace};

/// Between two looks at what is due.
const STEP: Duration = Duration::from_millis(1);
/// How long a connection may take to be accepted.
const PATIENCE: Duration = Duration::from_secs(1);
/// Ports that datagrams come from, one after the other: the first is used again only when its flow
/// has been forgotten (after 2.5 seconds; these last for four at 15,000 a second).
const PORTS: (u16, u16) = (1024, u16::MAX);

/// How much of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Datagrams a second.
    pub(crate) flows: u32,
    /// Connections in all.
    pub(crate) connections: u32,
}

/// A flood that is under way.
pub(crate) struct Flood {
    udp: Inside<Result<(u64, f64)>>,
    tcp: Inside<Result<(Connections, f64)>>,
}

/// What came of a flood.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) datagrams: u64,
    pub(crate) connections: Connections,
    /// Seconds of CPU.
    pub(crate) cpu: f64,
}

/// What became of connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Connections {
    pub(crate) tried: u64,
    pub(crate) refused: u64,
    /// Not answered in time.
    pub(crate) unanswered: u64,
    /// Accepted, and open at the end.
    pub(crate) held: u64,
}

impl Flood {
    /// Begins to flood the UDP and the TCP port of an address, for so long.
    pub(crate) fn start(
        from: &Namespace,
        load: Load,
        [udp, tcp]: [SocketAddr; 2],
        length: Duration,
    ) -> Result<Self> {
        let datagrams = f64::from(load.flows);
        let connections = f64::from(load.connections) / length.as_secs_f64();
        Ok(Self {
            udp: from.thread("flows", move || {
                let sent = flows(udp, datagrams, length)?;
                Ok((sent, own_cpu()?))
            })?,
            tcp: from.thread("connections", move || {
                let told = hold(tcp, connections, length)?;
                Ok((told, own_cpu()?))
            })?,
        })
    }

    /// Waits for its end, at which all connections are closed.
    pub(crate) fn join(self) -> Result<Sent> {
        let ((datagrams, first), (connections, second)) = (self.udp.join()??, self.tcp.join()??);
        Ok(Sent {
            datagrams,
            connections,
            cpu: first + second,
        })
    }
}

/// Does `step` so many times a second.
fn paced(rate: f64, length: Duration, mut step: impl FnMut() -> Result<()>) -> Result<()> {
    let (start, mut done) = (Instant::now(), 0.0);
    while start.elapsed() < length {
        if done < start.elapsed().as_secs_f64() * rate {
            step()?;
            done += 1.0;
        } else {
            thread::sleep(STEP);
        }
    }
    Ok(())
}

fn flows(to: SocketAddr, rate: f64, length: Duration) -> Result<u64> {
    let (mut sent, mut port) = (0, PORTS.0);
    paced(rate, length, || {
        port = if port == PORTS.1 { PORTS.0 } else { port + 1 };
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
        // What the node drops or refuses is none of the client's business.
        let _ = socket.send_to(b"who?", to);
        sent += 1;
        Ok(())
    })?;
    Ok(sent)
}

fn hold(to: SocketAddr, rate: f64, length: Duration) -> Result<Connections> {
    let (mut told, mut held) = (Connections::default(), Vec::new());
    paced(rate, length, || {
        told.tried += 1;
        match TcpStream::connect_timeout(&to, PATIENCE) {
            Ok(stream) => held.push(stream),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => told.refused += 1,
            Err(error) if error.kind() == ErrorKind::TimedOut => told.unanswered += 1,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    })?;
    told.held = held.iter().filter(|stream| is_open(stream)).count() as u64;
    Ok(told)
}

fn is_open(stream: &TcpStream) -> bool {
    let looked = stream
        .set_nonblocking(true)
        .and_then(|()| stream.peek(&mut [0; 1]));
    looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}
