//! Flows of UDP, which two Envoys share by the kernel's choice.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seaway_testing::{Flow, ServiceManifest, Setup, SliceManifest, eventually, join};

use crate::{DNS, Node, TIME};

/// A flow moves to the new Envoy when the kernel gives it to one of its sockets, or when the old
/// one ends. Answers through the old one arrive until then, and every question is answered, but for
/// one that is inside the old Envoy when it ends.
#[test]
fn udp_flows_are_answered_all_along() -> Result<()> {
    Node::run(&Setup::default(), |node| {
        let old = node.first()?;
        let flows = (0..8)
            .map(|_| Flow::open(node.client()?, DNS))
            .collect::<Result<Vec<_>>>()?;
        let (mut asked, mut lost) = (0, 0);
        let mut ask = || -> Result<()> {
            for flow in &flows {
                asked += 1;
                lost += usize::from(flow.ask()?.backend().is_none());
            }
            Ok(())
        };
        ask()?;
        let mut new = node.surge()?;
        while new.is_ready().is_err() {
            ask()?;
        }
        old.delete()?;
        let end = Instant::now() + TIME + Duration::from_secs(1);
        let ending = std::thread::spawn(move || old.ended());
        while Instant::now() < end || !ending.is_finished() {
            ask()?;
        }
        ask()?;
        let ended = ending.join().map_err(|_| anyhow::anyhow!("panicked"))?;
        ended?;
        ensure!(
            asked > 100 && lost <= 1,
            "{lost} of {asked} were not answered"
        );
        Ok(())
    })
}

/// An endpoint that answers late, through the Envoy that was asked.
#[test]
fn late_answers_of_an_old_udp_flow_arrive_during_the_drain() -> Result<()> {
    Node::run(&Setup::default(), |node| {
        let late = ServiceManifest::new("late").cluster_ip("10.96.0.12");
        let late = late.port("late", 53).on_port("protocol", "UDP");
        let slice = SliceManifest::new("late").port("late", 9090);
        let slice = slice.on_port("protocol", "UDP").endpoint("10.244.1.12");
        let manifests = node.cluster.world.manifests();
        manifests.save("late.yaml", &join([late.document(), slice.document()]))?;
        let server = node
            .cluster
            .world
            .fabric()
            .run(|| UdpSocket::bind("10.244.1.12:9090"))??;
        server.set_read_timeout(Some(Duration::from_millis(100)))?;
        let old = node.first()?;
        let client = node.client()?.run(|| -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect("10.96.0.12:53")?;
            Ok(socket)
        })??;
        client.set_read_timeout(Some(Duration::from_secs(2)))?;
        let from = eventually("a question", || {
            client.send(b"?")?;
            Ok(server.recv_from(&mut [0; 9])?.1)
        })?;
        let mut new = node.surge()?;
        new.await_ready()?;
        old.delete()?;
        old.await_drain("accepts no more connections")?;
        server.send_to(b"!", from)?;
        client.recv(&mut [0; 9]).context("the answer")?;
        Ok(())
    })
}
