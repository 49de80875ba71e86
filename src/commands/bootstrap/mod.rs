//! `seaway bootstrap`: prints the configuration with which an Envoy or a gRPC client starts and
//! connects to the control plane.

mod economy;
mod envoy;
mod files;
mod grpc;
mod overload;
mod proof;
mod secrets;

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use crate::args::{BootstrapArgs, ProxyRole};
use crate::process::exit::{Failure, print};

use proof::Proof;

/// Prints the bootstrap, or writes it with the files that it refers to.
pub(crate) fn run(args: &BootstrapArgs) -> Result<ExitCode, Failure> {
    let documents = documents(args)?;
    match &args.out {
        None => {
            for document in documents {
                print(&document.text)?;
            }
        }
        Some(folder) => write(Path::new(folder), &documents).map_err(|error| {
            Failure::Unusable(anyhow::Error::new(error).context(format!("--out {folder}")))
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A file that belongs to a bootstrap: its name and its content.
#[derive(Debug)]
struct Document {
    name: String,
    text: String,
}

/// The bootstrap and, before it, the files that it refers to. When it is printed it refers to none.
fn documents(args: &BootstrapArgs) -> Result<Vec<Document>, Failure> {
    let proof = Proof::of(args)?;
    let mut documents = Vec::new();
    if args.role == ProxyRole::Grpc {
        refuse_for_grpc(args)?;
        documents.push(Document {
            name: "bootstrap.json".to_owned(),
            text: grpc::bootstrap(args, proof.as_ref()),
        });
        return Ok(documents);
    }
    if let (Some(proof), Some(_)) = (&proof, &args.out) {
        documents.extend(secrets::documents(proof));
    }
    documents.push(Document {
        name: envoy::FILE.to_owned(),
        text: envoy::bootstrap(args, proof.as_ref()),
    });
    Ok(documents)
}

/// Refuses flags that make sense for an Envoy only.
fn refuse_for_grpc(args: &BootstrapArgs) -> Result<(), Failure> {
    let name = args.proof.tls_server_name.is_some();
    for (flag, given, why) in [
        (
            "--lrs",
            args.lrs,
            "a gRPC client is told by clusters where to report",
        ),
        ("--sotw", args.sotw, "gRPC asks for nothing else"),
        (
            "--capture",
            args.capture.is_some(),
            "a gRPC client captures no traffic",
        ),
        (
            "--admin-port",
            args.admin_port.is_some(),
            "a gRPC client has no admin interface",
        ),
        (
            "--admin-socket",
            args.admin_socket.is_some(),
            "a gRPC client has no admin interface",
        ),
        (
            "--tls-server-name",
            name,
            "gRPC verifies the host of --xds itself",
        ),
    ] {
        if given {
            let line = format!("--role grpc takes no {flag}: {why}");
            return Err(Failure::unusable(line));
        }
    }
    Ok(())
}

/// Writes each file atomically. They name secrets and contain none, so all users may read them:
/// Envoy may run as another one.
fn write(folder: &Path, documents: &[Document]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for Document { name, text } in documents {
        let mut builder = tempfile::Builder::new();
        let readable = builder.permissions(Permissions::from_mode(0o644));
        let mut file = readable.tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(folder.join(name))
            .map_err(|error| error.error)?;
    }
    Ok(())
}

/// A YAML string that stays a string: JSON's quoting is YAML's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
