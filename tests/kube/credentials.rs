//! What a kubeconfig says of who we are changes while Seaway runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::certs::Ca;
use seaway_testing::{ApiServer, World, eventually};
use serde_json::{Value, json};

use crate::discovery::Proxy;
use crate::{SERVICES, await_watches, only_this_change, populate};

const SOON: Duration = Duration::from_secs(5);

/// A kubeconfig in a folder.
fn write(folder: &Path, cluster: &Value, user: &Value) -> Result<PathBuf> {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "clusters": [{"name": "one", "cluster": cluster}], "users": [{"name": "me", "user": user}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "me"}}],
    });
    let file = folder.join("config");
    fs::write(&file, config.to_string())?;
    Ok(file)
}

/// The server takes connections only by this authority from now on, shows a certificate of that
/// one, and breaks those it has.
fn turn(server: &ApiServer, clients: &Ca, servers: &Ca) -> Result<()> {
    server.secure(&servers.server(&["127.0.0.1"])?, clients)?;
    server.kill()
}

#[test]
fn certificates_are_replaced_without_a_restart() -> Result<()> {
    World::run(|world| {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        let server = world.api_server()?;
        server.configure(|settings| settings.token = None);
        populate(&server, SERVICES)?;
        let (clients, servers) = (Ca::new("clients")?, Ca::new("servers")?);
        turn(&server, &clients, &servers)?;
        servers.write(folder)?;
        clients.client(&[])?.write(folder)?;
        let url = format!("https://{}", server.address());
        let cluster = json!({"server": url, "certificate-authority": "ca.crt"});
        let user = json!({"client-certificate": "tls.crt", "client-key": "tls.key"});
        let kubeconfig = write(folder, &cluster, &user)?;
        world.start_seaway_with(&kubeconfig, &[])?;
        let proxy = Proxy::complete(world, 0, "node", SERVICES)?;
        await_watches(world, &server)?;

        let mark = proxy.mark();
        let (clients, servers) = (Ca::new("clients")?, Ca::new("servers")?);
        turn(&server, &clients, &servers)?;
        eventually("the watches to fail", || {
            let failing = world.metric("seaway_watch_failing", "")?;
            ensure!(failing == crate::WATCHED.len() as f64, "{failing} fail");
            Ok(())
        })?;
        servers.write(folder)?;
        clients.client(&[])?.write(folder)?;
        await_watches(world, &server)?;
        // What is broken is said, and the last good ones are used.
        fs::write(folder.join("tls.key"), "no key")?;
        server.kill()?;
        eventually("the log to say so", || {
            let line = world
                .seaway()?
                .log_line("cannot be used; the previous one stays")?;
            ensure!(line.contains("kube"), "{line}");
            Ok(())
        })?;
        await_watches(world, &server)?;
        only_this_change(&server, &proxy, mark, SOON)
    })
}

#[test]
fn a_token_in_a_file_that_ends_with_a_line_is_used_and_read_again() -> Result<()> {
    World::run(|world| {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        let server = world.api_server()?;
        populate(&server, SERVICES)?;
        let set = |token: &str| {
            server.configure(|settings| settings.token = Some(token.to_owned()));
            fs::write(folder.join("token"), format!("{token}\n"))
        };
        set("first")?;
        let cluster = json!({"server": format!("http://{}", server.address())});
        let kubeconfig = write(folder, &cluster, &json!({"tokenFile": "token"}))?;
        // One that does not exist is left out.
        let both = format!("{}:{}", folder.join("none").display(), kubeconfig.display());
        world.start_seaway_with(both.as_ref(), &[])?;
        let proxy = Proxy::complete(world, 0, "node", SERVICES)?;
        await_watches(world, &server)?;
        set("second")?;
        server.end_watches("*");
        await_watches(world, &server)?;
        only_this_change(&server, &proxy, proxy.mark(), SOON)
    })
}
