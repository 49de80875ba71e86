//! The images of the `Dockerfile` and what `deploy/docker` makes of them, on a real Docker engine.
//! `make test-docker` builds the images and runs these; `make test` leaves them out.

#![expect(
    clippy::print_stderr,
    reason = "measured figures, and logs of what failed"
)]

mod compose;
mod engine;
mod hosts;

use anyhow::{Result, ensure};
use seaway_testing::{Stack, eventually};
use serde_json::Value;

use engine::{ENVOY, NODE_SETUP, SEAWAY, docker};

/// Not one byte for what nobody uses: neither a shell nor a package of OpenSSL.
const MAX_BYTES: u64 = 40_000_000;

#[test]
#[ignore = "needs Docker: make test-docker"]
fn the_image_is_small_and_says_what_it_is() -> Result<()> {
    let inspected: Value = serde_json::from_str(&docker(&["image", "inspect", SEAWAY])?)?;
    let image = &inspected[0];
    let bytes = image["Size"].as_u64().unwrap_or(u64::MAX);
    eprintln!("{SEAWAY}: {:.1} MB", bytes as f64 / 1e6);
    ensure!(bytes < MAX_BYTES, "{bytes} bytes");
    let config = &image["Config"];
    ensure!(config["User"] == "65532:65532", "{config}");
    ensure!(config["StopSignal"] == "SIGTERM", "{config}");
    for port in ["18000/tcp", "18001/tcp"] {
        ensure!(config["ExposedPorts"][port].is_object(), "{config}");
    }
    for label in ["title", "source", "licenses", "version", "revision"] {
        let label = format!("org.opencontainers.image.{label}");
        ensure!(config["Labels"][&label].is_string(), "no label {label}");
    }
    Ok(())
}

#[test]
#[ignore = "needs Docker: make test-docker"]
fn the_image_needs_no_rights_and_has_no_shell() -> Result<()> {
    let locked = [
        "run",
        "--rm",
        "--read-only",
        "--cap-drop",
        "ALL",
        "--user",
        "65532",
        "--network",
        "none",
        "--security-opt",
        "no-new-privileges",
    ];
    let version = docker(&[&locked[..], &[SEAWAY, "--version"]].concat())?;
    ensure!(version.starts_with("seaway "), "{version}");
    let shell = [
        &locked[..],
        &["--entrypoint", "/bin/sh", SEAWAY, "-c", "true"],
    ]
    .concat();
    ensure!(docker(&shell).is_err(), "there is a shell");
    // In the clear to everybody: only when it is asked for.
    let serve = [&locked[..], &[SEAWAY, "serve", "--files", "/etc"]].concat();
    let refused = docker(&serve).err().map(|error| error.to_string());
    ensure!(
        refused
            .as_ref()
            .is_some_and(|said| said.contains("--insecure")),
        "{refused:?}"
    );
    Ok(())
}

#[test]
#[ignore = "needs Docker: make test-docker"]
fn the_image_for_nodes_has_what_setup_needs() -> Result<()> {
    let run = ["run", "--rm", "--cap-add", "NET_ADMIN", NODE_SETUP];
    docker(
        &[
            &run[..],
            &[
                "up",
                "--node-address",
                "172.17.0.2",
                "--service-cidr",
                "10.96.0.0/16",
            ],
            &["--redirect", "15006", "--keep-source"],
        ]
        .concat(),
    )?;
    let help = docker(&["run", "--rm", NODE_SETUP])?;
    ensure!(help.contains("setup.sh"), "{help}");
    Ok(())
}

/// The example of `docs/testing.md`, with both programs in containers.
#[test]
#[ignore = "needs Docker: make test-docker"]
fn a_stack_of_containers_serves_and_leaves_nothing_behind() -> Result<()> {
    let stack = Stack::builder().manifests("tests/stack/manifests");
    let stack = stack.seaway_image(SEAWAY).envoy_image(ENVOY).start()?;
    let _one = stack.backend("one", "127.83.0.1:8080")?;
    let _two = stack.backend("two", "127.83.0.2:8080")?;
    ensure!(stack.get("web.default")?.backend() == Some("one"));
    stack.edit("web.yaml", |text| text.replace("127.83.0.1", "127.83.0.2"))?;
    eventually("the other one to answer", || {
        let outcome = stack.get("web.default")?;
        ensure!(outcome.backend() == Some("two"), "{outcome}");
        Ok(())
    })?;
    let ours = format!("name=seaway-stack-{}-", std::process::id());
    let list = ["ps", "--all", "--quiet", "--filter", &ours];
    ensure!(docker(&list)?.lines().count() == 2);
    drop(stack);
    ensure!(docker(&list)?.is_empty());
    Ok(())
}
