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
        let forbidden = permissions.forbidden(view.role);
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
mod tests {
    use serde_json::json;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::admission::identity::Grant;
    use crate::kube::Account;

    #[track_caller]
    fn check(node: serde_json::Value, role: Role, places: [Option<&str>; 3]) {
        let found = view(&decode(&node)).unwrap();
        let [name, zone, region] = places.map(|place| place.map(Into::into));
        let expected = View {
            node: name,
            zone,
            region,
            ..View::of(role)
        };
        assert_eq!(found, expected, "{node}");
    }

    fn decode(node: &serde_json::Value) -> core::Node {
        let bytes = seaway_proto::json::from_value("envoy.config.core.v3.Node", node).unwrap();
        prost::Message::decode(&*bytes).unwrap()
    }

    #[test]
    fn the_role_is_the_metadata_then_the_cluster_then_mesh() {
        let claims = json!({ "seaway": { "role": "node", "node_name": "n1" } });
        check(
            json!({ "cluster": "seaway-mesh", "metadata": claims }),
            Role::Node,
            [Some("n1"), None, None],
        );
        check(json!({ "cluster": "seaway-node-a" }), Role::Node, [None; 3]);
        check(
            json!({ "cluster": "seaway-ingress" }),
            Role::Ingress,
            [None; 3],
        );
        check(json!({ "cluster": "other" }), Role::Mesh, [None; 3]);
        check(json!({}), Role::Mesh, [None; 3]);
        check(
            json!({ "user_agent_name": "gRPC Go", "cluster": "seaway-node" }),
            Role::Grpc,
            [None; 3],
        );
    }

    #[test]
    fn a_fleet_is_the_default_one_unless_the_metadata_name_another() {
        let of = |fleet: serde_json::Value| {
            let claims = json!({ "seaway": { "role": "ingress", "fleet": fleet } });
            view(&decode(&json!({ "metadata": claims })))
        };
        assert_eq!(of(json!("")).unwrap().fleet, Fleet::default());
        assert_eq!(of(json!("blue")).unwrap().fleet.as_str(), "blue");
        assert!(
            of(json!("a b"))
                .unwrap_err()
                .starts_with("node metadata.seaway.fleet: ")
        );
    }

    #[test]
    fn certificates_on_demand_are_for_envoys_that_have_them() {
        let envoy = |name: &str, minor: u32, extension: &str| {
            let version = json!({ "version": { "major_number": 1, "minor_number": minor } });
            let node = json!({
                "user_agent_name": name,
                "user_agent_build_version": version,
                "extensions": [{ "name": extension }],
            });
            certificates(&decode(&node)) == CertificateDelivery::OnDemand
        };
        assert!(envoy("envoy", 37, ON_DEMAND));
        assert!(envoy("envoy", 40, ON_DEMAND));
        assert!(!envoy("envoy", 36, ON_DEMAND));
        assert!(!envoy("envoy", 40, "other"));
        assert!(!envoy("other", 40, ON_DEMAND));
        let unknown = json!({ "user_agent_name": "envoy", "user_agent_version": "1.40.0" });
        assert_eq!(certificates(&decode(&unknown)), CertificateDelivery::Chains);
    }

