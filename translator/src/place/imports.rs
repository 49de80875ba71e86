//! The layers of a role, and those that mesh proxies with imports have in their place: one for each
//! import, with a copy of all that the wide layers have of the Services there, and one with what
//! all mesh proxies share.
//!
//! A layer for each import, and not for each set of imports: a Service has at most two copies,
//! whatever its proxies import besides. The layers that only override
//! ([`Layer::is_overriding`](crate::Layer::is_overriding)) are the same for all.

use super::active_views::Situation;
use crate::policy::capture;
use crate::{Layer, Options, Role};

/// The layers of all proxies of a role that look from everywhere, most specific first.
pub(crate) fn wide(role: Role, options: &Options) -> Vec<Layer> {
    let captured = capture::is_captured(role, options).then_some(Layer::Captured);
    let inside = (role != Role::Ingress).then_some(Layer::Inside);
    let layers = std::iter::once(Layer::Role(role)).chain(captured);
    layers.chain(inside).chain([Layer::All]).collect()
}

/// The layers of a role in this situation that do not depend on which views there are.
pub(crate) fn common(role: Role, situation: &Situation, options: &Options) -> Vec<Layer> {
    match &situation.imports {
        Some(_) => vec![Layer::Importers],
        None => wide(role, options),
    }
}
