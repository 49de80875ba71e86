//! What another binary of Seaway makes of a folder: its `translate` is run for each view, and the
//! resources that it prints are taken by their names.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use clap::CommandFactory;
use seaway_proto::{Resource, TypeUrl, json};
use seaway_translator::View;
use seaway_translator::diff::{SeenBy, World};
use serde_json::Value;

use super::program;
use crate::args::Cli;

/// For how many proxies another binary is run.
const MOST_VIEWS: usize = 32;

/// What `translate` prints, with the field that names a resource.
const GROUPS: [(&str, TypeUrl, &str); 7] = [
    ("listeners", TypeUrl::LISTENER, "name"),
    ("routes", TypeUrl::ROUTE, "name"),
    ("scoped_routes", TypeUrl::SCOPED_ROUTE, "name"),
    ("extensions", TypeUrl::EXTENSION, "name"),
    ("clusters", TypeUrl::CLUSTER, "name"),
    ("endpoints", TypeUrl::ENDPOINT, "cluster_name"),
    ("secrets", TypeUrl::SECRET, "name"),
];

/// What a binary would send to proxies with these views.
pub(super) fn world(binary: &Path, folder: &Path, views: &[View]) -> anyhow::Result<World> {
    ensure!(
        views.len() <= MOST_VIEWS,
        "--with runs both binaries once for each proxy, at most {MOST_VIEWS} times; choose some by --nodes"
    );
    let flags = translation_flags(std::env::args_os().skip(2));
    let seen = views.iter().map(|view| {
        let printed = translate(binary, folder, view, &flags)?;
        Ok(SeenBy {
            view: view.clone(),
            resources: resources(&printed),
        })
    });
    Ok(World::of_resources(seen.collect::<anyhow::Result<_>>()?))
}

fn translate(
    binary: &Path,
    folder: &Path,
    view: &View,
    flags: &[OsString],
) -> anyhow::Result<Value> {
    let command = command(binary, folder, view, flags);
    let name = binary.display();
    let ended = program::run(command, Vec::new())?;
    // With errors in the input it prints what is left, and ends with 1.
    if !matches!(ended.code, Some(0 | 1)) || ended.output.is_empty() {
        bail!("{name} translate: {}", ended.said.trim());
    }
    serde_json::from_slice(&ended.output).with_context(|| format!("what {name} translate prints"))
}

/// The `translate` of a binary for a view. Where this process is has no part in it.
fn command(binary: &Path, folder: &Path, view: &View, flags: &[OsString]) -> Command {
    let mut command = Command::new(binary);
    command.arg("translate").arg("--files").arg(folder);
    command.args(["--role", view.role.as_str(), "--output", "json"]);
    let place = [
        ("node-name", &view.node),
        ("zone", &view.zone),
        ("region", &view.region),
        ("pod-namespace", &view.namespace),
    ];
    command.env_remove("SEAWAY_FLEET");
    command.env_remove("SEAWAY_MESH_TLS");
    command.env_remove("SEAWAY_IMPORT");
    if let Some(imports) = &view.imports {
        command.arg(format!("--import={imports}"));
    }
    if view.mesh_tls {
        command.arg("--mesh-tls");
    }
    for (flag, name) in place {
        command.env_remove(format!("SEAWAY_{}", flag.to_uppercase().replace('-', "_")));
        if let Some(name) = name {
            command.arg(format!("--{flag}={name}"));
        }
    }
    if !view.fleet.is_default() {
        command.arg(format!("--fleet={}", view.fleet));
    }
    command.args(flags);
    command
}

/// The resources that `translate` printed.
fn resources(printed: &Value) -> Vec<Resource> {
    let of_group = |(group, type_url, name): &(&str, TypeUrl, &str)| {
        let all = printed[*group].as_array().into_iter().flatten();
        let resource = |value: &Value| {
            let name = value[*name].as_str()?.to_owned();
            // What only a newer version knows is compared as it is printed.
            let bytes = json::from_value(type_url.as_str(), value)
                .unwrap_or_else(|_| value.to_string().into_bytes());
            let none = Vec::new();
            Some(Resource::from_bytes(*type_url, name, bytes.into(), none))
        };
        all.filter_map(resource).collect::<Vec<_>>()
    };
    GROUPS.iter().flat_map(of_group).collect()
}

/// Those of the arguments that say how to translate, which the other binary is given, too.
fn translation_flags(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let command = Cli::command();
    let diff = command.find_subcommand("diff");
    let known: Vec<(String, bool)> = diff
        .into_iter()
        .flat_map(clap::Command::get_arguments)
        .filter(|arg| arg.get_help_heading() == Some("Translation"))
        .filter_map(|arg| {
            let takes_value = arg.get_action().takes_values();
            Some((format!("--{}", arg.get_long()?), takes_value))
        })
        .collect();
    let (mut flags, mut args) = (Vec::new(), args);
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        let name = text.split('=').next().unwrap_or_default();
        let Some((_, takes_value)) = known.iter().find(|(flag, _)| flag == name) else {
            continue;
        };
        let value_follows = *takes_value && !text.contains('=');
        flags.push(arg);
        flags.extend(args.next().filter(|_| value_follows));
    }
    flags
}

#[cfg(test)]
mod tests {
    use clap::Args;
    use seaway_translator::Role;

    use super::*;
    use crate::args::PlaceArgs;

    #[test]
    fn the_place_of_this_process_is_not_passed_on() {
        let view = View {
            node: Some("n1".into()),
            ..View::of(Role::Mesh)
        };
        let command = command(Path::new("seaway"), Path::new("a"), &view, &[]);
        let removed: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name)
            .collect();
        let place = PlaceArgs::augment_args(clap::Command::new("translate"));
        for flag in place.get_arguments() {
            let name = flag.get_env().unwrap();
            assert!(removed.contains(&name), "{name:?}");
        }
        assert!(command.get_args().any(|arg| arg == "--node-name=n1"));
    }

    #[test]
    fn only_flags_of_the_translation_are_passed_on() {
        let line =
            "--from a --capture redirect --with b --keep-source -v --pod-cidr=10.0.0.0/8 -o json";
        let flags = translation_flags(line.split(' ').map(OsString::from));
        let expected = [
            "--capture",
            "redirect",
            "--keep-source",
            "--pod-cidr=10.0.0.0/8",
        ];
        assert_eq!(flags, expected);
    }
}
