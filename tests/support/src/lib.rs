//! The harness of Seaway's whole-process tests and of the demo: it stands beside the way of a
//! change, at both of its ends.
//!
//! A [`World`] is a private network made of Linux network namespaces, with the real `seaway` binary
//! and real Envoys in it:
//!
//! ```text
//!   namespace "fabric"                      one namespace per node ("n1", "n2", ..)
//!   172.18.0.1   Seaway (xDS, admin), DNS   172.18.0.11  Envoy (admin on 127.0.0.1:9901) and the clients
//!   10.244/16    backends, one per pod  ◄── veth ──►  10.96/16 is local here: what Envoy binds with freebind answers
//! ```
//!
//! A [`Cluster`] is a world whose nodes route for pods with namespaces of their own, prepared by
//! `deploy/node/setup.sh`, and that has a client outside of it:
//!
//! ```text
//!   "outside"  192.0.2.10  ◄──►  "fabric"  ◄──►  "n1", "n2"  ◄──►  pods, 10.245.<node>.<pod>
//! ```
//!
//! At one end a [`Folder`] of manifests or the objects of an [`apiserver`] are edited; at the other
//! [`Client`]s open connections from a node's namespace and see who answers. Every process, thread
//! and namespace ends with the `World`, also when a test panics.
//!
//! # Features
//!
//! - `stack`: [`Stack`], a Seaway and an Envoy on loopback, for the tests of other projects
//!   (`docs/testing.md`).
//! - `worlds`: everything else, for Seaway's own.

#![cfg_attr(
    not(feature = "worlds"),
    allow(dead_code, reason = "what both need is written for worlds")
)]

#[cfg(feature = "worlds")]
pub mod apiserver;
mod backend;
#[cfg(feature = "worlds")]
pub mod certs;
mod client;
#[cfg(feature = "worlds")]
mod cluster;
#[cfg(feature = "worlds")]
mod datagram;
#[cfg(feature = "worlds")]
mod dns;
mod echo;
mod envoy;
mod exchange;
#[cfg(feature = "worlds")]
mod fixtures;
#[cfg(feature = "worlds")]
mod kube_api;
#[cfg(feature = "worlds")]
mod leaving;
mod load;
mod manifests;
mod namespace;
mod process;
#[cfg(feature = "stack")]
mod program;
mod proxied;
#[cfg(feature = "worlds")]
mod proxy_pod;
#[cfg(feature = "worlds")]
mod real_cluster;
#[cfg(feature = "worlds")]
mod recorder;
#[cfg(feature = "worlds")]
mod relay;
#[cfg(feature = "worlds")]
mod replicas;
#[cfg(feature = "worlds")]
mod routes;
#[cfg(feature = "worlds")]
mod scene;
mod seaway;
#[cfg(feature = "worlds")]
mod secured;
#[cfg(feature = "stack")]
mod stack;
#[cfg(feature = "worlds")]
pub mod steps;
#[cfg(feature = "worlds")]
mod tls;
#[cfg(feature = "worlds")]
mod tls_server;
#[cfg(feature = "worlds")]
pub mod usage;
#[cfg(feature = "worlds")]
mod volume;
mod wait;
#[cfg(feature = "worlds")]
mod web_socket;
#[cfg(feature = "worlds")]
mod world;

#[cfg(feature = "worlds")]
pub use apiserver::{
    Activity, ApiServer, Fault, Grant, Grants, Issuer, Rule, Seen, Settings, Spoil, TokenClaims,
};
pub use backend::Backend;
pub use client::{Answer, Client, Held, Outcome};
#[cfg(feature = "worlds")]
pub use cluster::{Cluster, Pod, Setup, endpoint};
#[cfg(feature = "worlds")]
pub use datagram::{Echo, Flow};
#[cfg(feature = "worlds")]
pub use dns::Dns;
pub use echo::Echoed;
pub use envoy::{Envoy, EnvoyOptions, bootstrap};
pub use exchange::{Ask, Connection, Reply};
#[cfg(feature = "worlds")]
pub use fixtures::{ServiceManifest, SliceManifest, join, node, shop_service};
#[cfg(feature = "worlds")]
pub use kube_api::KubeApi;
pub use load::{Load, Record};
pub use manifests::Folder;
pub use namespace::{Host, Inside, Namespace, Network};
pub use process::Process;
#[cfg(feature = "worlds")]
pub use proxy_pod::ProxyPod;
#[cfg(feature = "worlds")]
pub use real_cluster::RealCluster;
#[cfg(feature = "worlds")]
pub use recorder::{Recorder, Stream};
#[cfg(feature = "worlds")]
pub use relay::{ASSIGNMENTS, Relay, Side};
#[cfg(feature = "worlds")]
pub use routes::{GatewayManifest, IngressManifest, RouteManifest, secret};
#[cfg(feature = "worlds")]
pub use scene::{Place, Scene, say};
pub use seaway::{Seaway, ended_with, envoy_binary, has, repository, run, seaway_binary};
#[cfg(feature = "worlds")]
pub use secured::Tls;
#[cfg(feature = "stack")]
pub use stack::{Builder, Stack};
#[cfg(feature = "worlds")]
pub use tls_server::TlsServer;
#[cfg(feature = "worlds")]
pub use volume::Volume;
pub use wait::{eventually, within};
#[cfg(feature = "worlds")]
pub use web_socket::web_socket;
#[cfg(feature = "worlds")]
pub use world::{MESH, World, skip};
