//! The two variants of the xDS protocol.

/// The variant of the xDS protocol that a stream uses: delta or state of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Incremental: `DeltaDiscoveryRequest`.
    Delta,
    /// State of the world: `DiscoveryRequest`.
    Sotw,
}

impl Dialect {
    /// The word for it: `delta` or `sotw`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dialect::Delta => "delta",
            Dialect::Sotw => "sotw",
        }
    }
}
