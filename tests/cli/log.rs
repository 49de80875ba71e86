//! A log that nobody can write, or nobody reads, is no reason to stop or to wait: lines are dropped
//! and counted.

use std::fs::{self, File};
use std::net::TcpListener;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use seaway_proto::TypeUrl;
use seaway_proto::discovery::{AggregatedDiscoveryServiceClient, DeltaDiscoveryRequest, Status};
use seaway_proto::envoy::core::Node;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::serving::{Serving, get};
use crate::{WEB, folder, run, seaway, text};

/// Time for what should take no time at all.
const SOON: Duration = Duration::from_secs(5);

const DROPPED: &str = "seaway_log_lines_dropped_total";

/// Whether `done`, which is asked again and again, became true in time.
fn comes_true(mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + 2 * SOON;
    while !done() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Waits until `done`.
#[track_caller]
pub(crate) fn eventually(what: &str, done: impl FnMut() -> bool) {
    assert!(comes_true(done), "{what}");
}

/// Waits until a process ends. One that does not is ended.
#[track_caller]
pub(crate) fn ended(child: &mut Child) -> ExitStatus {
    let in_time = comes_true(|| child.try_wait().unwrap().is_some());
    if !in_time {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert!(in_time, "the process does not end");
    status
}

/// A port that is free now.
pub(crate) fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A process that is ended with its test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn of(command: &mut Command) -> Process {
        Process(command.spawn().unwrap())
    }
}

impl Deref for Process {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already where the test is about that.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A `serve` whose standard error is this, once it is ready; and its admin address.
pub(crate) fn serve(folder: &Path, more: &[&str], stderr: impl Into<Stdio>) -> (Process, String) {
    serve_at("127.0.0.1:0", folder, more, stderr)
}

fn serve_at(
    xds: &str,
    folder: &Path,
    more: &[&str],
    stderr: impl Into<Stdio>,
) -> (Process, String) {
    let admin = free();
    let mut command = seaway(&["serve", "--files", text(folder), "--xds-listen", xds]);
    command.args(["--admin-listen", &admin]).args(more);
    let process = Process::of(command.stderr(stderr));
    eventually("it becomes ready", || {
        get(&admin, "/readyz").is_some_and(|said| said.contains("200 OK"))
    });
    (process, admin)
}

pub(crate) fn metric(admin: &str, name: &str) -> f64 {
    let said = get(admin, "/metrics").unwrap_or_default();
    let mut lines = said.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(-1.0, |value| value.parse().unwrap())
}

/// A folder whose files are as many problems, each of which is a line of the log.
fn broken(count: usize) -> tempfile::TempDir {
    let folder = folder(&[("a.yaml", WEB)]);
    for number in 0..count {
        fs::write(folder.path().join(format!("b{number}.yaml")), "kind: [").unwrap();
    }
    folder
}

/// A change is served, and a signal ends the process.
#[track_caller]
pub(crate) fn goes_on_and_ends(folder: &Path, child: &mut Child, admin: &str) {
    const TRANSLATIONS: &str = "seaway_translations_total";
    let before = metric(admin, TRANSLATIONS);
    fs::write(folder.join("c.yaml"), WEB.replace("web", "other")).unwrap();
    eventually("a change is translated", || {
        metric(admin, TRANSLATIONS) > before
    });
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
    let began = Instant::now();
    assert_eq!(ended(child).code(), Some(0));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_log_on_a_full_disk_stops_nothing() {
    let folder = broken(3);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (mut child, admin) = serve(folder.path(), &[], full);
    eventually("dropped lines are counted", || {
        metric(&admin, DROPPED) >= 4.0
    });
    // That lines were dropped is itself said once something can be written.
    assert!(metric(&admin, DROPPED) < 20.0);
    goes_on_and_ends(folder.path(), &mut child, &admin);
}

#[test]
fn a_log_whose_reader_went_away_stops_nothing() {
    let folder = broken(3);
    let (reader, writer) = std::io::pipe().unwrap();
    let (mut child, admin) = serve(folder.path(), &[], writer);
    drop(reader);
    fs::write(folder.path().join("d.yaml"), "kind: [").unwrap();
    eventually("dropped lines are counted", || {
        metric(&admin, DROPPED) >= 1.0
    });
    goes_on_and_ends(folder.path(), &mut child, &admin);
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let folder = broken(3);
    let (_reader, writer) = std::io::pipe().unwrap();
    fill(&writer);
    let (mut child, admin) = serve(folder.path(), &[], writer);
    goes_on_and_ends(folder.path(), &mut child, &admin);
}

/// What was logged last is what people need to know.
#[test]
fn lines_that_wait_are_written_before_the_end() {
    let folder = broken(300);
    let mut serving = Serving::start(folder.path(), &[]);
    serving.signal(Signal::TERM);
    serving.line("shutting down");
    serving.line("all connections have ended");
    assert_eq!(ended(&mut serving.child).code(), Some(0));
}

#[test]
fn every_command_ends_as_it_should_without_standard_error() {
    for args in [
        &["ready", "--admin-listen", "127.0.0.1:1"][..],
        &["translate", "--files", "/does/not/exist"],
        &["serve", "--files", "/does/not/exist"],
    ] {
        let expected = run(args).status.code();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut child = seaway(args).stderr(full).spawn().unwrap();
        assert_eq!(ended(&mut child).code(), expected, "{args:?}");
        // A pipe that is full and that nobody reads.
        let (_reader, writer) = std::io::pipe().unwrap();
        fill(&writer);
        let mut child = seaway(args).stderr(writer).spawn().unwrap();
        assert_eq!(ended(&mut child).code(), expected, "{args:?}");
    }
}

fn fill(pipe: &std::io::PipeWriter) {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let flags = fcntl_getfl(pipe).unwrap();
    fcntl_setfl(pipe, flags | OFlags::NONBLOCK).unwrap();
    while rustix::io::write(pipe, &[b'x'; 4096]).is_ok() {}
    fcntl_setfl(pipe, flags).unwrap();
}

#[test]
fn drain_needs_no_log() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut child = seaway(&["drain", "--envoy", "/none/envoy.sock"])
        .stderr(full)
        .spawn()
        .unwrap();
    catches_term(child.id());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(ended(&mut child).code(), Some(0));
}

/// Waits until a process handles SIGTERM.
pub(crate) fn catches_term(id: u32) {
    eventually("signals are handled", || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap_or("0").trim(), 16).unwrap();
        caught & (1 << (Signal::TERM.as_raw() - 1)) != 0
    });
}

