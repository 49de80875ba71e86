//! The stream ends while Envoy warms a changed cluster, or the control plane comes back with
//! changed clusters: none stays without its endpoints, and no request fails (xDS rules 52, 53,
//! 88-93, 99).
//!
//! Envoy gives a warming cluster 15 seconds and then takes an assignment that it remembers; the
//! tests wait for less. Before that the old cluster serves: what tells the clusters apart is that
//! the new one asks its backends in HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use seaway_testing::{
    ASSIGNMENTS, Backend, Client, Envoy, EnvoyOptions, Load, Outcome, Record, Relay,
    ServiceManifest, Side, SliceManifest, World, eventually, within,
};

const WARMING: &str = "cluster_manager.warming_clusters";
const MEMBERS: &str = "cluster.default_web_80.membership_total";
/// From the end of the stream to the new cluster in use.
const SOON: Duration = Duration::from_secs(6);
/// Requests a second, meanwhile.
const RATE: u32 = 100;
/// Name and pod address of the backends, the second for when endpoints change.
const BACKENDS: [(&str, &str); 2] = [("web-1", "10.244.1.10"), ("web-2", "10.244.1.11")];

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// The connection; Seaway goes on.
    Connection,
    /// Seaway itself, by `kill -9`; it is started again.
    Server,
}

/// What changes in the files before Envoy is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// The only endpoint is another one.
    Endpoint,
    /// The cluster is again what it was before it began to warm.
    Back,
}

#[test]
fn a_delta_stream_lost_while_a_cluster_warms() -> Result<()> {
    in_the_middle(false, Lost::Connection, Meanwhile::Nothing)
}

#[test]
fn a_delta_stream_lost_while_a_cluster_warms_and_its_endpoints_change() -> Result<()> {
    in_the_middle(false, Lost::Connection, Meanwhile::Endpoint)
}

#[test]
fn a_delta_stream_lost_while_a_cluster_warms_that_is_changed_back() -> Result<()> {
    in_the_middle(false, Lost::Connection, Meanwhile::Back)
}

#[test]
fn a_server_killed_while_a_cluster_warms() -> Result<()> {
    in_the_middle(false, Lost::Server, Meanwhile::Nothing)
}

#[test]
fn a_server_killed_while_a_cluster_warms_and_its_endpoints_change() -> Result<()> {
    in_the_middle(false, Lost::Server, Meanwhile::Endpoint)
}

#[test]
fn a_server_killed_while_a_cluster_warms_that_is_changed_back() -> Result<()> {
    in_the_middle(false, Lost::Server, Meanwhile::Back)
}

#[test]
fn a_state_of_the_world_stream_lost_while_a_cluster_warms() -> Result<()> {
    in_the_middle(true, Lost::Connection, Meanwhile::Nothing)?;
    in_the_middle(true, Lost::Connection, Meanwhile::Endpoint)?;
    in_the_middle(true, Lost::Connection, Meanwhile::Back)
}

#[test]
fn a_state_of_the_world_server_killed_while_a_cluster_warms() -> Result<()> {
    in_the_middle(true, Lost::Server, Meanwhile::Nothing)?;
    in_the_middle(true, Lost::Server, Meanwhile::Endpoint)?;
    in_the_middle(true, Lost::Server, Meanwhile::Back)
}

#[test]
fn clusters_that_changed_across_a_restart_and_are_answered_first() -> Result<()> {
    across_a_restart(false)
}

#[test]
fn state_of_the_world_clusters_that_changed_across_a_restart_and_are_answered_first() -> Result<()>
{
    across_a_restart(true)
}

/// The stream ends when Envoy has the changed cluster, and before it is sent the assignment.
fn in_the_middle(sotw: bool, lost: Lost, meanwhile: Meanwhile) -> Result<()> {
    World::run(|world| {
        let stage = Stage::set(world, sotw)?;
        stage.relay.hold(Side::Seaway, ASSIGNMENTS);
        save_service(world, true)?;
        stage.relay.await_held()?;
        stage.await_warming()?;

        if lost == Lost::Server {
            world.seaway()?.kill()?;
        }
        let (mut http2, mut backend) = (true, 0);
        match meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::Endpoint => {
                backend = 1;
                save_endpoint(world, backend)?;
            }
            Meanwhile::Back => {
                http2 = false;
                save_service(world, http2)?;
            }
        }
        stage.relay.cut();
        if lost == Lost::Server {
            world.restart_seaway()?;
        }
        stage.finish(http2, backend)
    })
}

