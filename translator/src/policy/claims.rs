//! Claims: the addresses that a Service asks for, for its frontends and its health check, and the
//! order in which one claim wins over another.
//!
//! The key is address, port and protocol, never the address alone, so Services share an address on
//! different ports (Service rule 17).

use std::net::IpAddr;
use std::num::NonZeroU16;

use super::frontends::{self, Frontend};
use crate::Options;
use crate::model::{Family, Protocol, Service, ServiceKey};
use crate::names::FrontendKind;

/// A socket address and its protocol, which Services claim. A node port is claimed on the wildcard
/// address of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    pub ip: IpAddr,
    pub port: NonZeroU16,
    pub protocol: Protocol,
}

/// The claim of a Service port to an address. Of several claims the least wins: by kind, then age,
/// then name (Service rule 18).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub kind: FrontendKind,
    created: i64,
    pub service: ServiceKey,
    /// The position of the Service port in `Service::ports`; `usize::MAX` for a health check.
    pub port: usize,
}

impl Claim {
    /// The claim of a Service; `port` is the position of the Service port, if the claim has one.
    fn new(service: &Service, kind: FrontendKind, port: usize) -> Claim {
        Claim {
            kind,
            created: service.created,
            service: service.key.clone(),
            port,
        }
    }
}

/// All addresses that a Service claims, each with the claim.
pub(crate) fn of_service(service: &Service, options: &Options) -> Vec<(Address, Claim)> {
    let frontends = frontends::of_service(service, options);
    let frontends = frontends.iter().map(|frontend| claim(service, frontend));
    frontends.chain(of_health_check(service)).collect()
}

/// The address and the claim of a frontend.
pub(crate) fn claim(service: &Service, frontend: &Frontend) -> (Address, Claim) {
    let address = Address {
        ip: frontend.ip,
        port: frontend.listen,
        protocol: service.ports[frontend.port].protocol,
    };
    (address, Claim::new(service, frontend.kind, frontend.port))
}

/// The addresses a Service claims for its health check, one per family (Service rule 31).
pub(crate) fn of_health_check(service: &Service) -> Vec<(Address, Claim)> {
    let Some(port) = service.health_check_port else {
        return Vec::new();
    };
    let families = service.cluster_ips.iter().map(|ip| Family::of(*ip));
    let claim = |family: Family| {
        let address = Address {
            ip: family.wildcard(),
            port,
            protocol: Protocol::Tcp,
        };
        let kind = FrontendKind::HealthCheck;
        (address, Claim::new(service, kind, usize::MAX))
    };
    families.map(claim).collect()
}
