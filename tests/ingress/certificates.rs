//! Certificates of Ingresses and Gateways, shown by a real Envoy.

use std::process::Command;

use anyhow::{Result, ensure};
use seaway_testing::certs::{Ca, Leaf};
use seaway_testing::{
    Ask, GatewayManifest, IngressManifest, RouteManifest, Tls, eventually, join, secret, skip,
};

use crate::case::{Case, get};
use crate::edge::{Edge, port_443};

/// A fixed certificate or key of the translator's tests.
macro_rules! pem {
    ($name:literal) => {
        include_str!(concat!("../../translator/testdata/certificates/", $name))
    };
}

/// A Secret with a certificate for these names.
pub(crate) fn certificate(ca: &Ca, name: &str, names: &[&str]) -> Result<(String, Leaf)> {
    let leaf = ca.server(names)?;
    let document = secret(name, &leaf.pem(), &leaf.key_pem());
    Ok((document, leaf))
}

/// What becomes of a request over TLS: the backend, or the status.
pub(crate) fn asked(edge: &Edge<'_>, tls: &Tls, host: &str) -> Result<String> {
    let reply = edge.secured(tls)?.ask(&Ask::get(host, "/"))?;
    Ok(reply.backend().unwrap_or_else(|| reply.status.to_string()))
}

/// Waits until this is what becomes of a request over TLS for the name of the certificate.
pub(crate) fn served(edge: &Edge<'_>, ca: &Ca, name: &str, wanted: &str) -> Result<()> {
    let tls = [Tls::new(ca, name)?, Tls::new(ca, name)?.http2()];
    eventually(format!("{wanted} from {name}"), || {
        for tls in &tls {
            let found = asked(edge, tls, name)?;
            ensure!(found == wanted, "{found}");
        }
        Ok(())
    })
}

/// Waits until the handshake for a name fails, with whatever certificate.
fn closed(edge: &Edge<'_>, ca: &Ca, name: &str) -> Result<()> {
    let tls = Tls::new(ca, name)?;
    eventually(format!("no certificate for {name}"), || {
        let error = match edge.secured(&tls) {
            Ok(_) => anyhow::bail!("it is shown"),
            Err(error) => format!("{error:#}"),
        };
        // A certificate of another name would be an error of its own.
        ensure!(!error.contains("certificate"), "{error}");
        Ok(())
    })
}

/// Service rules 143 to 145, Gateway rules 35, 36, 50, T120 and T121: each host has its own
/// certificate, and a bad one harms nobody else.
#[test]
fn t120_a_bad_secret_harms_its_own_host_alone() -> Result<()> {
    let ca = Ca::new("hosts")?;
    let (one, _) = certificate(&ca, "one", &["one.test"])?;
    let (wide, _) = certificate(&ca, "wide", &["*.wide.test"])?;
    let (other, leaf) = certificate(&ca, "other", &["bad.test"])?;
    let wrong = ca.server(&["bad.test"])?;
    let bad = secret("bad", &leaf.pem(), &wrong.key_pem());
    let host = |name: &str, host: &str, certificate: &str, backend: &str| {
        let ingress = IngressManifest::new(name).secured(&[host], certificate);
        ingress.host(host).path("Prefix", "/", backend).document()
    };
    let wild = IngressManifest::new("wide")
        .secured(&["*.wide.test"], "wide")
        .host("*.wide.test")
        .path("Prefix", "/", "s2")
        .host("a.wide.test")
        .path("Prefix", "/", "s3");
    let cases = [Case::new("T120")
        .with(join([
            host("one", "one.test", "one", "s1"),
            host("missing", "missing.test", "missing", "s2"),
            host("bad", "bad.test", "bad", "s3"),
            wild.document(),
            one,
            wide,
            bad,
        ]))
        .rows([
            get("one.test/").to("s1"),
            get("missing.test/").to("s2"),
            get("bad.test/").to("s3"),
        ])
        .problem("InvalidCertificateRef", "Ingress default/missing")
        .problem("InvalidCertificateRef", "Ingress default/bad")];
    Edge::in_all_ways(&cases, |edge| {
        served(edge, &ca, "one.test", "s1")?;
        served(edge, &ca, "x.wide.test", "s2")?;
        served(edge, &ca, "a.wide.test", "s3")?;
        closed(edge, &ca, "missing.test")?;
        closed(edge, &ca, "bad.test")?;
        // Nobody serves these, and nobody's certificate is shown.
        closed(edge, &ca, "unknown.test")?;
        ensure!(
            edge.secured(&Tls::new(&ca, "one.test")?.nameless())
                .is_err()
        );
        // T121: requests go by their host, whatever the certificate.
        let reply = asked(edge, &Tls::new(&ca, "one.test")?, "a.wide.test")?;
        ensure!(reply == "s3", "{reply}");

        // Both come right without anybody else noticing.
        let mut open = edge.secured(&Tls::new(&ca, "one.test")?)?;
        edge.save(
            "more.yaml",
            &certificate(&ca, "missing", &["missing.test"])?.0,
        )?;
        served(edge, &ca, "missing.test", "s2")?;
        edge.save("other.yaml", &other)?;
        ensure!(open.ask(&Ask::get("one.test", "/"))?.status == 200);
        // Gateway rule 38, GW053: a Secret that goes takes its host's TLS with it.
        edge.delete("more.yaml")?;
        closed(edge, &ca, "missing.test")?;
        ensure!(open.ask(&Ask::get("one.test", "/"))?.status == 200);
        served(edge, &ca, "one.test", "s1")
    })
}

