//! What the watches say, and what is told of it.

use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::*;
use crate::kube::resource::Resource;

fn scope(kind: ObjectKind) -> Scope {
    Scope {
        kind,
        namespace: None,
    }
}

fn service(name: &str, port: Value) -> Value {
    json!({
        "metadata": {"namespace": "default", "name": name, "uid": format!("u-{name}"), "resourceVersion": "1"},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": port}]},
    })
}

fn item(kind: ObjectKind, object: &Value) -> Item {
    let resource = Resource::of(kind);
    resource.read(&to_raw_value(object).unwrap()).unwrap()
}

fn apply(object: &Value) -> News {
    News::Apply(Box::new(item(ObjectKind::Service, object)))
}

fn reset(objects: &[Value], complete: bool) -> News {
    let items = objects
        .iter()
        .map(|object| item(ObjectKind::Service, object))
        .collect();
    News::Reset { items, complete }
}

/// What was told, in short: `+a` and `-a`, and how many problems stand if that changed.
fn told(state: &mut ClusterState) -> (Vec<String>, Option<usize>) {
    let Some(update) = state.take(Instant::now()) else {
        return (Vec::new(), None);
    };
    let short = |change: &Change| match change {
        Change::Apply(object) => format!("+{}", object.id().name),
        Change::Delete(id) => format!("-{}", id.name),
    };
    let problems = update.problems.map(|problems| problems.len());
    (update.changes.iter().map(short).collect(), problems)
}

fn changes(state: &mut ClusterState) -> Vec<String> {
    told(state).0
}

#[test]
fn a_list_read_anew_tells_only_what_differs() {
    let (mut state, services) = (ClusterState::default(), scope(ObjectKind::Service));
    let all = [
        service("a", json!(80)),
        service("b", json!(80)),
        service("c", json!(80)),
    ];
    state.hear(&services, reset(&all, true));
    assert_eq!(changes(&mut state), ["+a", "+b", "+c"]);
    state.hear(&services, reset(&all, true));
    assert!(state.take(Instant::now()).is_none());
    let other = [
        service("a", json!(80)),
        service("b", json!(81)),
        service("d", json!(80)),
    ];
    state.hear(&services, reset(&other, true));
    assert_eq!(changes(&mut state), ["+b", "-c", "+d"]);
}

#[test]
fn a_list_of_one_resource_or_namespace_says_nothing_of_others() {
    let mut state = ClusterState::default();
    let node = json!({"metadata": {"name": "n1", "resourceVersion": "1"}});
    let nodes = vec![item(ObjectKind::Node, &node)];
    state.hear(
        &scope(ObjectKind::Node),
        News::Reset {
            items: nodes,
            complete: true,
        },
    );
    state.hear(
        &scope(ObjectKind::Service),
        reset(&[service("a", json!(80))], true),
    );
    changes(&mut state);
    let elsewhere = Scope {
        namespace: Some("elsewhere".into()),
        ..scope(ObjectKind::Service)
    };
    state.hear(&elsewhere, reset(&[], true));
    assert!(state.take(Instant::now()).is_none());
    state.hear(&scope(ObjectKind::Service), reset(&[], true));
    assert_eq!(changes(&mut state), ["-a"]);
}

