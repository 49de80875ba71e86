//! Prepared edits, each with the sentences that it yields: `cases/NAME/from.yaml`, `to.yaml` and
//! `expected.txt`, which ends with the exit code. The first line of a `from.yaml` may name more
//! arguments.

use std::path::Path;

use super::{NODES, diff, folder, manifest, side, text};

/// Compares the two sides of a case, with its own arguments and these.
fn compare(case: &str, more: &[&str]) -> (String, i32) {
    let (from, to) = (side(case, "from.yaml"), side(case, "to.yaml"));
    let own = manifest(case, "from.yaml");
    let own = own.lines().next().and_then(|l| l.strip_prefix("# args: "));
    let mut args = vec!["--from", text(from.path()), "--to", text(to.path())];
    args.extend(own.into_iter().flat_map(|own| own.split(' ')));
    args.extend(more);
    diff(&args)
}

/// Every edit yields its sentences. `ACCEPT=1` takes what it yields now as right.
#[test]
fn each_edit_yields_its_sentences() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diff/cases");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for entry in std::fs::read_dir(cases).unwrap() {
        let entry = entry.unwrap();
        let case = entry.file_name().into_string().unwrap();
        let (said, code) = compare(&case, &[]);
        let found = format!("{said}exit code {code}\n");
        let file = entry.path().join("expected.txt");
        if std::env::var_os("ACCEPT").is_some() {
            std::fs::write(&file, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{case}:\n{found}instead of\n{expected}"));
        }
        count += 1;
    }
    assert!(count >= 20, "{count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever the order of documents and files, a world does not differ from itself.
#[test]
fn a_world_does_not_differ_from_itself_however_its_files_are_shuffled() {
    let all = manifest("several", "from.yaml");
    let documents: Vec<&str> = all.split("---\n").collect();
    let whole = folder(&[("nodes.yaml", NODES), ("world.yaml", &all)]);
    let mut reversed = documents.clone();
    reversed.reverse();
    let (first, second) = reversed.split_at(4);
    let (first, second) = (first.join("\n---\n"), second.join("\n---\n"));
    let shuffled = folder(&[("z.yaml", NODES), ("b.yaml", &first), ("a.yml", &second)]);
    for role in ["node", "mesh", "ingress", "node,mesh,ingress"] {
        let (from, to) = (text(whole.path()), text(shuffled.path()));
        let (said, code) = diff(&["--from", from, "--to", to, "--role", role]);
        let proxies = 3 * role.split(',').count();
        let nothing = format!("no difference: nothing is sent (5 Services, {proxies} proxies)\n");
        assert_eq!((said, code), (nothing, 0), "{role}");
    }
}

#[test]
fn only_harm_leaves_out_what_nobody_loses() {
    let (said, code) = compare("several", &["--only-harm"]);
    assert!(
        said.contains("shop/legacy") && said.contains("shop/db:5432"),
        "{said}"
    );
    assert!(
        !said.contains("shop/search") && !said.contains("shop/web"),
        "{said}"
    );
    assert_eq!(code, 1);
    let (said, code) = compare("new-service", &["--only-harm"]);
    assert!(!said.contains("shop/search"), "{said}");
    assert_eq!(code, 0);
    assert_eq!(compare("new-service", &[]).1, 1);
}

#[test]
fn a_namespace_leaves_out_the_others() {
    let (said, code) = compare("new-service", &["-n", "shop"]);
    assert!(said.contains("shop/search") && code == 1, "{said}");
    let (said, code) = compare("new-service", &["-n", "sho"]);
    assert!(!said.contains("shop/search") && code == 0, "{said}");
}

#[test]
fn chosen_nodes_are_compared_alone() {
    let case = "local-endpoint-of-a-node-leaves";
    let (said, code) = compare(case, &["--nodes", "n1,n3"]);
    assert!(said.contains("no difference") && code == 0, "{said}");
    let (said, code) = compare(case, &["--nodes", "n2"]);
    assert!(
        said.contains("no local endpoint is left") && code == 1,
        "{said}"
    );
}

#[test]
fn verbose_shows_how_each_resource_differs() {
    let (said, _) = compare("app-protocol", &["-v"]);
    assert!(said.contains("\nCluster shop/web/80 (changed)\n"), "{said}");
    assert!(
        said.contains("\n+  \"typed_extension_protocol_options\": {"),
        "{said}"
    );
    let (said, _) = compare("gone-service", &["-v"]);
    assert!(said.contains("\nListener shop/legacy/21@clusterip:10.96.0.50:21 (removed)\n"));
}

/// An upgrade may change every Service alike: nobody reads ten thousand lines of it. What clients
/// lose is never left out.
#[test]
fn effects_of_many_services_that_are_alike_are_told_shortly() {
    let world = |timeout: &str, count: u8| {
        let each = (0..count).map(|n| {
            let annotations = format!("{{seaway.dev/connect-timeout: {timeout}}}");
            let label = format!("{{kubernetes.io/service-name: s{n:02}}}");
            format!(
                "apiVersion: v1\nkind: Service\n\
                 metadata: {{name: s{n:02}, annotations: {annotations}}}\n\
                 spec: {{clusterIP: 10.96.0.{n}, ports: [{{name: http, port: 80}}]}}\n---\n\
                 apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                 metadata: {{name: s{n:02}-1, labels: {label}}}\naddressType: IPv4\n\
                 ports: [{{name: http, port: 8080}}]\nendpoints: [{{addresses: [10.1.0.{n}]}}]\n"
            )
        });
        folder(&[("world.yaml", &each.collect::<Vec<_>>().join("---\n"))])
    };
    let (from, to, few) = (world("1s", 30), world("2s", 30), world("1s", 10));
    let (said, _) = diff(&["--from", text(from.path()), "--to", text(to.path())]);
    let shown = said.matches("connect-timeout 1s -> 2s").count();
    assert_eq!(shown, 3, "{said}");
    assert!(
        said.contains("\n~ …               like default/s00:80: 27 more\n"),
        "{said}"
    );
    assert!(said.contains("30 of 30 Services change"), "{said}");
    let (said, _) = diff(&["--from", text(from.path()), "--to", text(few.path())]);
    assert_eq!(said.matches("will be refused").count(), 20, "{said}");
}

#[test]
fn values_hold_what_the_text_says() {
    let (said, code) = compare("several", &["-o", "json"]);
    assert_eq!(code, 1);
    let value: serde_json::Value = serde_json::from_str(&said).unwrap();
    let gone = &value["changed"][0];
    assert_eq!(gone["owner"]["name"], "shop/legacy");
    let effect = &gone["effects"][0];
    assert_eq!(
        (&effect["effect"], &effect["harm"]),
        (&"gone".into(), &"gone".into())
    );
    assert_eq!(effect["addresses"][0], "10.96.0.50:21");
    let (as_text, _) = compare("several", &[]);
    assert!(
        as_text.contains(effect["text"].as_str().unwrap()),
        "{as_text}"
    );
    assert_eq!(value["counts"]["changed"], 4);
    assert_eq!(value["counts"]["listenersRemoved"], 1);
    let (said, _) = compare("several", &["-o", "yaml"]);
    assert!(
        said.contains("\n  - owner:") || said.contains("\n- "),
        "{said}"
    );
}