/// Service rule 143: a certificate without hosts is for all names that no other is for, and for
/// clients that name none.
#[test]
fn a_certificate_without_hosts_is_for_the_rest() -> Result<()> {
    let ca = Ca::new("rest")?;
    let (any, _) = certificate(&ca, "any", &["any.test", "b.any.test"])?;
    let (own, _) = certificate(&ca, "own", &["own.test"])?;
    let rest = IngressManifest::new("rest").secured(&[], "any");
    let rest = rest.host("b.any.test").path("Prefix", "/", "s2");
    let one = IngressManifest::new("own").secured(&["own.test"], "own");
    let one = one.host("own.test").path("Prefix", "/", "s3");
    let cases = [Case::new("rest").with(join([
        rest.default_backend("s1").document(),
        one.document(),
        any,
        own,
    ]))];
    Edge::in_all_ways(&cases, |edge| {
        served(edge, &ca, "any.test", "s1")?;
        served(edge, &ca, "b.any.test", "s2")?;
        served(edge, &ca, "own.test", "s3")?;
        let nameless = Tls::new(&ca, "any.test")?.nameless();
        ensure!(asked(edge, &nameless, "any.test")? == "s1");
        Ok(())
    })
}

/// A name of a certificate that only wider rules are for is served by those, and nobody's wildcard
/// loses requests to who has nothing but a certificate for a name under it.
#[test]
fn a_name_of_a_certificate_is_served_by_wider_rules() -> Result<()> {
    let ca = Ca::new("wider")?;
    let names = ["q.v.test", "q.u.test", "*.w.test", "q.w.test"];
    let mut documents = Vec::new();
    for (number, name) in names.iter().enumerate() {
        documents.push(certificate(&ca, &format!("c{number}"), &[name])?.0);
    }
    let wild = IngressManifest::new("v").secured(&["q.v.test"], "c0");
    let wild = wild.host("*.v.test").path("Prefix", "/", "s1");
    let hostless = IngressManifest::new("u").secured(&["q.u.test"], "c1");
    let hostless = hostless.host("").path("Prefix", "/", "s2");
    let owner = IngressManifest::new("w").secured(&["*.w.test"], "c2");
    let owner = owner.host("*.w.test").path("Prefix", "/", "s3");
    let stranger = IngressManifest::new("x")
        .created(9)
        .secured(&["q.w.test"], "c3");
    let stranger = stranger.host("x.test").path("Prefix", "/", "s1");
    documents.extend([wild, hostless, owner, stranger].map(|ingress| ingress.document()));
    let case = Case::new("wider").with(join(documents));
    Edge::in_all_ways(&[case], |edge| {
        served(edge, &ca, "q.v.test", "s1")?;
        served(edge, &ca, "q.u.test", "s2")?;
        served(edge, &ca, "q.w.test", "s3")?;
        served(edge, &ca, "r.w.test", "s3")
    })
}

