//! The commands: `serve` puts the parts together; the others each do one thing and end.

pub(crate) mod bootstrap;
pub(crate) mod drain;
mod envoy_admin;
pub(crate) mod ready;
pub(crate) mod serve;
pub(crate) mod translate;
