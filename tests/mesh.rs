//! Services by host name through a mesh Envoy.

use anyhow::Result;
use seaway_testing::{Place, Scene, steps};

#[test]
fn every_form_of_a_host_name_is_answered() -> Result<()> {
    Scene::play(&[Place::Mesh], |scene| {
        steps::host_names(scene)?;
        steps::h2c(scene)
    })
}

#[test]
fn external_names_follow_dns_and_aliases_and_changes() -> Result<()> {
    Scene::play(&[Place::Mesh], |scene| {
        steps::external_name(scene)?;
        steps::external_alias(scene)?;
        steps::retarget(scene)
    })
}
