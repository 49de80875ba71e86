//! Where a proxy stands and what it sees from there: the views in use, the endpoints of a port, the
//! choice among them for a place, and the layers in which that choice differs.

pub(crate) mod active_views;
pub(crate) mod choose;
pub(crate) mod endpoints;
pub(crate) mod layering;
