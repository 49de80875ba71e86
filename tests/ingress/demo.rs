//! The steps of the demo that an ingress Envoy takes part in.

use anyhow::Result;
use seaway_testing::{Place, Scene, steps};

#[test]
fn a_gateway_is_served_and_its_weights_shifted_under_load() -> Result<()> {
    Scene::play(&Place::ALL, |scene| {
        steps::ingress(scene)?;
        steps::shift_weights(scene)
    })
}
