//! An Envoy from `seaway bootstrap` proves who it is, and goes on to when its certificate and token
//! are replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use seaway_testing::certs::{Ca, Leaf, San};
use seaway_testing::{Folder, Recorder, Stream, Volume, envoy_binary, eventually};
use tempfile::TempDir;

/// What a proxy shows of itself.
struct Proof {
    leaf: Leaf,
    token: &'static str,
}

impl Proof {
    fn new(ca: &Ca, token: &'static str) -> Result<Self> {
        let leaf = ca.client(&[San::dns("n1.node.seaway")])?;
        Ok(Self { leaf, token })
    }

    fn is_shown_by(&self, stream: &Stream) -> Result<()> {
        let token = format!("Bearer {}", self.token);
        ensure!(
            stream.authorization.as_deref() == Some(&token),
            "{stream:?}"
        );
        let certificate = stream.certificate.as_deref();
        ensure!(certificate == Some(self.leaf.der()), "another certificate");
        Ok(())
    }
}

/// An Envoy and the files it starts from. Killed when dropped.
struct Proxy {
    child: Child,
    folder: TempDir,
}

impl Proxy {
    /// Asks `seaway bootstrap --out` with these arguments, and starts what it says. Files lie in
    /// `v` below its folder.
    fn start(folder: TempDir, recorder: &Recorder, host: &str, more: &[&str]) -> Result<Self> {
        let xds = format!("{host}:{}", recorder.address().port());
        let mut seaway = Command::new(env!("CARGO_BIN_EXE_seaway"));
        // Relative paths: what is written must hold for an Envoy that runs elsewhere.
        seaway
            .current_dir(&folder)
            .args(["bootstrap", "--out", "o"]);
        seaway.args(["--node-id", "n1", "--tls-ca", "v/ca.crt", "--xds", &xds]);
        let output = seaway.args(more).output()?;
        ensure!(
            output.status.success() && output.stdout.is_empty(),
            "{output:?}"
        );
        let log = fs::File::create(folder.path().join("log"))?;
        let child = Command::new(envoy_binary()?)
            .args(["--disable-hot-restart", "--concurrency", "1", "-c"])
            .arg(folder.path().join("o/envoy.yaml"))
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { child, folder })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn still_runs(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "Envoy ended: {}", self.log());
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ALL: [&str; 6] = [
    "--tls-cert",
    "v/tls.crt",
    "--tls-key",
    "v/tls.key",
    "--token-file",
    "v/token",
];

/// Starts an Envoy with the first of two proofs, replaces the files by those of the second, and
/// sees that new streams show it.
fn rotates(mut replace: impl FnMut(&Path, &Ca, &Proof) -> Result<()>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let files = folder.path().join("v");
    let ca = Ca::new("seaway")?;
    let recorder = Recorder::start(&ca.server(&["localhost"])?, &ca)?;
    let (first, second) = (Proof::new(&ca, "first")?, Proof::new(&ca, "second")?);
    replace(&files, &ca, &first)?;
    let mut proxy = Proxy::start(folder, &recorder, "localhost", &ALL)?;
    let stream = recorder.next_stream().with_context(|| proxy.log())?;
    first.is_shown_by(&stream)?;
    ensure!(
        stream.server_name.as_deref() == Some("localhost"),
        "{stream:?}"
    );

    replace(&files, &ca, &second)?;
    eventually(
        "a new stream on the old connection to show the new token",
        || {
            recorder.end_streams();
            let stream = recorder.next_stream()?;
            ensure!(
                stream.authorization.as_deref() == Some("Bearer second"),
                "{stream:?}"
            );
            let certificate = stream.certificate.as_deref();
            ensure!(
                certificate == Some(first.leaf.der()),
                "it is another connection"
            );
            Ok(())
        },
    )?;
    eventually("a new connection to show the new certificate", || {
        recorder.close_connections();
        second.is_shown_by(&recorder.next_stream()?)
    })?;
    proxy.still_runs()
}

#[test]
fn files_replaced_by_renames_are_shown_by_new_streams() -> Result<()> {
    rotates(|files, ca, proof| {
        ca.write(files)?;
        proof.leaf.write(files)?;
        Folder::new(files)?.save("token", proof.token)?;
        Ok(())
    })
}

#[test]
fn volumes_that_kubernetes_turns_are_shown_by_new_streams() -> Result<()> {
    let mut volume = None;
    rotates(move |files: &Path, ca, proof| {
        if volume.is_none() {
            volume = Some(Volume::new(PathBuf::from(files))?);
        }
        let volume = volume.as_mut().context("it was just made")?;
        volume.set(&[
            ("ca.crt", &ca.pem()),
            ("tls.crt", &proof.leaf.pem()),
            ("tls.key", &proof.leaf.key_pem()),
            ("token", proof.token),
        ])
    })
}

/// An Envoy that believes `ca`, or another authority, and a server with a certificate for these
/// names.
fn meet(names: &[&str], trusted: bool, host: &str, more: &[&str]) -> Result<(Recorder, Proxy)> {
    let folder = tempfile::tempdir()?;
    let ca = Ca::new("seaway")?;
    let recorder = Recorder::start(&ca.server(names)?, &ca)?;
    let believed = if trusted { ca } else { Ca::new("seaway")? };
    believed.write(&folder.path().join("v"))?;
    let proxy = Proxy::start(folder, &recorder, host, more)?;
    Ok((recorder, proxy))
}

#[test]
fn a_control_plane_is_known_by_its_address() -> Result<()> {
    let (recorder, proxy) = meet(&["127.0.0.1"], true, "127.0.0.1", &[])?;
    let stream = recorder.next_stream().with_context(|| proxy.log())?;
    // An address is no server name, and nothing is shown that was not asked for.
    let expected = Stream {
        server_name: None,
        certificate: None,
        authorization: None,
    };
    ensure!(stream == expected, "{stream:?}");
    Ok(())
}

#[test]
fn a_control_plane_is_known_by_the_name_that_was_given() -> Result<()> {
    let name = ["--tls-server-name", "seaway.example"];
    let (recorder, proxy) = meet(&["seaway.example"], true, "127.0.0.1", &name)?;
    let stream = recorder.next_stream().with_context(|| proxy.log())?;
    ensure!(stream.server_name.as_deref() == Some("seaway.example"));
    Ok(())
}

#[test]
fn nothing_is_told_to_somebody_else() -> Result<()> {
    for (names, trusted, host, why) in [
        (&["seaway.example"], true, "localhost", "CertificateUnknown"),
        (&["localhost"], true, "127.0.0.1", "CertificateUnknown"),
        (&["localhost"], false, "localhost", "UnknownCA"),
    ] {
        let (recorder, mut proxy) = meet(names, trusted, host, &[])?;
        for _attempt in 0..2 {
            let alert = recorder.next_refusal().with_context(|| proxy.log())?;
            ensure!(alert.contains(why), "{names:?} as {host}: {alert}");
        }
        proxy.still_runs()?;
    }
    Ok(())
}

#[test]
fn an_authority_that_is_replaced_is_believed_no_longer() -> Result<()> {
    let (recorder, mut proxy) = meet(&["localhost"], true, "localhost", &[])?;
    recorder.next_stream().with_context(|| proxy.log())?;
    Ca::new("another")?.write(&proxy.folder.path().join("v"))?;
    eventually("Envoy to believe the other authority", || {
        recorder.close_connections();
        let alert = recorder.next_refusal()?;
        ensure!(alert.contains("UnknownCA"), "{alert}");
        Ok(())
    })?;
    proxy.still_runs()
}
