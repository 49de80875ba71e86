//! A private key is for proxies alone: whatever becomes of its Secret, nothing else shows it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use seaway_testing::certs::Leaf;
use seaway_testing::{ApiServer, Fault, World, eventually, seaway_binary, within};
use serde_json::{Value, json};

use crate::populate;
use crate::secrets::{SHOP, certificate, edge, secret};

/// Pieces of a key, as it is and in base64.
struct Key {
    pem: String,
    encoded: String,
}

impl Key {
    fn of(leaf: &Leaf) -> Self {
        let pem = leaf.key_pem();
        let encoded = BASE64_STANDARD.encode(&pem);
        Self { pem, encoded }
    }

    /// A line of the key that begins with what is its alone.
    fn line(&self) -> Result<&str> {
        self.pem.lines().nth(2).context("a short key")
    }

    /// Fails where a text has a piece of the key. What is left out is equal in all keys of its
    /// kind, or the public key.
    fn check(&self, what: &str, text: &str) -> Result<()> {
        let own = (0..=8).step_by(4).map(|start| (self.line(), start));
        let encoded = (104..144)
            .step_by(4)
            .map(|start| (Ok(&*self.encoded), start));
        for (whole, start) in own.chain(encoded) {
            let piece = whole?.get(start..start + 16).context("a short key")?;
            ensure!(
                !text.contains(piece),
                "{what} shows {piece}: {}",
                around(text, piece)
            );
        }
        Ok(())
    }

    /// Secrets of which something is wrong.
    fn broken(&self) -> Result<Vec<Value>> {
        let (line, encoded) = (self.line()?, &self.encoded);
        let data = |data: Value| json!({"data": data});
        let all = [
            data(json!({"tls.crt": "", "tls.key": self.pem})),
            data(json!({"tls.crt": encoded, "tls.key": encoded})),
            data(json!([line, encoded])),
            data(json!(encoded)),
            data(json!({"tls.key": {encoded: line}})),
            data(json!({"tls.key": [encoded]})),
            json!({"stringData": [line], "type": [line]}),
            json!({"stringData": {"tls.key": self.pem}, "type": line}),
            json!({"metadata": {"labels": line, "annotations": encoded, "creationTimestamp": line}}),
            json!({"metadata": {"annotations": {"a": [line]}, "uid": [line], "generation": encoded}}),
        ];
        let named = all.into_iter().enumerate().map(|(number, mut value)| {
            (value["apiVersion"], value["kind"]) = ("v1".into(), "Secret".into());
            value["metadata"]["name"] = format!("broken-{number}").into();
            value["metadata"]["namespace"] = "default".into();
            value
        });
        Ok(named.collect())
    }
}

/// What is before a piece of a text.
fn around<'t>(text: &'t str, piece: &str) -> &'t str {
    let at = text.find(piece).unwrap_or_default();
    text.get(at.saturating_sub(300)..at).unwrap_or_default()
}

/// Ingresses that name the Secrets that [`Key::broken`] makes.
fn ingresses(count: usize) -> Vec<Value> {
    let ingress = |number| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": format!("broken-{number}"), "namespace": "default"},
            "spec": {
                "ingressClassName": "seaway",
                "tls": [{"hosts": [format!("{number}.example.com")], "secretName": format!("broken-{number}")}],
                "rules": [{"host": format!("{number}.example.com")}],
            },
        })
    };
    (0..count).map(ingress).collect()
}

/// Everything that a running Seaway says.
fn check_all(world: &mut World, key: &Key, checkpoint: &Path) -> Result<()> {
    let log = world.seaway()?.log();
    ensure!(log.contains("\"TRACE\""), "no line of the level TRACE");
    key.check("the log", &log)?;
    key.check("/metrics", &world.admin("/metrics")?)?;
    key.check("/readyz", &world.readyz()?.body)?;
    for entry in fs::read_dir(checkpoint)? {
        let text = fs::read(entry?.path())?;
        key.check("the checkpoint", &String::from_utf8_lossy(&text))?;
    }
    Ok(())
}

fn await_problems(world: &World, count: usize) -> Result<()> {
    within(Duration::from_secs(20), format!("{count} problems"), || {
        let problems = world.metric("seaway_problems", "InvalidCertificateRef")?;
        ensure!(problems >= count as f64, "{problems} so far");
        Ok(())
    })
}

#[test]
fn nothing_shows_the_key_of_a_clusters_secret() -> Result<()> {
    World::run(|world| {
        let leaf = certificate()?;
        let key = Key::of(&leaf);
        let server = world.api_server()?;
        populate(&server, 1)?;
        server.apply_yaml(SHOP)?;
        server.apply(secret("shop", &leaf))?;
        let broken = key.broken()?;
        let count = broken.len();
        server.load(ingresses(count))?;
        server.load(broken)?;
        world.log_at("trace");
        let folder = world.folder().join("checkpoint");
        let name = folder.to_string_lossy().into_owned();
        world.start_seaway_on(&server, &["--checkpoint", &name])?;
        let envoy = edge(world)?;
        eventually("the certificate", || {
            let certs = envoy.admin("/certs")?;
            ensure!(certs.contains("shop.example.com"), "{certs}");
            Ok(())
        })?;
        await_problems(world, count)?;
        // The key comes first: of answers no more than the beginning is ever quoted.
        let mut short = secret("shop", &leaf);
        short["data"] = json!({"tls.key": key.encoded});
        unreadable(world, &server, &short)?;
        eventually("Events", || {
            let events = server.objects("events.k8s.io/events")?;
            ensure!(events.len() >= count, "{} so far", events.len());
            Ok(())
        })?;
        let events = server.objects("events.k8s.io/events")?;
        key.check("an Event", &Value::from(events).to_string())?;
        check_all(world, &key, &folder)
    })
}

