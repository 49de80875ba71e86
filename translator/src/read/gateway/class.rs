//! Reads a GatewayClass from its API object.

use super::super::api as k8s;
use super::super::field::Field;
use super::super::report::Identity;
use super::short;
use crate::model::GatewayClass;
use crate::{Problem, Reason};

/// What is said of a GatewayClass with parameters.
pub(crate) const NO_PARAMETERS: &str = "Seaway reads no parameters, so the class is not served";

/// Reads a GatewayClass, with the problems found on the way. One without a usable controller is
/// nobody's.
pub(in super::super) fn read(class: &k8s::GatewayClass) -> Result<GatewayClass, Problem> {
    let (identity, mut report) = Identity::clusterwide("GatewayClass", &class.metadata)?;
    let spec = Field::top("spec", &class.spec);
    // A `spec` of a wrong type is reported, and has no controller.
    let _ = spec.has_fields(&mut report);
    let parameters = spec.get("parametersRef");
    if parameters.is_set() {
        report.error(&parameters, Reason::InvalidParameters, NO_PARAMETERS);
    }
    Ok(GatewayClass {
        name: identity.name,
        generation: identity.generation,
        controller: short(&spec.get("controllerName"), &mut report).unwrap_or_default(),
        has_parameters: parameters.is_set(),
        problems: report.finish(),
    })
}
