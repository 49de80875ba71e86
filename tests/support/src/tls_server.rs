//! A server that nobody here wrote and that speaks TLS: that of openssl.

use std::fs::{self, File};
use std::process::{Child, Command};

use anyhow::Result;

use crate::World;
use crate::certs::Leaf;

/// A server that shows a certificate, and answers each request with what it knows of the
/// connection. It ends when dropped.
#[derive(Debug)]
pub struct TlsServer(Child);

impl World {
    /// Starts such a server at an address of a backend.
    pub fn tls_server(&self, at: &str, leaf: &Leaf) -> Result<TlsServer> {
        let folder = self.folder().join("server");
        fs::create_dir_all(&folder)?;
        let files = leaf.write(&folder)?;
        let mut command = Command::new("openssl");
        command.args(["s_server", "-www", "-accept", at, "-cert"]);
        command.arg(&files.cert).arg("-key").arg(&files.key);
        let output = File::create(folder.join("output"))?;
        Ok(TlsServer(self.fabric().spawn(&command, output)?))
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
