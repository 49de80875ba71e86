//! Annotations of Ingresses, each as a real Envoy keeps it.

use anyhow::{Result, ensure};
use seaway_testing::certs::Ca;
use seaway_testing::{Ask, IngressManifest, Tls, eventually, join};

use crate::case::{Case, Row, get};
use crate::certificates::{asked, certificate};
use crate::edge::Edge;

/// An Ingress for one host, to `s1`.
fn ingress(name: &str) -> IngressManifest {
    let host = format!("{name}.test");
    let ingress = IngressManifest::new(name).host(&host);
    ingress.path("Prefix", "/", "s1")
}

/// What becomes of requests over plain HTTP.
fn rows() -> Vec<Row> {
    let moved = "https://https.test/a?b=c";
    vec![
        get("https.test/a?b=c")
            .status(308)
            .answer("location", moved),
        get("https.test/").method("POST").status(308),
        get("https.test:80/a?b=c")
            .status(308)
            .answer("location", moved),
        get("https.test:8080/a?b=c")
            .status(308)
            .answer("location", moved),
        get("plain.test/")
            .to("s1")
            .answer_without("strict-transport-security"),
        get("open.test/").to("s1"),
        get("closed.test/").status(403),
        get("wrong.test/").status(403),
        get("slow.test/").to("s1"),
        get("slow.test/").with("echo-delay", "1000").status(504),
    ]
}

#[test]
fn each_annotation_is_kept() -> Result<()> {
    let ca = Ca::new("annotations")?;
    let names = ["https.test", "plain.test"];
    let (secret, _) = certificate(&ca, "all", &names)?;
    let https = ingress("https")
        .secured(&names, "all")
        .annotation("seaway.dev/redirect-to-https", "true")
        .annotation("seaway.dev/hsts", "max-age=300; includeSubDomains");
    let slow = ingress("slow").annotation("seaway.dev/timeout", "300ms");
    let ranges = |name: &str, ranges: &str| {
        let annotation = "seaway.dev/allowed-source-ranges";
        ingress(name).annotation(annotation, ranges).document()
    };
    let documents = [
        https.document(),
        slow.document(),
        ingress("plain").document(),
        ranges("open", "172.16.0.0/12,2001:db8::/32"),
        ranges("closed", "192.0.2.0/24"),
        ranges("wrong", "anybody"),
        secret,
    ];
    let case = Case::new("annotations")
        .with(join(documents))
        .rows(rows())
        .problem("InvalidValue", "Ingress default/wrong");
    Edge::run(&[], &[case], |edge| {
        let tls = Tls::new(&ca, "https.test")?;
        eventually("TLS", || {
            let found = asked(edge, &tls, "https.test")?;
            ensure!(found == "s1", "{found}");
            Ok(())
        })?;
        let mut connection = edge.secured(&tls)?;
        let hsts = |host: &str, connection: &mut seaway_testing::Connection| -> Result<_> {
            let reply = connection.ask(&Ask::get(host, "/"))?;
            ensure!(reply.backend().as_deref() == Some("s1"), "{reply:?}");
            Ok(reply.header("strict-transport-security"))
        };
        let found = hsts("https.test", &mut connection)?;
        ensure!(found.as_deref() == Some("max-age=300; includeSubDomains"));
        ensure!(hsts("plain.test", &mut connection)?.is_none());
        Ok(())
    })
}

/// The client is whoever a trusted proxy names.
#[test]
fn ranges_are_of_the_client_that_a_trusted_proxy_names() -> Result<()> {
    let near = ingress("near").annotation("seaway.dev/allowed-source-ranges", "198.51.100.0/24");
    let named = |client: &str| get("near.test/").with("x-forwarded-for", client);
    let case = Case::new("trusted").with(near.document()).rows([
        named("198.51.100.7").to("s1"),
        named("192.0.2.1, 198.51.100.7").to("s1"),
        named("198.51.100.7, 192.0.2.1").status(403),
        get("near.test/").status(403),
    ]);
    Edge::run(
        &["--trusted-hops", "1"],
        std::slice::from_ref(&case),
        |_| Ok(()),
    )?;
    // Nobody is trusted: what a client says of itself counts for nothing.
    let rows = [named("198.51.100.7").status(403)];
    let case = Case::new("untrusted").with(near.document()).rows(rows);
    Edge::run(&[], &[case], |edge| {
        edge.settle(&named("198.51.100.7").status(403))
    })
}
