//! The state of each type in a session, as plain data with rules of its own.

pub(super) mod awaited;
pub(super) mod older_contents;
pub(super) mod owed;
pub(super) mod rejections;
pub(super) mod removed;
pub(super) mod subscription;
pub(super) mod type_state;
pub(super) mod type_states;
