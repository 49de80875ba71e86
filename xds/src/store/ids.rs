//! The ids by which the application names its layers and placements, and those by which the store
//! names its resources.

/// The id of a layer: a set of resources that a group of proxies shares. Which group that is, the
/// application decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerId(pub u32);

impl LayerId {
    /// The bit by which the id of an overriding layer is known.
    const OVERRIDING: u32 = 1 << 31;

    /// The id of a layer that only overrides: of what it holds, a placement has the names alone
    /// that a layer below it holds, too, and that is none that only overrides.
    #[must_use]
    pub const fn overriding(id: u32) -> LayerId {
        LayerId(id | LayerId::OVERRIDING)
    }

    /// Whether the layer only overrides.
    #[must_use]
    pub const fn is_overriding(self) -> bool {
        self.0 & LayerId::OVERRIDING != 0
    }
}

/// The id of a placement: an ordered list of layers through which streams see resources. Streams
/// with the same placement see the same resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlacementId(pub u64);

/// The id of a name of one resource type: the number of its slot in the store.
///
/// The store uses the id of a removed name again for another one, but not before every stream has
/// read the removal: until then a tombstone keeps the id ([`Cursors`](super::cursors::Cursors)). A
/// stream that reads a removal takes the id out of all that decides what it sends. So the id alone
/// tells resources apart and carries no generation. With one, the sets of ids that a stream has for
/// each type could not be bit sets: 32 bits of generation for each id would make them 33 times as
/// large.
///
/// What a stream keeps of an id past the removal are the responses in flight, the resources sent
/// before a dependent type was subscribed to, and the claims of a reconnected client. Each is
/// compared with the present state before it is used (`session::state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ResourceId(u32);

impl ResourceId {
    pub(crate) const FIRST: ResourceId = ResourceId(0);
    pub(crate) const LAST: ResourceId = ResourceId(u32::MAX);

    /// The id of the slot with this index. A store has fewer slots than `u32` has values: each
    /// takes more memory than a byte.
    pub(crate) fn from_index(index: usize) -> ResourceId {
        ResourceId(index as u32)
    }

    /// The index of the slot.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    /// The id of the slot behind this one.
    pub(crate) fn next(self) -> ResourceId {
        ResourceId(self.0.wrapping_add(1))
    }
}
