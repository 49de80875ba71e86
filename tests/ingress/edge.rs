//! A world with one Envoy of role `ingress` and echoing backends behind three Services.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Ask, Backend, Connection, Envoy, EnvoyOptions, GatewayManifest, Reply, ServiceManifest,
    SliceManifest, Tls, World, eventually, join, seaway_binary,
};
use serde_json::Value;

use crate::case::{Case, Row};

/// The Services `s1`, `s2` and `s3`, port 8080, are these endpoints.
pub(crate) const ENDPOINTS: [(&str, &str); 3] = [
    ("s1", "10.244.1.1"),
    ("s2", "10.244.1.2"),
    ("s3", "10.244.1.3"),
];

/// The flag that has Envoys ask for certificates.
pub(crate) const ON_DEMAND: &str = "--certificates-on-demand";

/// Where clients reach the Envoy.
pub(crate) fn port_80() -> SocketAddr {
    (World::node_address(1), 80).into()
}

/// Where clients reach the Envoy with TLS.
pub(crate) fn port_443() -> SocketAddr {
    (World::node_address(1), 443).into()
}

/// A Service with port 8080 and a slice with these endpoints.
pub(crate) fn service(name: &str, endpoints: &[&str]) -> String {
    let service = ServiceManifest::new(name).port("http", 8080);
    join([service.document(), slice(name, endpoints)])
}

/// The slice of a Service of port 8080.
pub(crate) fn slice(name: &str, endpoints: &[&str]) -> String {
    let slice = SliceManifest::new(name).port("http", 8080);
    let slice = endpoints.iter().fold(slice, |slice, ip| slice.endpoint(ip));
    slice.document()
}

/// The classes `ours`, and those of somebody else.
const CLASSES: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: ours}
spec: {controllerName: seaway.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: foreign}
spec: {controllerName: other.example/gateways}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: ours}
spec: {controller: seaway.dev/ingress-controller}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: foreign}
spec: {controller: other.example/ingresses}
";

/// The Gateway `g`, whose listener `h` takes the routes of its namespace for all host names.
pub(crate) fn gateway() -> String {
    GatewayManifest::new("g").listener("h", "").document()
}

/// A world, as the tests of this crate have it.
pub(crate) struct Edge<'w> {
    pub(crate) world: &'w mut World,
    pub(crate) envoy: Arc<Envoy>,
    /// `s1`, `s2` and `s3`.
    pub(crate) backends: Vec<Backend>,
    arguments: Vec<String>,
}

/// Plays cases in a world with the Gateway [`g`](gateway).
pub(crate) fn play(cases: Vec<Case>) -> Result<()> {
    Edge::run(&[], &with_gateway(cases), |_| Ok(()))
}

/// The cases, with the Gateway [`g`](gateway) before them.
pub(crate) fn with_gateway(mut cases: Vec<Case>) -> Vec<Case> {
    cases.insert(0, Case::new("g").with(gateway()));
    cases
}

