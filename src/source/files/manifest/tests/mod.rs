//! What one file says: values as `kubectl` reads them, and what is said of everything that is left
//! out.

use super::*;

mod encodings;
mod published;

/// A Service whose YAML has these ports and more metadata.
fn web(metadata: &str, ports: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web, {metadata}}}\nspec: {{clusterIP: 10.0.0.1, ports: {ports}}}\n"
    )
}

/// The number of the first port of the first Service, or what is wrong.
fn port(text: &str) -> Result<u16, String> {
    let manifest = parse("a.yaml", text.as_bytes());
    match (manifest.objects.first(), manifest.problems.first()) {
        (_, Some(problem)) => Err(format!("{}: {}", problem.field, problem.message)),
        (Some(Object::Service(service)), None) => {
            Ok(service.ports.first().map_or(0, |port| port.number.get()))
        }
        _ => Err("nothing".to_owned()),
    }
}

/// What a file gives, in short, and what is wrong: `object field: message`.
fn said(text: &str) -> (Vec<String>, Vec<String>) {
    said_of("a.yaml", text.as_bytes())
}

fn said_of(path: &str, bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let manifest = parse(path, bytes);
    let objects = manifest.objects.iter().map(|o| o.id().to_string());
    let problem = |p: &Problem| format!("{} {}: {}", p.object, p.field, p.message);
    let problems = manifest.problems.iter().map(problem);
    (objects.collect(), problems.collect())
}

#[track_caller]
fn gives(text: &str, objects: &[&str]) {
    assert_eq!(
        said(text),
        (objects.iter().map(ToString::to_string).collect(), vec![]),
        "{text}"
    );
}

#[test]
fn numbers_are_read_as_kubectl_reads_them() {
    for (text, number) in [
        ("80", 80),
        ("0120", 80),
        ("0o120", 80),
        ("0x50", 80),
        ("0b1010000", 80),
        ("8_080", 8080),
        ("08080", 8080),
        ("80.0", 80),
        ("8e1", 80),
        ("+80", 80),
        ("!!int \"80\"", 80),
    ] {
        assert_eq!(
            port(&web("", &format!("[{{port: {text}}}]"))),
            Ok(number),
            "{text}"
        );
    }
    for text in [
        "\"80\"",
        "80.5",
        "yes",
        "1:20",
        "!!str 80",
        "5000000000",
        "[80]",
        "0x",
    ] {
        let read = port(&web("", &format!("[{{port: {text}}}]")));
        let problem = read.expect_err(text);
        assert!(
            problem.starts_with("spec.ports[0].port: "),
            "{text}: {problem}"
        );
    }
}

#[test]
fn what_is_not_used_decides_nothing() {
    for metadata in [
        "annotations: {build: 20240101, on: true, 5: ~, x: [1]}",
        "labels: {version: 1.5, tier: no}",
        "creationTimestamp: ~",
        "creationTimestamp: null, managedFields: [{manager: x, time: 5, fieldsV1: []}]",
        "ownerReferences: [{name: 5}], finalizers: 7, deletionTimestamp: soon",
        "uid: 5, resourceVersion: 17, generation: many, selfLink: []",
    ] {
        assert_eq!(port(&web(metadata, "[{port: 80}]")), Ok(80), "{metadata}");
    }
    for port_fields in [
        "port: 80, targetPort: 08080",
        "port: 80, targetPort: {}",
        "port: 80, targetPort: ~, other: 5",
    ] {
        assert_eq!(
            port(&web("", &format!("[{{{port_fields}}}]"))),
            Ok(80),
            "{port_fields}"
        );
    }
    for rest in [
        "status: {conditions: [{type: Ready}], loadBalancer: ~}",
        "status: {loadBalancer: {ingress: [{ip: 10.0.0.9, ports: 5, hostname: 5}]}}",
        "extra: yes",
    ] {
        assert_eq!(
            port(&format!("{}{rest}\n", web("", "[{port: 80}]"))),
            Ok(80),
            "{rest}"
        );
    }
}

