//! Certificates of a cluster: from a Secret to an Envoy of role `ingress`, through replacements and
//! a restart without the API server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use seaway_testing::certs::{Ca, Leaf};
use seaway_testing::{ApiServer, Envoy, EnvoyOptions, World, eventually, within};
use serde_json::{Value, json};
use tonic::Code;

use crate::discovery::Proxy;
use crate::{SERVICES, impatient, populate};

/// An Ingress whose host has a certificate.
pub(crate) const SHOP: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: seaway}
spec: {controller: seaway.dev/ingress-controller}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: default}
spec:
  ingressClassName: seaway
  tls: [{hosts: [shop.example.com], secretName: shop}]
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web-0, port: {number: 80}}}}
";

/// A Secret with this certificate.
pub(crate) fn secret(name: &str, leaf: &Leaf) -> Value {
    let encode = |text: String| BASE64_STANDARD.encode(text);
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"namespace": "default", "name": name},
        "data": {"tls.crt": encode(leaf.pem()), "tls.key": encode(leaf.key_pem())},
    })
}

/// A fresh certificate of the host.
pub(crate) fn certificate() -> Result<Leaf> {
    Ca::new("seaway")?.server(&["shop.example.com"])
}

/// An Envoy of role `ingress`.
pub(crate) fn edge(world: &mut World) -> Result<Arc<Envoy>> {
    let options = EnvoyOptions {
        bootstrap: ["--role", "ingress"].map(str::to_owned).to_vec(),
        ..EnvoyOptions::default()
    };
    world.start_envoy("edge", &impatient(options)?)
}

/// The certificate that an Envoy shows for the host: its serial number.
fn shown(envoy: &Envoy) -> Result<String> {
    let certs: Value = serde_json::from_str(&envoy.admin("/certs")?)?;
    let all = certs["certificates"].as_array().into_iter().flatten();
    let mut chains = all.flat_map(|one| one["cert_chain"].as_array().into_iter().flatten());
    let shop = chains.find(|cert| cert["subject_alt_names"][0]["dns"] == "shop.example.com");
    let serial = shop.and_then(|cert| cert["serial_number"].as_str());
    Ok(serial.context("no certificate of the host")?.to_owned())
}

fn await_shown(envoy: &Envoy) -> Result<String> {
    eventually("the certificate to be shown", || shown(envoy))
}

/// Waits until another certificate is shown.
fn await_other(envoy: &Envoy, before: &str) -> Result<()> {
    within(Duration::from_secs(20), "another certificate", || {
        let now = shown(envoy)?;
        ensure!(now != before, "it is the same");
        Ok(())
    })
}

/// A stand-in with a host that has a certificate.
fn shop(world: &World) -> Result<ApiServer> {
    let server = world.api_server()?;
    populate(&server, SERVICES)?;
    server.apply_yaml(SHOP)?;
    server.apply(secret("shop", &certificate()?))?;
    Ok(server)
}

/// Gateway rules 37, 38.
#[test]
fn a_certificate_is_replaced_without_its_listener_and_one_of_no_interest_not_even_asked_for()
-> Result<()> {
    World::run(|world| {
        let server = shop(world)?;
        server.apply(secret("other", &certificate()?))?;
        world.start_seaway_on(&server, &[])?;
        let envoy = edge(world)?;
        let first = await_shown(&envoy)?;
        let (before, translations) = (
            envoy.changes()?,
            world.metric("seaway_translations_total", "")?,
        );
        server.apply(secret("other", &certificate()?))?;
        server.apply(secret("shop", &certificate()?))?;
        await_other(&envoy, &first)?;
        let after = envoy.changes()?;
        ensure!(before == after, "before: {before:?}, after: {after:?}");
        let translated = world.metric("seaway_translations_total", "")? - translations;
        ensure!(translated == 1.0, "{translated} were translated");
        Ok(())
    })
}

/// A checkpoint has no Secrets, so an ingress proxy would lose the certificates that it has.
#[test]
fn without_secrets_ingress_proxies_wait_and_others_are_served_the_checkpoint() -> Result<()> {
    World::run(|world| {
        let server = shop(world)?;
        let folder = world.folder().join("checkpoint");
        let folder = folder.to_string_lossy();
        let arguments = ["--checkpoint", &*folder, "--checkpoint-grace", "500ms"];
        world.start_seaway_on(&server, &arguments)?;
        let envoy = edge(world)?;
        let first = await_shown(&envoy)?;
        eventually("the checkpoint to be written", || {
            let written = world.metric("seaway_checkpoint_timestamp_seconds", "")?;
            ensure!(written > 0.0, "it was written at {written}");
            Ok(())
        })?;
        let before = envoy.changes()?;
        server.refuse()?;
        server.kill()?;
        world.restart_seaway()?;
        Proxy::complete(world, 0, "node", SERVICES)?;
        let status = Proxy::connect(world, 0, "ingress")?.await_end()?;
        let waits = status.code() == Code::Unavailable && status.message().contains("Secrets");
        ensure!(waits, "{status}");
        let ready = world.readyz()?;
        let said = "ingress proxies wait: the Secrets that objects name have not been read yet";
        ensure!(
            ready.status == 200 && ready.body.contains(said),
            "{ready:?}"
        );
        ensure!(shown(&envoy)? == first, "another certificate");

        server.apply(secret("shop", &certificate()?))?;
        server.listen()?;
        await_other(&envoy, &first)?;
        ensure!(
            !world.readyz()?.body.contains("wait"),
            "{:?}",
            world.readyz()?
        );
        let after = envoy.changes()?;
        ensure!(before == after, "before: {before:?}, after: {after:?}");
        Ok(())
    })
}

/// TLS alone is missing where Secrets may not be read.
#[test]
fn without_the_permission_an_ingress_proxy_has_all_but_certificates() -> Result<()> {
    World::run(|world| {
        let server = shop(world)?;
        server.forbid("*", "secrets");
        world.start_seaway_on(&server, &[])?;
        Proxy::complete(world, 0, "node", SERVICES)?;
        let envoy = edge(world)?;
        eventually("the log to name the Secret", || {
            let line = world
                .seaway()?
                .log_line("there is no Secret default/shop that may be read")?;
            ensure!(line.contains("Ingress default/shop"), "{line}");
            Ok(())
        })?;
        let ready = world.readyz()?;
        let named = "missing permission: list and watch of secrets";
        ensure!(
            ready.status == 200 && ready.body.contains(named),
            "{ready:?}"
        );
        ensure!(shown(&envoy).is_err(), "a certificate is shown");
        server.allow("*", "secrets");
        within(Duration::from_secs(30), "the certificate", || shown(&envoy)).map(drop)
    })
}
