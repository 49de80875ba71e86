//! A large world, and a server that holds it: what the benchmarks of whole processes share.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

pub(crate) const SERVICES: u32 = 10_000;
pub(crate) const ENDPOINTS: u32 = 10;

pub(crate) fn service_json(number: u32) -> Value {
    let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 96, 0, 0)) + 10 + number).to_string();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": format!("service-{number}"), "namespace": format!("team-{}", number % 100)},
        "spec": {
            "clusterIP": ip, "clusterIPs": [ip], "selector": {"app": format!("service-{number}")},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
    })
}

/// The slice of a Service; `variant` moves its first endpoint to another address.
pub(crate) fn slice_json(number: u32, variant: u32) -> Value {
    let pods = u32::from(Ipv4Addr::new(10, 128, 0, 0));
    let endpoints = (0..ENDPOINTS).map(|index| {
        let moved = if index == 0 {
            variant * SERVICES * ENDPOINTS
        } else {
            0
        };
        let node = (number + index) % 500;
        let zone = ["a", "b", "c"][node as usize % 3];
        json!({
            "addresses": [Ipv4Addr::from(pods + number * ENDPOINTS + index + moved).to_string()],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "nodeName": format!("n{node}"), "zone": zone,
        })
    });
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": format!("service-{number}-x1"), "namespace": format!("team-{}", number % 100),
            "labels": {"kubernetes.io/service-name": format!("service-{number}")},
        },
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints.collect::<Vec<_>>(),
    })
}

/// A running `seaway serve`, killed when dropped.
pub(crate) struct Server {
    process: Child,
    admin: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts it, to serve proxies on this port.
    pub(crate) fn start(xds: u16, configure: impl FnOnce(&mut Command)) -> Result<Self> {
        let admin = free_port()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_seaway"));
        let (listen, admin_listen) = (format!("127.0.0.1:{xds}"), format!("127.0.0.1:{admin}"));
        command.args([
            "serve",
            "--xds-listen",
            &listen,
            "--admin-listen",
            &admin_listen,
        ]);
        configure(&mut command);
        let process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { process, admin })
    }

    /// Waits until its `/readyz` answers 200.
    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        use std::io::{Read, Write};
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if let Some(status) = self.process.try_wait()? {
                bail!("seaway ended with {status}");
            }
            let mut answer = String::new();
            if let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.admin)) {
                stream.write_all(
                    b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n",
                )?;
                stream.read_to_string(&mut answer)?;
            }
            if answer.starts_with("HTTP/1.1 200") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None.context("seaway was not ready within a minute")
    }

    /// Prints the memory it has and had.
    #[expect(clippy::print_stdout, reason = "the figure is the point")]
    pub(crate) fn print_memory(&self) -> Result<()> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        for line in status
            .lines()
            .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"))
        {
            println!("  {line}");
        }
        Ok(())
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
