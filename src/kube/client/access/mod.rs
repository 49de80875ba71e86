//! Reads how to reach an API server: the pod's service account inside a cluster, else the
//! kubeconfig.
//!
//! Every file that is named there is read here, so that what was read is known to be one state of
//! all of them; [`Client`](super::Client) reads them again now and then.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Config;
use kube::config::{AuthInfo, Cluster, ExecAuthCluster, Kubeconfig};
use secrecy::SecretString;
use xxhash_rust::xxh3::Xxh3;

use super::proxy::{self, Environment};
use crate::process::outside::{self, quote};
use crate::process::pem;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// The folder in which a pod finds its service account.
const POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the configuration for reaching the API server is read from.
#[derive(Clone, Debug)]
pub(in crate::kube) enum Source {
    /// The service account of the pod that Seaway runs in, mounted at `folder`.
    Pod { folder: PathBuf, server: String },
    /// Kubeconfig files, merged. What the first one says of a field holds.
    Kubeconfig { files: Vec<PathBuf> },
}

/// How to reach an API server (address, authority, credentials), as last read from a kubeconfig or
/// the pod's files.
pub(super) struct Access {
    pub config: Config,
    /// The hash of all files that were read, by which a change is noticed.
    pub digest: u128,
    /// The kubeconfig's context that is used.
    pub context: Option<String>,
    /// The namespace of the pod, or of the context.
    pub namespace: Option<String>,
}

impl Source {
    /// The kubeconfigs that `KUBECONFIG` names, else the one in the home folder.
    pub(in crate::kube) fn kubeconfig() -> anyhow::Result<Source> {
        let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
        let named = std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty());
        let mut files: Vec<_> = named.collect();
        if files.is_empty() {
            let home = std::env::home_dir().context("no home folder")?;
            files.push(home.join(".kube/config"));
        }
        Ok(Source::Kubeconfig { files })
    }

    /// The service account of the pod that Seaway runs in.
    pub(super) fn pod() -> anyhow::Result<Source> {
        let variable = |name| std::env::var(name).with_context(|| format!("no {name}"));
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        let host = match host.parse() {
            Ok(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => host,
        };
        let server = match port.as_str() {
            "443" => format!("https://{host}"),
            _ => format!("https://{host}:{port}"),
        };
        let folder = POD.into();
        Ok(Source::Pod { folder, server })
    }

    /// Reads all files. `context` is the kubeconfig's context to use, else its current one.
    ///
    /// # Errors
    /// Something cannot be read or used. The message names it and contains no secret.
    pub(super) fn load(&self, context: Option<&str>) -> anyhow::Result<Access> {
        let mut files = Files::default();
        let (config, context, namespace) = match self {
            Source::Pod { folder, server } => {
                let namespace = own_namespace(folder);
                (pod(folder, server, &mut files)?, None, namespace)
            }
            Source::Kubeconfig { files: named } => {
                let merged = merge(named, &mut files)?;
                let chosen = choose(merged, context, &mut files)?;
                (chosen.config, Some(chosen.context), chosen.namespace)
            }
        };
        Ok(Access {
            config,
            digest: files.0.digest128(),
            context,
            namespace,
        })
    }
}

/// Reads files and hashes what they held.
#[derive(Default)]
struct Files(Xxh3);

impl Files {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let (_, content) = outside::read(path, MAX_FILE)?;
        self.0.update(path.as_os_str().as_encoded_bytes());
        self.0.update(&content.len().to_le_bytes());
        self.0.update(&content);
        Ok(content)
    }

    /// The bytes that a field has inline as base64, else those of the file that it names.
    fn inline_or_file(
        &mut self,
        what: &str,
        inline: Option<&str>,
        file: Option<&str>,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        if let Some(inline) = inline.filter(|text| !text.is_empty()) {
            let text: String = inline.split_ascii_whitespace().collect();
            let decoded = STANDARD.decode(text);
            let decoded = decoded.map_err(|_| anyhow!("{what}-data: it is not base64"))?;
            return Ok(Some(decoded));
        }
        let Some(file) = file.filter(|file| !file.is_empty()) else {
            return Ok(None);
        };
        let read = self.read(file.as_ref());
        read.map(Some).with_context(|| format!("{what} {file}"))
    }

    /// Reads a token from a file, without the white space around it.
    fn token(&mut self, path: &Path) -> anyhow::Result<SecretString> {
        let shown = path.display();
        let text = self.read(path).with_context(|| format!("token {shown}"))?;
        let text = String::from_utf8(text).ok();
        let token = text.as_deref().map(str::trim).unwrap_or_default();
        let visible = |c: char| c.is_ascii_graphic() || c == ' ';
        if token.is_empty() || !token.chars().all(visible) {
            bail!("token {shown}: it holds no valid token");
        }
        Ok(token.into())
    }
}

fn server(text: &str) -> anyhow::Result<Uri> {
    let uri: Uri = text.parse().with_context(|| format!("server {text:?}"))?;
    match uri.scheme_str() {
        Some("https" | "http") => Ok(uri),
        _ => bail!("server {text:?}: it does not begin with https:// or http://"),
    }
}

/// The certificates of a PEM file, as DER.
fn authorities(what: &str, pem: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
    let all = pem::certificates(what, pem)?;
    Ok(all.into_iter().map(|one| one.to_vec()).collect())
}

/// The client configuration of a pod, which reaches the API server by the address of a Service,
/// without a proxy.
fn pod(folder: &Path, url: &str, files: &mut Files) -> anyhow::Result<Config> {
    let mut config = Config::new(server(url)?);
    let bundle = folder.join("ca.crt");
    let shown = bundle.display().to_string();
    let pem = files.read(&bundle).with_context(|| shown.clone())?;
    config.root_cert = Some(authorities(&shown, &pem)?);
    config.auth_info.token = Some(files.token(&folder.join("token"))?);
    Ok(config)
}