/// Envoy takes none of a response of secrets that has a bad one: what it would refuse never gets
/// there (Gateway rule 35).
#[test]
fn a_certificate_that_envoy_refuses_takes_no_other_down() -> Result<()> {
    let ca = Ca::new("refused")?;
    let (good, _) = certificate(&ca, "zzz", &["good.test"])?;
    let mut documents = vec![good];
    let host = |name: &str, host: &str| {
        let ingress = IngressManifest::new(name).secured(&[host], name);
        ingress.host(host).path("Prefix", "/", "s1").document()
    };
    documents.push(host("zzz", "good.test"));
    let mut case = Case::new("refused");
    for (name, chain, key) in [
        ("staple", pem!("staple.crt"), pem!("staple.key")),
        ("usage", pem!("usage.crt"), pem!("usage.key")),
        ("trailing", pem!("trailing.crt"), pem!("ec.key")),
        ("wrong-d", pem!("rsa.crt"), pem!("wrong-d.pkcs1")),
        ("wrong-dp", pem!("rsa.crt"), pem!("wrong-dp.pkcs1")),
    ] {
        documents.push(secret(name, chain, key));
        documents.push(host(name, &format!("{name}.test")));
        case = case.problem("InvalidCertificateRef", &format!("Ingress default/{name}"));
    }
    Edge::in_all_ways(&[case.with(join(documents))], |edge| {
        served(edge, &ca, "good.test", "s1")?;
        closed(edge, &ca, "staple.test")
    })
}

/// Gateway rules 32, 34 and 36, GW051 and GW054: a certificate of another namespace needs a grant,
/// and goes with it.
#[test]
fn gw054_a_certificate_of_another_namespace_needs_a_grant() -> Result<()> {
    let ca = Ca::new("grants")?;
    let (far, _) = certificate(&ca, "far", &["far.test"])?;
    let far = far.replace("namespace: default", "namespace: j");
    let (near, _) = certificate(&ca, "near", &["near.test"])?;
    let gateway = GatewayManifest::new("g")
        .only(
            "name: far, port: 443, protocol: HTTPS, hostname: far.test, \
             tls: {certificateRefs: [{name: far, namespace: j}]}",
        )
        .secured("near", "near.test", &["near", "absent"]);
    let route = RouteManifest::new("r").prefix("/", "s1");
    let case = Case::new("GW054")
        .with(join([gateway.document(), route.document(), far, near]))
        .problem("RefNotPermitted", "Gateway default/g")
        .problem("InvalidCertificateRef", "Gateway default/g");
    let grant = |name: &str| {
        let from = "{group: gateway.networking.k8s.io, kind: Gateway, namespace: default}";
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\n\
             metadata: {{name: grant, namespace: j}}\n\
             spec: {{from: [{from}], to: [{{group: '', kind: Secret, name: {name}}}]}}\n"
        )
    };
    Edge::in_all_ways(&[case], |edge| {
        served(edge, &ca, "near.test", "s1")?;
        for name in ["far", "other"] {
            closed(edge, &ca, "far.test")?;
            edge.save("grant.yaml", &grant(name))?;
            if name == "far" {
                served(edge, &ca, "far.test", "s1")?;
                edge.delete("grant.yaml")?;
            }
        }
        closed(edge, &ca, "far.test")?;
        served(edge, &ca, "near.test", "s1")
    })
}

/// Gateway rule 36: of two kinds of keys each client is shown the one that it can verify. The
/// fixed certificate of the tests is RSA, and signed by itself.
#[test]
fn gw051_two_kinds_of_keys_serve_one_name() -> Result<()> {
    let ca = Ca::new("kinds")?;
    let (ecdsa, leaf) = certificate(&ca, "ecdsa", &["shop.example.com"])?;
    let rsa = secret("rsa", pem!("rsa.crt"), pem!("rsa.key"));
    let gateway = GatewayManifest::new("g").secured("h", "shop.example.com", &["rsa", "ecdsa"]);
    let route = RouteManifest::new("r").prefix("/", "s1");
    let case = Case::new("GW051").with(join([gateway.document(), route.document(), ecdsa, rsa]));
    Edge::in_all_ways(&[case], |edge| {
        served(edge, &ca, "shop.example.com", "s1")?;
        let connection = edge.secured(&Tls::new(&ca, "shop.example.com")?)?;
        ensure!(connection.certificate() == leaf.der());
        if Command::new("curl").arg("--version").output().is_err() {
            return skip("there is no curl, which offers RSA alone");
        }
        let mut curl = Command::new("curl");
        curl.args([
            "-sk",
            "--tls-max",
            "1.2",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ]);
        curl.args(["--ciphers", "ECDHE-RSA-AES128-GCM-SHA256", "--resolve"]);
        curl.arg(format!("shop.example.com:443:{}", port_443().ip()));
        curl.arg("https://shop.example.com/");
        let told = edge.world.fabric().command(curl)?;
        ensure!(told == "200", "{told}");
        Ok(())
    })
}
