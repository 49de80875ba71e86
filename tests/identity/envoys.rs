//! Real Envoys that prove who they are.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use seaway_testing::{Envoy, Record, bootstrap, eventually, within};

use super::rotation::moment;
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

    /// Its Envoy, as a proxy of role `node` on a node that may be another one's, with its token.
    fn start(&self, world: &mut World, claims: &str) -> Result<Arc<Envoy>> {
        self.start_with(world, claims, &[("--token-file", "token")])
    }

    /// Its Envoy, with what these flags of `seaway bootstrap` name in its volume.
    fn start_with(
        &self,
        world: &mut World,
        claims: &str,
        proof: &[(&str, &str)],
    ) -> Result<Arc<Envoy>> {
        let mut options = World::node_options(claims, "a");
        options.patience = Some(Duration::from_secs(5));
        let out = world.folder().join(format!("{}-out", self.name));
        let file = |name: &str| self.mounted.file(name).display().to_string();
        options.bootstrap.extend([
            "--tls-ca".to_owned(),
            file("ca.crt"),
            "--tls-server-name".to_owned(),
            "localhost".to_owned(),
            "--out".to_owned(),
            out.display().to_string(),
        ]);
        for (flag, name) in proof {
            options.bootstrap.extend([(*flag).to_owned(), file(name)]);
        }
        bootstrap(self.name, &options)?;
        options.config = Some(fs::read_to_string(out.join("envoy.yaml"))?);
        world.start_envoy(self.name, &options)
    }
}

/// Certificates of both sides and the token change, and then everybody connects anew: an Envoy that
/// had read any of it once would be left behind.
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
        // Who it is, whom it claims to be, and how often: on the first screen.
        let mut status = Command::new(env!("CARGO_BIN_EXE_seaway"));
        let output = world
            .fabric()
            .run(move || status.arg("status").output())??;
        let said = String::from_utf8(output.stdout)?;
        let screen: Vec<&str> = said.lines().take(80).collect();
        let screen = screen.join("\n");
        let denied = screen.split("\ndenied ").nth(1);
        let denied = denied.with_context(|| said.clone())?;
        for word in [
            "172.18.0.",
            "seaway/seaway-node",
            "node n2",
            "node n1",
            "time",
        ] {
            ensure!(denied.contains(word), "no {word:?} in {denied}");
        }
        Ok(())
    })
}

#[test]
fn an_envoy_outlives_its_certificate_when_that_is_replaced_in_time() -> Result<()> {
    Secured::run(&[], |world, secured| {
        let _backends = [
            world.backend("web-1", "10.244.1.10")?,
            world.backend("web-2", "10.244.1.11")?,
        ];
        let authorities = secured.ca.pem();
        let mount = |pod: &mut Pod, leaf: &Leaf| {
            pod.mounted.set(&[
                ("ca.crt", &authorities),
                ("tls.crt", &leaf.pem()),
                ("tls.key", &leaf.key_pem()),
            ])
        };
        let mut pod = Pod::new(world, "n1")?;
        let until = SystemTime::now() + Duration::from_secs(12);
        let short = secured.certificate("n1.node.seaway")?;
        mount(&mut pod, &short.valid(SystemTime::now() - HOUR, until)?)?;
        let proof = [("--tls-cert", "tls.crt"), ("--tls-key", "tls.key")];
        let envoy = pod.start_with(world, "n1", &proof)?;
        envoy.await_backend(WEB, "web-1")?;

        mount(&mut pod, &secured.certificate("n1.node.seaway")?)?;
        ensure!(SystemTime::now() < until, "it was replaced too late");
        within(
            Duration::from_secs(30),
            "it to be back with the other",
            || {
                let expiry = "seaway_xds_identity_expiry_timestamp_seconds";
                let expires = world.metric(expiry, "certificate")?;
                ensure!(expires > moment(until), "it ends at {expires}");
                Ok(())
            },
        )?;
        secured.lead_to("10.244.1.11")?;
        envoy.await_backend(WEB, "web-2")?;
        let failed = world.metric("seaway_xds_failed_handshakes_total", "")?;
        ensure!(failed == 0.0, "{failed} handshakes failed");
        Ok(())
    })
}
