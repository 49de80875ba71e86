//! What Seaway prints is accepted by a real Envoy (`--mode validate`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use seaway_testing::certs::Ca;
use seaway_testing::{envoy_binary, repository};

/// Runs `seaway` and returns what it printed, whatever its exit code.
fn seaway(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(env!("CARGO_BIN_EXE_seaway"))
        .args(arguments)
        .output()?)
}

/// Fails with Envoy's own words when it does not accept a configuration.
fn validate(config: &[u8], folder: &Path) -> Result<()> {
    let file = tempfile::Builder::new()
        .suffix(".yaml")
        .tempfile_in(folder)?;
    fs::write(file.path(), config)?;
    let mut envoy = Command::new(envoy_binary()?);
    let output = envoy
        .args([
            "--mode",
            "validate",
            "--disable-hot-restart",
            "-l",
            "error",
            "-c",
        ])
        .arg(file.path())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "Envoy does not accept it: {said}\n{}",
        String::from_utf8_lossy(config)
    );
    Ok(())
}

/// Runs `check` on every item, on two threads, and reports all failures.
fn every<T: Send>(items: Vec<T>, check: impl Fn(T) -> Result<()> + Sync) -> Result<()> {
    let (queue, failures) = (Mutex::new(items), Mutex::new(Vec::new()));
    let work = || {
        while let Some(item) = queue.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            if let Err(error) = check(item) {
                failures
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(format!("{error:#}"));
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let failures = failures.into_inner()?;
    ensure!(
        failures.is_empty(),
        "{} of them:\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    Ok(())
}

/// The inputs of the translator's golden tests, each with the views that its first lines name.
fn goldens() -> Result<Vec<(PathBuf, String)>> {
    let mut goldens = Vec::new();
    for entry in fs::read_dir(repository().join("translator/testdata"))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = fs::read_to_string(&path)?;
            let views = text.lines().take_while(|line| line.starts_with('#'));
            let views = views
                .filter_map(|line| line.strip_prefix("# view:"))
                .map(|view| view.trim().to_owned())
                // What gRPC clients have is nothing for an Envoy (tests/grpc).
                .filter(|view| !view.starts_with("--role grpc"))
                // The files of their certificates are not there (tests/mesh_mtls.rs).
                .filter(|view| !view.contains("--mesh-tls"));
            goldens.extend(views.map(|view| (path.clone(), view)));
        }
    }
    Ok(goldens)
}

#[test]
fn envoy_accepts_every_golden_input() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let goldens = goldens()?;
    ensure!(!goldens.is_empty(), "no golden inputs found");
    println!("{} inputs", goldens.len());
    every(goldens, |(path, view)| {
        let what = || format!("{} as {view}", path.display());
        let files = tempfile::tempdir_in(folder.path())?;
        fs::copy(&path, files.path().join("input.yaml"))?;
        let input = files.path().to_string_lossy();
        let mut arguments = vec!["translate", "--files", &input, "-o", "static"];
        arguments.extend(view.split_whitespace());
        let output = seaway(&arguments)?;
        // Exit code 1 says that the input has problems, which many are made to have.
        let code = output.status.code();
        ensure!(
            matches!(code, Some(0 | 1)),
            "{}: {}",
            what(),
            String::from_utf8_lossy(&output.stderr)
        );
        validate(&output.stdout, folder.path()).with_context(what)
    })
}

