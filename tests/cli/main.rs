//! The command line as a user or a supervisor meets it: exit codes, one-line errors, signals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod explain;
mod log;
mod outside;
mod paper;
mod peers;
mod serve;
mod serving;
mod worlds;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const WEB: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.1, ports: [{port: 80, targetPort: 8080}]}
";

const SLICE: &str = "\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: '', port: 8080}]
endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}]
";

fn seaway(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seaway"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    seaway(args).output().unwrap()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The command must end with code 2 after one line that holds all of `words`.
#[track_caller]
fn refused(args: &[&str], words: &[&str]) {
    let output = run(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    assert!(said.starts_with("error: "), "{args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{args:?} does not say {word}: {said}");
    }
    assert!(output.stdout.is_empty(), "{args:?}");
}

/// Who reaches the port sees the cluster.
#[test]
fn what_is_exposed_without_proofs_needs_to_be_allowed() {
    let some = folder(&[("a.yaml", WEB)]);
    let some = text(some.path());
    let serve = |more: &[&str], words: &[&str]| {
        let mut all = vec!["serve", "--files", some];
        all.extend(more);
        refused(&all, words);
    };
    let (cert, key) = (["--tls-cert", "/none"], ["--tls-key", "/none"]);
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let listen = ["--xds-listen", address];
        serve(
            &listen,
            &["--xds-listen", "plain text", "--tls-cert", "--insecure"],
        );
        let tls = [listen, cert, key].concat();
        serve(&tls, &["any proxy", "--client-ca", "--insecure"]);
    }
    serve(&cert, &["--tls-key"]);
    serve(&key, &["--tls-cert"]);
    let (ca, rule) = (["--client-ca", "/none"], ["--allow-proxy", "mesh=dns:a"]);
    serve(&[ca, rule].concat(), &["--tls-cert"]);
    serve(&[cert, key, ca].concat(), &["--allow-proxy"]);
    serve(&rule, &["--allow-proxy", "--client-ca"]);
    serve(
        &[cert, key, ca, rule].concat(),
        &["--tls-cert /none", "No such file"],
    );
    let tokens = ["--token-audience", "seaway"];
    serve(
        &[cert, key, tokens, rule].concat(),
        &["--token-audience", "--files"],
    );
    let nothing = ["serve", "--kube", "--token-audience", ""];
    refused(
        &[&nothing[..], &cert, &key, &rule].concat(),
        &["--token-audience", "empty"],
    );
    serve(
        &["--allow-proxy", "node=dns:*.a"],
        &["--allow-proxy", "wildcard"],
    );
}

#[test]
fn unusable_arguments_end_with_code_2_and_one_line() {
    let some = folder(&[("a.yaml", WEB)]);
    let some = text(some.path());
    refused(&[], &["serve", "bootstrap", "translate"]);
    refused(&["serve", "--fils", some], &["--fils", "--files"]);
    refused(&["serve"], &["--kube", "--files"]);
    refused(&["serve", "--kube"], &["--kube", "--files"]);
    refused(
        &["serve", "--files", "/does/not/exist"],
        &["--files /does/not/exist", "No such file"],
    );
    refused(
        &["serve", "--files", "/etc/hostname"],
        &["--files /etc/hostname", "ot a directory"],
    );
    refused(
        &["serve", "--files", some, "--drain", "soon"],
        &["--drain", "10ms"],
    );
    refused(
        &["serve", "--files", some, "--pod-cidr", "10.0.0.1/33"],
        &["--pod-cidr"],
    );
    refused(
        &["translate", "--files", "/does/not/exist"],
        &["/does/not/exist"],
    );
    refused(
        &[
            "translate",
            "--files",
            some,
            "--role",
            "grpc",
            "--target",
            "web",
        ],
        &["--target web", "<service>.<namespace>"],
    );
    refused(
        &["translate", "--files", some, "-o", "xml"],
        &["xml", "json", "yaml", "static"],
    );
    refused(&["bootstrap"], &["--node-id"]);
    refused(
        &["bootstrap", "--node-id", "a", "--xds", "nowhere"],
        &["--xds", "HOST:PORT"],
    );
    let empty = folder(&[("notes.txt", "")]);
    refused(
        &["translate", "--files", text(empty.path())],
        &["no readable"],
    );
}

