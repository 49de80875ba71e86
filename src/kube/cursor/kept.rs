//! Decodes those objects that are kept, and of all others no more than their names.

use serde_json::value::RawValue;

use crate::kube::cluster_state::Wants;
use crate::kube::resource::{Item, Resource};
use crate::kube::wire::Failure;

/// Decodes an object; `None` if it is not among those that are wanted (Gateway rule 38).
///
/// # Errors
/// It cannot be identified, or is of another kind.
pub(super) fn read(
    resource: Resource,
    wants: Option<&Wants>,
    raw: &RawValue,
) -> Result<Option<Item>, Failure> {
    let read = match is_kept(resource, wants, raw) {
        Ok(true) => resource.read(raw).map(Some),
        Ok(false) => Ok(None),
        Err(failure) => Err(failure),
    };
    read.map_err(|failure| match resource.is_secret() {
        true => failure.unquoted(),
        false => failure,
    })
}

fn is_kept(resource: Resource, wants: Option<&Wants>, raw: &RawValue) -> Result<bool, Failure> {
    match wants {
        Some(wants) => Ok(wants.keeps(&resource.identify(raw)?.0)),
        None => Ok(true),
    }
}
