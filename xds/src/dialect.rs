//! The two variants of the xDS protocol.

/// The variant of the xDS protocol that a stream uses: delta or state of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Incremental: `DeltaDiscoveryRequest`.
    Delta,
    /// State of the world: `DiscoveryRequest`.
    Sotw,
}
