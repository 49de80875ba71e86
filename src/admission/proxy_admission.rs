//! Admits the streams of proxies: from what a proxy's `Node` message claims to its view and its
//! placement.
//!
//! A claim is a label: it decides what the proxy is sent first, never what it may see (invariant
//! 7).

use std::net::SocketAddr;
use std::sync::Arc;

use seaway_proto::TypeUrl;
use seaway_proto::envoy::core;
use seaway_proto::envoy::core::node::UserAgentVersionType;
use seaway_proto::google::protobuf::{Struct, Value, value::Kind};
use seaway_translator::{CertificateDelivery, Fleet, Imports, Options, Role, View};
use seaway_xds::{Admission, Admit, Authenticated, Caller, Dialect, OnDemand, PlacementId};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use crate::admin::health::Health;
use crate::admission::identity::{Permissions, Verifier};
use crate::writer::Lease;

/// The longest claim, in bytes. No name in Kubernetes is longer.
const MAX_NAME: usize = 253;
/// The first version of Envoy whose documentation has certificates on demand.
const ON_DEMAND_SINCE: (u32, u32) = (1, 37);
/// The extension that asks for them.
const ON_DEMAND: &str = "envoy.tls.certificate_selectors.on_demand_secret";

/// Admits proxies to the xDS server once the first sync is complete.
#[derive(Debug)]
pub(crate) struct ProxyAdmission {
    /// Whether it is.
    pub(crate) health: Health,
    /// Authenticates proxies; `None` if no proof is asked for.
    pub(crate) verifier: Option<Arc<Verifier>>,
    /// Whether proxies that can ask for certificates are to do so.
    pub(crate) certificates_on_demand: bool,
    /// The listeners that are made for gRPC clients.
    pub(crate) targets: OnDemand,
    /// Sends the writer the leases of proxies that connect.
    pub(crate) leases: mpsc::Sender<Lease>,
    /// Sends the writer the views of proxies whose streams ended. Unbounded, since a drop cannot
    /// wait; there is at most one per stream.
    pub(crate) releases: mpsc::UnboundedSender<View>,
}

impl Admit for ProxyAdmission {
    type Permissions = Permissions;

    async fn authenticate(&self, caller: Caller<'_>) -> Result<Authenticated<Permissions>, Status> {
        match &self.verifier {
            Some(verifier) => verifier.verify(caller).await,
            None => Ok(Authenticated {
                identity: None,
                permissions: Permissions::Anything,
                // Whoever is on this host may look at everything that is served here.
                inspects: is_local(caller.peer.address),
            }),
        }
    }

    async fn admit(
        &self,
        permissions: &Permissions,
        node: &core::Node,
        dialect: Dialect,
    ) -> Result<Admission, Status> {
        self.health.ready().map_err(Status::unavailable)?;
        let mut view = view(node).map_err(Status::invalid_argument)?;
        // State of the world cannot say that there is no certificate of a name: it would be asked
        // for for ever.
        if !self.certificates_on_demand || dialect == Dialect::Sotw {
            view.certificates = CertificateDelivery::Chains;
        }
        permissions
            .check(&view)
            .map_err(Status::permission_denied)?;
        let imports = permissions.imports(&view);
        view.imports = imports.map_err(Status::permission_denied)?;
        if view.role == Role::Ingress {
            self.health.has_secrets().map_err(Status::unavailable)?;
        }
        let forbidden = permissions.forbidden(&view);
        let about = about(&view);
        let on_demand = (view.role == Role::Grpc).then(|| self.targets.clone());
        let (placed, placement) = oneshot::channel();
        self.leases
            .send(Lease {
                view: view.clone(),
                placed,
            })
            .await
            .map_err(ending)?;
        let mut guard = Guard {
            view: Some(view),
            waiting: Some(placement),
            releases: self.releases.clone(),
        };
        let placement = guard.placed().await?;
        let lease = Box::new((guard, permissions.account()));
        Ok(Admission {
            placement,
            forbidden,
            on_demand,
            about,
            lease,
        })
    }
}

