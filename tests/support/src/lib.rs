//! The harness of Seaway's whole-process tests and of the demo: it stands beside the way of a change, at both of its ends.
//!
//! A [`World`] is a private network made of Linux network namespaces, with the real `seaway` binary and real Envoys in it:
//!
//! ```text
//!   namespace "fabric"                      one namespace per node ("n1", "n2", ..)
//!   172.18.0.1   Seaway (xDS, admin), DNS   172.18.0.11  Envoy (admin on 127.0.0.1:9901) and the clients
//!   10.244/16    backends, one per pod  ◄── veth ──►  10.96/16 is local here: what Envoy binds with freebind answers
//! ```
//!
//! A [`Cluster`] is a world whose nodes route for pods with namespaces of their own, prepared by `deploy/node/setup.sh`, and that has a
//! client outside of it:
//!
//! ```text
//!   "outside"  192.0.2.10  ◄──►  "fabric"  ◄──►  "n1", "n2"  ◄──►  pods, 10.245.<node>.<pod>
//! ```
//!
//! At one end a [`Folder`] of manifests or the objects of an [`apiserver`] are edited; at the other [`Client`]s open connections from
//! a node's namespace and see who answers. Every process, thread and namespace ends with the `World`, also when a test panics.

pub mod apiserver;
mod backend;
pub mod certs;
mod client;
mod cluster;
mod datagram;
mod dns;
mod envoy;
mod fixtures;
mod kube_api;
mod load;
mod manifests;
mod namespace;
mod process;
mod proxied;
mod real_cluster;
mod recorder;
mod relay;
mod replicas;
mod scene;
mod seaway;
pub mod steps;
mod volume;
mod wait;
mod world;

pub use apiserver::{Activity, ApiServer, Fault, Issuer, Rule, Seen, Settings, Spoil, TokenClaims};
pub use backend::Backend;
pub use client::{Answer, Client, Held, Outcome};
pub use cluster::{Cluster, Pod, Setup, endpoint};
pub use datagram::{Echo, Flow};
pub use dns::Dns;
pub use envoy::{Envoy, EnvoyOptions, bootstrap};
pub use fixtures::{ServiceManifest, SliceManifest, join, node};
pub use kube_api::KubeApi;
pub use load::{Load, Record};
pub use manifests::Folder;
pub use namespace::{Host, Inside, Namespace, Network};
pub use process::Process;
pub use real_cluster::RealCluster;
pub use recorder::{Recorder, Stream};
pub use relay::{ASSIGNMENTS, Relay, Side};
pub use scene::{Place, Scene, say};
pub use seaway::{Seaway, envoy_binary, repository, seaway_binary};
pub use volume::Volume;
pub use wait::{eventually, within};
pub use world::{World, skip};