#[test]
fn nothing_is_the_same_as_unset() {
    gives(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: ~, labels: ~, annotations: ~}\n\
         spec: {type: ~, clusterIP: 10.0.0.1, clusterIPs: ~, ports: [{name: ~, port: 80, protocol: ~, nodePort: ~}], \
         sessionAffinityConfig: ~}\nstatus: ~\n",
        &["Service default/web"],
    );
    gives(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n\
         addressType: IPv4\nports: [{name: '', port: 80}]\n\
         endpoints: [{addresses: [10.1.0.1], conditions: ~, hints: {forZones: ~, forNodes: ~}, nodeName: ~, targetRef: {}}]\n",
        &["EndpointSlice default/web-1"],
    );
    gives(
        "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {taints: ~, podCIDRs: ~, configSource: 5}\n\
         status: {addresses: ~, images: [{names: 5}], conditions: [{type: Ready, lastHeartbeatTime: 7}]}\n",
        &["Node n1"],
    );
}

#[test]
fn used_fields_of_a_wrong_type_are_named() {
    for (text, field) in [
        (
            web(
                "labels: {service.kubernetes.io/service-proxy-name: 5}",
                "[]",
            ),
            "metadata.labels.service.kubernetes.io/service-proxy-name",
        ),
        (
            web("annotations: {seaway.dev/outlier-detection: 5}", "[]"),
            "metadata.annotations.seaway.dev/outlier-detection",
        ),
        (web("", "[{port: 80, name: 5}]"), "spec.ports[0].name"),
        (web("", "{http: 80}"), "spec.ports"),
    ] {
        let (objects, problems) = said(&text);
        assert_eq!(objects, [] as [&str; 0], "{text}");
        assert!(
            matches!(&problems[..], [one] if one.starts_with(&format!("Service default/web {field}: "))),
            "{problems:?}"
        );
    }
    let (_, problems) = said(&web("namespace: 7", "[]"));
    assert!(
        problems[0].starts_with("File a.yaml metadata.namespace: "),
        "{problems:?}"
    );
    assert!(problems[0].contains("in quotes"), "{problems:?}");
}

#[test]
fn comments_mean_nothing() {
    for count in [1, 95, 97, 5_000] {
        let comments: String = (0..count)
            .map(|n| format!("    # option-{n}: \"x\"\n"))
            .collect();
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations:\n{comments}spec:\n  ports:\n{comments}  - port: 80\n"
        );
        assert_eq!(port(&text), Ok(80), "{count}");
    }
}

#[test]
fn aliases_and_merges_are_read() {
    let endpoint = |n: usize| {
        format!(
            "- {{addresses: [10.1.{}.{}], conditions: *up}}\n",
            n / 250,
            n % 250 + 1
        )
    };
    let endpoints: String = (0..5_000).map(endpoint).collect();
    gives(
        &format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: web-1}}\naddressType: IPv4\n\
             x: &up {{ready: true, serving: true, terminating: false}}\nendpoints:\n{endpoints}"
        ),
        &["EndpointSlice default/web-1"],
    );
    let port_of = |ports: &str| {
        port(&web(
            "annotations: {a: &p {port: 80}, b: &q {port: 81, name: q}}",
            ports,
        ))
    };
    assert_eq!(port_of("[{<<: *p}]"), Ok(80));
    assert_eq!(port_of("[{<<: *p, port: 82}]"), Ok(82));
    assert_eq!(port_of("[{<<: [*p, *q]}]"), Ok(80));
    assert_eq!(port_of("[*q]"), Ok(81));
    let later = port_of("[{port: 82, <<: *p}]").expect_err("two say what it is");
    assert!(later.contains("port"), "{later}");
    let unknown = port_of("[*r]").expect_err("there is no such anchor");
    assert!(unknown.contains("anchor"), "{unknown}");
}

