//! Several addresses of one fleet, and several fleets (docs/fleets.md): what each Envoy serves, and
//! what it never has.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, ensure};
use seaway_testing::certs::Ca;
use seaway_testing::{
    Ask, Connection, Envoy, EnvoyOptions, GatewayManifest, IngressManifest, RouteManifest,
    SliceManifest, Tls, World, eventually, join,
};

use crate::case::{Case, get};
use crate::certificates::certificate;
use crate::edge::Edge;

/// The flags that name the Services before the two fleets.
const SERVICES: [&str; 4] = [
    "--ingress-service",
    "default/edge",
    "--ingress-service",
    "blue=default/blue-edge",
];

/// A Service before the Envoys.
fn front(name: &str, selector: &str, ports: &str) -> String {
    let slice = SliceManifest::new(name).endpoint("10.244.9.9").document();
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\nspec:\n  \
         clusterIP: None\n  selector: {{app: {selector}}}\n  ports: [{ports}]\n"
    );
    join([service, slice])
}

/// A Gateway with a listener of this port at a Service, and a route of it.
fn gateway(name: &str, service: &str, port: u16, backend: &str) -> String {
    let gateway = GatewayManifest::new(name)
        .spec(&format!(
            "addresses: [{{type: Hostname, value: {service}.default.svc}}]"
        ))
        .only(&format!("name: h, protocol: HTTP, port: {port}"));
    let route = RouteManifest::new(name).parent(&format!("name: {name}"));
    let redirect = "matches: [{path: {value: /away}}], filters: [{type: RequestRedirect, \
                    requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /gone}}}]";
    let route = route.prefix("/", backend).only(redirect);
    join([gateway.document(), route.document()])
}

fn ask_at(edge: &Edge<'_>, at: SocketAddr, ask: &Ask) -> Result<String> {
    let reply = Connection::open(edge.world.fabric(), at, false)?.ask(ask)?;
    Ok(reply.backend().unwrap_or_else(|| reply.status.to_string()))
}

/// GW006: two Gateways have the same port, each at an address of its own.
#[test]
fn gw006_gateways_at_services_of_their_own_do_not_meet() -> Result<()> {
    let ports = |target: u16| format!("{{port: 80, targetPort: {target}}}");
    let cases = [
        Case::new("fronts").with(join([
            front("edge", "edge", &ports(80)),
            front("one", "edge", &ports(20_000)),
            front("two", "edge", &ports(20_001)),
        ])),
        Case::new("one").with(gateway("one", "one", 80, "s1")),
        Case::new("two").with(gateway("two", "two", 80, "s2")),
    ];
    Edge::run(&SERVICES, &cases, |edge| {
        let at = |port: u16| SocketAddr::from((World::node_address(1), port));
        let served = |port: u16, wanted: &str| {
            eventually(format!("{wanted} at {port}"), || {
                let found = ask_at(edge, at(port), &Ask::get("any.test", "/"))?;
                ensure!(found == wanted, "{found}");
                Ok(())
            })
        };
        served(20_000, "s1")?;
        served(20_001, "s2")?;
        edge.refused()?;
        // Redirects name the port that clients connect to, which is none that has to be said.
        let away = Ask::get("any.test", "/away");
        let reply = Connection::open(edge.world.fabric(), at(20_001), false)?.ask(&away)?;
        let location = reply.header("location");
        ensure!(
            location.as_deref() == Some("http://any.test/gone"),
            "{location:?}"
        );
        // A Service that leads elsewhere now takes its Gateway along.
        let moved = [
            front("edge", "edge", &ports(80)),
            front("one", "edge", &ports(20_002)),
            front("two", "edge", &ports(20_001)),
        ];
        edge.save("fronts.yaml", &join(moved))?;
        served(20_002, "s1")?;
        served(20_001, "s2")?;
        edge.envoy.check_nothing_rejected()
    })
}

/// An Envoy of fleet `blue`.
fn start_blue(world: &mut World) -> Result<Arc<Envoy>> {
    let options = EnvoyOptions {
        bootstrap: ["--role", "ingress", "--fleet", "blue"]
            .map(str::to_owned)
            .to_vec(),
        drain_seconds: Some(2),
        ..EnvoyOptions::default()
    };
    world.start_envoy("blue", &options)
}

/// The class whose Ingresses are of fleet `blue`.
const BLUE: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: blue, labels: {seaway.dev/fleet: blue}}
spec: {controller: seaway.dev/ingress-controller}
";

/// One host name, with a certificate, in both fleets.
fn of_both_fleets(ca: &Ca) -> Result<[Case; 2]> {
    let (secret, _) = certificate(ca, "of-default", &["a.test"])?;
    let (blue_secret, _) = certificate(ca, "of-blue", &["a.test", "b.test"])?;
    let host = |name: &str, class: &str, secret: &str, backend: &str| {
        let ingress = IngressManifest::new(name).class(class);
        let ingress = ingress.secured(&["a.test"], secret).host("a.test");
        ingress.path("Prefix", "/", backend).document()
    };
    Ok([
        Case::new("default")
            .with(secret)
            .with(host("of-default", "ours", "of-default", "s1"))
            .rows([get("a.test/").to("s1")]),
        Case::new("blue")
            .with(BLUE.to_owned())
            .with(blue_secret)
            .with(host("of-blue", "blue", "of-blue", "s2")),
    ])
}

/// Two tenants with a fleet each, which have the same host name, never see one another's
/// certificates and routes.
#[test]
fn each_fleet_serves_its_own_and_knows_nothing_of_the_other() -> Result<()> {
    let ca = Ca::new("hosts")?;
    let cases = of_both_fleets(&ca)?;
    Edge::run(&SERVICES, &cases, |edge| {
        let blue = start_blue(edge.world)?;
        let (first, second) = (World::node_address(1), World::node_address(2));
        let check = |ip, backend: &str| {
            eventually(format!("{backend} at {ip}"), || {
                let ask = Ask::get("a.test", "/");
                let plain = ask_at(edge, (ip, 80).into(), &ask)?;
                let tls = Tls::new(&ca, "a.test")?;
                let at = SocketAddr::from((ip, 443));
                let secured = Connection::secured(edge.world.fabric(), at, &tls)?.ask(&ask)?;
                let secured = secured.backend().unwrap_or_default();
                ensure!(plain == backend && secured == backend, "{plain}, {secured}");
                Ok(())
            })
        };
        check(first, "s1")?;
        check(second, "s2")?;
        for (envoy, own, others) in [
            (&edge.envoy, "default/of-default", "default/of-blue"),
            (&blue, "default/of-blue", "default/of-default"),
        ] {
            let dump = envoy.config_dump()?.to_string();
            ensure!(
                dump.contains(own) && !dump.contains(others),
                "{}",
                envoy.name()
            );
        }
        // A class that goes to the other fleet takes its Ingresses along.
        edge.save("blue.yaml", &BLUE.replace("seaway.dev/fleet: blue", "x: y"))?;
        eventually("nothing to be served by fleet blue", || {
            let open = Connection::open(edge.world.fabric(), (second, 80).into(), false);
            ensure!(open.is_err(), "port 80 takes connections");
            Ok(())
        })?;
        check(first, "s1")?;
        blue.check_nothing_rejected()
    })
}
