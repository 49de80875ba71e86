//! Replicas that prove to each other who they are, as proxies have to.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_proto::TypeUrl;
use seaway_proto::peers::WATCH;
use seaway_testing::{World, within};
use tonic::Code;

use crate::call::{Method, Stream, connect};
use crate::{Secured, claims, visit};

/// The account of replicas.
const ACCOUNT: &str = "serviceaccount:seaway/seaway";

fn peers(world: &World, replica: usize, state: &str) -> Result<f64> {
    let label = format!("state=\"{state}\"");
    let replica = world.replica(replica)?;
    replica.metric(world.fabric(), "seaway_peers", &label)
}

#[test]
fn replicas_know_each_other_by_token_or_certificate_and_tell_nobody_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ca, token) = (file("ca.crt"), file("token"));
    let (certificate, key) = (file("peer.crt"), file("peer.key"));
    let common = [
        "--peers=172.18.0.1:18000,172.18.0.1:18010",
        "--peers-server-name=localhost",
        "--allow-peer",
        ACCOUNT,
        "--allow-peer=dns:replica.seaway",
        "--peers-ca",
        &ca,
    ];
    let by_token = [&common[..], &["--peers-token-file", &token]].concat();
    let by_certificate = ["--peers-cert", &certificate, "--peers-key", &key];
    let by_certificate = [&common[..], &by_certificate].concat();
    Secured::run(&by_token, |world, secured| {
        let second = secured.start(world, &by_certificate)?;
        // Who has no proof yet is told nothing.
        std::thread::sleep(Duration::from_secs(2));
        for replica in [0, second] {
            ensure!(peers(world, replica, "fresh")? == 0.0);
        }
        let leaf = secured.certificate("replica.seaway")?;
        fs::write(&ca, secured.ca.pem())?;
        fs::write(&token, secured.token("seaway", "n1"))?;
        fs::write(&certificate, leaf.pem())?;
        fs::write(&key, leaf.key_pem())?;
        within(
            Duration::from_secs(20),
            "replicas to know each other",
            || {
                for replica in [0, second] {
                    let fresh = peers(world, replica, "fresh")?;
                    ensure!(fresh == 1.0, "{fresh} peers of {replica} are fresh");
                }
                Ok(())
            },
        )?;
        refuses_others(world, secured)
    })
}

/// Nobody but replicas is told anything.
fn refuses_others(world: &mut World, secured: &Secured) -> Result<()> {
    let address = world.seaway()?.address();
    let nobody = secured.nobody();
    let proxy = nobody.clone().token(&secured.token("seaway-node", "n1"));
    let other = secured.certificate("n1.node.seaway")?;
    let other = nobody.clone().certificate(&other);
    visit(world, move || async move {
        let method = Method {
            path: WATCH,
            url: TypeUrl::CLUSTER,
        };
        for (shows, code) in [
            (nobody, Code::Unauthenticated),
            (proxy, Code::PermissionDenied),
            (other, Code::PermissionDenied),
        ] {
            let channel = connect(address, &shows).await?;
            let node = claims("node", "n1");
            let stream = Stream::open(channel, &shows, method, &node, "*").await?;
            let found = stream.end().await;
            ensure!(found.code() == code, "{found}");
        }
        Ok(())
    })
}
