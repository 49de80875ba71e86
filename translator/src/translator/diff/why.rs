//! Why an address that was served is not, from the plan of its Service.

use super::world::World;
use crate::model::{Kind, Service};
use crate::names::{FrontendKind, FrontendName};
use crate::plan::Context;
use crate::plan::frontends::Verdict;
use crate::plan::service::ServicePlan;
use crate::policy::frontends::{Refusal, refused};

/// The reason if no field of the Service names the address.
pub(super) const UNASKED: &str = "the Service asks for it no more";

/// Why an address is not served in this world; empty where that is not known.
pub(super) fn why(world: &World, name: &FrontendName) -> String {
    let Some(translator) = &world.translator else {
        return String::new();
    };
    let context = translator.context();
    let service = context.index.service(&name.port.service);
    match service.map(|service| &**service) {
        Some(service) if matches!(service.kind, Kind::ExternalName(_)) => UNASKED.to_owned(),
        Some(service) => planned(&context, service, name)
            .or_else(|| not_allowed(&context, service, name))
            .unwrap_or_else(|| UNASKED.to_owned()),
        None => UNASKED.to_owned(),
    }
}

/// The verdict on the frontend of this address; `None` if the Service has none.
fn planned(context: &Context<'_>, service: &Service, name: &FrontendName) -> Option<String> {
    let plan = ServicePlan::new(context, service);
    let (ip, port) = (name.address.ip(), name.address.port());
    let mut all = plan.frontends.iter();
    let found = all.find(|planned| {
        let frontend = &planned.frontend;
        // A node port may have listeners at the addresses of single nodes.
        let same_ip = frontend.ip == ip || frontend.kind == FrontendKind::NodePort;
        let of_port = service.ports[frontend.port].protocol == name.port.protocol;
        frontend.kind == name.kind && same_ip && of_port && frontend.listen.get() == port
    })?;
    Some(match &found.verdict {
        Verdict::NoEndpoint => "no endpoint anywhere can take a connection".to_owned(),
        Verdict::Taken(winner) if winner.service == service.key => twice(),
        Verdict::Taken(winner) => format!("Service {} has the address", winner.service),
        Verdict::Twice => twice(),
        Verdict::SystemPort => "the port is one of the node's system".to_owned(),
        Verdict::Answered => "an endpoint of the Service answers there itself".to_owned(),
        // Not at these proxies.
        Verdict::Served => String::new(),
    })
}

fn twice() -> String {
    "the Service has the address a second time".to_owned()
}

/// Why the Service may not have the address that it names.
fn not_allowed(context: &Context<'_>, service: &Service, name: &FrontendName) -> Option<String> {
    let all = refused(service, context.options);
    let mut all = all.iter();
    let found = all.find(|one| one.kind == name.kind && one.ip == name.address.ip())?;
    Some(match found.why {
        Refusal::NoFamily => "the Service has no cluster IP of that family".to_owned(),
        Refusal::NotAllowed => "--external-ips does not allow it".to_owned(),
    })
}
