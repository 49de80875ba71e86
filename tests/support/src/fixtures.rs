//! Small builders of manifests. They print JSON, which YAML readers take as it is.

use serde_json::{Value, json};

/// A Service being built.
#[derive(Clone, Debug)]
pub struct ServiceManifest(Value);

impl ServiceManifest {
    /// A Service of the namespace `default` without cluster IP and ports.
    pub fn new(name: &str) -> Self {
        Self(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "default"}, "spec": {"ports": []},
        }))
    }

    /// Gives it a cluster IP.
    #[must_use]
    pub fn cluster_ip(self, address: &str) -> Self {
        self.spec("clusterIP", address)
            .spec("clusterIPs", json!([address]))
    }

    /// Adds a TCP port with a name (`""` for none).
    #[must_use]
    pub fn port(mut self, name: &str, number: u16) -> Self {
        push(
            &mut self.0["spec"]["ports"],
            json!({"name": name, "port": number, "protocol": "TCP"}),
        );
        self
    }

    /// Sets a field of the port added last.
    #[must_use]
    pub fn on_port(mut self, field: &str, value: impl Into<Value>) -> Self {
        set_last(&mut self.0["spec"]["ports"], field, value.into());
        self
    }

    /// Sets a field of the spec.
    #[must_use]
    pub fn spec(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["spec"][field] = value.into();
        self
    }

    /// Sets a field of the metadata.
    #[must_use]
    pub fn metadata(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["metadata"][field] = value.into();
        self
    }

    /// Sets a field beside metadata and spec: `status`.
    #[must_use]
    pub fn top(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0[field] = value.into();
        self
    }

    /// Sets an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][key] = value.into();
        self
    }

    /// The manifest.
    pub fn document(&self) -> String {
        self.0.to_string()
    }
}

/// An EndpointSlice being built.
#[derive(Clone, Debug)]
pub struct SliceManifest(Value);

impl SliceManifest {
    /// An IPv4 slice `<service>-1` of the namespace `default` without endpoints and ports.
    pub fn new(service: &str) -> Self {
        Self(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "name": format!("{service}-1"), "namespace": "default",
                "labels": {"kubernetes.io/service-name": service},
            },
            "endpoints": [], "ports": [],
        }))
    }

    /// Gives the slice another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.0["metadata"]["name"] = name.into();
        self
    }

    /// Puts the slice into another namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.0["metadata"]["namespace"] = namespace.into();
        self
    }

    /// Sets a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][key] = value.into();
        self
    }

    /// Makes it a slice of another address type.
    #[must_use]
    pub fn address_type(mut self, address_type: &str) -> Self {
        self.0["addressType"] = address_type.into();
        self
    }

    /// Adds a TCP port with a name (`""` for none).
    #[must_use]
    pub fn port(mut self, name: &str, number: u16) -> Self {
        push(
            &mut self.0["ports"],
            json!({"name": name, "port": number, "protocol": "TCP"}),
        );
        self
    }

    /// Sets a field of the port added last.
    #[must_use]
    pub fn on_port(mut self, field: &str, value: impl Into<Value>) -> Self {
        set_last(&mut self.0["ports"], field, value.into());
        self
    }

    /// Adds a ready endpoint that runs nowhere in particular.
    #[must_use]
    pub fn endpoint(mut self, address: &str) -> Self {
        push(
            &mut self.0["endpoints"],
            json!({"addresses": [address], "conditions": {"ready": true}}),
        );
        self
    }

    /// Adds a ready endpoint of a node in a zone.
    #[must_use]
    pub fn endpoint_on(self, address: &str, node: &str, zone: &str) -> Self {
        self.endpoint(address)
            .on_endpoint("nodeName", node)
            .on_endpoint("zone", zone)
    }

    /// Sets a field of the endpoint added last.
    #[must_use]
    pub fn on_endpoint(mut self, field: &str, value: impl Into<Value>) -> Self {
        set_last(&mut self.0["endpoints"], field, value.into());
        self
    }

    /// The manifest.
    pub fn document(&self) -> String {
        self.0.to_string()
    }
}

/// A Node in a zone.
pub fn node(name: &str, zone: &str) -> String {
    let labels = json!({"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name});
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
        .to_string()
}

/// Several documents in one file.
pub fn join(documents: impl IntoIterator<Item = String>) -> String {
    documents.into_iter().collect::<Vec<_>>().join("\n---\n")
}

fn push(array: &mut Value, value: Value) {
    if let Some(array) = array.as_array_mut() {
        array.push(value);
    }
}

/// Sets a field of an array's last item.
fn set_last(array: &mut Value, field: &str, value: Value) {
    if let Some(item) = array.as_array_mut().and_then(|items| items.last_mut()) {
        item[field] = value;
    }
}

/// A Service of the namespace `shop` at 10.96.0.`number` with one endpoint, and its slice, as YAML.
pub fn shop_service(name: &str, number: u8, endpoint: &str, ready: bool) -> String {
    format!(
        "\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{clusterIP: 10.96.0.{number}, selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: shop, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: [{endpoint}], nodeName: n1, conditions: {{ready: {ready}}}}}]
"
    )
}
