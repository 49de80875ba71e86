//! Builders and helpers for the translator's tests.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by several test binaries, each of which uses a part"
)]
#![allow(clippy::expect_used, reason = "a test that cannot go on ends")]

pub mod random;
pub mod routing;

use std::collections::BTreeMap;
use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl, json};
use seaway_translator::{
    Change, Layer, Object, Origin, Problem, Replace, Role, Translator, View, read,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads manifests: YAML documents separated by `---`. What cannot be read becomes a problem.
pub fn manifests(text: &str) -> (Vec<Object>, Vec<Problem>) {
    let mut objects = Vec::new();
    let mut problems = Vec::new();
    for document in text.split("\n---\n") {
        let value = json::from_yaml(document).expect("a document is YAML");
        match object(value) {
            Ok(object) => objects.extend(object),
            Err(problem) => problems.push(problem),
        }
    }
    (objects, problems)
}

/// Reads one object; kinds that are not used are nothing.
pub fn object(value: Value) -> Result<Option<Object>, Problem> {
    fn typed<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("the document fits its kind")
    }
    let kind = value["kind"].as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "Service" => read::service(&typed(value)).map(Some),
        "EndpointSlice" => read::endpoint_slice(&typed(value)).map(Some),
        "Node" => read::node(&typed(value)).map(Some),
        "IngressClass" => read::ingress_class(&typed(value)).map(Some),
        "Ingress" => read::ingress(&typed(value)).map(Some),
        "GatewayClass" => read::gateway_class(&typed(value)).map(Some),
        "Gateway" => read::gateway(&typed(value)).map(Some),
        "HTTPRoute" => read::http_route(&typed(value)).map(Some),
        "ReferenceGrant" => read::reference_grant(&typed(value)).map(Some),
        "Namespace" => read::namespace(&typed(value)).map(Some),
        "Secret" => read::secret(&typed(value)).map(Some),
        _ => Ok(None),
    }
}

/// The one object of a text.
#[track_caller]
pub fn one(text: &str) -> Object {
    let (mut objects, problems) = manifests(text);
    assert_eq!(problems, []);
    objects.pop().expect("there is an object")
}

/// A ClusterIP Service of namespace `d` with port 80 named `http`; `extra` is more of its spec.
pub fn service(name: &str, ip: &str, extra: &str) -> Object {
    one(&format!(
        "{{kind: Service, metadata: {{namespace: d, name: {name}}}, \
         spec: {{clusterIP: {ip}, ports: [{{name: http, port: 80}}]{extra}}}}}"
    ))
}

/// A slice of namespace `d` for a Service of it, with port `http` 8080; `endpoints` is a YAML list.
pub fn slice(name: &str, service: &str, endpoints: &str) -> Object {
    one(&format!(
        "{{kind: EndpointSlice, metadata: {{namespace: d, name: {name}, \
         labels: {{kubernetes.io/service-name: {service}}}}}, addressType: IPv4, \
         ports: [{{name: http, port: 8080}}], endpoints: {endpoints}}}"
    ))
}

/// A Node with labels for zone and region, where they are not empty.
pub fn node(name: &str, zone: &str, region: &str) -> Object {
    one(&format!(
        "{{kind: Node, metadata: {{name: {name}, labels: {{topology.kubernetes.io/zone: \"{zone}\", \
         topology.kubernetes.io/region: \"{region}\"}}}}}}"
    ))
}

/// A view; empty names are none.
pub fn view(role: Role, node: &str, zone: &str) -> View {
    let some = |text: &str| (!text.is_empty()).then(|| Arc::<str>::from(text));
    View {
        node: some(node),
        zone: some(zone),
        ..View::of(role)
    }
}

/// What has been published: by origin, layer, type and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published(BTreeMap<Origin, BTreeMap<Key, Resource>>);

/// The layer, type and name of a resource.
type Key = (Layer, TypeUrl, Arc<str>);

impl Published {
    /// Takes in what a flush yields. Returns what it changed, as `<layer> <type> <name>`.
    pub fn take(&mut self, replaces: Vec<Replace>) -> Vec<String> {
        let mut changed = Vec::new();
        for replace in replaces {
            let old = self.0.remove(&replace.origin).unwrap_or_default();
            let mut new = BTreeMap::new();
            for (layer, resource) in replace.resources {
                let key = (layer, resource.type_url, resource.name.clone());
                let twice = new.insert(key.clone(), resource);
                assert_eq!(twice, None, "{key:?} is there once");
            }
            for key in old.keys().chain(new.keys()) {
                if old.get(key) != new.get(key) {
                    changed.push(format!("{} {} {}", key.0, key.1.short(), key.2));
                }
            }
            if !new.is_empty() {
                self.0.insert(replace.origin, new);
            }
        }
        changed.sort();
        changed.dedup();
        changed
    }