/// The namespace of a pod. Only the Lease of those that write status is in it, so one that cannot
/// be read is no error here.
fn own_namespace(folder: &Path) -> Option<String> {
    let (_, text) = outside::read(&folder.join("namespace"), MAX_FILE).ok()?;
    let text = String::from_utf8(text).ok()?;
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}

/// All kubeconfigs as one. Those that do not exist are left out, as kubectl does.
fn merge(named: &[PathBuf], files: &mut Files) -> anyhow::Result<Kubeconfig> {
    let mut merged: Option<Kubeconfig> = None;
    for path in named {
        let shown = path.display();
        match files.read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.with_context(|| format!("kubeconfig {shown}"))?,
        };
        let read = Kubeconfig::read_from(path).and_then(|next| match merged.take() {
            Some(before) => before.merge(next),
            None => Ok(next),
        });
        let read = read.map_err(|error| {
            let why = quote(error.to_string().lines().next().unwrap_or_default());
            anyhow!("kubeconfig {shown}: {why}")
        });
        merged = Some(read?);
    }
    merged.ok_or_else(|| {
        let named: Vec<_> = named
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        anyhow!("kubeconfig {}: no such file", named.join(", "))
    })
}

/// What a kubeconfig says in one of its contexts.
struct Chosen {
    config: Config,
    /// The name of the context.
    context: String,
    namespace: Option<String>,
}

/// The client configuration of a kubeconfig's context.
fn choose(
    kubeconfig: Kubeconfig,
    context: Option<&str>,
    files: &mut Files,
) -> anyhow::Result<Chosen> {
    let current = context.or(kubeconfig.current_context.as_deref());
    let current = current.filter(|name| !name.is_empty());
    let name = current
        .context("the kubeconfig has no current-context")?
        .to_owned();
    let mut contexts = kubeconfig.contexts.into_iter();
    let context = contexts.find(|named| named.name == name);
    let context = context.and_then(|named| named.context);
    let context = context.with_context(|| format!("the kubeconfig has no context {name:?}"))?;
    let mut clusters = kubeconfig.clusters.into_iter();
    let cluster = clusters.find(|named| named.name == context.cluster);
    let cluster = cluster.and_then(|named| named.cluster);
    let cluster =
        cluster.with_context(|| format!("the kubeconfig has no cluster {:?}", context.cluster))?;
    let user = context.user.unwrap_or_default();
    let mut users = kubeconfig.auth_infos.into_iter();
    let found = users.find(|named| named.name == user);
    // Who is not named there is nobody, for kubectl as well.
    let found = found.and_then(|named| named.auth_info).unwrap_or_default();
    let mut config = cluster_config(&cluster, files)
        .with_context(|| format!("cluster {:?} of the kubeconfig", context.cluster))?;
    config.auth_info = user_info(found, &cluster, files)
        .with_context(|| format!("user {user:?} of the kubeconfig"))?;
    // As kubectl has it where none is named.
    let namespace = context.namespace.filter(|name| !name.is_empty());
    Ok(Chosen {
        config,
        context: name,
        namespace: Some(namespace.unwrap_or_else(|| "default".to_owned())),
    })
}

fn cluster_config(cluster: &Cluster, files: &mut Files) -> anyhow::Result<Config> {
    let url = server(cluster.server.as_deref().context("no server")?)?;
    let own = cluster.proxy_url.as_deref();
    let proxy = proxy::choose(own, &url, &Environment::read())?;
    let mut config = Config::new(url);
    config.proxy_url = proxy;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name = cluster.tls_server_name.clone();
    let what = "certificate-authority";
    let inline = cluster.certificate_authority_data.as_deref();
    let file = cluster.certificate_authority.as_deref();
    let bundle = files.inline_or_file(what, inline, file)?;
    config.root_cert = bundle.map(|pem| authorities(what, &pem)).transpose()?;
    Ok(config)
}

/// The user's credentials with the contents of files in place of their names.
fn user_info(user: AuthInfo, cluster: &Cluster, files: &mut Files) -> anyhow::Result<AuthInfo> {
    use secrecy::ExposeSecret;

    let mut user = user;
    if let Some(provider) = &user.auth_provider {
        bail!(
            "auth-provider {:?} is not supported, nor is it by kubectl since 1.26: use exec, a token or a client certificate",
            provider.name
        );
    }
    let inline = user.client_certificate_data.take();
    let file = user.client_certificate.take();
    let cert = files.inline_or_file("client-certificate", inline.as_deref(), file.as_deref())?;
    user.client_certificate_data = cert.map(|cert| STANDARD.encode(cert));
    let inline = user.client_key_data.take();
    let inline = inline.as_ref().map(ExposeSecret::expose_secret);
    let file = user.client_key.take();
    let key = files.inline_or_file("client-key", inline, file.as_deref())?;
    user.client_key_data = key.map(|key| STANDARD.encode(key).into());
    if let Some(file) = user.token_file.take().filter(|file| !file.is_empty()) {
        match files.token(file.as_ref()) {
            Ok(token) => user.token = Some(token),
            // The one beside it was the content of the file once.
            Err(error) if user.token.is_none() => return Err(error),
            Err(_) => {}
        }
    }
    if let Some(exec) = &mut user.exec
        && exec.provide_cluster_info
    {
        exec.cluster = Some(ExecAuthCluster::try_from(cluster)?);
    }
    Ok(user)
}

#[cfg(test)]
mod tests;
