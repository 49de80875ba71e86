//! The ids by which the application names its layers and placements.

/// The id of a layer: a set of resources that a group of proxies shares. Which group that is, the
/// application decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerId(pub u32);

/// The id of a placement: an ordered list of layers through which streams see resources. Streams
/// with the same placement see the same resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlacementId(pub u64);
