//! A server that grants what manifests say, and nothing else.

use anyhow::Result;
use seaway_testing::Grants;

use crate::client::{SERVICES, SLICES, ask};
use crate::{same, server};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";
const RULES: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: seaway}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: all}
rules:
- apiGroups: [""]
  resources: [services, nodes]
  verbs: [list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: one, namespace: shop}
rules:
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: ["*"]}
- {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [mine], verbs: [get]}
"#;

#[tokio::test]
async fn what_the_rules_do_not_grant_is_forbidden_and_written_down() -> Result<()> {
    let server = server(&["a"])?;
    let grants = Grants::read(RULES)?;
    let shown: Vec<_> = grants.iter().map(ToString::to_string).collect();
    let expected = [
        "list nodes",
        "watch nodes",
        "list services",
        "watch services",
        "get leases.coordination.k8s.io",
        "* endpointslices.discovery.k8s.io",
    ];
    same(shown, expected.map(str::to_owned).to_vec())?;
    server.authorize(&grants);
    let shop = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
    let one = format!("{SERVICES}/a");
    let namespaced = "/api/v1/namespaces/default/services/a";
    let cases = [
        ("GET", SERVICES, 200),
        ("GET", shop, 200),
        ("GET", SLICES, 403),
        ("GET", namespaced, 403),
        ("DELETE", namespaced, 403),
        ("GET", "/api/v1/secrets", 403),
        ("GET", "/apis", 200),
        ("GET", "/metrics", 403),
        ("GET", one.as_str(), 403),
        ("GET", &format!("{LEASES}/mine"), 404),
        ("GET", &format!("{LEASES}/other"), 403),
    ];
    for (method, path, status) in cases {
        let is = ask(&server, method, path, "").await?.0;
        same((method, path, is), (method, path, status))?;
    }
    let forbidden: Vec<_> = server
        .activity()
        .borrow()
        .forbidden()
        .iter()
        .cloned()
        .collect();
    let expected = [
        "GET /api/v1/services/a",
        "GET /metrics",
        "delete services",
        "get leases.coordination.k8s.io",
        "get services",
        "list endpointslices.discovery.k8s.io",
        "list secrets",
    ];
    same(forbidden, expected.map(str::to_owned).to_vec())?;
    let list = grants
        .iter()
        .find(|grant| grant.to_string() == "list services");
    server.authorize(&grants.without(list.unwrap()));
    same(ask(&server, "GET", SERVICES, "").await?.0, 403)
}

#[test]
fn a_rule_that_is_not_understood_is_not_passed_over() {
    let paths = RULES.replace(
        "resources: [services",
        "nonResourceURLs: [a]\n  resources: [services",
    );
    assert!(Grants::read(&paths).is_err());
    let unbound = RULES.replace(", namespace: shop", "");
    assert!(Grants::read(&unbound).is_err());
}
