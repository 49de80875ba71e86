//! The status of listeners with certificates (Gateway rules 29, 35 and 36).

use seaway_translator::{Object, ObjectKind, Reason};

use super::{gateway, route, world};
use crate::support::one;
use crate::support::routing::secret;

/// HTTPS listener `s` with these certificates.
fn https(certificates: &str) -> String {
    format!(
        "listeners: [{{name: s, protocol: HTTPS, port: 443, tls: {{certificateRefs: \
         [{certificates}]}}}}]"
    )
}

const LOST: &str = "A=T P=F/Invalid R=F/ListenersNotResolved at [\"192.0.2.1\"]";
const SERVED: &str = "A=T P=T R=T at [\"192.0.2.1\"]";

#[test]
fn gw031_a_listener_without_its_secret_is_accepted_and_counts_its_routes() {
    let mut world = world();
    world.apply([gateway(&https("{name: s}")), route("{name: g}", "")]);
    let listener = "s: A=T R=F/InvalidCertificateRef P=F/Invalid C=F 1 [\"HTTPRoute\"]";
    assert_eq!(world.gateway(), format!("{LOST}\n{listener}"));
    assert_eq!(world.route(), "g/: A=T R=T");
    assert_eq!(
        world.message("s", "ResolvedRefs"),
        "tls.certificateRefs[0]: there is no Secret d/s that may be read"
    );
    // GW050, GW053.
    let good = format!("{SERVED}\ns: A=T R=T P=T C=F 1 [\"HTTPRoute\"]");
    for (chain, key, expected) in [
        ("ec", "ec", &good),
        ("ec", "p384", &format!("{LOST}\n{listener}")),
        ("weak", "weak", &format!("{LOST}\n{listener}")),
        ("rsa", "rsa", &good),
    ] {
        world.apply([secret("s", chain, key)]);
        assert_eq!(world.gateway(), *expected, "{chain}");
    }
    world.delete(&secret("s", "rsa", "rsa"));
    assert_eq!(world.gateway(), format!("{LOST}\n{listener}"));
}

#[test]
fn gw051_one_bad_certificate_leaves_the_others() {
    let mut world = world();
    world.apply([
        gateway(&https("{name: s}, {name: absent}")),
        secret("s", "ec", "ec"),
    ]);
    assert_eq!(
        world.gateway(),
        "A=T P=T R=F/ListenersNotResolved at [\"192.0.2.1\"]\n\
         s: A=T R=F/InvalidCertificateRef P=T C=F 0 [\"HTTPRoute\"]"
    );
    assert_eq!(
        world.message("s", "ResolvedRefs"),
        "tls.certificateRefs[1]: there is no Secret d/absent that may be read; it is served \
         partially, with the others"
    );
    let kind = "{name: s}, {name: x, kind: Foo, group: x.org}";
    world.apply([gateway(&https(kind))]);
    assert!(
        world
            .gateway()
            .contains("s: A=T R=F/InvalidCertificateRef P=T C=F")
    );
}

#[test]
fn gw054_a_secret_of_another_namespace_needs_a_grant() {
    let mut world = world();
    let refused = "s: A=T R=F/RefNotPermitted P=F/Invalid C=F 0 [\"HTTPRoute\"]";
    world.apply([gateway(&https("{name: s, namespace: e}"))]);
    assert_eq!(world.gateway(), format!("{LOST}\n{refused}"));
    let grant = one(
        "{kind: ReferenceGrant, metadata: {namespace: e, name: r}, spec: {from: [{group: \
         gateway.networking.k8s.io, kind: Gateway, namespace: d}], to: [{group: \"\", kind: \
         Secret}]}}",
    );
    world.apply([grant.clone()]);
    // It may be known now that it is not there.
    assert!(world.gateway().contains("R=F/InvalidCertificateRef"));
    world.delete(&grant);
    assert_eq!(world.gateway(), format!("{LOST}\n{refused}"));
}

