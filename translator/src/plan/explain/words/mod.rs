//! The sentences of an answer: why endpoints are taken or not, which policy decided, what becomes
//! of a connection, and what to look at next.

pub(super) mod because;
pub(super) mod mtls;
pub(super) mod next;
pub(super) mod policies;
pub(super) mod settings;
pub(super) mod verdict;
