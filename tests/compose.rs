//! What the `Dockerfile` and `deploy/docker` hold is what the commands print and accept, with or
//! without Docker; `tests/docker` runs it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use seaway_testing::run;
use serde_json::Value;

/// A file of `deploy/docker`.
fn file(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/docker");
    fs::read_to_string(path.join(name)).with_context(|| name.to_owned())
}

fn seaway(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seaway"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/docker");
    run(command.current_dir(folder).args(arguments))
}

#[test]
fn the_bootstrap_of_the_compose_file_is_what_seaway_prints() -> Result<()> {
    let readme = file("README.md")?;
    let mut lines = readme.lines();
    let command = lines.find_map(|line| line.strip_prefix("seaway bootstrap "));
    let command = command.context("README.md does not say how envoy.yaml was made")?;
    let mut arguments = vec!["bootstrap"];
    arguments.extend(command.split(' '));
    let printed = seaway(&arguments)?;
    ensure!(
        printed == file("envoy.yaml")?,
        "write this to deploy/docker/envoy.yaml:\n{printed}"
    );
    Ok(())
}

#[test]
fn the_images_are_labelled_with_this_version() -> Result<()> {
    let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile");
    let dockerfile = fs::read_to_string(dockerfile)?;
    let versions = dockerfile.lines();
    let versions: Vec<_> = versions
        .filter_map(|line| line.strip_prefix("ARG VERSION="))
        .collect();
    ensure!(versions == [env!("CARGO_PKG_VERSION"); 2], "{versions:?}");
    Ok(())
}

#[test]
fn the_manifests_of_the_compose_file_lead_to_its_containers() -> Result<()> {
    let printed = seaway(&["translate", "--files", "manifests", "--role", "mesh"])?;
    let printed: Value = serde_json::from_str(&printed)?;
    ensure!(printed["problems"] == Value::Array(Vec::new()), "{printed}");
    let compose: Value = serde_saphyr::from_str(&file("compose.yaml")?)?;
    let services = compose["services"].as_object().context("no services")?;
    let fixed = services
        .values()
        .filter_map(|service| service["networks"]["services"]["ipv4_address"].as_str());
    let fixed: BTreeSet<&str> = fixed.collect();
    let web = file("manifests/web.yaml")?;
    let named = web.lines().filter_map(|line| {
        let (_, address) = line.split_once("- addresses: [")?;
        address.strip_suffix(']')
    });
    let named: BTreeSet<&str> = named.collect();
    ensure!(fixed == named && !named.is_empty(), "{fixed:?} {named:?}");
    let by_name: Value = serde_saphyr::from_str(&file("manifests/by-name.yaml")?)?;
    let name = by_name["spec"]["externalName"].as_str();
    ensure!(name.is_some_and(|name| services.contains_key(name)));
    Ok(())
}
