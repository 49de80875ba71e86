//! What running replicas have (`live`), and what an Envoy really has, held against each other.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    ASSIGNMENTS, Envoy, EnvoyOptions, Side, World, ended_with, eventually, has, shop_service,
};

/// Envoy's admin port, in the network of its node.
const ADMIN: &str = "127.0.0.1:9901";

fn put(world: &World, name: &str, number: u8, endpoint: &str) -> Result<()> {
    let text = shop_service(name, number, endpoint, true);
    world.manifests().save(&format!("{name}.yaml"), &text)?;
    Ok(())
}

/// What `seaway diff` says in the network of the world, when it ends with this exit code.
fn says(world: &World, code: i32, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seaway"));
    command.arg("diff").args(arguments).env_clear();
    let output: Output = world.fabric().run(move || command.output())??;
    let (said, told) = ended_with(code, output, arguments)?;
    Ok(said + &told)
}

/// A socket that leads to the admin port of an Envoy, from wherever there is a file system.
fn admin_socket(world: &World, envoy: &Arc<Envoy>) -> Result<PathBuf> {
    let path = world.folder().join("admin.sock");
    let listener = UnixListener::bind(&path)?;
    // Whoever waits here must not keep the Envoy.
    let envoy = Arc::downgrade(envoy);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Some(envoy) = envoy.upgrade() else {
                return;
            };
            if let Ok(Ok(server)) = envoy.namespace().run(|| TcpStream::connect(ADMIN)) {
                thread::spawn(move || join(client, server));
            }
        }
    });
    Ok(path)
}

fn join(mut client: UnixStream, mut server: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || io::copy(&mut from, &mut to));
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

#[test]
fn a_stale_and_a_rejected_resource_are_found_in_the_envoy() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, "10.244.1.11")?;
        world.start_seaway(&[])?;
        let relay = world.relay()?;
        let options = EnvoyOptions {
            control_plane: Some(relay.address()),
            ..World::node_options("n1", "a")
        };
        let n1 = world.start_envoy("n1", &options)?;
        let socket = admin_socket(world, &n1)?;
        let socket = socket.to_str().context("a path that is no text")?;
        let asked = ["--to", "proxy/n1", "--envoy", socket];
        let said = eventually("no difference", || says(world, 0, &asked))?;
        has(&said, &["no difference: proxy n1 has"])?;
        // The assignment does not get there any more.
        relay.hold(Side::Seaway, ASSIGNMENTS);
        put(world, "web", 11, "10.244.1.12")?;
        let said = eventually("another endpoint", || says(world, 1, &asked))?;
        has(
            &said,
            &["other endpoints", "shop/web/80", "1 missing, 1 too many"],
        )?;
        relay.release();
        eventually("no difference again", || says(world, 0, &asked))?;
        // A process of the node has the address that the next Service is given.
        let squatter = n1
            .namespace()
            .run(|| TcpListener::bind("10.96.0.77:80"))??;
        put(world, "mail", 77, "10.244.1.13")?;
        let said = eventually("the listener that is rejected", || {
            let said = says(
                world,
                1,
                &["--from", "proxy/n1", "--envoy", socket, "-o", "json"],
            )?;
            has(
                &said,
                &["\"rejected\"", "shop/mail/80@clusterip:10.96.0.77:80"],
            )?;
            Ok(said)
        })?;
        has(&said, &["Address already in use"])?;
        drop(squatter);
        eventually("the listener", || says(world, 0, &asked))?;
        let said = says(world, 2, &["--to", "proxy/n9", "--envoy", socket])?;
        has(&said, &["no proxy \"n9\" is connected"])?;
        let said = says(world, 2, &["--to", "proxy/n1", "--envoy", "/none.sock"])?;
        has(&said, &["no Envoy at /none.sock"])?;
        let said = says(world, 2, &["--from", "live", "--to", "proxy/n1"])?;
        has(&said, &["--envoy"])?;
        world.excuse(&n1);
        Ok(())
    })
}

/// Scopes have no version of their own in Envoy.
#[test]
fn a_mesh_proxy_has_its_scopes_as_the_replica_has_them() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, "10.244.1.11")?;
        world.start_seaway(&[])?;
        let options = World::mesh_options(&[]);
        let mesh = world.start_envoy("mesh", &options)?;
        let socket = admin_socket(world, &mesh)?;
        let socket = socket.to_str().context("a path that is no text")?;
        let asked = ["--to", "proxy/mesh", "--envoy", socket];
        eventually("no difference", || says(world, 0, &asked))?;
        Ok(())
    })
}

#[test]
fn what_replicas_have_is_compared_with_a_folder_like_any_other_source() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, "10.244.1.11")?;
        put(world, "cart", 40, "10.244.1.40")?;
        world.start_seaway(&[])?;
        let files = world.manifests().path().to_string_lossy().into_owned();
        let asked = ["--from", "live", "--to", &files];
        let said = says(world, 2, &asked)?;
        has(&said, &["no proxy of role node is connected"])?;
        let _n1 = world.start_node("n1", "a")?;
        let said = eventually("no difference", || says(world, 0, &asked))?;
        has(
            &said,
            &["no difference: nothing is sent (2 Services, 1 proxy)"],
        )?;
        let said = says(
            world,
            2,
            &["--from", "live", "--to", &files, "--nodes", "n9"],
        )?;
        has(&said, &["n9"])?;
        // Another world: a Service less, and another endpoint.
        let other = tempfile::tempdir()?;
        std::fs::write(
            other.path().join("web.yaml"),
            shop_service("web", 11, "10.244.1.12", true),
        )?;
        let other = other.path().to_str().context("a path that is no text")?;
        let said = says(world, 1, &["--from", "live", "--to", other])?;
        let gone = "! gone: 10.96.0.40:80 will be refused";
        has(
            &said,
            &[
                "- shop/cart",
                gone,
                "~ shop/web:80",
                "2 of 2 Services change",
            ],
        )?;
        let said = says(world, 1, &["--from", other, "--to", "live"])?;
        has(&said, &["+ shop/cart", "~ shop/web:80"])?;
        // What two folders would be said to differ in.
        let folders = says(world, 1, &["--from", &files, "--to", other])?;
        let live = says(world, 1, &["--from", "live", "--to", other])?;
        ensure!(folders == live, "{folders}{live}");
        Ok(())
    })
}
