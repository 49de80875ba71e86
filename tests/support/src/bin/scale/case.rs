//! What is measured: so many Services, and their manifests.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use seaway_testing::{ServiceManifest, SliceManifest, World, join};

pub(crate) const USAGE: &str = "usage: seaway-scale CAPTURE SERVICES PORTS ENDPOINTS WORKERS [FILE-LIMIT], or mesh SERVICES scopes|table [IMPORTED]";
/// Services in one file.
const PER_FILE: usize = 100;
/// Services whose first answer is waited for.
const SAMPLE: usize = 50;
/// Addresses that pods have. Beyond that Services share pods.
const PODS: usize = 250 * 250;
/// Nodes that the pods are on, each in one of the zones.
const NODES: usize = 60;
const ZONES: [&str; 3] = ["a", "b", "c"];

/// What to measure.
#[derive(Debug)]
pub(crate) struct Case {
    /// As `--capture` is given: in a namespace, and redirected.
    pub(crate) namespace: bool,
    pub(crate) redirect: bool,
    pub(crate) services: usize,
    pub(crate) ports: u16,
    pub(crate) endpoints: usize,
    pub(crate) workers: u32,
    pub(crate) file_limit: Option<u32>,
}

impl Case {
    pub(crate) fn parse(arguments: &[String]) -> Option<Self> {
        let [capture, services, ports, endpoints, workers, rest @ ..] = arguments else {
            return None;
        };
        let (namespace, redirect) = match capture.as_str() {
            "bind" => (false, false),
            "redirect" => (false, true),
            "namespace" => (true, false),
            "namespace-redirect" => (true, true),
            _ => return None,
        };
        Some(Self {
            namespace,
            redirect,
            services: services.parse().ok()?,
            ports: ports.parse().ok()?,
            endpoints: endpoints.parse().ok()?,
            workers: workers.parse().ok()?,
            file_limit: match rest {
                [] => None,
                [limit] => Some(limit.parse().ok()?),
                _ => return None,
            },
        })
    }

    /// Services with one port and one endpoint, for an Envoy with two workers.
    pub(crate) fn of_mesh(services: usize) -> Self {
        Self {
            namespace: false,
            redirect: false,
            services,
            ports: 1,
            endpoints: 1,
            workers: 2,
            file_limit: None,
        }
    }

    /// Where the last port of the Service with this number is asked.
    pub(crate) fn address(&self, number: usize) -> SocketAddr {
        SocketAddr::from((cluster_ip(number), 79 + self.ports))
    }

    /// The addresses of some Services, the first and the last among them.
    pub(crate) fn sample(&self) -> Vec<SocketAddr> {
        let parts = SAMPLE.min(self.services).saturating_sub(1).max(1);
        (0..=parts)
            .map(|part| self.address(part * self.services.saturating_sub(1) / parts))
            .collect()
    }

    /// The Service with this number and its slice.
    pub(crate) fn manifest(&self, number: usize) -> String {
        let name = format!("web-{number}");
        let mut service = ServiceManifest::new(&name).cluster_ip(&cluster_ip(number).to_string());
        let mut slice = SliceManifest::new(&name);
        for pod in (number * self.endpoints..).take(self.endpoints) {
            let (node, zone) = (format!("n{}", pod % NODES), ZONES[pod % ZONES.len()]);
            slice = slice.endpoint_on(&pod_address(pod % PODS).to_string(), &node, zone);
        }
        for port in 0..self.ports {
            service = service.port(&format!("p{port}"), 80 + port);
            slice = slice.port(&format!("p{port}"), 8080);
        }
        join([service.document(), slice.document()])
    }

    /// Saves the manifests of all Services.
    pub(crate) fn save(&self, world: &World) -> Result<()> {
        let numbers: Vec<usize> = (0..self.services).collect();
        for (file, numbers) in numbers.chunks(PER_FILE).enumerate() {
            let documents = numbers.iter().map(|number| self.manifest(*number));
            world
                .manifests()
                .save(&format!("web-{file}.yaml"), &join(documents))?;
        }
        Ok(())
    }
}

/// The cluster IP of the Service with this number.
fn cluster_ip(number: usize) -> Ipv4Addr {
    numbered([10, 96], number)
}

/// The address of the pod with this number.
fn pod_address(number: usize) -> Ipv4Addr {
    numbered([10, 244], number)
}

/// An address of a range: 250 of each 256, none of which ends in 0.
fn numbered([first, second]: [u8; 2], number: usize) -> Ipv4Addr {
    let byte = |value: usize| u8::try_from(value + 1).unwrap_or(u8::MAX);
    Ipv4Addr::new(first, second, byte(number / 250), byte(number % 250))
}
