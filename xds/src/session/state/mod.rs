//! What a session remembers of each type: plain data, changed by transitions and read by queries.
//! [`type_state`] puts it together, the other files are its parts.

pub(super) mod older_contents;
pub(super) mod owed;
pub(super) mod pending_dependencies;
pub(super) mod rejections;
pub(super) mod removed;
pub(super) mod subscription;
pub(super) mod type_state;
pub(super) mod type_states;
