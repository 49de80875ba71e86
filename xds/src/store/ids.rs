//! What the application names its layers and placements by.

/// A layer: a set of resources that some proxies share. What it stands for is the application's
/// business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerId(pub u32);

/// A place from which proxies look at the layers. Streams with the same placement see the same
/// resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlacementId(pub u64);
