//! A cluster as commands see it from outside: where its replicas of Seaway are ([`forward`]), what
//! its objects are, and what Seaway may do there. Nothing is written.

mod forward;
mod permissions;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::http::Request;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ObjectList;
use seaway_translator::{Object, ObjectId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::client::{Client, Source, within};
use super::resource::Resource;
use super::wire::Failure;
pub(crate) use forward::Forward;
pub(crate) use permissions::Permission;

/// How long the API server may take for a request.
const LIMIT: Duration = Duration::from_secs(5);
/// The largest answer, in bytes.
const MAX_ANSWER: usize = 16 << 20;
/// The Service of the replicas, whose EndpointSlices are looked at, and the name of its port.
const SERVICE: &str = "seaway";
const PORT: &str = "admin";

/// Which cluster is meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Which {
    /// A kubeconfig, instead of those that `KUBECONFIG` names or the one in the home folder.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context in it, instead of the current one.
    pub(crate) context: Option<String>,
}

/// A cluster that a command looks at.
#[derive(Debug)]
pub(crate) struct Visitor {
    client: Client,
    /// The namespace of Seaway.
    namespace: String,
}

/// The version of an API server.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    /// `v1.36.2`.
    pub(crate) git_version: String,
}

impl Visitor {
    /// Reads the kubeconfig; nothing is sent yet.
    ///
    /// # Errors
    /// It cannot be used.
    pub(crate) async fn open(which: Which, namespace: &str) -> anyhow::Result<Visitor> {
        let source = match which.kubeconfig {
            Some(file) => Source::Kubeconfig { files: vec![file] },
            None => Source::kubeconfig()?,
        };
        let client = Client::open_context(source, which.context).await;
        Ok(Visitor {
            client: client.context("--kube")?,
            namespace: namespace.to_owned(),
        })
    }

    /// The replicas, those included that are not ready, by the names of their pods.
    ///
    /// # Errors
    /// The API server does not answer, or there is none.
    pub(crate) async fn replicas(&self) -> anyhow::Result<Vec<Forward>> {
        let namespace = &self.namespace;
        let path = format!(
            "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices\
             ?labelSelector=kubernetes.io%2Fservice-name%3D{SERVICE}"
        );
        let slices: ObjectList<EndpointSlice> = self.get(&path).await?;
        let mut found: Vec<Forward> = slices
            .items
            .iter()
            .flat_map(|slice| self.of_slice(slice))
            .collect();
        found.sort_by(|one, other| one.pod().cmp(other.pod()));
        found.dedup_by(|one, other| one.pod() == other.pod());
        match found.is_empty() {
            true => Err(anyhow!(
                "Service {namespace}/{SERVICE} has no pod with a port {PORT:?}: --seaway-namespace names the namespace of Seaway"
            )),
            false => Ok(found),
        }
    }

    fn of_slice<'a>(&'a self, slice: &'a EndpointSlice) -> impl Iterator<Item = Forward> + 'a {
        let ports = slice.ports.iter().flatten();
        let mut admin = ports.filter(|port| port.name.as_deref() == Some(PORT));
        let port = admin.next().and_then(|port| port.port);
        let port = port.and_then(|port| u16::try_from(port).ok());
        port.into_iter().flat_map(move |port| {
            let targets = slice
                .endpoints
                .iter()
                .flatten()
                .filter_map(|one| one.target_ref.as_ref());
            let pods = targets.filter(|target| target.kind.as_deref() == Some("Pod"));
            let names = pods.filter_map(|target| target.name.clone());
            names.map(move |pod| {
                let namespace = self.namespace.clone();
                Forward::new(self.client.clone(), namespace, pod, port)
            })
        })
    }

    /// The API server's version.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn version(&self) -> anyhow::Result<Version> {
        self.get("/version").await
    }

    /// A Service or an EndpointSlice as it stands at the API server; `None` if there is none.
    ///
    /// # Errors
    /// The API server does not answer, or the object cannot be used.
    pub(crate) async fn object(&self, id: &ObjectId) -> anyhow::Result<Option<Object>> {
        let resource = Resource::of(id.kind);
        let path = format!("{}/{}", resource.path(Some(&id.namespace)), id.name);
        let text = match self.whole(&path).await {
            Ok(text) => text,
            Err(failure) if failure.is_not_found() => return Ok(None),
            Err(failure) => return Err(failure.at(&self.client.place(&path)).into()),
        };
        let raw: Box<RawValue> = serde_json::from_slice(&text)?;
        let item = resource.read(&raw)?;
        let object = item.content;
        object
            .map(Some)
            .map_err(|problem| anyhow!("{}: {}", problem.object, problem.message))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let text = self.whole(path).await;
        let text = text.map_err(|failure| failure.at(&self.client.place(path)))?;
        serde_json::from_slice(&text).with_context(|| self.client.place(path))
    }

    async fn whole(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let request = Request::get(path).body(Vec::new());
        let request = request.map_err(|error| Failure::Unreachable(error.to_string()))?;
        within(LIMIT, self.client.whole(request, MAX_ANSWER)).await
    }
}
