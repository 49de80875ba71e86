//! What a client finds by which name.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::scene::Scene;

const PLAIN: &str = "clusterIP: 10.96.0.1, ports: [{name: grpc, port: 8080}]";

#[test]
fn every_form_of_a_name_leads_to_the_endpoints_of_the_service() -> Result<()> {
    Scene::play(|scene| {
        let (one, two) = (scene.serve(11)?, scene.serve(12)?);
        scene.save("web", PLAIN, &[(11, ""), (12, "")])?;
        scene.save(
            "headless",
            "clusterIP: None, ports: [{name: grpc, port: 80}, {name: x, port: 81}]",
            &[(11, ""), (12, "")],
        )?;
        let alias = "kind: Service\napiVersion: v1\nmetadata: {namespace: d, name: alias}\n\
             spec: {type: ExternalName, externalName: web.d.svc.cluster.local}\n";
        scene.manifests.save("alias.yaml", alias)?;
        let mut client = scene.client(&[])?;
        for name in [
            "web.d",
            "web.d:8080",
            "WEB.D.svc",
            "web.d.svc.cluster.local.:8080",
            "headless.d",
            "alias.d",
            "alias.d.svc:8080",
        ] {
            client.await_answers(name, &[&one, &two])?;
        }
        ensure!(scene.metric("seaway_xds_nacks_total", "")? == 0.0);
        Ok(())
    })
}

/// Service rule 103.
#[test]
fn a_channel_stays_with_one_endpoint_where_the_service_has_affinity() -> Result<()> {
    Scene::play(|scene| {
        let hosts = [(11, ""), (12, ""), (13, "")];
        for (host, _) in hosts {
            scene.serve(host)?;
        }
        let spec =
            "clusterIP: 10.96.0.1, sessionAffinity: ClientIP, ports: [{name: grpc, port: 80}]";
        scene.save("sticky", spec, &hosts)?;
        let mut client = scene.client(&[])?;
        // Each form has a channel of its own.
        for name in ["sticky.d", "sticky.d:80", "sticky.d.svc"] {
            let answers = client.call(name, 30)?;
            ensure!(answers.len() == 1, "{name}: {answers:?}");
        }
        Ok(())
    })
}

#[test]
fn a_local_policy_is_that_of_the_clients_node() -> Result<()> {
    Scene::play(|scene| {
        let here = scene.serve(11)?;
        scene.serve(12)?;
        let spec =
            "clusterIP: 10.96.0.1, internalTrafficPolicy: Local, ports: [{name: grpc, port: 80}]";
        scene.save(
            "web",
            spec,
            &[(11, ", nodeName: n1"), (12, ", nodeName: n2")],
        )?;
        let mut client = scene.client(&["--node-name", "n1"])?;
        client.await_answers("web.d", &[&here])?;
        let mut elsewhere = scene.client(&[])?;
        let error = elsewhere.error("web.d")?;
        ensure!(error.starts_with("UNAVAILABLE"), "{error}");
        Ok(())
    })
}

#[test]
fn a_zone_is_left_when_all_of_its_endpoints_are_gone_from_the_network() -> Result<()> {
    Scene::play(|scene| {
        let (near, far) = (scene.serve(11)?, scene.serve(12)?);
        let hint = |zone| format!(", zone: {zone}, hints: {{forZones: [{{name: {zone}}}]}}");
        scene.save("web", PLAIN, &[(11, &hint("a")), (12, &hint("b"))])?;
        let mut client = scene.client(&["--zone", "a"])?;
        client.await_answers("web.d", &[&near])?;
        // It is dead and still listed: the next priority takes over.
        scene.stop(&near)?;
        client.await_answers("web.d", &[&far])
    })
}

#[test]
fn a_service_that_comes_later_is_found_at_once() -> Result<()> {
    Scene::play(|scene| {
        let one = scene.serve(11)?;
        let mut client = scene.client(&[])?;
        client.begin(&json!({ "do": "call", "target": "late.d:8080", "wait": true }))?;
        seaway_testing::eventually("the name to be asked for", || {
            let missing = scene.metric("seaway_xds_missing_names", "Listener")?;
            ensure!(missing == 1.0, "{missing} names are missing");
            Ok(())
        })?;
        scene.save("late", PLAIN, &[(11, "")])?;
        let answer = client.answer()?;
        ensure!(answer == json!({ one: 1 }), "{answer}");
        Ok(())
    })
}

#[test]
fn a_service_that_goes_is_not_found_any_more_and_no_one_else_is_told() -> Result<()> {
    Scene::play(|scene| {
        let one = scene.serve(11)?;
        scene.save("web", PLAIN, &[(11, "")])?;
        scene.save(
            "other",
            "clusterIP: None, ports: [{name: grpc, port: 8080}]",
            &[(11, "")],
        )?;
        let mut client = scene.client(&[])?;
        client.await_answers("web.d", &[&one])?;
        client.await_answers("other.d", &[&one])?;
        scene.manifests.delete("web.yaml")?;
        seaway_testing::eventually("calls to fail", || {
            let error = client.error("web.d")?;
            ensure!(error.contains("does not exist"), "{error}");
            Ok(())
        })?;
        client.await_answers("other.d", &[&one])
    })
}

/// xDS rule 218: a client that asks for names that cannot be, and for one Service by more names
/// than it may have made, is told of each, and the others do not notice.
#[test]
fn whoever_asks_for_ten_thousand_names_is_told_of_each_and_costs_the_others_nothing() -> Result<()>
{
    Scene::play(|scene| {
        let one = scene.serve(11)?;
        scene.save("web", PLAIN, &[(11, "")])?;
        scene.save("manynamesservice", PLAIN, &[(11, "")])?;
        let mut client = scene.client(&[])?;
        client.await_answers("web.d", &[&one])?;
        let before = scene.memory()?;
        let mut hostile = scene.client(&[])?;
        let mut ask = |names: Vec<String>| {
            hostile.order(&json!({ "do": "ask", "address": scene.xds(), "names": names }))
        };
        let nonsense = (0..10_000).map(|number| format!("nonsense-{number}.d:8080"));
        let answer = ask(nonsense.collect())?;
        ensure!(
            answer == json!({ "found": 0, "missing": 10_000 }),
            "{answer}"
        );
        // Each way to write a name is another name.
        let name = |number: u32| -> String {
            let letters = "manynamesservice".chars().enumerate();
            let written = letters.map(|(bit, letter)| match number >> bit & 1 {
                1 => letter.to_ascii_uppercase(),
                _ => letter,
            });
            written.chain(".d".chars()).collect()
        };
        let answer = ask((0..2_000).map(name).collect())?;
        ensure!(
            answer == json!({ "found": 1_000, "missing": 1_000 }),
            "{answer}"
        );
        let grown = scene.memory()? - before;
        ensure!(grown < 40.0, "{grown} MB more");
        client.await_answers("web.d:8080", &[&one])?;
        scene.save("late", PLAIN, &[(11, "")])?;
        client.await_answers("late.d", &[&one])
    })
}
