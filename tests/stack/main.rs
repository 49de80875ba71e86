//! The stack for other people's tests, as binaries on loopback: what `docs/testing.md` says of it.

use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use seaway_testing::{Stack, repository};

mod example;

#[test]
fn the_example_is_the_one_that_is_printed() -> Result<()> {
    let printed = std::fs::read_to_string(repository().join("docs/testing.md"))?;
    ensure!(printed.contains(include_str!("example.rs")));
    Ok(())
}

#[test]
fn stacks_live_side_by_side_and_end_when_they_are_dropped() -> Result<()> {
    let start = |name: &str| {
        let manifests = include_str!("manifests/web.yaml");
        let manifests = manifests.replace("127.83.0.1", "127.83.0.3");
        Stack::builder()
            .manifest("web.yaml", &manifests.replace("web", name))
            .start()
    };
    let (one, two) = (start("one")?, start("two")?);
    let _backend = one.backend("backend", "127.83.0.3:8080")?;
    ensure!(one.get("one.default")?.backend() == Some("backend"));
    ensure!(one.get("two.default")?.backend().is_none());
    ensure!(two.get("two.default")?.backend() == Some("backend"));
    ensure!(one.metric("seaway_problems", "")? == 0.0);
    one.envoy()?.check_nothing_rejected()?;
    let folder = one.manifests().path().to_owned();
    let address = one.mesh_address();
    TcpStream::connect(address)?;
    drop(one);
    ensure!(TcpStream::connect(address).is_err() && !folder.exists());
    ensure!(two.get("two.default")?.backend() == Some("backend"));
    Ok(())
}

#[test]
fn what_is_missing_is_named() -> Result<()> {
    let missing = Path::new("/does/not/exist");
    for (builder, words) in [
        (Stack::builder().seaway_binary(missing), "as Seaway"),
        (Stack::builder().envoy_binary(missing), "as Envoy"),
        (Stack::builder().manifests(missing), "cannot read"),
    ] {
        let error = builder.start().err().context("it started")?;
        let said = format!("{error:#}");
        ensure!(
            said.contains(words) && said.contains("/does/not/exist"),
            "{said}"
        );
    }
    let nonsense = Stack::builder().seaway_arguments(&["--no-such-flag"]);
    let error = nonsense.start().err().context("it started")?;
    ensure!(format!("{error:#}").contains("--no-such-flag"), "{error:#}");
    Ok(())
}
