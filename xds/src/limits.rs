//! Limits on what clients may do and use, beyond which the server refuses or closes something.

use std::time::Duration;

/// Limits of a server. The defaults refuse nothing that a fleet of ordinary proxies does, a
/// reconnect of all of it at once included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many streams may begin each second (xDS rules 132, 156). As many may begin at once after
    /// a second in which none did. Zero is taken as one. Default: 10,000.
    pub streams_per_second: u32,
    /// How many streams may be waiting for their first answer at the same time (xDS rule 132):
    /// admitted, looked up, or being sent it. A stream counts for a second at most, so that proxies
    /// that do not read do not keep others out. Zero is taken as one. Default: 1000.
    pub first_answers: usize,
    /// How long a stream over one of the two limits above waits, in the order in which streams
    /// came. One that would have to wait longer fails with RESOURCE_EXHAUSTED, and if it was the
    /// only stream of its connection, the connection is closed with GOAWAY, so that the proxy's
    /// next attempt may find another replica. Proxies try again by themselves, and a proxy never
    /// loses its place to one that came later, so even the only server there is gets to all of
    /// them. Default: 5 seconds.
    pub longest_wait: Duration,
    /// How many connections may be open. For a further one the oldest that has not opened a stream
    /// is cut; if there is none, it is closed as soon as it is accepted. `None`, the default: as
    /// many as the operating system allows.
    pub connections: Option<usize>,
    /// How many streams one connection may have open, as HTTP/2 announces it to the client (xDS
    /// rule 158). Default: 1000.
    pub streams_per_connection: u32,
    /// How many connections one identity may have open, where there are identities. Default: 100.
    pub connections_per_identity: usize,
    /// How many streams one identity may have open, on all its connections. Default: 200.
    pub streams_per_identity: usize,
    /// How many streams of one identity may begin each second, and as many at once after a second
    /// in which none did. More of them wait, as with `longest_wait`. Zero of these three is taken
    /// as one. Default: 50.
    pub first_syncs_per_identity: u32,
    /// How many bytes may be kept for all clients together: requests whose end has not come, and
    /// names that they ask for. Half of it is for the first half MiB of each identity (each
    /// connection, where there are none), half for what they have beyond. A stream for which there
    /// is none left fails with RESOURCE_EXHAUSTED. Default: 96 MiB.
    pub client_memory: usize,
    /// How many bytes of that may be kept for one identity (or connection). Never less than half a
    /// MiB. Default: 32 MiB.
    pub memory_per_client: usize,
    /// How long a request may take from its first byte to its last; its stream fails with
    /// DEADLINE_EXCEEDED. Default: 30 seconds.
    pub request: Duration,
    /// How long a TLS handshake may take. Default: 10 seconds.
    pub handshake: Duration,
    /// How long a connection may be silent before it is pinged (xDS rule 150). Default: 30 seconds.
    pub keepalive_interval: Duration,
    /// How long a peer may take to answer a ping before its connection is closed. Not too short: an
    /// Envoy that takes a large update answers nothing meanwhile (xDS rule 131). Default: 20
    /// seconds.
    pub keepalive_timeout: Duration,
    /// How long a connection may be open before its first stream, whatever it has sent; then it is
    /// closed with GOAWAY. Default: 30 seconds.
    pub first_stream: Duration,
    /// How long a connection may be without a stream; then it is closed with GOAWAY. Default: 5
    /// minutes.
    pub idle: Duration,
    /// How long a connection may stay open whose peer answers pings, yet takes none of the bytes
    /// that wait for it (xDS rule 131); a slow peer is no fault, 256 KiB in this time are enough.
    /// Never short. Default: 5 minutes.
    pub stalled: Duration,
    /// How long after GOAWAY a connection may take to end its streams and to deliver what they were
    /// sent; then it is cut (xDS rule 152). Default: 10 seconds.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            streams_per_second: 10_000,
            first_answers: 1000,
            longest_wait: Duration::from_secs(5),
            connections: None,
            streams_per_connection: 1000,
            connections_per_identity: 100,
            streams_per_identity: 200,
            first_syncs_per_identity: 50,
            client_memory: 96 << 20,
            memory_per_client: 32 << 20,
            request: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            first_stream: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            stalled: Duration::from_secs(300),
            grace: Duration::from_secs(10),
        }
    }
}
