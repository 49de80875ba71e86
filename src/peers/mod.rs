//! Replicas that know of each other: each tells the others what it serves and from what, so that
//! one that is not told what changes is noticed, and can leave its proxies to those that are.
//!
//! [`find`] looks names up in DNS and keeps a connection to each address ([`connect`], [`frames`]),
//! on which a peer tells its [`digest`]s; [`serve`] tells them this replica's. [`state`] compares
//! them and decides, and [`exchange`] does what follows. Nothing that serves waits for any of it.

mod connect;
mod digest;
mod exchange;
mod find;
mod frames;
mod serve;
mod state;

pub(crate) use connect::PeerTls;
pub(crate) use exchange::{Exchange, PeersContext};
pub(crate) use find::PeerConfig;
