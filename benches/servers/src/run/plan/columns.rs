//! The columns of the tables: figure and heading.

pub(super) type Columns = &'static [(&'static str, &'static str)];

pub(super) const SYNC: Columns = &[
    ("synced", "synced"),
    ("sync ms", "sync ms"),
    ("sync cpu", "server CPU s"),
    ("mb", "MB sent"),
    ("messages", "messages"),
    ("idle rss", "idle RSS MB"),
    ("peak", "peak RSS MB"),
    ("cpu", "client CPU s"),
];
pub(super) const STEADY: Columns = &[
    ("ticks", "ticks"),
    ("delivered", "delivered"),
    ("messages", "messages"),
    ("updates", "updates"),
    ("others", "others re-sent"),
    ("p50", "p50 us"),
    ("p90", "p90 us"),
    ("p99", "p99 us"),
    ("max", "max us"),
    ("cpu", "server CPU s"),
    ("per cpu", "updates / CPU s"),
    ("stale", "stale"),
    ("peak", "peak RSS MB"),
    ("client cpu", "client CPU s"),
];
pub(super) const SATURATION: Columns = &[
    ("ticks", "ticks"),
    ("delivered", "delivered"),
    ("deliveries/s", "deliveries/s"),
    ("messages", "messages"),
    ("updates", "updates"),
    ("p50", "p50 us"),
    ("p99", "p99 us"),
    ("cpu", "server CPU s"),
    ("per cpu", "deliveries / CPU s"),
    ("stale", "stale"),
    ("peak", "peak RSS MB"),
    ("client cpu", "client CPU s"),
];
pub(super) const RECONNECT: Columns = &[
    ("mb", "MB re-sent"),
    ("resources", "resources re-sent"),
    ("messages", "messages"),
    ("last_ms", "last message ms"),
    ("busy ms", "server busy until ms"),
    ("cpu", "server CPU s"),
    ("peak", "peak RSS MB"),
    ("client cpu", "client CPU s"),
];
pub(super) const IDLE: Columns = &[
    ("synced", "streams"),
    ("sync ms", "sync ms"),
    ("sync cpu", "sync CPU s"),
    ("rss", "RSS MB"),
    ("peak", "peak RSS MB"),
    ("kb each", "KB each"),
    ("delivered", "delivered"),
    ("p50", "p50 us"),
    ("p99", "p99 us"),
    ("max", "max us"),
    ("stale", "stale"),
    ("ended", "ended"),
];
pub(super) const STALL: Columns = &[
    ("p99 before", "p99 us before"),
    ("p99", "p99 us of the others"),
    ("times", "times"),
    ("delivered", "delivered to the others"),
    ("stale", "stale"),
    ("sent", "MB per stream"),
    ("growth", "RSS growth MB"),
    ("each", "MB per stalled stream"),
    ("peak", "peak RSS MB"),
];
