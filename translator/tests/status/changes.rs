//! Of which objects the status may have changed: all of which it has, and few others.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use seaway_translator::status::Status;
use seaway_translator::{Change, ObjectId};

use super::{World, edge, gateway, route, world};
use crate::support::routing::{an_object_with_status, class, gateway_class, ingress, secret};
use crate::support::{one, service, slice};

const LISTENER: &str = "listeners: [{name: h, protocol: HTTP, port: 80}]";

impl World {
    /// The objects whose status may have changed, in words.
    fn changed(&mut self) -> Vec<String> {
        let changed = self.translator.take_status_changes();
        changed.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn a_change_is_said_of_the_objects_that_it_concerns() {
    let mut world = world();
    world.apply([
        gateway(LISTENER),
        class(),
        ingress("i", "a.org", "/", "web"),
    ]);
    assert_eq!(world.changed(), [""; 0], "nobody asked");
    world.translator.track_status(true);
    assert_eq!(
        world.changed(),
        ["Ingress d/i", "GatewayClass gc", "Gateway d/g"]
    );
    let web = "rules: [{backendRefs: [{name: web, port: 80}]}]";
    world.apply([route("{name: g}", web)]);
    assert_eq!(world.changed(), ["Gateway d/g", "HTTPRoute d/r"]);
    // It is attached as before.
    world.apply([route("{name: g}", &format!("hostnames: [a.org], {web}"))]);
    assert_eq!(world.changed(), ["HTTPRoute d/r"]);
    world.apply([slice("web-1", "web", "[{addresses: [10.0.0.1]}]")]);
    world.apply([slice("edge-1", "edge", "[{addresses: [10.0.0.2]}]")]);
    assert_eq!(world.changed(), [""; 0]);
    world.apply([service("other", "10.96.0.2", ""), secret("s", "ec", "ec")]);
    assert_eq!(world.changed(), [""; 0]);
    world.delete(&service("web", "10.96.0.1", ""));
    assert_eq!(world.changed(), ["HTTPRoute d/r"]);
    world.apply([edge("[{ip: 192.0.2.2}]")]);
    assert_eq!(world.changed(), ["Ingress d/i", "Gateway d/g"]);
    world.delete(&route("{name: g}", web));
    assert_eq!(world.changed(), ["Gateway d/g", "HTTPRoute d/r"]);
    world.apply([one(
        "{kind: GatewayClass, metadata: {name: gc}, spec: {controllerName: other.io/x}}",
    )]);
    assert_eq!(world.changed(), ["GatewayClass gc", "Gateway d/g"]);
    assert_eq!(world.gateway(), "nothing");
    world.translator.track_status(false);
    world.apply([gateway_class()]);
    assert_eq!(world.changed(), [""; 0]);
}

/// The status of all objects that ever were there.
fn statuses(world: &World, known: &BTreeSet<ObjectId>) -> BTreeMap<ObjectId, Option<Status>> {
    let of = |id: &ObjectId| (id.clone(), world.translator.status(id));
    known.iter().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever changes, the status of an object that is not among the changed ones is what it was,
    /// and it is what a translator says that was told of nothing else.
    #[test]
    fn no_change_of_a_status_is_missed(
        steps in prop::collection::vec((an_object_with_status(), prop::bool::weighted(0.85), prop::bool::weighted(0.7)), 1..50),
        gateway_services in prop::bool::weighted(0.3),
    ) {
        let options = crate::support::routing::options(gateway_services);
        let mut world = World::new(options.clone());
        world.translator.track_status(true);
        world.apply([class(), gateway_class()]);
        world.translator.take_status_changes();
        let mut known = BTreeSet::new();
        let mut left = BTreeMap::from([class(), gateway_class()].map(|one| (one.id(), one)));
        let mut before = BTreeMap::new();
        for (object, applied, flushed) in steps {
            known.insert(object.id());
            if applied {
                left.insert(object.id(), object.clone());
                world.translator.apply(Change::Apply(object));
            } else {
                left.remove(&object.id());
                world.translator.apply(Change::Delete(object.id()));
            }
            if !flushed {
                continue;
            }
            world.flush();
            let changed = world.translator.take_status_changes();
            let now = statuses(&world, &known);
            for (id, status) in &now {
                let was = before.get(id).unwrap_or(&None);
                prop_assert!(was == status || changed.contains(id), "{id}: {was:?} -> {status:?}");
            }
            before = now;
        }
        world.flush();
        let mut fresh = World::new(options);
        fresh.apply(left.values().rev().cloned());
        prop_assert_eq!(statuses(&world, &known), statuses(&fresh, &known));
    }
}
