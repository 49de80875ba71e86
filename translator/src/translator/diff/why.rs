//! Why addresses of a Service that were served are not, from its plan.

use std::cell::OnceCell;
use std::sync::Arc;

use super::world::World;
use crate::model::{Kind, Service, ServiceKey};
use crate::names::{FrontendKind, FrontendName};
use crate::plan::frontends::{FrontendPlan, Verdict};
use crate::plan::service::ServicePlan;
use crate::policy::claims::Address;
use crate::policy::frontends::{RefusedFrontend, refused};

/// The reason if no field of the Service names the address.
pub(super) const UNASKED: &str = "the Service asks for it no more";

/// Why the addresses of one Service are not served in a world.
#[derive(Debug)]
pub(super) struct Reasons<'w> {
    world: &'w World,
    service: Option<ServiceKey>,
    /// The decisions, made when the first address is asked for.
    decided: OnceCell<Option<Decided>>,
}

/// What was decided about the addresses of a Service that has some.
#[derive(Debug)]
struct Decided {
    service: Arc<Service>,
    frontends: Vec<FrontendPlan>,
    refused: Vec<RefusedFrontend>,
    /// The addresses of its health check that other Services have.
    checks_taken: Vec<(Address, ServiceKey)>,
}

impl<'w> Reasons<'w> {
    /// The reasons of a Service.
    pub(super) fn new(world: &'w World, service: Option<ServiceKey>) -> Reasons<'w> {
        Reasons {
            world,
            service,
            decided: OnceCell::new(),
        }
    }

    /// Why an address is not served; empty where that is not known.
    pub(super) fn of(&self, name: &FrontendName) -> String {
        if self.world.translator.is_none() {
            return String::new();
        }
        let decided = self.decided.get_or_init(|| self.decide());
        let why = decided.as_ref().and_then(|decided| decided.why(name));
        why.unwrap_or_else(|| UNASKED.to_owned())
    }

    /// Who has the port of the Service's health check instead, in words.
    pub(super) fn check_taken(&self, port: u16) -> Option<String> {
        let decided = self.decided.get_or_init(|| self.decide()).as_ref()?;
        let mut taken = decided.checks_taken.iter();
        let (_, winner) = taken.find(|(address, _)| address.port.get() == port)?;
        Some(format!("Service {winner} has it"))
    }

    fn decide(&self) -> Option<Decided> {
        let context = self.world.translator.as_ref()?.context();
        let service = context.index.service(self.service.as_ref()?)?;
        if matches!(service.kind, Kind::ExternalName(_)) {
            return None;
        }
        let plan = ServicePlan::new(&context, service);
        Some(Decided {
            service: Arc::clone(service),
            frontends: plan.frontends,
            checks_taken: plan.health_check.taken,
            refused: refused(service, context.options),
        })
    }
}

impl Decided {
    /// Why an address is not served; `None`: the Service does not ask for it.
    fn why(&self, name: &FrontendName) -> Option<String> {
        let (ip, port) = (name.address.ip(), name.address.port());
        let mut planned = self.frontends.iter();
        let planned = planned.find(|planned| {
            let frontend = &planned.frontend;
            // A node port may have listeners at the addresses of single nodes.
            let same_ip = frontend.ip == ip || frontend.kind == FrontendKind::NodePort;
            let of_port = &self.service.ports[frontend.port];
            let same_protocol = of_port.protocol == name.port.protocol;
            frontend.kind == name.kind && same_ip && same_protocol && frontend.listen.get() == port
        });
        if let Some(planned) = planned {
            return Some(match &planned.verdict {
                Verdict::Taken(winner) if winner.service == self.service.key => {
                    Verdict::Twice.why().unwrap_or_default()
                }
                // What is served is not at these proxies.
                verdict => verdict.why().unwrap_or_default(),
            });
        }
        let mut refused = self.refused.iter();
        let refused = refused.find(|one| one.kind == name.kind && one.ip == ip)?;
        Some(refused.to_string())
    }
}
