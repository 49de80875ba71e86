//! Checks of the API server, with `--kube`: that it answers, and what Seaway may do there beside
//! its watches.

use std::time::Instant;

use super::report::Group;
use crate::kube::{Permission, Visitor};

/// The group.
pub(super) const NAME: &str = "api server";
/// What Seaway does there beside lists and watches, whatever its flags are.
const EVENTS: Permission = Permission {
    group: "events.k8s.io",
    resource: "events",
    verb: "create",
};

/// Checks it.
pub(super) async fn api_server(visitor: &Visitor) -> Group {
    let mut group = Group::new(NAME);
    let begin = Instant::now();
    match visitor.version().await {
        Ok(version) => {
            let millis = begin.elapsed().as_millis();
            group.ok(format!("reachable, {}, {millis} ms", version.git_version));
        }
        Err(error) => {
            group.fail(format!("{error:#}"), "kubectl version");
            return group;
        }
    }
    match visitor.may(EVENTS).await {
        Ok(Some(true)) => group.ok("Seaway may create events"),
        Ok(Some(false)) => group.fail(
            "Seaway may not create events: problems will not show in kubectl describe",
            "kubectl apply -k deploy/base (ClusterRole seaway)",
        ),
        Ok(None) => group.skip("whether Seaway may create events: you may not review that"),
        Err(error) => group.skip(format!("whether Seaway may create events: {error:#}")),
    }
    group
}
