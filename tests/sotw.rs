//! The main steps with an Envoy that asks for the state of the world.

use anyhow::Result;
use seaway_testing::{Place, Scene, World, steps};

#[test]
fn a_state_of_the_world_node_sees_the_same_cluster() -> Result<()> {
    World::run(|world| {
        let scene = &mut Scene::set(world, &[Place::N1, Place::N2], true)?;
        steps::spread(scene)?;
        steps::replace_endpoint(scene)?;
        steps::local_policy(scene)?;
        steps::local_fallback(scene)?;
        steps::restart(scene)
    })
}

#[test]
fn a_state_of_the_world_mesh_sees_the_same_names() -> Result<()> {
    World::run(|world| {
        let scene = &mut Scene::set(world, &[Place::Mesh], true)?;
        steps::host_names(scene)?;
        steps::h2c(scene)?;
        steps::external_name(scene)?;
        steps::retarget(scene)
    })
}
