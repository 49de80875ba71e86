//! What a node prefers: Local policies, fallback, zones.

use anyhow::Result;
use seaway_testing::{Place, Scene, steps};

#[test]
fn a_local_policy_is_strict_on_each_node() -> Result<()> {
    Scene::play(&[Place::N1, Place::N2], steps::local_policy)
}

#[test]
fn a_local_policy_with_fallback_prefers_its_node_and_fails_over() -> Result<()> {
    Scene::play(&[Place::N1, Place::N2], steps::local_fallback)
}

#[test]
fn zone_hints_are_followed_and_fail_over() -> Result<()> {
    Scene::play(&[Place::N1, Place::N2], steps::zone_preference)
}