/// The listeners that are made when gRPC clients ask for their names: those that Services can have.
pub(crate) fn targets(options: &Options) -> OnDemand {
    let options = options.clone();
    OnDemand {
        type_url: TypeUrl::LISTENER,
        may_be: Arc::new(move |name| options.is_target(name)),
    }
}

/// What is shown of a proxy: its role and its place, as it claims it.
fn about(view: &View) -> Vec<(&'static str, Arc<str>)> {
    let fleet = (view.role == Role::Ingress).then(|| Arc::from(view.fleet.to_string()));
    let imports = view.imports.as_ref();
    let imports = imports.map(|imports| Arc::from(imports.to_string()));
    let notes = [
        ("role", Some(Arc::from(view.role.as_str()))),
        ("node", view.node.clone()),
        ("zone", view.zone.clone()),
        ("region", view.region.clone()),
        ("namespace", view.namespace.clone()),
        ("fleet", fleet),
        ("import", imports),
    ];
    let known = notes.into_iter();
    known
        .filter_map(|(name, note)| Some((name, note?)))
        .collect()
}

/// Whether a peer is on this host.
fn is_local(peer: Option<SocketAddr>) -> bool {
    peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

/// The error when the writer is gone.
fn ending<E>(_: E) -> Status {
    Status::unavailable("draining: this process is about to end")
}

/// Releases the lease of a stream when dropped, however the stream ends, also one that ends just
/// when it was placed.
#[derive(Debug)]
struct Guard {
    view: Option<View>,
    /// Receives the placement; `None` once it is there.
    waiting: Option<oneshot::Receiver<Result<PlacementId, String>>>,
    releases: mpsc::UnboundedSender<View>,
}

impl Guard {
    async fn placed(&mut self) -> Result<PlacementId, Status> {
        let waiting = self.waiting.as_mut().ok_or_else(|| ending(()))?;
        let placement = waiting.await.map_err(ending)?;
        // What was refused is not to be given back: it was never there.
        let placement = placement.map_err(Status::resource_exhausted)?;
        self.waiting = None;
        Ok(placement)
    }

    /// Whether the lease has been granted. A placement that can no longer be received is released
    /// by the writer itself.
    fn is_placed(&mut self) -> bool {
        let Some(waiting) = &mut self.waiting else {
            return true;
        };
        waiting.close();
        matches!(waiting.try_recv(), Ok(Ok(_)))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_placed()
            && let Some(view) = self.view.take()
        {
            // Without a writer there is nothing to give back to.
            let _ = self.releases.send(view);
        }
    }
}

/// The view of a proxy, from its `Node` message. The error says which claim cannot be used.
fn view(node: &core::Node) -> Result<View, String> {
    let seaway = node
        .metadata
        .as_ref()
        .and_then(|metadata| inner(metadata, "seaway"));
    let claim = |name: &str| {
        seaway
            .and_then(|seaway| text(seaway, name))
            .unwrap_or_default()
    };
    let locality = node.locality.as_ref();
    let role = role(node, claim("role"))?;
    let whole_table = whole_table(node, claim("routes"))?;
    let imports = match role {
        Role::Mesh => seaway.map_or(Ok(None), imports)?,
        Role::Node | Role::Ingress | Role::Grpc => None,
    };
    Ok(View {
        role,
        node: name("metadata.seaway.node_name", claim("node_name"))?,
        zone: name(
            "locality.zone",
            locality.map_or("", |locality| &locality.zone),
        )?,
        region: name(
            "locality.region",
            locality.map_or("", |locality| &locality.region),
        )?,
        namespace: name("metadata.seaway.namespace", claim("namespace"))?,
        fleet: match claim("fleet") {
            "" => Fleet::default(),
            text => text
                .parse()
                .map_err(|error| format!("node metadata.seaway.fleet: {error}"))?,
        },
        whole_table: whole_table && role == Role::Mesh,
        certificates: certificates(node),
        imports,
        mesh_tls: mesh_tls(claim("mesh_tls"))? && role == Role::Mesh,
    })
}

/// What a mesh proxy says it imports: a list of names, or one text with commas. A proxy that wants
/// less than all is refused for what cannot be read, and not given all.
fn imports(seaway: &Struct) -> Result<Option<Imports>, String> {
    const FIELD: &str = "node metadata.seaway.import";
    let Some(kind) = seaway.fields.get("import").and_then(|v| v.kind.as_ref()) else {
        return Ok(None);
    };
    let read = match kind {
        Kind::NullValue(_) => return Ok(None),
        Kind::StringValue(text) => Imports::read_list(text),
        Kind::ListValue(list) => {
            let names = list.values.iter().map(string).collect::<Option<Vec<_>>>();
            let names = names.ok_or_else(|| format!("{FIELD} has what is no text"))?;
            Imports::read(names)
        }
        _ => return Err(format!("{FIELD} is no list of names")),
    };
    read.map_err(|error| format!("{FIELD}: {error}"))
}

/// How a proxy can come by certificates: on demand if it is an Envoy of a version that has the
/// means, and says that it was built with them.
fn certificates(node: &core::Node) -> CertificateDelivery {
    let is_able = version(node) >= Some(ON_DEMAND_SINCE)
        && node.extensions.iter().any(|one| one.name == ON_DEMAND);
    match is_able {
        true => CertificateDelivery::OnDemand,
        false => CertificateDelivery::Chains,
    }
}

/// The role of a proxy: a gRPC client is known by its user agent, an Envoy by its metadata, else by
/// the prefix of its cluster.
fn role(node: &core::Node, claimed: &str) -> Result<Role, String> {
    if node.user_agent_name.starts_with("gRPC") {
        return Ok(Role::Grpc);
    }
    if !claimed.is_empty() {
        return claimed
            .parse()
            .map_err(|error| format!("node metadata.seaway.role: {error}"));
    }
    let of = |(prefix, role)| node.cluster.starts_with(prefix).then_some(role);
    let prefixes = [
        ("seaway-node", Role::Node),
        ("seaway-ingress", Role::Ingress),
    ];
    Ok(prefixes.into_iter().find_map(of).unwrap_or(Role::Mesh))
}

/// Whether a mesh proxy takes the routes of all Services as one table. One that does not say it is
/// known by its version: an Envoy before 1.38 asks for scopes only if its first configuration has
/// them (envoy#43392), as that of `seaway bootstrap` does, which says so. One that began with a
/// table would answer everything with 404.
fn whole_table(node: &core::Node, claimed: &str) -> Result<bool, String> {
    match claimed {
        "scopes" => Ok(false),
        "table" => Ok(true),
        "" => Ok(version(node).is_some_and(|version| version < (1, 38))),
        _ => Err("node metadata.seaway.routes is neither `scopes` nor `table`".to_owned()),
    }
}

/// Whether a mesh proxy has a certificate of its workload, in the files that everybody has it in.
fn mesh_tls(claimed: &str) -> Result<bool, String> {
    match claimed {
        "" => Ok(false),
        "files" => Ok(true),
        _ => Err("node metadata.seaway.mesh_tls is not `files`".to_owned()),
    }
}

/// The version of an Envoy.
fn version(node: &core::Node) -> Option<(u32, u32)> {
    let build = match &node.user_agent_version_type {
        Some(UserAgentVersionType::UserAgentBuildVersion(build)) => build,
        _ => return None,
    };
    let version = build.version.as_ref()?;
    (node.user_agent_name == "envoy").then_some((version.major_number, version.minor_number))
}

fn name(field: &str, text: &str) -> Result<Option<Arc<str>>, String> {
    if text.len() > MAX_NAME || text.chars().any(char::is_control) {
        return Err(format!("node {field} is no name"));
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

fn inner<'a>(of: &'a Struct, name: &str) -> Option<&'a Struct> {
    match of.fields.get(name)?.kind.as_ref()? {
        Kind::StructValue(inner) => Some(inner),
        _ => None,
    }
}

fn text<'a>(of: &'a Struct, name: &str) -> Option<&'a str> {
    string(of.fields.get(name)?)
}

fn string(value: &Value) -> Option<&str> {
    match value.kind.as_ref()? {
        Kind::StringValue(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