impl Edge<'_> {
    /// Makes a world with the manifests of all cases, holds what comes of them against what is
    /// wanted, and goes on with `then`.
    pub(crate) fn run(
        arguments: &[&str],
        cases: &[Case],
        then: impl FnOnce(&mut Edge<'_>) -> Result<()>,
    ) -> Result<()> {
        Edge::run_as(&[], arguments, cases, then)
    }

    /// [`Edge::run`] with more flags of `seaway bootstrap`.
    pub(crate) fn run_as(
        bootstrap: &[&str],
        arguments: &[&str],
        cases: &[Case],
        then: impl FnOnce(&mut Edge<'_>) -> Result<()>,
    ) -> Result<()> {
        World::run(|world| {
            let mut ground = vec![CLASSES.to_owned()];
            ground.extend(ENDPOINTS.map(|(name, ip)| service(name, &[ip])));
            world.manifests().save("ground.yaml", &join(ground))?;
            for case in cases {
                let file = format!("{}.yaml", case.id.replace(' ', "-"));
                world
                    .manifests()
                    .save(&file, &join(case.documents.clone()))?;
            }
            let echoes = ENDPOINTS.iter();
            let echoes = echoes.map(|(name, ip)| world.echo_at(name, &format!("{ip}:8080")));
            let backends = echoes.collect::<Result<_>>()?;
            world.start_seaway(arguments)?;
            let bootstrap = ["--role", "ingress"].iter().chain(bootstrap).copied();
            let options = EnvoyOptions {
                bootstrap: bootstrap.map(str::to_owned).collect(),
                drain_seconds: Some(2),
                ..EnvoyOptions::default()
            };
            let envoy = world.start_envoy("edge", &options)?;
            let mut edge = Edge {
                world,
                envoy,
                backends,
                arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            };
            edge.hold(cases)?;
            then(&mut edge)
        })
    }

    /// The same in all ways in which Envoys come by certificates; one that is too old for one of
    /// them has the other.
    pub(crate) fn in_all_ways(
        cases: &[Case],
        mut then: impl FnMut(&mut Edge<'_>) -> Result<()>,
    ) -> Result<()> {
        for arguments in [&[][..], &[ON_DEMAND]] {
            let done = Self::run(arguments, cases, &mut then);
            done.with_context(|| format!("with {arguments:?}"))?;
        }
        Ok(())
    }

    /// Saves a manifest.
    pub(crate) fn save(&self, file: &str, document: &str) -> Result<()> {
        self.world.manifests().save(file, document).map(drop)
    }

    pub(crate) fn delete(&self, file: &str) -> Result<()> {
        self.world.manifests().delete(file)
    }

    /// A new connection to the Envoy.
    pub(crate) fn connect(&self, http2: bool) -> Result<Connection> {
        Connection::open(self.world.fabric(), port_80(), http2)
    }

    /// One request over a new connection.
    pub(crate) fn ask(&self, ask: &Ask, http2: bool) -> Result<Reply> {
        self.connect(http2)?.ask(ask)
    }

    /// A new connection to the Envoy with TLS.
    pub(crate) fn secured(&self, tls: &Tls) -> Result<Connection> {
        Connection::secured(self.world.fabric(), port_443(), tls)
    }

    /// A request once, held against what is wanted of it.
    pub(crate) fn check(&self, row: &Row) -> Result<()> {
        let reply = self.ask(&row.ask, row.http2);
        let checked = reply.and_then(|reply| row.check(&reply));
        checked.with_context(|| row.to_string())
    }

    /// A request until its answer is the one that is wanted.
    pub(crate) fn settle(&self, row: &Row) -> Result<()> {
        eventually(row, || self.check(row))
    }

    /// Waits until nothing listens at the port.
    pub(crate) fn refused(&self) -> Result<()> {
        eventually("port 80 to be refused", || {
            ensure!(self.connect(false).is_err(), "port 80 takes connections");
            Ok(())
        })
    }

    /// Awaits what the backends of all cases answer, then looks at all answers and all problems,
    /// and fails with everything that is not as wanted.
    fn hold(&self, cases: &[Case]) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        for row in cases.iter().flat_map(|case| &case.rows) {
            while row.is_positive() && self.check(row).is_err() && Instant::now() < end {
                std::thread::yield_now();
            }
        }
        let mut failures = Vec::new();
        for case in cases {
            for row in &case.rows {
                let failed = self.check(row).err();
                failures.extend(failed.map(|error| format!("{}: {error:#}", case.id)));
            }
        }
        failures.extend(self.problems_beside(cases)?);
        let (count, rows) = (failures.len(), failures.join("\n"));
        ensure!(failures.is_empty(), "{count} are not as wanted:\n{rows}");
        Ok(())
    }

    /// What the manifests' problems have too much or too little, compared with the cases.
    fn problems_beside(&self, cases: &[Case]) -> Result<Vec<String>> {
        let found = self.problems()?;
        let wanted = cases.iter().flat_map(|case| {
            let problems = case.problems.iter();
            problems.map(|(reason, object)| (case.id, *reason, object.as_str()))
        });
        let wanted: Vec<_> = wanted.collect();
        let is = |(reason, object): &(String, String), (_, wanted, of): &(&str, &str, &str)| {
            object == of && (reason == wanted || *wanted == "*")
        };
        let missing = wanted.iter();
        let missing = missing.filter(|wanted| !found.iter().any(|problem| is(problem, wanted)));
        let missing = missing.map(|(id, reason, object)| {
            let of_object = found.iter().filter(|(_, of)| of == object);
            let reasons: Vec<_> = of_object.map(|(reason, _)| reason.as_str()).collect();
            format!("{id}: no problem {reason} of {object}, but {reasons:?}")
        });
        let surplus = found.iter();
        let surplus = surplus.filter(|problem| !wanted.iter().any(|wanted| is(problem, wanted)));
        let surplus = surplus.map(|(reason, object)| format!("a problem {reason} of {object}"));
        Ok(missing.chain(surplus).collect())
    }

    /// What `seaway translate` says is wrong with the manifests: reasons and objects.
    pub(crate) fn problems(&self) -> Result<BTreeSet<(String, String)>> {
        let printed = self.translate()?;
        let problems = printed["problems"].as_array().context("no problems")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pairs = problems.iter();
        let pairs = pairs.map(|one| (text(&one["reason"]), text(&one["object"])));
        // Services are found by rules alone here, with or without cluster IPs, and certificates are
        // for whatever hosts.
        let others = ["NoClusterIp", "CertificateMismatch"];
        Ok(pairs.filter(|(of, _)| !others.contains(&&**of)).collect())
    }

    /// What `seaway translate` prints for the manifests.
    pub(crate) fn translate(&self) -> Result<Value> {
        let mut command = Command::new(seaway_binary()?);
        command.args(["translate", "--role", "ingress", "--files"]);
        command.arg(self.world.manifests().path());
        command.args(&self.arguments);
        let output = command.output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        // It ends with 1 when there are problems.
        serde_json::from_slice(&output.stdout).with_context(|| format!("{}: {told}", output.status))
    }
}
