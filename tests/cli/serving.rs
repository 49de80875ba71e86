//! A `seaway serve` that runs, and a client that does not let go of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{seaway, text};

/// A running `seaway serve`, with its log lines.
pub(crate) struct Serving {
    pub(crate) child: Child,
    log: BufReader<ChildStderr>,
    pub(crate) xds: String,
    pub(crate) admin: String,
}

impl Serving {
    pub(crate) fn start(folder: &Path, more: &[&str]) -> Serving {
        Serving::spawn(seaway(&[]), folder, more)
    }

    pub(crate) fn spawn(mut command: Command, folder: &Path, more: &[&str]) -> Serving {
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
    pub(crate) fn line(&mut self, message: &str) -> Value {
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

    pub(crate) fn get(&self, path: &str) -> String {
        get(&self.admin, path).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
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

/// The answer of an admin surface, if there is one.
pub(crate) fn get(admin: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(admin).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A client that opens an HTTP/2 connection, takes no part in its end, and never lets go.
pub(crate) fn hold(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    // The preface and an empty SETTINGS frame. The server's own SETTINGS show that the connection
    // is up.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4);
    stream
}
