//! What a session remembers of each type on its stream, as plain state with rules of its own.

pub(super) mod awaited;
pub(super) mod kept;
pub(super) mod owed;
pub(super) mod rejections;
pub(super) mod removed;
pub(super) mod subscription;
pub(super) mod type_state;
pub(super) mod type_states;