#[test]
fn what_aliases_add_is_bounded() {
    let level = |n: usize, of: &str| format!("a{n}: &a{n} [{}]\n", format!("*a{of},").repeat(9));
    let bomb: String = (1..9).map(|n| level(n, &(n - 1).to_string())).collect();
    let exponential = format!("a0: &a0 [x,x,x,x,x,x,x,x,x]\n{bomb}");
    let quadratic = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(100_000),
        "*a,".repeat(30_000)
    );
    let maps = format!(
        "a: &a {{{}}}\nb:\n{}",
        "{a: b},".repeat(2_000).replace("{a: b}", "z: y"),
        "- {<<: *a}\n".repeat(50_000)
    );
    let deep: String = (1..100_000)
        .map(|n| format!("- &a{n} [*a{}]\n", n - 1))
        .collect();
    let deep = format!("- &a0 [x]\n{deep}");
    let split = (0..2_000)
        .map(|_| {
            format!(
                "a0: &a0 [x,x,x,x,x,x,x,x,x]\n{}",
                &bomb[..bomb.len() * 5 / 8]
            )
        })
        .collect::<Vec<_>>()
        .join("---\n");
    for (name, text) in [
        ("exponential", exponential),
        ("quadratic", quadratic),
        ("maps", maps),
        ("deep", deep),
        ("split", split),
    ] {
        let started = std::time::Instant::now();
        let manifest = parse("a.yaml", text.as_bytes());
        assert!(
            manifest
                .problems
                .iter()
                .any(|p| p.severity == Severity::Error),
            "{name}"
        );
        assert!(
            started.elapsed().as_secs() < 20,
            "{name}: {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn a_field_that_is_there_twice_is_said() {
    let (objects, problems) = said(&web("namespace: a, namespace: b", "[{port: 80}]"));
    assert_eq!(
        objects,
        ["Service b/web"],
        "the last one counts, as for kubectl"
    );
    assert!(
        matches!(&problems[..], [one] if one.contains("namespace")),
        "{problems:?}"
    );
}

#[test]
fn used_kinds_of_another_version_are_said() {
    let slice = "metadata: {name: web-1, namespace: shop}\naddressType: IPv4\n";
    for (text, object, word) in [
        (format!("apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\n{slice}"), "EndpointSlice shop/web-1", "discovery.k8s.io/v1"),
        (format!("apiVersion: v1\nkind: EndpointSlice\n{slice}"), "EndpointSlice shop/web-1", "discovery.k8s.io/v1"),
        ("apiVersion: core/v1\nkind: Service\nmetadata: {name: web}\n".to_owned(), "Service default/web", "v1"),
        ("kind: Service\nmetadata: {name: web}\n".to_owned(), "Service default/web", "v1"),
        ("apiVersion: v1\nkind: service\nmetadata: {name: web}\n".to_owned(), "Service default/web", "Service"),
        (
            "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSliceList\nitems: [{metadata: {name: a}}]\n".to_owned(),
            "EndpointSlice default/a",
            "discovery.k8s.io/v1",
        ),
    ] {
        let (objects, problems) = said(&text);
        assert_eq!(objects, [] as [&str; 0]);
        assert!(
            matches!(&problems[..], [one] if one.starts_with(object) && one.contains(word)),
            "{text}: {problems:?}"
        );
    }
    for unused in [
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {a: [1]}\n",
        "apiVersion: apps/v1\nkind: DeploymentList\nitems: 5\n",
    ] {
        gives(unused, &[]);
    }
}

#[test]
fn what_is_no_object_yet_is_said_in_its_own_words() {
    for (text, word) in [
        (
            "apiVersion: v1\nkind: Service\nmetadata: {generateName: web-}\n",
            "generateName",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}-web\n",
            "template",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: '{{ .Release.Name }}'\n",
            "template",
        ),
        (
            "{{- if .Values.enabled }}\napiVersion: v1\nkind: Service\n{{- end }}\n",
            "template",
        ),
        ("replicaCount: 1\nservice: {port: 80}\n", "apiVersion"),
        (
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: shop\n",
            "kubectl kustomize",
        ),
    ] {
        let (objects, problems) = said(text);
        assert_eq!(objects, [] as [&str; 0], "{text}");
        assert!(
            matches!(&problems[..], [one] if one.contains(word)),
            "{text}: {problems:?}"
        );
    }
    for nothing in [
        "",
        "\n",
        "# comment\n",
        "---\n---\n",
        "--- # x\n...\n",
        "~\n",
        "null\n",
    ] {
        gives(nothing, &[]);
    }
}
