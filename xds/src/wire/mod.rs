//! Requests and responses as bytes.

pub(crate) mod parts;
pub(crate) mod request;
pub(crate) mod response;
