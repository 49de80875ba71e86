//! What an Envoy refuses is in the log of the container beside it.

use std::net::{SocketAddr, TcpStream};

use anyhow::Result;
use seaway_testing::{ProxyPod, Setup};

use crate::{Node, WEB};

/// Of more connections than its files are for, it says how many were refused and of whom, and then that it is over.
#[test]
fn a_drain_says_what_its_envoy_refuses() -> Result<()> {
    Node::run(&Setup::default(), |node| {
        // Files for 93 connections of clients.
        let bootstrap = ["--node-name", "n1", "--max-files", "2000"];
        let look = ["--look", "500ms"];
        let world = &*node.cluster.world;
        let mut pod = ProxyPod::start(world, node.namespace()?, "proxy", &bootstrap, &look)?;
        pod.await_ready()?;
        let web: SocketAddr = WEB.parse()?;
        let held: Vec<_> = node
            .client()?
            .run(move || (0..200).map(|_| TcpStream::connect(web)).collect())?;
        pod.await_drain("\"of\":\"10.96.0.10_80\"")?;
        pod.await_drain("Envoy refuses connections, of which it has as many as its files are for")?;
        drop(held);
        pod.await_drain("Envoy no longer refuses connections")
    })
}