#[test]
fn envoy_accepts_every_bootstrap() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut combinations = Vec::new();
    for role in ["node", "mesh", "ingress"] {
        for place in [
            &[][..],
            &["--node-name", "n1", "--zone", "a", "--region", "r"],
        ] {
            for dialect in [&[][..], &["--sotw"]] {
                for admin in [&[][..], &["--admin-port", "9901"]] {
                    for capture in [&[][..], &["--capture", "bind"], &["--capture", "namespace"]] {
                        for xds in [&[][..], &["--xds", "seaway.example.com:18000"]] {
                            let fixed = ["bootstrap", "--node-id", "n: \"1\"", "--role", role];
                            let rest = [place, dialect, admin, capture, xds].concat();
                            combinations.push([&fixed[..], &rest].concat());
                        }
                    }
                }
            }
        }
    }
    every(combinations, |arguments: Vec<&str>| {
        let output = seaway(&arguments)?;
        ensure!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        validate(&output.stdout, folder.path()).with_context(|| format!("{arguments:?}"))
    })
}

/// An Ingress with a certificate, and a Service behind it.
const TLS: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: seaway}
spec: {controller: seaway.dev/ingress-controller}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: seaway
  tls: [{hosts: [shop.example.com], secretName: shop}]
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}
";

#[test]
fn envoy_accepts_a_static_configuration_that_was_given_its_certificate() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let leaf = Ca::new("seaway")?.server(&["shop.example.com"])?;
    let manifests = folder.path().join("manifests");
    fs::create_dir(&manifests)?;
    fs::write(manifests.join("tls.yaml"), TLS)?;
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "shop"},
        "stringData": {"tls.crt": leaf.pem(), "tls.key": leaf.key_pem()},
    });
    fs::write(manifests.join("secret.json"), secret.to_string())?;
    let files = manifests.to_string_lossy();
    let output = seaway(&[
        "translate",
        "--files",
        &files,
        "--role",
        "ingress",
        "-o",
        "static",
    ])?;
    let text = String::from_utf8(output.stdout)?;
    let mut config = seaway_proto::json::from_yaml(&text)?;
    let secret = &mut config["static_resources"]["secrets"][0];
    ensure!(secret["name"] == "default/shop", "{secret}");
    let certificate = &mut secret["tls_certificate"];
    for (field, content) in [
        ("certificate_chain", leaf.pem()),
        ("private_key", leaf.key_pem()),
    ] {
        ensure!(
            certificate[field]["inline_string"] == "[redacted]",
            "{certificate}"
        );
        certificate[field]["inline_string"] = content.into();
    }
    validate(config.to_string().as_bytes(), folder.path())
}

/// What a proxy can prove itself with, each alone and all together, printed and written.
#[test]
fn envoy_accepts_every_identity() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ca = Ca::new("seaway")?;
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    ca.write(folder.path())?;
    ca.client(&[])?.write(folder.path())?;
    fs::write(at("token"), "a.b.c")?;
    let (ca, cert, key, token) = (at("ca.crt"), at("tls.crt"), at("tls.key"), at("token"));
    let cert = &["--tls-cert", &cert, "--tls-key", &key][..];
    let token = &["--token-file", &token][..];
    let mut combinations = Vec::new();
    for proof in [&[][..], cert, token, &[cert, token].concat()] {
        for name in [
            &[][..],
            &["--xds", "[::1]:18000", "--role", "node"],
            &["--xds", "seaway.example.:18000", "--sotw"],
            &["--tls-server-name", "seaway.example"],
        ] {
            let fixed = ["bootstrap", "--node-id", "a", "--tls-ca", &ca];
            combinations.push([&fixed[..], proof, name].concat());
        }
    }
    every(combinations, |arguments: Vec<&str>| {
        let output = seaway(&arguments)?;
        ensure!(output.status.success(), "{arguments:?}: {output:?}");
        let out = tempfile::tempdir_in(folder.path())?;
        let path = out.path().to_string_lossy();
        let to = [&arguments[..], &["--out", &path]].concat();
        let silent = seaway(&to)?;
        ensure!(
            silent.status.success() && silent.stdout.is_empty(),
            "{to:?}: {silent:?}"
        );
        for config in [output.stdout, fs::read(out.path().join("envoy.yaml"))?] {
            validate(&config, out.path()).with_context(|| format!("{arguments:?}"))?;
        }
        Ok(())
    })
}