    /// All resources of a type, whoever sees them.
    pub fn all(&self, type_url: TypeUrl) -> impl Iterator<Item = &Resource> {
        let all = self.0.values().flat_map(BTreeMap::values);
        all.filter(move |resource| resource.type_url == type_url)
    }

    /// The layer, type and name of all resources.
    pub fn layers(&self) -> Vec<(Layer, TypeUrl, Arc<str>)> {
        let all = self.0.values().flat_map(BTreeMap::keys);
        all.cloned().collect()
    }

    /// What a proxy that looks through these layers sees.
    pub fn seen(&self, place: &[Layer]) -> BTreeMap<(TypeUrl, Arc<str>), Resource> {
        let mut seen = BTreeMap::new();
        for layer in place.iter().rev() {
            let all = self.0.values().flatten();
            for ((_, type_url, name), resource) in all.filter(|((own, _, _), _)| own == layer) {
                let key = (*type_url, name.clone());
                if !layer.is_overriding() || seen.contains_key(&key) {
                    seen.insert(key, resource.clone());
                }
            }
        }
        seen
    }
}

/// A translator with what it has published so far.
pub struct World {
    pub translator: Translator,
    pub published: Published,
}

impl World {
    /// Without the listener that every node has; `with` has it too.
    pub fn new(options: seaway_translator::Options) -> World {
        World::with(seaway_translator::Options {
            healthz_listen: None,
            ..options
        })
    }

    pub fn with(options: seaway_translator::Options) -> World {
        World {
            translator: Translator::new(options),
            published: Published::default(),
        }
    }

    /// Applies objects in one commit and returns what changed.
    pub fn apply(&mut self, objects: impl IntoIterator<Item = Object>) -> Vec<String> {
        for object in objects {
            self.translator.apply(Change::Apply(object));
        }
        self.flush()
    }

    /// Deletes an object and returns what changed.
    pub fn delete(&mut self, object: &Object) -> Vec<String> {
        self.translator.apply(Change::Delete(object.id()));
        self.flush()
    }

    pub fn flush(&mut self) -> Vec<String> {
        let replaces = self.translator.flush();
        self.published.take(replaces)
    }

    /// The names of all resources of a type that a view sees.
    pub fn names(&self, type_url: TypeUrl, view: &View) -> Vec<String> {
        let seen = self.published.seen(&self.translator.place(view));
        let names = seen.keys().filter(|(own, _)| *own == type_url);
        names.map(|(_, name)| name.to_string()).collect()
    }

    /// The endpoints a view sees in an assignment: addresses joined by commas, priorities separated
    /// by bars.
    #[track_caller]
    pub fn endpoints(&self, name: &str, view: &View) -> String {
        let seen = self.published.seen(&self.translator.place(view));
        let resource = seen
            .get(&(TypeUrl::ENDPOINT, name.into()))
            .expect("it exists");
        let value =
            json::to_value(TypeUrl::ENDPOINT.as_str(), &resource.value).expect("it decodes");
        let mut priorities: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for locality in value["endpoints"].as_array().into_iter().flatten() {
            let priority = locality["priority"].as_u64().unwrap_or(0);
            for endpoint in locality["lb_endpoints"].as_array().into_iter().flatten() {
                let socket = &endpoint["endpoint"]["address"]["socket_address"];
                let address = format!(
                    "{}:{}",
                    socket["address"].as_str().unwrap_or("?"),
                    socket["port_value"]
                );
                priorities.entry(priority).or_default().push(address);
            }
        }
        let joined: Vec<String> = priorities.values().map(|p| p.join(",")).collect();
        joined.join(" | ")
    }
}

/// The host that a client asks for to be found under this name of a scope: an address has another
/// one there.
pub fn asked(name: &str) -> String {
    match name.split_once(".ip/.") {
        Some((ip, end)) if ip.contains(':') => format!("[{ip}]{end}"),
        Some((ip, end)) => format!("{}{end}", ip.replace('-', ".")),
        None => name.to_owned(),
    }
}
