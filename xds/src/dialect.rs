//! The two forms of the protocol.

/// How a stream speaks: with one request and response for all resources of a type, or for what
/// changed of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dialect {
    /// Incremental: `DeltaDiscoveryRequest`.
    Delta,
    /// State of the world: `DiscoveryRequest`.
    Sotw,
}
