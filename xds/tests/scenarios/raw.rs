//! A client of HTTP/2 frames written by hand, for what no library would do: to be silent, to be
//! deaf, to ask for too much.

use std::net::SocketAddr;
use std::time::Duration;

use prost::Message;
use seaway_proto::TypeUrl;
use seaway_proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use seaway_proto::envoy::core::Node;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::client::{node, strings};

const DEADLINE: Duration = Duration::from_secs(10);

/// Kinds of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW: u8 = 8;
/// Flags.
pub(crate) const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
pub(crate) const END_STREAM: u8 = 1;
/// Settings and errors by their numbers.
pub(crate) const MAX_STREAMS: u16 = 3;
pub(crate) const MAX_HEADERS: u16 = 6;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error of a reset or of a GOAWAY.
    pub(crate) fn error(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The value of a setting.
    pub(crate) fn setting(&self, number: u16) -> Option<u32> {
        let mut all = self.payload.chunks(6);
        let setting = all.find(|setting| setting[..2] == number.to_be_bytes())?;
        Some(u32::from_be_bytes(setting[2..].try_into().unwrap()))
    }
}

pub(crate) struct Raw {
    socket: TcpStream,
    /// To be written with the next flush.
    out: Vec<u8>,
}

impl Raw {
    /// Connects and says nothing. The operating system takes little for it while it does not read.
    pub(crate) async fn connect(server: SocketAddr) -> Raw {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 << 10).unwrap();
        Raw {
            socket: socket.connect(server).await.unwrap(),
            out: Vec::new(),
        }
    }

    /// The preface, with settings of these numbers and values.
    pub(crate) fn preface(&mut self, settings: &[(u16, u32)]) -> &mut Raw {
        self.out.extend(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let settings = settings.iter().flat_map(|(number, value)| {
            let number = number.to_be_bytes().into_iter();
            number.chain(value.to_be_bytes())
        });
        let settings: Vec<u8> = settings.collect();
        self.frame(SETTINGS, 0, 0, &settings)
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> &mut Raw {
        let length = u32::try_from(payload.len()).unwrap();
        self.out.extend(&length.to_be_bytes()[1..]);
        self.out.extend([kind, flags]);
        self.out.extend(stream.to_be_bytes());
        self.out.extend(payload);
        self
    }

    /// Begins a stream of the aggregated service in delta, with one more header.
    pub(crate) fn open(&mut self, stream: u32, more: (&str, &str)) -> &mut Raw {
        let path =
            "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "xds"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            more,
        ];
        let mut block = Vec::new();
        for (name, value) in headers {
            // A literal that is not to be indexed, with a name that is a literal too.
            block.push(0);
            literal(&mut block, name);
            literal(&mut block, value);
        }
        self.frame(HEADERS, END_HEADERS, stream, &block)
    }

    /// Subscribes to names on a stream, and says who asks.
    pub(crate) fn subscribe(&mut self, stream: u32, url: TypeUrl, names: &[&str]) -> &mut Raw {
        self.request(
            stream,
            &DeltaDiscoveryRequest {
                // Envoy takes resources of any size.
                node: Some(Node {
                    user_agent_name: "envoy".into(),
                    ..node("raw")
                }),
                type_url: url.as_str().into(),
                resource_names_subscribe: strings(names),
                ..Default::default()
            },
        )
    }

    /// Acknowledges the response in a frame, which has the whole of it.
    pub(crate) fn ack(&mut self, stream: u32, frame: &Frame) -> &mut Raw {
        let response = DeltaDiscoveryResponse::decode(&frame.payload[5..]).unwrap();
        self.request(
            stream,
            &DeltaDiscoveryRequest {
                type_url: response.type_url,
                response_nonce: response.nonce,
                ..Default::default()
            },
        )
    }

    fn request(&mut self, stream: u32, request: &DeltaDiscoveryRequest) -> &mut Raw {
        let length = u32::try_from(request.encoded_len()).unwrap();
        let mut message = vec![0];
        message.extend(length.to_be_bytes());
        request.encode(&mut message).unwrap();
        self.frame(DATA, 0, stream, &message)
    }

    /// Begins a message of this length on a stream, and sends so much of it.
    pub(crate) fn begin(&mut self, stream: u32, length: u32, sent: usize) -> &mut Raw {
        let head = [&[0][..], &length.to_be_bytes()].concat();
        self.frame(DATA, 0, stream, &head);
        let piece = [0; 16 << 10];
        for at in (0..sent).step_by(piece.len()) {
            self.frame(DATA, 0, stream, &piece[..piece.len().min(sent - at)]);
        }
        self
    }

    /// Waits until the server has ended a stream.
    pub(crate) async fn ended(&mut self, stream: u32) {
        loop {
            let frame = self.read().await.expect("the end of the stream");
            let last = frame.kind == HEADERS && frame.flags & END_STREAM != 0;
            if frame.stream == stream && (last || frame.kind == RESET) {
                return;
            }
        }
    }

    /// Lets the server send so much more on the connection and on a stream.
    pub(crate) fn allow(&mut self, stream: u32, bytes: u32) -> &mut Raw {
        self.frame(WINDOW, 0, 0, &bytes.to_be_bytes());
        self.frame(WINDOW, 0, stream, &bytes.to_be_bytes())
    }

    pub(crate) async fn flush(&mut self) {
        // The server may have closed the connection: reading tells.
        _ = self.socket.write_all(&self.out).await;
        self.out.clear();
    }

    /// The next frame; `None` if the connection has ended.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        let reading = timeout(DEADLINE, self.try_read()).await;
        reading.expect("a frame in time")
    }

    async fn try_read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.socket.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
            payload,
        })
    }

    /// The next frame of this kind.
    pub(crate) async fn read_kind(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.read().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }
}

/// A text that is not compressed, behind its length.
fn literal(block: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 127 {
        block.push(length as u8);
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push((length % 128) as u8 | 128);
            length /= 128;
        }
        block.push(length as u8);
    }
    block.extend(text.bytes());
}
