//! What the server puts up with before it refuses or closes something.

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
    /// that do not read keep nobody out. Zero is taken as one. Default: 1000.
    pub first_answers: usize,
    /// How long a stream over one of the two limits above waits, in the order in which streams
    /// came. One that would have to wait longer fails with RESOURCE_EXHAUSTED, and if it was the
    /// only stream of its connection, the connection is told to go, so that the proxy's next
    /// attempt may find another replica. Proxies try again by themselves, and a proxy never loses
    /// its place to one that came later, so even the only server there is gets to all of them.
    /// Default: 5 seconds.
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
    /// A connection on which nothing was heard for so long is pinged (xDS rule 150). Default: 30
    /// seconds.
    pub keepalive_interval: Duration,
    /// A connection whose peer does not answer a ping for so long is closed. Not too short: an
    /// Envoy that takes a large update answers nothing meanwhile (xDS rule 131). Default: 20
    /// seconds.
    pub keepalive_timeout: Duration,
    /// A connection that has not opened a stream by then is told to go, whatever it has sent.
    /// Default: 30 seconds.
    pub first_stream: Duration,
    /// A connection that has had no stream for so long is told to go. Default: 5 minutes.
    pub idle: Duration,
    /// A connection whose peer answers pings, yet takes none of the bytes that wait for it, is
    /// closed after this time (xDS rule 131); to be slow is no fault, 256 KiB in this time are
    /// enough. Never short. Default: 5 minutes.
    pub stalled: Duration,
    /// A connection that was told to go has so long to end its streams and to take what they were
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
