//! The command line as a user or a supervisor meets it: exit codes, one-line errors, signals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
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
        &["grpc"],
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

#[test]
fn the_soft_limit_of_open_files_does_not_limit_proxies() {
    let some = folder(&[("a.yaml", WEB)]);
    let mut low = Command::new("prlimit");
    low.arg("--nofile=64:").arg(env!("CARGO_BIN_EXE_seaway"));
    let serving = Serving::spawn(low, some.path(), &[]);
    let id = serving.child.id();
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<&str> = line.unwrap().split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{limits}");
}

/// A running `seaway serve`, with its log lines.
struct Serving {
    child: Child,
    log: BufReader<ChildStderr>,
    xds: String,
    admin: String,
}

impl Serving {
    fn start(folder: &Path, more: &[&str]) -> Serving {
        Serving::spawn(seaway(&[]), folder, more)
    }

    fn spawn(mut command: Command, folder: &Path, more: &[&str]) -> Serving {
        let args = [
            "serve",
            "--files",
            text(folder),
            "--xds-listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ];
        let mut child = command
            .args(args)
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (xds, admin) = (String::new(), String::new());
        let mut serving = Serving {
            child,
            log,
            xds,
            admin,
        };
        let listening = serving.line("listening");
        serving.xds = listening["xds"].as_str().unwrap().to_owned();
        serving.admin = listening["admin"].as_str().unwrap().to_owned();
        serving.line("synced");
        serving
    }

    /// The next log line whose message begins with this. Every line is JSON.
    fn line(&mut self, message: &str) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.log.read_line(&mut line).unwrap(),
                0,
                "the process ended before {message}"
            );
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"]
                .as_str()
                .is_some_and(|said| said.starts_with(message))
            {
                return line;
            }
        }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already where the test is about that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that opens an HTTP/2 connection, takes no part in its end, and never lets go.
fn hold(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    // The preface and an empty SETTINGS frame. The server's own SETTINGS show that the connection is up.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4);
    stream
}

/// The exit code of `seaway ready`, and its two outputs.
fn ready(admin: &str) -> (Option<i32>, String, String) {
    let output = run(&["ready", "--admin-listen", admin]);
    let said = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        said(output.stdout),
        said(output.stderr),
    )
}

#[test]
fn ready_says_by_its_exit_code_whether_serve_is() {
    let folder = folder(&[("a.yaml", WEB)]);
    let serving = Serving::start(folder.path(), &[]);
    let ok = (Some(0), "ok\n".to_owned(), String::new());
    assert_eq!(ready(&serving.admin), ok);
    let admin = serving.admin.clone();
    drop(serving);
    let (code, _, said) = ready(&admin);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("--admin-listen"), "{said}");
}

#[test]
fn the_admin_surface_tells_how_it_is() {
    let folder = folder(&[("a.yaml", WEB), ("b.yaml", "kind: [")]);
    let mut serving = Serving::start(folder.path(), &[]);
    assert!(serving.get("/livez").starts_with("HTTP/1.1 200"));
    assert!(serving.get("/readyz").starts_with("HTTP/1.1 200"));
    serving.line("");
    let metrics = serving.get("/metrics");
    for line in [
        "seaway_build_info{version=\"",
        "seaway_source_errors_total{source=\"files\"} 1",
        "seaway_problems{reason=\"Unreadable\"} 1",
        "seaway_xds_streams 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[test]
fn problems_are_logged_when_they_come_and_when_they_go() {
    let folder = folder(&[("a.yaml", WEB)]);
    let mut serving = Serving::start(folder.path(), &[]);
    fs::write(folder.path().join("a.yaml"), "kind: [").unwrap();
    loop {
        let line = serving.line("");
        if line["object"] == "File a.yaml" {
            assert_eq!(
                (&line["level"], &line["field"]),
                (&"ERROR".into(), &"document 1, line 1".into())
            );
            break;
        }
    }
    fs::write(folder.path().join("a.yaml"), WEB).unwrap();
    assert_eq!(serving.line("problem resolved")["object"], "File a.yaml");
}

#[test]
fn sigterm_ends_the_process_in_order() {
    let folder = folder(&[("a.yaml", WEB)]);
    for signal in [Signal::TERM, Signal::INT] {
        let mut serving = Serving::start(folder.path(), &[]);
        serving.signal(signal);
        serving.line("all connections have ended");
        assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn one_connection_more_than_allowed_is_closed_at_once() {
    let folder = folder(&[("a.yaml", WEB)]);
    let mut serving = Serving::start(folder.path(), &["--max-connections", "1"]);
    let _held = hold(&serving.xds);
    let mut second = TcpStream::connect(&serving.xds).unwrap();
    // Closed, or reset: nothing is said either way.
    let mut said = Vec::new();
    _ = second.read_to_end(&mut said);
    assert_eq!(said, b"");
    serving.line("too many connections");
}

#[test]
fn a_client_that_stays_is_cut_off_when_the_drain_is_over() {
    let folder = folder(&[("a.yaml", WEB)]);
    let mut serving = Serving::start(folder.path(), &["--drain", "300ms"]);
    let _held = hold(&serving.xds);
    serving.signal(Signal::TERM);
    serving.line("ending");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

#[test]
fn while_draining_the_process_is_not_ready_and_a_second_signal_aborts() {
    let folder = folder(&[("a.yaml", WEB)]);
    let mut serving = Serving::start(folder.path(), &["--drain", "1m"]);
    let _held = hold(&serving.xds);
    serving.signal(Signal::TERM);
    serving.line("ending");
    let answer = serving.get("/readyz");
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("draining"),
        "{answer}"
    );
    let (code, said, _) = ready(&serving.admin);
    assert_eq!((code, answer.ends_with(&said)), (Some(1), true), "{said}");
    serving.signal(Signal::TERM);
    assert_eq!(serving.child.wait().unwrap().code(), Some(130));
}
