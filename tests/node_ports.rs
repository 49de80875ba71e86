//! Node ports: on the node's own addresses, and nowhere else.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use seaway_testing::{Client, Outcome, ServiceManifest, SliceManifest, World, join};

const PORT: u16 = 30080;

#[test]
fn a_node_port_is_served_on_the_nodes_addresses_only() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let service = ServiceManifest::new("web")
            .cluster_ip("10.96.0.10")
            .spec("type", "NodePort");
        let service = service.port("http", 80).on_port("nodePort", PORT);
        let slice = SliceManifest::new("web")
            .port("http", 8080)
            .endpoint("10.244.1.10");
        world
            .manifests()
            .save("web.yaml", &join([service.document(), slice.document()]))?;
        world.start_seaway(&["--service-cidr", "10.96.0.0/16"])?;
        let n1 = world.start_node("n1", "a")?;
        n1.await_backend("10.96.0.10:80", "web-1")?;

        let outside = Client::new((World::node_address(1), PORT));
        let outcome = outside.get(world.fabric())?;
        ensure!(
            outcome.backend() == Some("web-1"),
            "from outside: {outcome}"
        );
        let outcome = n1.send(&outside)?;
        ensure!(
            outcome.backend() == Some("web-1"),
            "from the node itself: {outcome}"
        );

        // Loopback is no address of a node port (Service rule 24), and a cluster IP has only the
        // ports it has.
        for address in [
            Ipv4Addr::LOCALHOST,
            Ipv4Addr::new(10, 96, 0, 10),
            Ipv4Addr::new(10, 96, 0, 99),
        ] {
            let outcome = n1.send(&Client::new((IpAddr::V4(address), PORT)))?;
            let turned_away = matches!(outcome, Outcome::Refused | Outcome::Closed(_));
            ensure!(
                turned_away,
                "{address}:{PORT} should not be served: {outcome}"
            );
        }
        world.manifests().delete("web.yaml")?;
        n1.await_refused("10.96.0.10:80")?;
        ensure!(outside.get(world.fabric())? == Outcome::Refused);
        Ok(())
    })
}