#[test]
fn a_bootstrap_that_cannot_be_ends_with_code_2_and_one_line() {
    let proxy = |more: &[&'static str]| [&["bootstrap", "--node-id", "a"], more].concat();
    refused(
        &proxy(&["--token-file", "t"]),
        &["--token-file", "--tls-ca"],
    );
    refused(
        &proxy(&["--role", "grpc", "--sotw"]),
        &["--role grpc", "--sotw"],
    );
    refused(
        &proxy(&["--out", "/etc/hostname"]),
        &["--out /etc/hostname", "exists"],
    );
    refused(
        &proxy(&["--tls-ca", "c", "--tls-server-name", "a/b"]),
        &["--tls-server-name", "DNS name"],
    );
}

#[test]
fn a_checkpoint_needs_a_folder_and_a_first_start_its_input() {
    let (some, kept) = (folder(&[("a.yaml", WEB)]), folder(&[]));
    refused(
        &[
            "serve",
            "--files",
            text(some.path()),
            "--checkpoint",
            "/etc/hostname",
        ],
        &["--checkpoint /etc/hostname", "exists"],
    );
    refused(
        &[
            "serve",
            "--files",
            "/does/not/exist",
            "--checkpoint",
            text(kept.path()),
        ],
        &["--files /does/not/exist", "No such file"],
    );
}

#[test]
fn an_address_in_use_is_one_line_that_names_the_flag() {
    let some = folder(&[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let files = ["serve", "--files", text(some.path())];
    for (flag, other) in [
        ("--xds-listen", "--admin-listen"),
        ("--admin-listen", "--xds-listen"),
    ] {
        let args = [&files[..], &[flag, &taken, other, "127.0.0.1:0"]].concat();
        refused(&args, &[flag, &taken, "in use"]);
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["serve", "--help"],
        &["translate", "-h"],
    ] {
        let output = run(args);
        assert!(output.status.success(), "{args:?}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{args:?}"
        );
    }
}

#[test]
fn flags_have_environment_variables() {
    let output = seaway(&["bootstrap"])
        .env("SEAWAY_NODE_ID", "from-env")
        .env("SEAWAY_ZONE", "a")
        .env("SEAWAY_SOTW", "true")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    for part in ["id: \"from-env\"", "zone: \"a\"", "api_type: GRPC"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn translate_says_by_its_exit_code_whether_all_is_served() {
    let good = folder(&[("a.yaml", WEB), ("b.yaml", SLICE)]);
    let output = run(&["translate", "--files", text(good.path())]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let bad = folder(&[("a.yaml", WEB), ("b.yaml", "kind: [")]);
    let output = run(&["translate", "--files", text(bad.path())]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problem = &printed["problems"][0];
    assert_eq!(problem["object"], "File b.yaml", "{problem}");
    assert_eq!(problem["field"], "document 1, line 1", "{problem}");
    assert_eq!(
        (&problem["severity"], &problem["reason"]),
        (&"error".into(), &"Unreadable".into())
    );
}

#[test]
fn translate_reads_manifests_as_kubectl_does() {
    let odd = WEB
        .replace("{name: web}", "{name: web, annotations: {build: 5}}")
        .replace(
            "port: 80, targetPort: 8080",
            "port: 0120, targetPort: 08080",
        );
    let comments = "# option\n".repeat(200);
    let odd = format!("{comments}{odd}status: {{conditions: [{{type: Ready}}]}}\n");
    let printed = |web: &str| {
        let folder = folder(&[("a.yaml", web), ("b.yaml", SLICE)]);
        run(&["translate", "--files", text(folder.path())])
    };
    let (plain, odd) = (printed(WEB), printed(&odd));
    assert_eq!(odd.status.code(), Some(0), "{odd:?}");
    assert_eq!(plain, odd);
}

#[test]
fn translate_does_not_depend_on_the_order_of_files() {
    let one = folder(&[("a.yaml", WEB), ("b.yaml", SLICE)]);
    let two = folder(&[("z.yaml", WEB), ("b.yaml", SLICE)]);
    let three = folder(&[("all.yml", &format!("{SLICE}---\n{WEB}"))]);
    for output in ["json", "yaml", "static"] {
        for role in ["node", "mesh"] {
            let printed = |folder: &tempfile::TempDir| {
                let files = text(folder.path());
                run(&["translate", "--files", files, "--role", role, "-o", output]).stdout
            };
            let first = printed(&one);
            assert!(!first.is_empty());
            assert_eq!(first, printed(&two), "{output} {role}");
            assert_eq!(first, printed(&three), "{output} {role}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let some = folder(&[("a.yaml", WEB)]);
    let mut child = seaway(&["translate", "--files", text(some.path())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}
