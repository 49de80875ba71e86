//! Requests on connections that another listener's certificate was shown on: 421, and where no
//! listener covers the host 404 (Gateway rules 62 to 65).

use std::process::Command;

use anyhow::{Result, ensure};
use seaway_testing::certs::Ca;
use seaway_testing::{
    Ask, GatewayManifest, IngressManifest, RouteManifest, Tls, eventually, join, seaway_binary,
};

use crate::case::Case;
use crate::certificates::{asked, certificate};
use crate::edge::{Edge, ON_DEMAND};

/// SNI, host, and what is answered.
type Row = (&'static str, &'static str, &'static str);

/// GW040 to GW045: the table of the API's conformance tests. A route of the listener for all names
/// is for `example.org` alone.
const TABLE: [Row; 15] = [
    ("example.org", "example.org", "s1"),
    ("example.org", "second.org", "421"),
    ("example.org", "x.wide.org", "421"),
    ("example.org", "unknown.org", "404"),
    ("second.org", "second.org", "s2"),
    ("second.org", "example.org", "421"),
    ("second.org", "unknown.org", "421"),
    ("x.wide.org", "x.wide.org", "s3"),
    ("x.wide.org", "y.wide.org", "s3"),
    ("x.wide.org", "own.wide.org", "421"),
    ("x.wide.org", "second.org", "421"),
    ("own.wide.org", "own.wide.org", "s1"),
    ("own.wide.org", "x.wide.org", "421"),
    ("unknown.org", "example.org", "s1"),
    ("unknown.org", "unknown.org", "404"),
];

#[test]
fn gw040_to_gw046_a_request_belongs_to_the_listener_that_was_shown() -> Result<()> {
    let names = [
        "example.org",
        "second.org",
        "*.wide.org",
        "own.wide.org",
        "unknown.org",
    ];
    let ca = Ca::new("table")?;
    let (all, _) = certificate(&ca, "all", &names)?;
    let gateway = GatewayManifest::new("g")
        .secured("any", "", &["all"])
        .secured("second", "second.org", &["all"])
        .secured("wide", "*.wide.org", &["all"])
        .secured("own", "own.wide.org", &["all"]);
    let route = |name: &str, backend: &str| {
        let route = RouteManifest::new(name).parent(&format!("name: g, sectionName: {name}"));
        route.prefix("/", backend)
    };
    let case = Case::new("421").with(join([
        gateway.document(),
        route("any", "s1").host("example.org").document(),
        route("second", "s2").document(),
        route("wide", "s3").document(),
        route("own", "s1").document(),
        all,
    ]));
    Edge::in_all_ways(&[case], |edge| {
        for http2 in [false, true] {
            for (sni, host, wanted) in TABLE {
                let tls = Tls::new(&ca, sni)?;
                let tls = if http2 { tls.http2() } else { tls };
                eventually(format!("{wanted} for {sni} {host}"), || {
                    let found = asked(edge, &tls, host)?;
                    ensure!(found == wanted, "{found}");
                    Ok(())
                })?;
                let connection = edge.secured(&tls)?;
                ensure!(connection.is_http2() == http2);
            }
        }
        // GW046: a client cannot say that it was another listener.
        let mut connection = edge.secured(&Tls::new(&ca, "example.org")?)?;
        for name in ["default/g/second", "", "x"] {
            let ask = Ask::get("second.org", "/").header("x-seaway-listener", name);
            ensure!(connection.ask(&ask)?.status == 421);
        }
        let ask = Ask::get("example.org", "/").header("x-seaway-listener", "x");
        let reply = connection.ask(&ask)?;
        let seen = reply.echoed()?;
        for name in ["x-seaway-listener", "x-seaway-host", "x-seaway-table"] {
            ensure!(seen.header(name).is_none(), "{name}: {seen:?}");
        }
        Ok(())
    })
}

/// GW047: without a listener for all names nobody is shown a certificate for others.
#[test]
fn gw047_without_a_listener_for_all_names() -> Result<()> {
    let ca = Ca::new("without")?;
    let (own, _) = certificate(&ca, "own", &["s.org", "z.org"])?;
    let gateway = GatewayManifest::new("g").secured("s", "s.org", &["own"]);
    let route = RouteManifest::new("r").prefix("/", "s1");
    let case = Case::new("GW047").with(join([gateway.document(), route.document(), own]));
    Edge::in_all_ways(&[case], |edge| {
        let tls = Tls::new(&ca, "s.org")?;
        eventually("s1", || {
            let found = asked(edge, &tls, "s.org")?;
            ensure!(found == "s1", "{found}");
            Ok(())
        })?;
        ensure!(asked(edge, &tls, "z.org")? == "404");
        ensure!(edge.secured(&Tls::new(&ca, "z.org")?).is_err());
        Ok(())
    })
}

/// GW048: a connection of HTTP/2 is for all hosts of its listener, as browsers use it.
#[test]
fn gw048_hosts_of_one_listener_share_a_connection() -> Result<()> {
    let ca = Ca::new("shared")?;
    let (wide, _) = certificate(&ca, "wide", &["*.w.org"])?;
    let gateway = GatewayManifest::new("g").secured("w", "*.w.org", &["wide"]);
    let route = |name: &str, backend: &str| {
        let route = RouteManifest::new(name).host(&format!("{name}.w.org"));
        route.prefix("/", backend).document()
    };
    let case = Case::new("GW048").with(join([
        gateway.document(),
        route("a", "s1"),
        route("b", "s2"),
        wide,
    ]));
    Edge::in_all_ways(&[case], |edge| {
        let tls = Tls::new(&ca, "a.w.org")?.http2();
        eventually("both", || {
            let mut connection = edge.secured(&tls)?;
            for (host, wanted) in [("a.w.org", "s1"), ("b.w.org", "s2")] {
                let reply = connection.ask(&Ask::get(host, "/"))?;
                ensure!(reply.backend().as_deref() == Some(wanted), "{reply:?}");
            }
            Ok(())
        })
    })
}

/// An Ingress claims the name of a listener with a certificate alone, whose connections are not
/// the listener's; those of an Envoy that asks for certificates by names are (Gateway rules 63 and
/// 109).
#[test]
fn explain_answers_as_the_envoy_does_however_it_comes_by_certificates() -> Result<()> {
    let ca = Ca::new("claims")?;
    let (own, _) = certificate(&ca, "own", &["s.org"])?;
    let (claim, _) = certificate(&ca, "claim", &["s.org"])?;
    let ingress = IngressManifest::new("a").secured(&["s.org"], "claim");
    let ingress = ingress.host("other.org").path("Prefix", "/", "s2");
    let gateway = GatewayManifest::new("g").secured("s", "s.org", &["own"]);
    let route = RouteManifest::new("r").prefix("/", "s1");
    let case = Case::new("claims").with(join([
        ingress.document(),
        gateway.document(),
        route.document(),
        own,
        claim,
    ]));
    let case = case.problem("HostnameConflict", "Gateway default/g");
    for arguments in [&[][..], &[ON_DEMAND]] {
        Edge::run(arguments, std::slice::from_ref(&case), |edge| {
            // An older Envoy cannot ask, whatever is allowed.
            let mut command = Command::new(seaway_binary()?);
            command.args(["get", "proxy/edge", "-o", "json"]);
            let output = edge.world.fabric().run(move || command.output())??;
            let asks = String::from_utf8(output.stdout)?.contains("on-demand:default");
            let wanted = if asks { "s1" } else { "421" };
            let tls = Tls::new(&ca, "s.org")?;
            eventually(format!("{wanted} with {arguments:?}"), || {
                let found = asked(edge, &tls, "s.org")?;
                ensure!(found == wanted, "{found}");
                Ok(())
            })?;
            let mut command = Command::new(seaway_binary()?);
            command.args(["explain", "https://s.org/", "--from", "proxy/edge"]);
            let output = edge.world.fabric().run(move || command.output())??;
            let said = String::from_utf8(output.stdout)?;
            ensure!(
                said.contains("answered with 421") == (wanted == "421"),
                "{said}"
            );
            ensure!(output.status.success() == (wanted == "s1"), "{said}");
            Ok(())
        })?;
    }
    Ok(())
}
