//! Real Envoys that prove who they are.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use seaway_testing::{Envoy, Record, bootstrap, eventually};

use super::*;

const WEB: &str = "10.96.0.10:80";

/// What is mounted into the pod of a proxy.
struct Pod {
    name: &'static str,
    mounted: Volume,
}

impl Pod {
    fn new(world: &World, name: &'static str) -> Result<Self> {
        let mounted = Volume::new(world.folder().join(name))?;
        Ok(Self { name, mounted })
    }

    fn mount(&mut self, authorities: &str, token: &str) -> Result<()> {
        self.mounted
            .set(&[("ca.crt", authorities), ("token", token)])
    }

    /// Its Envoy, as a proxy of role `node` on a node that may be another one's.
    fn start(&self, world: &mut World, claims: &str) -> Result<Arc<Envoy>> {
        let mut options = World::node_options(claims, "a");
        options.patience = Some(Duration::from_secs(5));
        let out = world.folder().join(format!("{}-out", self.name));
        let file = |name: &str| self.mounted.file(name).display().to_string();
        options.bootstrap.extend([
            "--tls-ca".to_owned(),
            file("ca.crt"),
            "--tls-server-name".to_owned(),
            "localhost".to_owned(),
            "--token-file".to_owned(),
            file("token"),
            "--out".to_owned(),
            out.display().to_string(),
        ]);
        bootstrap(self.name, &options)?;
        options.config = Some(fs::read_to_string(out.join("envoy.yaml"))?);
        world.start_envoy(self.name, &options)
    }
}

/// Certificates of both sides and the token change, and then everybody connects anew: an Envoy that had read any of it once would be
/// left behind.
#[test]
fn an_envoy_is_served_through_every_rotation_and_no_request_fails() -> Result<()> {
    Secured::run(&[], |world, secured| {
        let _backends = [
            world.backend("web-1", "10.244.1.10")?,
            world.backend("web-2", "10.244.1.11")?,
        ];
        let first = secured.token("seaway-node", "n1");
        let mut pod = Pod::new(world, "n1")?;
        pod.mount(&secured.ca.pem(), &first)?;
        let envoy = pod.start(world, "n1")?;
        envoy.await_backend(WEB, "web-1")?;
        let load = envoy.load(WEB, 100)?;

        let ca = Ca::new("new servers")?;
        pod.mount(
            &(secured.ca.pem() + &ca.pem()),
            &secured.token("seaway-node", "n1"),
        )?;
        secured.mount(&ca.server(&["localhost"])?, &secured.clients.pem())?;
        eventually("the new certificate to be in use", || {
            let reloads = world.metric("seaway_tls_reloads_total", "ok")?;
            ensure!(reloads == 1.0, "{reloads} reloads");
            Ok(())
        })?;
        ensure!(
            world.metric("seaway_xds_streams", "")? == 1.0,
            "the stream was dropped"
        );
        secured.issuer.revoke(&first);
        world.restart_seaway()?;
        secured.lead_to("10.244.1.11")?;
        envoy.await_backend(WEB, "web-2")?;
        let failures = Record::failures(&load.stop()?);
        ensure!(failures.is_none(), "{failures:?}");
        Ok(())
    })
}

#[test]
fn an_envoy_that_claims_another_node_gets_nothing_and_says_why() -> Result<()> {
    Secured::run(&[], |world, secured| {
        let mut pod = Pod::new(world, "n2")?;
        pod.mount(&secured.ca.pem(), &secured.token("seaway-node", "n2"))?;
        ensure!(pod.start(world, "n1").is_err(), "it is live");
        let log = world.seaway()?.log();
        ensure!(
            log.contains("bound to node n2, and may not claim to be on node n1"),
            "{log}"
        );
        ensure!(world.metric("seaway_xds_denied_streams_total", "forbidden")? >= 1.0);
        ensure!(world.metric("seaway_xds_resources_total", "")? == 0.0);
        Ok(())
    })
}