/// Answers that end in the middle, and those of proxies that change them.
fn unreadable(world: &World, server: &ApiServer, secret: &Value) -> Result<()> {
    let text = secret.to_string();
    let list = format!("{{\"kind\":\"SecretList\",\"apiVersion\":\"v1\",\"items\":[{text}");
    let event = format!("{{\"type\":\"ADDED\",\"object\":{text}");
    let scalar = format!(
        "{{\"type\":\"ADDED\",\"object\":{{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{text:?}}}}}\n"
    );
    for body in [
        list,
        event + "\n",
        scalar,
        text.clone(),
        format!("{text:?}\n"),
    ] {
        server.inject(Fault::instead(body).on("secrets"));
        server.fail_watches("secrets", 410);
        let errors = world.metric("seaway_source_errors_total", "")?;
        within(Duration::from_secs(20), "the watch to fail", || {
            let now = world.metric("seaway_source_errors_total", "")?;
            ensure!(now >= errors + 2.0, "{now} of {errors} and two");
            Ok(())
        })?;
        server.heal();
    }
    within(Duration::from_secs(30), "the watch to work", || {
        let failing = world.metric("seaway_watch_failing", "secrets")?;
        ensure!(failing == 0.0, "it fails");
        Ok(())
    })
}

/// Manifests of Secrets that cannot be read as a whole.
fn unreadable_files(key: &Key) -> Result<Vec<(&'static str, String)>> {
    let (line, encoded) = (key.line()?, &key.encoded);
    let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n";
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "y"}, "data": {"tls.key": encoded}});
    let object = object.to_string();
    let cut = object.len() - 10;
    Ok(vec![
        (
            "after.yaml",
            format!("{head}data: {{tls.key: {encoded}}}\nbad: ["),
        ),
        (
            "indent.yaml",
            format!("{head}stringData:\n  tls.key: |\n    -----BEGIN\n{line}\n  more: x\n"),
        ),
        (
            "twice.yaml",
            format!("{head}data:\n  {line}: a\n  {line}: b\n"),
        ),
        (
            "tag.yaml",
            format!("{head}data:\n  tls.key: !!int {encoded}\n"),
        ),
        ("anchor.yaml", format!("{head}data:\n  tls.key: *{line}\n")),
        (
            "name.yaml",
            format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: [{line}]}}\n"),
        ),
        (
            "list.yaml",
            format!("apiVersion: v1\nkind: SecretList\nitems: {encoded}\n"),
        ),
        (
            "item.yaml",
            format!("apiVersion: v1\nkind: SecretList\nitems: [{encoded}]\n"),
        ),
        ("cut.json", object[..cut].to_owned()),
        ("end.json", format!("{object}{encoded}")),
        (
            "quoted.json",
            object.replace("\"data\":{", "\"data\":{\"a\": \"\n"),
        ),
    ])
}

#[test]
fn nothing_shows_the_key_of_a_manifest() -> Result<()> {
    World::run(|world| {
        let leaf = certificate()?;
        let key = Key::of(&leaf);
        let (broken, manifests) = (key.broken()?, world.manifests());
        let count = broken.len();
        manifests.save("shop.yaml", SHOP)?;
        manifests.save("secret.json", &secret("shop", &leaf).to_string())?;
        for (number, object) in broken.iter().chain(&ingresses(count)).enumerate() {
            manifests.save(&format!("{number}.json"), &object.to_string())?;
        }
        for (file, text) in unreadable_files(&key)? {
            manifests.save(file, &text)?;
        }
        let folder = manifests.path().to_owned();
        for output in ["json", "yaml", "static"] {
            let mut translate = Command::new(seaway_binary()?);
            translate.args(["translate", "--role", "ingress", "-o", output, "--files"]);
            let done = translate.arg(&folder).env("SEAWAY_LOG", "trace").output()?;
            let told = String::from_utf8_lossy(&done.stdout);
            key.check(output, &told)?;
            key.check("an error", &String::from_utf8_lossy(&done.stderr))?;
            ensure!(
                told.contains("default/shop") && told.contains("[redacted]"),
                "{told}"
            );
        }
        world.log_at("trace");
        let checkpoint = world.folder().join("checkpoint");
        let name = checkpoint.to_string_lossy().into_owned();
        world.start_seaway(&["--checkpoint", &name])?;
        await_problems(world, count)?;
        check_all(world, &key, &checkpoint)
    })
}