#[test]
fn fields_that_mean_nothing_change_nothing() {
    let (mut state, services) = (ClusterState::default(), scope(ObjectKind::Service));
    let mut object = service("a", json!(80));
    state.hear(&services, apply(&object));
    changes(&mut state);
    object["metadata"]["resourceVersion"] = json!("2");
    object["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
    object["metadata"]["managedFields"] =
        json!([{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]);
    object["status"] = json!({"conditions": [{"type": "Ready", "status": "True", "reason": "r", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    state.hear(&services, apply(&object));
    assert!(state.take(Instant::now()).is_none());
}

#[test]
fn an_object_that_turns_bad_keeps_its_last_good_version_until_it_is_gone() {
    let (mut state, services) = (ClusterState::default(), scope(ObjectKind::Service));
    state.hear(&services, apply(&service("a", json!(80))));
    assert_eq!(told(&mut state), (vec!["+a".to_owned()], None));
    state.hear(&services, apply(&service("a", json!("eighty"))));
    assert_eq!(told(&mut state), (vec![], Some(1)));
    // Also when it is listed.
    state.hear(&services, reset(&[service("a", json!("eighty"))], true));
    assert!(state.take(Instant::now()).is_none());
    state.hear(&services, apply(&service("a", json!(81))));
    assert_eq!(told(&mut state), (vec!["+a".to_owned()], Some(0)));
    state.hear(&services, apply(&service("a", json!("eighty"))));
    state.hear(&services, reset(&[], true));
    assert_eq!(told(&mut state), (vec!["-a".to_owned()], Some(0)));
}

#[test]
fn nothing_is_removed_on_the_word_of_an_incomplete_list() {
    let (mut state, services) = (ClusterState::default(), scope(ObjectKind::Service));
    state.hear(
        &services,
        reset(&[service("a", json!(80)), service("b", json!(80))], true),
    );
    changes(&mut state);
    state.hear(&services, reset(&[service("b", json!(81))], false));
    assert_eq!(told(&mut state), (vec!["+b".to_owned()], Some(1)));
    state.hear(&services, reset(&[service("b", json!(81))], true));
    assert_eq!(told(&mut state), (vec!["-a".to_owned()], Some(0)));
}

#[test]
fn a_seeded_world_is_corrected_by_what_differs() {
    let (mut state, services) = (ClusterState::default(), scope(ObjectKind::Service));
    let seed = ["a", "b"].map(|name| item(ObjectKind::Service, &service(name, json!(80))));
    state.seed(seed.into_iter().filter_map(|item| item.content.ok()));
    assert_eq!(changes(&mut state), ["+a", "+b"]);
    state.hear(
        &services,
        reset(&[service("b", json!(80)), service("c", json!(80))], true),
    );
    assert_eq!(changes(&mut state), ["-a", "+c"]);
}

#[test]
fn a_kind_that_leaves_takes_its_objects_and_problems_and_nothing_else() {
    let (mut state, services) = (ClusterState::default(), scope(ObjectKind::Service));
    let bad = service("bad", json!("http"));
    state.hear(&services, reset(&[service("a", json!(80)), bad], false));
    let node = json!({"metadata": {"name": "n", "resourceVersion": "1"}});
    let items = vec![item(ObjectKind::Node, &node)];
    let complete = true;
    state.hear(&scope(ObjectKind::Node), News::Reset { items, complete });
    assert_eq!(told(&mut state), (vec!["+a".into(), "+n".into()], Some(2)));
    state.leave(ObjectKind::EndpointSlice);
    assert_eq!(told(&mut state), (Vec::new(), None));
    state.leave(ObjectKind::Service);
    assert_eq!(told(&mut state), (vec!["-a".into()], Some(0)));
    assert!(state.knows(ObjectKind::Node) && !state.knows(ObjectKind::Service));
}

/// A change waits for the Secrets that it is the first to name, and for a second at most.
#[test]
fn a_change_waits_for_a_secret_for_a_while_and_takes_the_ends_of_others_along() {
    let wants = Wants::default();
    let (ingresses, secrets) = (scope(ObjectKind::Ingress), scope(ObjectKind::Secret));
    wants.add(&secrets);
    let mut state = ClusterState::new(wants.clone());
    let ingress = |secret: &str| {
        let object = json!({
            "metadata": {"namespace": "d", "name": "i", "resourceVersion": "1"},
            "spec": {"tls": [{"secretName": secret}]},
        });
        News::Apply(Box::new(item(ObjectKind::Ingress, &object)))
    };
    let secret = |name: &str| {
        let object = json!({"metadata": {"namespace": "d", "name": name, "resourceVersion": "1"}});
        item(ObjectKind::Secret, &object)
    };
    state.hear(&ingresses, ingress("a"));
    let (items, complete) = (vec![secret("a"), secret("b")], true);
    state.settle();
    wants.list(&secrets);
    state.hear(&secrets, News::Reset { items, complete });
    assert_eq!(
        changes(&mut state),
        ["+i", "+a"],
        "nobody names the other one"
    );
    state.hear(&ingresses, ingress("b"));
    state.hear(&scope(ObjectKind::Service), apply(&service("s", json!(80))));
    assert_eq!(changes(&mut state), ["+s"]);
    let due = state.due().unwrap();
    state.hear(&secrets, News::Apply(Box::new(secret("b"))));
    assert_eq!(changes(&mut state), ["+i", "-a", "+b"]);
    state.hear(&ingresses, ingress("c"));
    assert!(state.take(due).is_none());
    let late = state.due().unwrap() + names::PATIENCE;
    let update = state.take(late).unwrap();
    assert_eq!((update.changes.len(), state.due()), (2, None));
}

/// A commit names the versions that it is made of, also of changes that have waited.
#[test]
fn a_change_that_waits_keeps_its_version_and_takes_no_room_from_others() {
    let wants = Wants::default();
    wants.add(&scope(ObjectKind::Secret));
    let mut state = ClusterState::new(wants);
    let versions = |state: &mut ClusterState, now: Instant| {
        let update = state.take(now).unwrap();
        let told = |(id, version): (ObjectId, Box<str>)| format!("{}@{version}", id.name);
        update.versions.into_iter().map(told).collect::<Vec<_>>()
    };
    state.hear(&scope(ObjectKind::Service), apply(&service("s", json!(80))));
    state.settle();
    assert_eq!(versions(&mut state, Instant::now()), ["s@1"]);
    let ingress = |name: &str, version: &str| {
        let object = json!({
            "metadata": {"namespace": "d", "name": name, "resourceVersion": version},
            "spec": {"tls": [{"secretName": "a"}], "rules": [{"host": format!("h{version}.example")}]},
        });
        News::Apply(Box::new(item(ObjectKind::Ingress, &object)))
    };
    for number in 0..CAUSES {
        let name = format!("i{number}");
        state.hear(&scope(ObjectKind::Ingress), ingress(&name, "7"));
    }
    // The version is that of the newest change, however many there are.
    state.hear(&scope(ObjectKind::Ingress), ingress("i3", "8"));
    let now = Instant::now();
    assert!(state.take(now).is_none(), "all of them wait");
    state.hear(&scope(ObjectKind::Service), apply(&service("s", json!(81))));
    assert_eq!(versions(&mut state, now), ["s@1"]);
    let late = state.due().unwrap();
    let held = [
        "i0@7", "i1@7", "i2@7", "i3@8", "i4@7", "i5@7", "i6@7", "i7@7",
    ];
    assert_eq!(versions(&mut state, late), held);
}

/// What is told in place of a checkpoint has no Secrets yet: nobody loses a certificate by it.
#[test]
fn a_change_that_names_a_secret_waits_until_secrets_can_be_asked_for() {
    let wants = Wants::default();
    wants.add(&scope(ObjectKind::Secret));
    let mut state = ClusterState::new(wants);
    let ingress = |host: &str| {
        let object = json!({
            "metadata": {"namespace": "d", "name": "i", "resourceVersion": "1"},
            "spec": {"tls": [{"secretName": "a"}], "rules": [{"host": host}]},
        });
        item(ObjectKind::Ingress, &object)
    };
    state.seed(ingress("a.example.com").content.ok());
    assert_eq!(changes(&mut state), ["+i"], "the first world is whole");
    state.hear(
        &scope(ObjectKind::Ingress),
        News::Apply(Box::new(ingress("b.example.com"))),
    );
    assert!(state.take(Instant::now() + names::PATIENCE * 60).is_none());
    assert_eq!(state.due(), None);
    state.settle();
    assert!(state.take(Instant::now()).is_none());
    let late = state.due().unwrap();
    assert!(state.take(late).is_some());
}
