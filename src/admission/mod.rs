//! Who may connect, and as what: proofs of identity, what an identity may be, and from what a proxy says of itself to its view.

pub(crate) mod identity;
pub(crate) mod proxy_admission;
pub(crate) mod tls;
