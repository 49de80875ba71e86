//! Whatever a manifest contains harms only itself.

use anyhow::{Result, ensure};
use seaway_testing::{Outcome, Place, Scene, World, eventually, steps};

/// The objects of the fixture with something wrong.
const BAD: [&str; 11] = [
    "bad-endpoints",
    "bad-cluster-ip",
    "bad-port",
    "zero-port",
    "bad-protocol",
    "bad-slice-port",
    "Bad_Name",
    "odd-types",
    "bad-external",
    "bad-name",
    "local-name",
];

#[test]
fn a_broken_manifest_loses_nothing() -> Result<()> {
    Scene::play(&[Place::N1], steps::broken_manifest)
}

#[test]
fn bad_fields_are_left_out_and_everything_else_is_served() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let bad_input = include_str!("fixtures/bad-input.yaml");
        world.manifests().save("bad-input.yaml", bad_input)?;
        world.start_seaway(&[])?;
        let n1 = world.start_node("n1", "a")?;
        for served in [
            "10.96.0.20:80",
            "10.96.0.10:80",
            "10.96.0.15:80",
            "10.96.0.18:80",
        ] {
            n1.await_backend(served, "web-1")?;
            for _ in 0..20 {
                let outcome = n1.get(served)?;
                ensure!(outcome.backend() == Some("web-1"), "{served}: {outcome}");
            }
        }
        for refused in [
            "10.96.0.12:80",
            "10.96.0.13:80",
            "10.96.0.14:80",
            "10.96.0.15:81",
        ] {
            ensure!(n1.get(refused)? == Outcome::Refused, "{refused} is served");
        }
        eventually("every bad object to be named in the log", || {
            let log = world.seaway()?.log();
            let unsaid = BAD.iter().find(|object| !log.contains(**object));
            ensure!(unsaid.is_none(), "nothing is said about {unsaid:?}:\n{log}");
            Ok(())
        })?;
        eventually("problems to be counted", || {
            let problems = world.metric("seaway_problems", "")?;
            ensure!(problems >= 11.0, "{problems} problems");
            Ok(())
        })
    })
}