#[test]
fn a_command_whose_output_nobody_wants_ends_as_usual() {
    for args in [&["--help"][..], &["bootstrap", "--node-id", "a"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_seaway"))
            .args(args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

/// A rejection is a line of the log. It was the end of the stream, and of all others of its
/// connection.
#[tokio::test]
async fn a_rejection_that_cannot_be_logged_ends_no_stream() {
    let folder = broken(0);
    let (reader, writer) = std::io::pipe().unwrap();
    let xds = free();
    let (_process, admin) = serve_at(&xds, folder.path(), &[], writer);
    drop(reader);
    let (requests, stream) = tokio::sync::mpsc::unbounded_channel();
    let request = |type_url: TypeUrl, nonce: &str, error: &str| DeltaDiscoveryRequest {
        node: Some(Node {
            id: "a".to_owned(),
            cluster: "seaway-node".to_owned(),
            ..Node::default()
        }),
        type_url: type_url.as_str().to_owned(),
        response_nonce: nonce.to_owned(),
        error_detail: (!error.is_empty()).then(|| Status {
            message: error.to_owned(),
            ..Status::default()
        }),
        ..DeltaDiscoveryRequest::default()
    };
    requests.send(request(TypeUrl::CLUSTER, "", "")).unwrap();
    let at = format!("http://{xds}");
    let mut client = AggregatedDiscoveryServiceClient::connect(at).await.unwrap();
    let stream = UnboundedReceiverStream::new(stream);
    let answer = client.delta_aggregated_resources(stream).await.unwrap();
    let mut responses = answer.into_inner();
    let first = responses.message().await.unwrap().unwrap();
    let nack = request(TypeUrl::CLUSTER, &first.nonce, "default/web/80: no luck");
    requests.send(nack).unwrap();
    requests.send(request(TypeUrl::LISTENER, "", "")).unwrap();
    let second = tokio::time::timeout(SOON, responses.message())
        .await
        .unwrap();
    let second = second.unwrap().unwrap();
    assert_eq!(second.type_url, TypeUrl::LISTENER.as_str());
    // The line goes its own way, which nobody waits for.
    eventually("the line is dropped", || metric(&admin, DROPPED) >= 1.0);
}
