//! `seaway ready` and `seaway drain` beside something that does not answer, or for ever; and what
//! the kernel may hold against a process.

use std::fs::{self, File};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::log::{Process, catches_term, ended, eventually, goes_on_and_ends, metric};
use crate::serving::{Serving, get};
use crate::{WEB, folder, seaway, text};

/// An Envoy that hangs: connections wait for it until no more may wait.
#[test]
fn an_envoy_that_takes_no_connections_is_not_waited_for() {
    let folder = folder(&[]);
    let path = folder.path().join("envoy.sock");
    let _envoy = UnixListener::bind(&path).unwrap();
    let address = SocketAddrUnix::new(&path).unwrap();
    let mut waiting = Vec::new();
    loop {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let client = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        if connect(&client, &address).is_err() {
            break;
        }
        waiting.push(client);
    }
    let began = Instant::now();
    let mut ready = seaway(&["ready", "--envoy", text(&path)]);
    let mut ready = ready.stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(ended(&mut ready).code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(5));
    let mut drain = seaway(&["drain", "--envoy", text(&path)]);
    let mut drain = drain.stderr(Stdio::null()).spawn().unwrap();
    catches_term(drain.id());
    kill_process(Pid::from_child(&drain), Signal::TERM).unwrap();
    assert_eq!(ended(&mut drain).code(), Some(0));
}

#[test]
fn an_answer_that_never_ends_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let mut ready = seaway(&["ready", "--admin-listen", &address]);
    let mut ready = ready.stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(ended(&mut ready).code(), Some(1));
}

#[test]
fn ready_says_it_by_its_exit_code_even_if_it_cannot_print() {
    let folder = folder(&[("a.yaml", WEB)]);
    let serving = Serving::start(folder.path(), &[]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut ready = seaway(&["ready", "--admin-listen", &serving.admin]);
    let mut ready = ready.stdout(full).spawn().unwrap();
    assert_eq!(ended(&mut ready).code(), Some(0));
}

/// Without more, the kernel kills whoever writes beyond the limit of the size of files.
#[test]
fn a_limit_of_the_size_of_files_stops_nothing() {
    let manifests = folder(&[("a.yaml", WEB)]);
    let kept = folder(&[]);
    let log = File::create(kept.path().join("log")).unwrap();
    let admin = crate::log::free();
    let mut command = Command::new("prlimit");
    command.args(["--fsize=300", env!("CARGO_BIN_EXE_seaway")]);
    command.args(["serve", "--files", text(manifests.path())]);
    command.args(["--checkpoint", text(&kept.path().join("kept"))]);
    command.args(["--xds-listen", "127.0.0.1:0", "--admin-listen", &admin]);
    let mut child = Process::of(command.stderr(log));
    eventually("it is ready", || get(&admin, "/readyz").is_some());
    fs::write(manifests.path().join("b.yaml"), "kind: [").unwrap();
    eventually("the log and the checkpoint cannot be written", || {
        metric(&admin, "seaway_log_lines_dropped_total") > 0.0
            && metric(&admin, "seaway_checkpoint_errors_total{reason=\"write\"}") > 0.0
    });
    goes_on_and_ends(manifests.path(), &mut child, &admin);
}

/// No file can be opened any more: what was read stays, and everything goes on when it passes.
#[test]
fn what_is_served_stays_while_no_file_can_be_opened() {
    let folder = folder(&[("a.yaml", WEB)]);
    let mut low = Command::new("prlimit");
    low.arg("--nofile=40:40").arg(env!("CARGO_BIN_EXE_seaway"));
    let mut serving = Serving::spawn(low, folder.path(), &[]);
    let fds = format!("/proc/{}/fd", serving.child.id());
    let used = || fs::read_dir(&fds).unwrap().count();
    // With fewer files than it keeps for itself: whenever one is free, a client of the admin port
    // that waits takes it.
    let clients: Vec<_> = (0..60)
        .map(|_| TcpStream::connect(&serving.admin).unwrap())
        .collect();
    eventually("all files are taken", || used() >= 40);
    fs::write(folder.path().join("b.yaml"), WEB.replace("web", "other")).unwrap();
    // It is tried again and again, and said once.
    let problem = serving.line("Too many open files");
    drop(clients);
    eventually("what was written meanwhile is read", || {
        metric(&serving.admin, "seaway_translations_total") >= 2.0
    });
    let said = get(&serving.admin, "/readyz").unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    serving.signal(Signal::TERM);
    let mut lines = Vec::new();
    while lines
        .last()
        .is_none_or(|line: &Value| line["message"] != "all connections have ended")
    {
        lines.push(serving.line(""));
    }
    assert!(lines.len() < 10, "{problem} {lines:?}");
}

/// A start needs no room for a checkpoint: with or without one, it goes on.
#[test]
fn a_start_with_a_full_disk_goes_on() {
    let (manifests, kept) = (folder(&[("a.yaml", WEB)]), folder(&[]));
    let admin = crate::log::free();
    let mut command = Command::new("unshare");
    command.args(["-r", "-m", "sh", "-ec"]);
    // A disk on which nothing can be made but itself.
    command.arg("mount -t tmpfs -o nr_inodes=1 none \"$0\" || exit 99; exec \"$@\"");
    command.args([text(kept.path()), env!("CARGO_BIN_EXE_seaway"), "serve"]);
    command.args([
        "--files",
        text(manifests.path()),
        "--checkpoint",
        text(kept.path()),
    ]);
    command.args(["--xds-listen", "127.0.0.1:0", "--admin-listen", &admin]);
    let mut child = Process::of(command.stderr(Stdio::null()));
    let mut over = None;
    eventually("it is ready", || {
        over = child.try_wait().unwrap();
        over.is_some() || get(&admin, "/readyz").is_some_and(|said| said.contains("200 OK"))
    });
    if over.is_some_and(|status| matches!(status.code(), Some(1 | 99))) {
        println!("skipped: nothing can be mounted here");
        return;
    }
    assert_eq!(over, None);
    eventually("that it cannot be written is counted", || {
        metric(&admin, "seaway_checkpoint_errors_total{reason=\"write\"}") >= 1.0
    });
    goes_on_and_ends(manifests.path(), &mut child, &admin);
}