/// Nothing warms when Seaway ends, and it comes back with another cluster. Envoy asks for clusters
/// and assignments in one go, but the clusters may be answered before the other request has
/// arrived.
fn across_a_restart(sotw: bool) -> Result<()> {
    World::run(|world| {
        let stage = Stage::set(world, sotw)?;
        let address = world.seaway()?.address();
        world.seaway()?.kill()?;
        save_service(world, true)?;
        // Not before Seaway is ready: it would refuse the first stream, and the next one would wait
        // behind what is held of that.
        stage.relay.refuse();
        world.restart_seaway()?;
        stage.relay.hold(Side::Envoy, ASSIGNMENTS);
        stage.relay.lead_to(address);
        stage.relay.await_held()?;
        stage.await_warming()?;
        stage.relay.release();
        stage.finish(true, 0)
    })
}

/// A mesh Envoy behind a relay, and requests to the one Service.
struct Stage {
    load: Load,
    client: Client,
    envoy: Arc<Envoy>,
    relay: Relay,
    _backends: Vec<Backend>,
}

impl Stage {
    fn set(world: &mut World, sotw: bool) -> Result<Self> {
        let backends = BACKENDS.map(|(name, address)| world.backend(name, address));
        save_service(world, false)?;
        save_endpoint(world, 0)?;
        world.start_seaway(&[])?;
        let relay = world.relay()?;
        let mut options = EnvoyOptions {
            bootstrap: vec!["--role".to_owned(), "mesh".to_owned()],
            control_plane: Some(relay.address()),
            ..EnvoyOptions::default()
        };
        options.bootstrap.extend(sotw.then(|| "--sotw".to_owned()));
        let envoy = world.start_envoy("n1", &options)?;
        let client = Client::new(([127, 0, 0, 1], 15001)).host("web.default");
        let answered = |outcome: &Outcome| outcome.backend().is_some();
        envoy.await_outcome(&client, "the Service to answer", answered)?;
        Ok(Self {
            load: Load::start(envoy.namespace(), client.clone(), RATE)?,
            client,
            envoy,
            relay,
            _backends: backends.into_iter().collect::<Result<_>>()?,
        })
    }

    fn await_warming(&self) -> Result<()> {
        eventually("Envoy to warm the changed cluster", || {
            let warming = self.envoy.stat(WARMING)?;
            ensure!(warming == 1, "{warming} are warming");
            Ok(())
        })
    }

    /// The cluster as the files say is in use soon, and no request has failed.
    fn finish(self, http2: bool, backend: usize) -> Result<()> {
        let (backend, version) = (
            BACKENDS[backend].0,
            ["HTTP/1.1", "HTTP/2.0"][usize::from(http2)],
        );
        let what = format!("{backend} to be asked in {version}, and no cluster to warm");
        within(SOON, what, || {
            match self.envoy.send(&self.client)? {
                Outcome::Answered(answer) => ensure!(
                    answer.body == backend && answer.version == version,
                    "{answer:?}"
                ),
                other => bail!("{other}"),
            }
            let dump = self.envoy.config_dump()?.to_string();
            ensure!(!dump.contains("dynamic_warming_clusters"), "one is warming");
            Ok(())
        })?;
        let (warming, members) = (self.envoy.stat(WARMING)?, self.envoy.stat(MEMBERS)?);
        ensure!(
            warming == 0 && members == 1,
            "{warming} warming, {members} members"
        );
        let failures = Record::failures(&self.load.stop()?);
        ensure!(failures.is_none(), "{}", failures.unwrap_or_default());
        Ok(())
    }
}

/// Saves the Service; whether its backends are asked in HTTP/2 is in the bytes of its cluster.
fn save_service(world: &World, http2: bool) -> Result<()> {
    let mut service = ServiceManifest::new("web")
        .cluster_ip("10.96.0.10")
        .port("http", 80);
    if http2 {
        service = service.on_port("appProtocol", "kubernetes.io/h2c");
    }
    world.manifests().save("web.yaml", &service.document())?;
    Ok(())
}

/// Saves a slice with this backend as the only endpoint.
fn save_endpoint(world: &World, backend: usize) -> Result<()> {
    let slice = SliceManifest::new("web").port("http", 8080);
    let slice = slice.endpoint(BACKENDS[backend].1);
    world.manifests().save("slice.yaml", &slice.document())?;
    Ok(())
}
