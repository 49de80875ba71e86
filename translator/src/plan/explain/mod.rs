//! What is shown of a plan to people: the decisions on a Service, and a summary of it in one line.

pub(crate) mod decisions;
pub(crate) mod summary;

pub(crate) use decisions::{explain, explain_external_name};
