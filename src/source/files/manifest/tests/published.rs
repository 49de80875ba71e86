//! Manifests in the shape in which well-known projects publish them: what is of use is read, what
//! is not makes no noise.

use super::*;

#[test]
fn an_ingress_controller() {
    gives(
        "\
apiVersion: v1
kind: Namespace
metadata: {labels: {app.kubernetes.io/version: 1.12}, name: edge}
---
apiVersion: v1
automountServiceAccountToken: true
kind: ServiceAccount
metadata: {name: edge, namespace: edge}
---
apiVersion: v1
data: null
kind: ConfigMap
metadata: {name: edge, namespace: edge}
---
apiVersion: v1
kind: Service
metadata: {labels: {app.kubernetes.io/version: 1.12}, name: edge, namespace: edge}
spec:
  externalTrafficPolicy: Local
  ipFamilies:
  - IPv4
  ipFamilyPolicy: SingleStack
  ports:
  - {appProtocol: http, name: http, port: 80, protocol: TCP, targetPort: http}
  selector: {app.kubernetes.io/component: controller}
  type: LoadBalancer
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: edge}
webhooks: [{clientConfig: {service: {name: edge, namespace: edge, port: 443}}}]
",
        &["Namespace edge", "Service edge/edge"],
    );
}

#[test]
fn a_rendered_chart_with_definitions_of_its_own() {
    gives(
        "\
# Copyright The Authors
---
# Source: chart/templates/crd.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          description: |-
            A thing.
            ---
            not a marker
          properties:
            x: {type: string, pattern: \"^([0-9]+(\\\\.[0-9]+)?(ms|s))+$\", default: !!str 80, enum: [yes, \"on\"]}
---
# Source: chart/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: things
  labels:
    helm.sh/chart: things-1.0.0
spec:
  ports:
    - protocol: TCP
      port: 9402
      targetPort: 9402
---
# Source: chart/templates/empty.yaml

---
",
        &["Service default/things"],
    );
}

#[test]
fn a_database_whose_operator_writes_endpoints() {
    let text = "\
apiVersion: v1
kind: Service
metadata: {name: db, namespace: x}
spec: {type: ClusterIP, clusterIP: 10.96.3.1, ports: [{name: pg, port: 5432}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: db, namespace: x, annotations: {leader: db-0, ttl: \"30\"}}
subsets: [{addresses: [{ip: 10.244.0.7, hostname: db-0}], ports: [{name: pg, port: 5432}]}]
---
apiVersion: v1
kind: Endpoints
metadata: {name: db-config, namespace: x}
";
    gives(text, &["Service x/db"]);
    let unread = parse("a.yaml", text.as_bytes()).unread;
    let named: Vec<_> = unread.endpoints.iter().map(|key| &*key.name).collect();
    assert_eq!(named, ["db"]);
}

#[test]
fn a_dump_of_a_cluster() {
    gives(
        "\
apiVersion: v1
items:
- apiVersion: v1
  kind: Service
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"gateway\"}}
    creationTimestamp: \"2025-01-01T00:00:00Z\"
    finalizers: [service.kubernetes.io/load-balancer-cleanup]
    generation: 1
    managedFields:
    - apiVersion: v1
      fieldsType: FieldsV1
      fieldsV1: {\"f:spec\": {\"f:ports\": {\".\": {}, 'k:{\"port\":80,\"protocol\":\"TCP\"}': {}}}}
      manager: kubectl
      operation: Update
      time: \"2025-01-01T00:00:00Z\"
    name: gateway
    namespace: edge
    ownerReferences: [{apiVersion: example.com/v1, blockOwnerDeletion: true, kind: Gateway, name: gateway, uid: u}]
    resourceVersion: \"12345\"
    uid: 0c9f
  spec:
    allocateLoadBalancerNodePorts: true
    clusterIP: 10.96.5.1
    clusterIPs: [10.96.5.1]
    ports: [{name: http2, nodePort: 31080, port: 80, protocol: TCP, targetPort: 8080}]
    sessionAffinity: ClientIP
    sessionAffinityConfig: {clientIP: {timeoutSeconds: 10800}}
    type: LoadBalancer
  status:
    conditions: [{lastTransitionTime: \"2025-01-01T00:00:00Z\", message: \"\", reason: X, status: \"True\", type: Ready}]
    loadBalancer: {ingress: [{hostname: a1.elb.example.com, ports: [{port: 80, protocol: TCP}]}]}
- addressType: IPv4
  apiVersion: discovery.k8s.io/v1
  endpoints:
  - {addresses: [10.244.1.5], conditions: {ready: true, serving: true, terminating: false}, hostname: kafka-0, nodeName: n1,
     targetRef: {kind: Pod, name: kafka-0, namespace: edge, uid: u}, zone: za}
  kind: EndpointSlice
  metadata: {generateName: gateway-, labels: {kubernetes.io/service-name: gateway}, name: gateway-x, namespace: edge}
  ports: [{appProtocol: null, name: http2, port: 8080, protocol: TCP}]
- {apiVersion: v1, kind: Node, metadata: {name: n1}, status: {images: [{names: [a], sizeBytes: 5}], nodeInfo: {kernelVersion: 6.1}}}
- {apiVersion: v1, kind: Pod, metadata: {name: kafka-0, namespace: edge}}
kind: List
metadata:
  resourceVersion: \"\"
",
        &["Service edge/gateway", "EndpointSlice edge/gateway-x", "Node n1"],
    );
}

#[test]
fn sentinels_with_affinity_and_a_headless_twin() {
    gives(
        "\
apiVersion: v1
kind: Service
metadata: {name: redis, namespace: cache, labels: {app.kubernetes.io/version: 7.4}}
spec:
  sessionAffinity: ClientIP
  ports: [{name: tcp-redis, port: 6379, targetPort: redis, nodePort: null}]
---
apiVersion: v1
kind: Service
metadata: {name: redis-headless, namespace: cache, annotations: ~}
spec: {clusterIP: None, publishNotReadyAddresses: yes, ports: [{name: tcp-redis, port: 6379}]}
",
        &["Service cache/redis", "Service cache/redis-headless"],
    );
}
