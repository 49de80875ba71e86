//! The subcommands: `serve` connects the parts of the control plane; the others each do one thing
//! and end.

pub(crate) mod bootstrap;
pub(crate) mod bug_report;
pub(crate) mod check;
pub(crate) mod completion;
pub(crate) mod diff;
pub(crate) mod drain;
mod envoy_admin;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod man;
pub(crate) mod ready;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod translate;
pub(crate) mod wait;
