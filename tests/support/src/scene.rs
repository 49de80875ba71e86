//! The scene of the demo: the manifests of `deploy/demo`, the backends behind them, Seaway, and up
//! to three Envoys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::{Backend, Client, Dns, Envoy, EnvoyOptions, Outcome, World, repository};

/// Where a request is made, and by whose Envoy it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Node n1, zone a.
    N1,
    /// Node n2, zone b.
    N2,
    /// The mesh client, in no zone.
    Mesh,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 3] = [Self::N1, Self::N2, Self::Mesh];

    fn name(self) -> &'static str {
        match self {
            Self::N1 => "n1",
            Self::N2 => "n2",
            Self::Mesh => "mesh",
        }
    }

    fn options(self) -> EnvoyOptions {
        match self {
            Self::N1 => World::node_options("n1", "a"),
            Self::N2 => World::node_options("n2", "b"),
            Self::Mesh => EnvoyOptions {
                bootstrap: vec!["--role".to_owned(), "mesh".to_owned()],
                overlay: Some(World::resolver()),
                ..EnvoyOptions::default()
            },
        }
    }
}

/// The backends of `deploy/demo`: name and pod address.
const BACKENDS: [(&str, &str); 14] = [
    ("web-1", "10.244.1.10:8080"),
    ("web-2", "10.244.2.10:8080"),
    ("web-3", "10.244.2.11:8080"),
    ("agent-n1", "10.244.1.20:8080"),
    ("agent-n2", "10.244.2.20:8080"),
    ("cache-n1", "10.244.1.30:8080"),
    ("cache-n2", "10.244.2.30:8080"),
    ("nearby-a", "10.244.1.40:8080"),
    ("nearby-b", "10.244.2.40:8080"),
    ("api-1", "10.244.1.50:8080"),
    ("api-2", "10.244.2.50:8080"),
    ("stream-1", "10.244.1.60:8080"),
    ("partner-old", "10.244.9.1:80"),
    ("partner-new", "10.244.9.2:80"),
];

/// Everything the steps of the demo need.
#[derive(Debug)]
pub struct Scene<'w> {
    /// The private network and its processes.
    pub world: &'w mut World,
    /// The name server of the mesh Envoy.
    pub dns: Dns,
    envoys: BTreeMap<Place, Arc<Envoy>>,
    backends: BTreeMap<String, Backend>,
}

impl<'w> Scene<'w> {
    /// Sets the scene with Envoys at `places`, in the state-of-the-world dialect when `sotw` says
    /// so.
    pub fn set(world: &'w mut World, places: &[Place], sotw: bool) -> Result<Self> {
        world
            .manifests()
            .copy_from(&repository().join("deploy/demo"))?;
        let dns = world.dns()?;
        dns.set("partner.example.com", [10, 244, 9, 1].into());
        dns.set("new.example.com", [10, 244, 9, 2].into());
        let mut backends = BTreeMap::new();
        for (name, address) in BACKENDS {
            backends.insert(name.to_owned(), world.backend_at(name, address)?);
        }
        world.start_seaway(&[])?;
        let mut scene = Self {
            world,
            dns,
            envoys: BTreeMap::new(),
            backends,
        };
        for &place in places {
            let mut options = place.options();
            if sotw {
                options.bootstrap.push("--sotw".to_owned());
            }
            let envoy = scene.world.start_envoy(place.name(), &options)?;
            scene.envoys.insert(place, envoy);
        }
        Ok(scene)
    }

    /// Sets the scene in a new world, plays `steps` in it and checks at the end that no Envoy has
    /// rejected anything.
    pub fn play(places: &[Place], steps: impl FnOnce(&mut Scene<'_>) -> Result<()>) -> Result<()> {
        World::run(|world| steps(&mut Scene::set(world, places, false)?))
    }

    /// The Envoy at a place.
    pub fn envoy(&self, place: Place) -> Result<Arc<Envoy>> {
        self.envoys
            .get(&place)
            .cloned()
            .with_context(|| format!("the scene has no Envoy at {}", place.name()))
    }

    /// Makes a request at a place and prints it with its outcome.
    pub fn ask(&self, place: Place, client: &Client) -> Result<Outcome> {
        let outcome = self.envoy(place)?.send(client)?;
        say(&format!("    {:<4}  {client}  ->  {outcome}", place.name()));
        Ok(outcome)
    }

    /// Asks a cluster IP `count` times, prints who answered how often, and returns that.
    pub fn ask_often(
        &self,
        place: Place,
        address: &str,
        count: usize,
    ) -> Result<BTreeMap<String, usize>> {
        let envoy = self.envoy(place)?;
        let mut answers = BTreeMap::new();
        for _ in 0..count {
            *answers.entry(envoy.get(address)?.to_string()).or_default() += 1;
        }
        let counted: Vec<String> = answers
            .iter()
            .map(|(answer, count)| format!("{answer} x {count}"))
            .collect();
        say(&format!(
            "    {:<4}  GET http://{address}/  x {count}  ->  {}",
            place.name(),
            counted.join(", ")
        ));
        Ok(answers)
    }

    /// Asks until `wanted` is the only answer of `count` requests in a row.
    pub fn settle(&self, place: Place, address: &str, wanted: &[&str]) -> Result<()> {
        let envoy = self.envoy(place)?;
        let started = Instant::now();
        crate::eventually(format!("only {wanted:?} to answer at {address}"), || {
            for _ in 0..8 {
                let outcome = envoy.get(address)?;
                ensure!(
                    outcome
                        .backend()
                        .is_some_and(|backend| wanted.contains(&backend)),
                    "{outcome}"
                );
            }
            Ok(())
        })?;
        say(&format!("    (there after {:.0?})", started.elapsed()));
        Ok(())
    }

    /// Starts one more backend on a pod address.
    pub fn start_backend(&mut self, name: &str, address: &str) -> Result<()> {
        let backend = self.world.backend(name, address)?;
        self.backends.insert(name.to_owned(), backend);
        Ok(())
    }

    /// Waits until a backend has answered `count` more requests.
    pub fn await_requests(&self, name: &str, count: u64) -> Result<()> {
        let backend = self
            .backends
            .get(name)
            .with_context(|| format!("no backend {name}"))?;
        let wanted = backend.requests() + count;
        crate::eventually(format!("{name} to be asked {count} times"), || {
            let answered = backend.requests();
            ensure!(answered >= wanted, "it has answered {answered} of {wanted}");
            Ok(())
        })
    }

    /// Stops a backend: its listener and its connections are gone.
    pub fn stop_backend(&mut self, name: &str) -> Result<()> {
        self.backends
            .remove(name)
            .map(drop)
            .with_context(|| format!("no backend {name}"))
    }
}

/// Prints a line of the story.
#[expect(
    clippy::print_stdout,
    reason = "the demo is there to be read; under the test harness this is captured"
)]
pub fn say(line: &str) {
    println!("{line}");
}
