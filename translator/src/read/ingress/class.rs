//! Reads an IngressClass from its API object.

use super::super::api as k8s;
use super::super::field::Field;
use super::super::fleet;
use super::super::report::Identity;
use super::super::value;
use crate::model::IngressClass;
use crate::{Problem, Reason};

/// The annotation of the class of Ingresses that name none.
const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
/// The longest name of a controller.
const LONGEST: usize = 250;

/// Reads an IngressClass, with the problems found on the way. One without a usable controller is
/// nobody's.
pub(in super::super) fn read(class: &k8s::IngressClass) -> Result<IngressClass, Problem> {
    let (identity, mut report) = Identity::clusterwide("IngressClass", &class.metadata)?;
    let spec = Field::top("spec", &class.spec);
    // A `spec` of a wrong type is reported, and has no controller.
    let _ = spec.has_fields(&mut report);
    let field = spec.get("controller");
    let mut controller = field.required(&mut report).unwrap_or_default();
    if controller.len() > LONGEST {
        let message = format!("it has more than {LONGEST} bytes");
        field.error(Reason::TooLarge, message, &mut report);
        controller = "";
    }
    let parameters = spec.get("parameters");
    if parameters.is_set() {
        let message = "Seaway reads no parameters; the class is served without them";
        report.warning(&parameters, Reason::UnsupportedField, message);
    }
    Ok(IngressClass {
        name: identity.name,
        created: identity.created,
        controller: controller.into(),
        fleet: fleet::read(&class.metadata, &mut report),
        is_default: value::annotation(&class.metadata, DEFAULT) == Some("true"),
        problems: report.finish(),
    })
}
