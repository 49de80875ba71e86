//! Golden tests: `testdata/<case>.yaml` is what goes in, `testdata/<case>.snap` what comes out.
//!
//! The first lines of a case say how it is looked at: `# view:` and the arguments of `seaway
//! translate`, once per view; `# show:` and the groups to print, all without it, `<group>:names`
//! for the names only. Services are named after the cases of the Service table that they stand for.
//! `INSTA_UPDATE=always cargo test -p seaway-translator --test golden` accepts what is new.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use seaway_proto::{TypeUrl, json};
use seaway_translator::{CertificateDelivery, Options, Role, Snapshot, View, translate_targets};
use serde_json::Value;
use support::manifests;

const GROUPS: [(&str, TypeUrl); 7] = [
    ("listeners", TypeUrl::LISTENER),
    ("secrets", TypeUrl::SECRET),
    ("extensions", TypeUrl::EXTENSION),
    ("routes", TypeUrl::ROUTE),
    ("scoped_routes", TypeUrl::SCOPED_ROUTE),
    ("clusters", TypeUrl::CLUSTER),
    ("endpoints", TypeUrl::ENDPOINT),
];

#[test]
fn manifests_become_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut failed = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let case = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../testdata");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let check = || settings.bind(|| insta::assert_snapshot!(case.as_str(), print(&text)));
        if catch_unwind(AssertUnwindSafe(check)).is_err() {
            failed.push(case);
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}

/// What a case looks like from its views.
fn print(text: &str) -> String {
    let header: Vec<&str> = text
        .lines()
        .take_while(|line| line.starts_with('#'))
        .collect();
    let directive = |name: &str| -> Vec<&str> {
        let lines = header.iter().filter_map(|line| line.strip_prefix(name));
        lines.map(str::trim).collect()
    };
    let show: Vec<&str> = directive("# show:")
        .iter()
        .flat_map(|line| line.split_whitespace())
        .collect();
    let mut printed = String::new();
    for arguments in directive("# view:") {
        let (options, view, targets) = parse(arguments);
        let (objects, mut problems) = manifests(text);
        let forwards = translate_targets(options.clone(), objects.clone(), &view, &targets);
        let objects = objects.into_iter().rev();
        let targets: Vec<Arc<str>> = targets.into_iter().rev().collect();
        let backwards = translate_targets(options, objects, &view, &targets);
        assert_eq!(forwards, backwards, "the order of objects does not matter");
        problems.extend(forwards.problems.clone());
        writeln!(printed, "######## {arguments}").unwrap();
        printed.push_str(&groups(&forwards, &show));
        if !problems.is_empty() && (show.is_empty() || show.contains(&"problems")) {
            problems.sort();
            printed.push_str(&yaml("problems", serde_json::to_value(problems).unwrap()));
        }
    }
    printed
}

fn groups(snapshot: &Snapshot, show: &[&str]) -> String {
    let mut printed = String::new();
    for (group, type_url) in GROUPS {
        let names = show.contains(&format!("{group}:names").as_str());
        if !names && !show.is_empty() && !show.contains(&group) {
            continue;
        }
        let resources = snapshot
            .resources
            .values()
            .filter(|r| r.type_url == type_url);
        let values: Vec<Value> = resources
            .map(|resource| match names {
                true => Value::from(&*resource.name),
                false => json::to_value(type_url.as_str(), &resource.value).unwrap(),
            })
            .collect();
        if !values.is_empty() {
            printed.push_str(&yaml(group, Value::from(values)));
        }
    }
    printed
}

fn yaml(group: &str, value: Value) -> String {
    let mut printed =
        json::to_yaml(&BTreeMap::from([(group, value)]).into_iter().collect()).unwrap();
    if !printed.ends_with('\n') {
        printed.push('\n');
    }
    printed
}

/// The arguments of `seaway translate` that matter here. As with `--files`, loopback endpoints are
/// allowed.
fn parse(arguments: &str) -> (Options, View, Vec<Arc<str>>) {
    let mut options = Options {
        allow_loopback_endpoints: true,
        // Every node has it; one case shows it.
        healthz_listen: None,
        ..Options::default()
    };
    let (mut view, mut targets) = (View::of(Role::Node), Vec::new());
    let mut words = arguments.split_whitespace();
    while let Some(flag) = words.next() {
        match flag {
            "--keep-source" => options.keep_source = true,
            "--ingress-without-class" => options.ingress_without_class = true,
            "--certificates-on-demand" => view.certificates = CertificateDelivery::OnDemand,
            _ => {
                let Some(value) = words.next() else {
                    panic!("{arguments}: {flag} without a value")
                };
                match flag {
                    "--target" => targets.push(value.into()),
                    _ => set(&mut options, &mut view, flag, value),
                }
            }
        }
    }
    (options, view, targets)
}

fn set(options: &mut Options, view: &mut View, flag: &str, value: &str) {
    match flag {
        "--role" => view.role = value.parse().unwrap(),
        "--node-name" => view.node = Some(value.into()),
        "--zone" => view.zone = Some(value.into()),
        "--region" => view.region = Some(value.into()),
        "--pod-namespace" => view.namespace = Some(value.into()),
        "--nodeport-addresses" => options.nodeport_addresses = value.parse().unwrap(),
        "--pod-cidr" => options.pod_cidrs.push(value.parse().unwrap()),
        "--service-cidr" => options.service_cidrs.push(value.parse().unwrap()),
        "--vip-cidr" => options.vip_cidrs.push(value.parse().unwrap()),
        "--external-name" => options.external_name = value.parse().unwrap(),
        "--external-ips" => options.external_ips = value.parse().unwrap(),
        "--allow-endpoint-cidr" => options.allow_endpoint_cidrs.push(value.parse().unwrap()),
        "--service-proxy-name" => options.service_proxy_name = Some(value.to_owned()),
        "--healthz-listen" => options.healthz_listen = Some(value.parse().unwrap()),
        "--capture" => options.capture = Some(value.parse().unwrap()),
        "--cluster-domain" => options.cluster_domain = value.to_owned(),
        other => panic!("{other}: unknown flag"),
    }
}
