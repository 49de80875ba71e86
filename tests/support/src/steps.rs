//! The steps of the demo. Each makes its claim true or fails; the demo plays all of them in one
//! scene, the tests each in its own.

mod edge;
mod failure;
mod mesh;
mod traffic;

pub use edge::{ingress, shift_weights};
pub use failure::{broken_manifest, restart};
pub use mesh::{external_alias, external_name, h2c, host_names, retarget};
pub use traffic::{
    local_fallback, local_policy, replace_endpoint, spread, spread_on, zone_preference,
};
