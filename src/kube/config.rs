//! Where the API server is and how Seaway proves who it is: from inside the cluster, else as the kubeconfig says. The files are read by
//! kube-rs, and looked at here before.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use kube::Config;
use kube::config::{AuthInfo, Cluster, KubeConfigOptions, Kubeconfig};

use crate::outside::{self, MAX_CREDENTIAL};

/// By this variable a pod knows that it is one.
const INSIDE: &str = "KUBERNETES_SERVICE_HOST";
/// What a pod is given for its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// No kubeconfig is larger.
const MAX_KUBECONFIG: u64 = 16 << 20;

/// The configuration that there is.
///
/// # Errors
/// Neither way is configured, or what is configured cannot be used.
pub(super) async fn config() -> anyhow::Result<Config> {
    let account = Path::new(ACCOUNT);
    let inside = outside::in_time(account, inside).context("--kube")?;
    let inside = match inside {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    let kubeconfig = outside::in_time(Path::new("the kubeconfig"), kubeconfig);
    let kubeconfig = kubeconfig.context("--kube")?.map_err(|error| {
        anyhow!(
            "--kube: neither inside a cluster ({inside}) nor with a kubeconfig ({error:#}); set KUBECONFIG, or use --files DIR"
        )
    })?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.context("--kube: the kubeconfig cannot be used")
}

/// What a pod is given.
fn inside() -> anyhow::Result<Config> {
    if env::var_os(INSIDE).is_some() {
        for name in ["token", "ca.crt", "namespace"] {
            check(&Path::new(ACCOUNT).join(name), MAX_CREDENTIAL)?;
        }
    }
    Ok(Config::incluster()?)
}

/// The kubeconfig, with the files that its current context is about to be read from.
fn kubeconfig() -> anyhow::Result<Kubeconfig> {
    for path in paths() {
        check(&path, MAX_KUBECONFIG)?;
    }
    let kubeconfig = Kubeconfig::read()?;
    for path in credentials(&kubeconfig) {
        check(Path::new(&path), MAX_CREDENTIAL)?;
    }
    Ok(kubeconfig)
}

/// Where kubeconfigs are.
fn paths() -> Vec<PathBuf> {
    let named = env::var_os("KUBECONFIG").unwrap_or_default();
    let mut paths: Vec<_> = env::split_paths(&named).collect();
    paths.retain(|path| !path.as_os_str().is_empty());
    if paths.is_empty() {
        paths.extend(env::home_dir().map(|home| home.join(".kube/config")));
    }
    paths
}

/// The files that the current context names.
fn credentials(kubeconfig: &Kubeconfig) -> Vec<String> {
    let name = kubeconfig.current_context.as_deref().unwrap_or_default();
    let mut contexts = kubeconfig.contexts.iter();
    let context = contexts.find(|context| context.name == name);
    let Some(context) = context.and_then(|context| context.context.as_ref()) else {
        return Vec::new();
    };
    let mut clusters = kubeconfig.clusters.iter();
    let cluster = clusters.find(|cluster| cluster.name == context.cluster);
    let mut users = kubeconfig.auth_infos.iter();
    let user = users.find(|user| Some(&user.name) == context.user.as_ref());
    let of_cluster = |cluster: &Cluster| cluster.certificate_authority.clone();
    let of_user = |user: &AuthInfo| {
        [
            user.token_file.clone(),
            user.client_certificate.clone(),
            user.client_key.clone(),
        ]
    };
    let cluster = cluster.and_then(|cluster| cluster.cluster.as_ref().and_then(of_cluster));
    let user = user.and_then(|user| user.auth_info.as_ref().map(of_user));
    let user = user.into_iter().flatten().flatten();
    cluster.into_iter().chain(user).collect()
}

/// Makes sure that reading a file ends. That there is none is left for its reader to say.
fn check(path: &Path, max: u64) -> anyhow::Result<()> {
    match outside::read(path, max) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}