    #[test]
    fn who_is_on_this_host_is_known_by_its_address_alone() {
        let is = |peer: &str| is_local(Some(peer.parse().unwrap()));
        for local in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is(local), "{local}");
        }
        for other in [
            "10.0.0.1:1",
            "[fd00::1]:1",
            "[::ffff:10.0.0.1]:1",
            "0.0.0.0:1",
        ] {
            assert!(!is(other), "{other}");
        }
        assert!(!is_local(None));
    }

    #[tokio::test]
    async fn a_stream_that_ends_just_when_it_is_placed_gives_its_lease_back() {
        let (lease_sender, mut leases) = mpsc::channel(1);
        let (releases, mut released) = mpsc::unbounded_channel();
        let health = Health::default();
        health.set_synced();
        let admission = ProxyAdmission {
            health,
            verifier: None,
            certificates_on_demand: false,
            targets: targets(&Options::default()),
            leases: lease_sender,
            releases,
        };
        let node = decode(&json!({ "cluster": "seaway-node" }));
        let mut admission =
            Box::pin(admission.admit(&Permissions::Anything, &node, Dialect::Delta));
        let lease = tokio::select! {
            biased;
            _ = &mut admission => panic!("nobody placed it yet"),
            lease = leases.recv() => lease.unwrap(),
        };
        lease.placed.send(Ok(PlacementId(1))).unwrap();
        drop(admission);
        assert_eq!(released.recv().await, Some(View::of(Role::Node)));
    }

    /// A token counts as in use, and is reviewed again, for as long as somebody has its account.
    #[tokio::test]
    async fn an_account_is_held_for_as_long_as_its_stream() {
        let (leases, mut coming) = mpsc::channel(1);
        let (releases, _released) = mpsc::unbounded_channel();
        let health = Health::default();
        health.set_synced();
        let admission = ProxyAdmission {
            health,
            verifier: None,
            certificates_on_demand: false,
            targets: targets(&Options::default()),
            leases,
            releases,
        };
        let account = Arc::new(Account {
            namespace: "a".into(),
            name: "b".into(),
            node: None,
            pod: None,
            expires: std::time::SystemTime::now(),
            revoked: CancellationToken::new(),
        });
        let permissions = Permissions::Some {
            name: "somebody".into(),
            grants: vec![Grant {
                role: Role::Mesh,
                fleet: Fleet::default(),
                import: None,
                node: None,
            }],
            account: Some(account.clone()),
        };
        let node = decode(&json!({}));
        let (admission, ()) = tokio::join!(
            admission.admit(&permissions, &node, Dialect::Delta),
            async {
                let lease = coming.recv().await.unwrap();
                lease.placed.send(Ok(PlacementId(1))).unwrap();
            }
        );
        drop(permissions);
        assert_eq!(Arc::strong_count(&account), 2);
        drop(admission);
        assert_eq!(Arc::strong_count(&account), 1);
    }

    #[test]
    fn the_place_is_the_locality() {
        let node = json!({ "locality": { "zone": "a", "region": "r" } });
        check(node, Role::Mesh, [None, Some("a"), Some("r")]);
    }

    #[test]
    fn an_older_envoy_takes_scopes_only_if_it_says_so() {
        let whole = |agent: &str, minor: u32, routes: &str| {
            view(&decode(&json!({
                "user_agent_name": agent,
                "user_agent_build_version": { "version": { "major_number": 1, "minor_number": minor } },
                "metadata": { "seaway": { "routes": routes } },
            })))
            .map(|view| view.whole_table)
        };
        assert_eq!(whole("envoy", 36, ""), Ok(true));
        assert_eq!(whole("envoy", 36, "scopes"), Ok(false));
        assert_eq!(whole("envoy", 38, ""), Ok(false));
        assert_eq!(whole("envoy", 40, "table"), Ok(true));
        assert_eq!(whole("another", 2, ""), Ok(false));
        assert!(whole("envoy", 40, "vhds").is_err());
        let of_a_node = json!({ "metadata": { "seaway": { "role": "node", "routes": "table" } } });
        assert!(!view(&decode(&of_a_node)).unwrap().whole_table);
    }

    #[test]
    fn what_a_mesh_proxy_imports_is_read_or_refused() {
        let of = |role: &str, import: serde_json::Value| {
            let claims = json!({ "seaway": { "role": role, "import": import } });
            let view = view(&decode(&json!({ "metadata": claims })));
            view.map(|view| view.imports.map(|imports| imports.to_string()))
        };
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(
            of("mesh", json!(["shop", "infra/dns"])),
            some("infra/dns,shop")
        );
        assert_eq!(of("mesh", json!("shop/*, infra")), some("infra,shop"));
        for nothing in [json!([]), json!(""), json!(null)] {
            assert_eq!(of("mesh", nothing), Ok(None));
        }
        assert_eq!(of("node", json!(["shop"])), Ok(None));
        let many: Vec<String> = (0..=Imports::MOST).map(|n| format!("n{n}")).collect();
        let long = "x".repeat(1 << 20);
        for (bad, why) in [
            (json!(["shop", "*"]), "\"*\" is unknown"),
            (json!(["a b"]), "\"a b\" is unknown"),
            (json!([long]), "is unknown"),
            (json!([1]), "has what is no text"),
            (json!({ "shop": true }), "is no list of names"),
            (json!(true), "is no list of names"),
            (json!(many), "more than 128 imports"),
        ] {
            let error = of("mesh", bad).unwrap_err();
            assert!(error.starts_with("node metadata.seaway.import"), "{error}");
            assert!(error.contains(why) && error.len() < 300, "{error}");
        }
    }

    #[test]
    fn metadata_of_other_shapes_says_nothing() {
        check(
            json!({ "metadata": { "seaway": "node" } }),
            Role::Mesh,
            [None; 3],
        );
        check(
            json!({ "metadata": { "seaway": { "role": 1, "node_name": null } } }),
            Role::Mesh,
            [None; 3],
        );
    }

    #[test]
    fn claims_that_cannot_be_are_refused() {
        for claims in [
            json!({ "role": "king" }),
            json!({ "node_name": "a\nb" }),
            json!({ "node_name": "n".repeat(254) }),
        ] {
            let node = decode(&json!({ "metadata": { "seaway": claims } }));
            assert!(
                view(&node)
                    .unwrap_err()
                    .starts_with("node metadata.seaway.")
            );
        }
    }
}
