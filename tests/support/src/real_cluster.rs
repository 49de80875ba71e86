//! A real API server: `etcd`, `kube-apiserver` and `kubectl` out of one folder, as `setup-envtest`
//! fetches them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{KubeApi, Namespace, Process, run, within};

/// What the folder has to hold.
const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];
/// A kube-apiserver on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// In a network namespace of its own the ports are always free.
const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEERS: &str = "http://127.0.0.1:2380";
const SERVER: &str = "https://127.0.0.1:6443";
/// Who edits objects, and who Seaway is, by their tokens.
const ADMIN: &str = "admin-token";
const SEAWAY: &str = "seaway-token";

/// A running etcd and kube-apiserver. Both are killed when dropped.
#[derive(Debug)]
pub struct RealCluster {
    namespace: Arc<Namespace>,
    server: Process,
    _etcd: Process,
    kubectl: PathBuf,
    folder: PathBuf,
}

impl RealCluster {
    /// Starts the programs of the folder `assets` in `namespace`, with everything they write in
    /// `folder`, and waits until the server is ready.
    pub fn start(namespace: Arc<Namespace>, assets: &Path, folder: &Path) -> Result<Self> {
        check(assets)?;
        fs::create_dir_all(folder)?;
        let key = folder.join("service-accounts.key");
        signing_key(&key)?;
        let tokens = folder.join("tokens.csv");
        let users = format!("{ADMIN},admin,1,system:masters\n{SEAWAY},seaway,2\n");
        fs::write(&tokens, users)?;
        let start = |name: &str, arguments: &[String]| {
            let mut command = Command::new(assets.join(name));
            command.args(arguments);
            Process::start(
                &namespace,
                name,
                &command,
                &folder.join(format!("{name}.log")),
            )
        };
        let etcd = start("etcd", &etcd(folder))?;
        let server = start("kube-apiserver", &server(folder, &key, &tokens))?;
        write_kubeconfig(&folder.join("admin"), ADMIN)?;
        let cluster = Self {
            namespace,
            kubectl: assets.join("kubectl"),
            folder: folder.to_owned(),
            server,
            _etcd: etcd,
        };
        within(PATIENCE, "kube-apiserver to be ready", || {
            cluster.kubectl(&["get", "--raw", "/readyz"])?;
            cluster.kubectl(&["get", "namespace", "default"])
        })
        .with_context(|| cluster.server.last_lines(20))?;
        cluster.permit()?;
        Ok(cluster)
    }

    /// The permissions of docs/kubernetes.md.
    fn permit(&self) -> Result<()> {
        let rules = json!([
            {"apiGroups": [""], "resources": ["services", "nodes"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
        ]);
        let group = "rbac.authorization.k8s.io";
        let role = json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRole",
            "metadata": {"name": "seaway"}, "rules": rules,
        });
        let binding = json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding",
            "metadata": {"name": "seaway"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "seaway"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "seaway"}],
        });
        self.apply(&role.to_string())?;
        self.apply(&binding.to_string())
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(self.folder.join("admin"));
        command.arg("--cache-dir").arg(self.folder.join("cache"));
        command.args(arguments);
        self.namespace.command(command)
    }

    /// A manifest as a file for kubectl, whose standard input is nobody's here.
    fn file(&self, manifest: &str) -> Result<String> {
        let file = self.folder.join("manifest.yaml");
        fs::write(&file, manifest)?;
        Ok(file.to_string_lossy().into_owned())
    }
}

impl KubeApi for RealCluster {
    fn kubeconfig(&self, path: &Path) -> Result<()> {
        write_kubeconfig(path, SEAWAY)
    }

    fn namespace(&self, name: &str) -> Result<()> {
        self.kubectl(&["create", "namespace", name]).map(drop)
    }

    fn apply(&self, manifest: &str) -> Result<()> {
        let file = self.file(manifest)?;
        self.kubectl(&["apply", "-f", &file]).map(drop)
    }

    fn edit(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        change: &dyn Fn(&mut Value),
    ) -> Result<()> {
        let found = self.kubectl(&["get", resource, name, "-n", namespace, "-o", "json"])?;
        let mut object: Value = serde_json::from_str(&found)?;
        change(&mut object);
        let file = self.file(&object.to_string())?;
        self.kubectl(&["replace", "-f", &file]).map(drop)
    }

    fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<()> {
        self.kubectl(&["delete", resource, name, "-n", namespace])
            .map(drop)
    }
}

/// Whether the folder holds what it has to.
fn check(assets: &Path) -> Result<()> {
    for program in PROGRAMS {
        ensure!(
            assets.join(program).is_file(),
            "KUBEBUILDER_ASSETS: no {program} in {}: fetch it with setup-envtest, or unset the variable",
            assets.display()
        );
    }
    Ok(())
}

fn etcd(folder: &Path) -> Vec<String> {
    vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        format!("--listen-peer-urls={ETCD_PEERS}"),
        "--unsafe-no-fsync=true".to_owned(),
    ]
}

fn server(folder: &Path, key: &Path, tokens: &Path) -> Vec<String> {
    let key = key.display();
    vec![
        format!("--etcd-servers={ETCD}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--secure-port=6443".to_owned(),
        // Where it writes a certificate of its own making.
        format!("--cert-dir={}", folder.join("certificates").display()),
        format!("--service-account-issuer={SERVER}/"),
        format!("--service-account-key-file={key}"),
        format!("--service-account-signing-key-file={key}"),
        format!("--token-auth-file={}", tokens.display()),
        "--authorization-mode=RBAC".to_owned(),
        // The range of the tests' cluster IPs.
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        // Nobody makes the account that this asks for.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        // Its own Service would have an endpoint on 127.0.0.1, which is a problem.
        "--endpoint-reconciler-type=none".to_owned(),
    ]
}

/// A key for service accounts, which nobody uses and kube-apiserver does not start without.
fn signing_key(path: &Path) -> Result<()> {
    let mut command = Command::new("openssl");
    command.args(["genrsa", "-out"]).arg(path).arg("2048");
    run(&mut command).map(drop)
}

fn write_kubeconfig(path: &Path, token: &str) -> Result<()> {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": SERVER, "insecure-skip-tls-verify": true}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    fs::write(path, config.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_the_programs_is_named_with_what_is_missing() -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("etcd"), "")?;
        let error = check(folder.path()).err().context("nothing is missing")?;
        let error = error.to_string();
        let named = error.contains("no kube-apiserver in") && error.contains("KUBEBUILDER_ASSETS");
        ensure!(
            named && error.contains(&*folder.path().to_string_lossy()),
            "{error}"
        );
        fs::write(folder.path().join("kube-apiserver"), "")?;
        fs::write(folder.path().join("kubectl"), "")?;
        check(folder.path())
    }
}
