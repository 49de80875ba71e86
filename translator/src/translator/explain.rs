//! What is shown to people of the decisions, as of now. Nothing is changed, nor published.

use super::Translator;
use crate::model::{Kind, ServiceKey};
use crate::place::active_views;
use crate::place::choose::Place;
use crate::plan::service::ServicePlan;
use crate::plan::{Context, explain};
use crate::{Explanation, View};

impl Translator {
    /// The decisions on a Service as of now, as a proxy with this view has it: every frontend and
    /// every endpoint with what decided. `None`: there is no such Service. Nothing is changed, nor
    /// published.
    pub fn explain(&self, key: &ServiceKey, view: &View) -> Option<Explanation> {
        let service = self.index.service(key)?;
        let context = self.context();
        if matches!(service.kind, Kind::ExternalName(_)) {
            return Some(explain::explain_external_name(&context, service));
        }
        let plan = ServicePlan::new(&context, service);
        let zone = self.zone(view);
        let place = Place {
            node: active_views::name(&view.node).map(|name| &**name),
            zone: zone.as_deref(),
        };
        Some(explain::explain(&context, service, &plan, place))
    }

    /// What decisions are made from.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            options: &self.options,
            index: &self.index,
            views: &self.views,
            rejections: &self.rejections,
            summaries: self.summaries.are_asked_for(),
        }
    }
}