/// Gateway rule 29.
#[test]
fn listeners_say_when_a_client_could_mix_them_up() {
    let mut world = world();
    let listener = |name: &str, host: &str, secret: &str| {
        format!(
            "{{name: {name}, protocol: HTTPS, port: 443, hostname: \"{host}\", tls: \
             {{certificateRefs: [{{name: {secret}}}]}}}}"
        )
    };
    let (a, b) = (
        listener("a", "*.x.org", "absent"),
        listener("b", "y.x.org", "absent"),
    );
    let c = listener("c", "z.org", "absent");
    world.apply([gateway(&format!("listeners: [{a}, {b}, {c}]"))]);
    let overlaps = |world: &super::World| {
        let status = world.status(ObjectKind::Gateway, "d", "g");
        let of = |line: &str| {
            let reasons = ["Hostnames", "Certificates"];
            let found = reasons
                .iter()
                .find(|of| line.contains(&format!("=T/Overlapping{of}")));
            found.copied().unwrap_or("none")
        };
        status.lines().skip(1).map(of).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(overlaps(&world), "Hostnames Hostnames none");
    // A certificate that both of them have.
    let (b, c) = (
        listener("b", "y.x.org", "one"),
        listener("c", "z.org", "one"),
    );
    world.apply([
        gateway(&format!("listeners: [{a}, {b}, {c}]")),
        secret("one", "ec", "ec"),
    ]);
    assert_eq!(overlaps(&world), "Hostnames Certificates Certificates");
}

/// A Secret with a certificate of its own for these names.
fn certificate_for(name: &str, hosts: &[&str]) -> Object {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let made = rcgen::generate_simple_self_signed(hosts).unwrap();
    let manifest = serde_json::json!({
        "kind": "Secret",
        "metadata": {"namespace": "d", "name": name},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": made.cert.pem(), "tls.key": made.signing_key.serialize_pem()},
    });
    one(&manifest.to_string())
}

/// Gateway rules 29 and 37: a certificate with other names is no change of the listener, but may be
/// one of the status.
#[test]
fn a_new_certificate_may_be_good_for_the_host_of_another_listener() {
    let mut world = world();
    let listener = |host: &str, secret: &str| {
        format!(
            "{{name: {secret}, protocol: HTTPS, port: 443, hostname: {host}, tls: \
             {{certificateRefs: [{{name: {secret}}}]}}}}"
        )
    };
    let (a, b) = (listener("a.org", "a"), listener("b.org", "b"));
    world.apply([
        gateway(&format!("listeners: [{a}, {b}]")),
        certificate_for("a", &["a.org"]),
        certificate_for("b", &["b.org"]),
    ]);
    world.translator.track_status(true);
    world.translator.take_status_changes();
    assert!(
        !world.gateway().contains("Overlapping"),
        "{}",
        world.gateway()
    );
    let published = world.apply([certificate_for("a", &["a.org"])]);
    assert_eq!(published, ["fleet:default Secret d/a"]);
    assert!(world.translator.take_status_changes().is_empty());
    let published = world.apply([certificate_for("a", &["a.org", "*.org"])]);
    assert_eq!(published, ["fleet:default Secret d/a"]);
    let changed = world.translator.take_status_changes();
    assert_eq!(changed.len(), 1, "{changed:?}");
    let overlapping = world
        .gateway()
        .matches("=T/OverlappingCertificates")
        .count();
    assert_eq!(overlapping, 2, "{}", world.gateway());
}

/// A client takes what fits of the certificates of a listener: it is a problem where none does.
#[test]
fn one_certificate_for_the_host_of_a_listener_is_enough() {
    let mut world = world();
    let listener = "listeners: [{name: s, protocol: HTTPS, port: 443, hostname: a.org, tls: \
                    {certificateRefs: [{name: rsa}, {name: s}]}}]";
    let unfit = |world: &super::World| -> Vec<String> {
        let problems = world.translator.problems().into_iter();
        let problems = problems.filter(|one| one.reason == Reason::CertificateMismatch);
        problems.map(|one| one.field).collect()
    };
    let field = |at| format!("spec.listeners[0].tls.certificateRefs[{at}]");
    world.apply([
        gateway(listener),
        secret("rsa", "rsa", "rsa"),
        certificate_for("s", &["b.org"]),
    ]);
    assert_eq!(unfit(&world), [field(0), field(1)]);
    world.apply([certificate_for("s", &["a.org"])]);
    assert_eq!(unfit(&world), Vec::<String>::new());
}
