//! The wire format: requests parsed from bytes in place, and responses encoded over shared bytes.

pub(crate) mod load;
pub(crate) mod parts;
pub(crate) mod request;
pub(crate) mod response;
