//! How many requests each backend gets, and how many copies.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use seaway_testing::{Ask, Backend, RouteManifest, eventually};

use crate::case::{Case, get};
use crate::edge::{Edge, service, with_gateway};

#[test]
fn requests_and_copies_are_shared_by_weight() -> Result<()> {
    let cases = with_gateway(vec![weights(), mirrors()]);
    Edge::run(&[], &cases, |edge| {
        gw078_copies_are_a_share_and_answer_nobody(edge)?;
        gw085_requests_follow_weights(edge)?;
        gw086_the_share_of_an_absent_service_is_500(edge)?;
        gw087_an_absent_and_an_empty_service_differ(edge)
    })
}

fn weights() -> Case {
    let rule = |path: &str, backends: &[(&str, u32)]| {
        let all = backends
            .iter()
            .map(|(name, weight)| format!("{{name: {name}, port: 8080, weight: {weight}}}"));
        let all = all.collect::<Vec<_>>().join(", ");
        format!("matches: [{{path: {{value: {path}}}}}], backendRefs: [{all}]")
    };
    let route = RouteManifest::new("weights").host("weights.test");
    let route = route
        .only(&rule("/gw085", &[("s1", 70), ("s2", 30), ("s3", 0)]))
        .only(&rule("/gw086", &[("s1", 1), ("absent", 1)]))
        .only(&rule("/gw087", &[("absent", 1), ("empty", 1)]))
        .prefix("/", "s1");
    Case::new("weights")
        .with(service("empty", &[]))
        .with(route.document())
        .rows([get("weights.test/").to("s1")])
        .problem("BackendNotFound", "HTTPRoute default/weights")
}

fn mirrors() -> Case {
    let mut case = Case::new("mirrors");
    for (name, share) in [
        ("percent", ", percent: 20"),
        ("fraction", ", fraction: {numerator: 25, denominator: 50}"),
        ("zero", ", percent: 0"),
        ("all", ""),
    ] {
        let host = format!("{name}.mirrors.test");
        let mirror = format!("backendRef: {{name: s2, port: 8080}}{share}");
        let filter = format!("filters: [{{type: RequestMirror, requestMirror: {{{mirror}}}}}]");
        let route = RouteManifest::new(&format!("mirror-{name}")).host(&host);
        case = case.with(route.rule(&filter, "s1").document());
        case = case.rows([get(&format!("{host}/")).to("s1")]);
    }
    case.with(gw079_a_mirror_that_does_not_exist_harms_nobody())
        .rows([get("gw079.test/").to("s1")])
        .problem("BackendNotFound", "HTTPRoute default/gw079")
}

fn gw079_a_mirror_that_does_not_exist_harms_nobody() -> String {
    let mirror = "requestMirror: {backendRef: {name: absent, port: 8080}}";
    let filter = format!("filters: [{{type: RequestMirror, {mirror}}}]");
    let route = RouteManifest::new("gw079").host("gw079.test");
    route.rule(&filter, "s1").document()
}

/// What became of so many requests, all over one connection: the backend's name, or the status.
fn shares(edge: &Edge<'_>, host: &str, path: &str, count: u32) -> Result<BTreeMap<String, u32>> {
    let mut connection = edge.connect(false)?;
    let ask = Ask::get(host, path);
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        let reply = connection.ask(&ask)?;
        let who = reply.backend().unwrap_or_else(|| reply.status.to_string());
        *shares.entry(who).or_default() += 1;
    }
    Ok(shares)
}

/// Whether a share is so much of `total`, within four standard deviations.
fn near(found: u64, total: u32, share: f64) -> Result<()> {
    let expected = f64::from(total) * share;
    let deviation = (expected * (1.0 - share)).sqrt();
    let found = f64::from(u32::try_from(found)?);
    let off = (found - expected).abs();
    ensure!(off <= 4.0 * deviation, "{found} of {total}, not {expected}");
    Ok(())
}

fn gw078_copies_are_a_share_and_answer_nobody(edge: &Edge<'_>) -> Result<()> {
    const COUNT: u32 = 500;
    let [_, copies, _] = &edge.backends[..] else {
        anyhow::bail!("not three backends");
    };
    let copied =
        |backend: &Backend, name: &str| backend.requests_for(&format!("{name}.mirrors.test"));
    for (name, share) in [
        ("zero", 0.0),
        ("percent", 0.2),
        ("fraction", 0.5),
        ("all", 1.0),
    ] {
        let before = copied(copies, name);
        let shares = shares(edge, &format!("{name}.mirrors.test"), "/", COUNT)?;
        ensure!(
            shares == BTreeMap::from([("s1".to_owned(), COUNT)]),
            "GW078 {name}: {shares:?}"
        );
        // Copies may still be on their way.
        eventually(format!("GW078 {name}: copies"), || {
            near(copied(copies, name) - before, COUNT, share)
        })?;
    }
    // By now those of the first have had their time.
    let zero = copied(copies, "zero");
    ensure!(zero == 0, "GW078: {zero} copies");
    Ok(())
}

fn gw085_requests_follow_weights(edge: &Edge<'_>) -> Result<()> {
    const COUNT: u32 = 1000;
    let found = shares(edge, "weights.test", "/gw085", COUNT)?;
    let of = |name: &str| found.get(name).copied().unwrap_or_default();
    near(of("s1").into(), COUNT, 0.7)?;
    ensure!(of("s1") + of("s2") == COUNT, "GW085: {found:?}");
    Ok(())
}

fn gw086_the_share_of_an_absent_service_is_500(edge: &Edge<'_>) -> Result<()> {
    const COUNT: u32 = 500;
    let found = shares(edge, "weights.test", "/gw086", COUNT)?;
    let of = |name: &str| found.get(name).copied().unwrap_or_default();
    near(of("s1").into(), COUNT, 0.5)?;
    ensure!(of("s1") + of("500") == COUNT, "GW086: {found:?}");
    Ok(())
}

fn gw087_an_absent_and_an_empty_service_differ(edge: &Edge<'_>) -> Result<()> {
    const COUNT: u32 = 500;
    let found = shares(edge, "weights.test", "/gw087", COUNT)?;
    let of = |name: &str| found.get(name).copied().unwrap_or_default();
    near(of("500").into(), COUNT, 0.5)?;
    ensure!(of("500") + of("503") == COUNT, "GW087: {found:?}");
    Ok(())
}
