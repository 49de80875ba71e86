use super::*;

fn host(text: &str) -> Hostname {
    match text.strip_prefix("*.") {
        _ if text.is_empty() => Hostname::Any,
        Some(suffix) => Hostname::Wildcard(suffix.into()),
        None => Hostname::Exact(text.into()),
    }
}

/// Listeners written as `name:protocol:port[:hostname]`.
fn gateway(listeners: &[&str]) -> Gateway {
    let listener = |(index, text): (usize, &&str)| {
        let mut parts = text.split(':');
        let mut part = || parts.next().unwrap_or_default();
        let (name, protocol, port) = (part(), part(), part());
        GatewayListener {
            index,
            name: name.into(),
            hostname: host(part()),
            port: port.parse().unwrap(),
            protocol: match protocol {
                "HTTP" => ListenerProtocol::Http,
                "HTTPS" => ListenerProtocol::Https,
                "TLS" => ListenerProtocol::Tls,
                "TCP" => ListenerProtocol::Tcp,
                "UDP" => ListenerProtocol::Udp,
                other => ListenerProtocol::Other(other.into()),
            },
            kinds: Box::new([RouteKind::HTTPRoute]),
            has_invalid_kinds: false,
            namespaces: AllowedNamespaces::Same,
            certificates: Box::default(),
            invalid: name.contains("bad").then(|| "tls is set".into()),
        }
    };
    Gateway {
        namespace: "i".into(),
        name: "g".into(),
        generation: 1,
        created: 0,
        class: "gc".into(),
        fleet: Some(crate::Fleet::default()),
        has_parameters: false,
        addresses: Box::default(),
        listeners: listeners.iter().enumerate().map(listener).collect(),
        problems: Box::default(),
    }
}

#[track_caller]
fn check(given: &[&str], expected: &[&str]) {
    let options = Options::default();
    let binding = Binding::shared(&crate::Fleet::default(), &options, None);
    let judged = listeners(&gateway(given), &binding, &options);
    let words: Vec<&str> = judged
        .iter()
        .map(|verdict| {
            verdict
                .as_ref()
                .map_or_else(|refused| refused.reason().as_str(), |_| "served")
        })
        .collect();
    assert_eq!(words, expected, "{given:?}");
}

#[test]
fn all_parties_of_a_conflict_lose_and_the_rest_is_served() {
    // GW009, GW013, GW014, GW015, GW017, GW018.
    check(
        &["h:HTTP:80", "x:HTTP:8081"],
        &["served", "PortUnavailable"],
    );
    check(
        &["a:HTTP:80:x.org", "b:HTTP:80:x.org", "c:HTTP:80:y.org"],
        &["HostnameConflict", "HostnameConflict", "served"],
    );
    check(
        &["a:HTTP:80", "b:TCP:80"],
        &["ProtocolConflict", "ProtocolConflict"],
    );
    check(
        &["a:HTTPS:443:x.org", "b:TLS:443:x.org"],
        &["HostnameConflict", "HostnameConflict"],
    );
    check(
        &["bad:HTTP:80:x.org", "b:HTTP:80:x.org"],
        &["UnsupportedValue", "served"],
    );
    check(
        &["a:INVALID:1111", "h:HTTP:80"],
        &["UnsupportedProtocol", "served"],
    );
    check(
        &["a:UDP:80", "h:HTTP:80"],
        &["UnsupportedProtocol", "served"],
    );
}

fn parent(text: &str) -> ParentRef {
    let (section, port) = text.split_once(':').unwrap_or((text, ""));
    ParentRef {
        group: None,
        kind: None,
        namespace: None,
        name: "g".into(),
        section: (!section.is_empty()).then(|| section.into()),
        port: port.parse().ok(),
    }
}

fn route(namespace: &str, hosts: &[&str]) -> HTTPRoute {
    HTTPRoute {
        namespace: namespace.into(),
        name: "r".into(),
        generation: 1,
        created: 0,
        parents: Box::default(),
        hostnames: hosts.iter().map(|text| host(text)).collect(),
        rules: Box::default(),
        declared_rules: 0,
        dropped: "".into(),
        incompatible_filters: false,
        problems: Box::default(),
    }
}

/// What a route attaches to: `listener=host,host` for each listener, or the reason.
fn attached(gateway: &Gateway, route: &HTTPRoute, by: &str) -> String {
    let labels = BTreeMap::from([("team".into(), "a".into())]);
    let known = |namespace: &str| (namespace == "labelled").then_some(&labels);
    match attach(route, &parent(by), gateway, known) {
        Err(why) => why.reason().as_str().to_owned(),
        Ok(taken) => {
            let listed = taken.into_iter().map(|(listener, hosts)| {
                let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                format!("{}={}", listener.name, hosts.join(","))
            });
            listed.collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn a_route_attaches_by_name_port_namespace_and_host() {
    let two = gateway(&["h:HTTP:80:*.w.io", "i:HTTP:80:very.specific.com"]);
    let own = route("i", &["*.specific.com", "a.w.io"]);
    assert_eq!(attached(&two, &own, ""), "h=a.w.io i=very.specific.com");
    assert_eq!(attached(&two, &own, "i"), "i=very.specific.com");
    // GW027, GW029, GW030.
    assert_eq!(
        attached(&two, &route("i", &["w.io"]), ""),
        "NoMatchingListenerHostname"
    );
    for by in ["nope", ":81", "h:81"] {
        assert_eq!(attached(&two, &own, by), "NoMatchingParent", "{by}");
    }
    assert_eq!(
        attached(&two, &route("j", &[""]), ""),
        "NotAllowedByListeners"
    );
    assert_eq!(
        attached(&two, &route("i", &[""]), ""),
        "h=*.w.io i=very.specific.com"
    );
}

#[test]
fn namespaces_are_selected_by_their_labels() {
    let select = |operator, values: &[&str]| {
        let mut one = gateway(&["h:HTTP:80"]);
        one.listeners[0].namespaces = AllowedNamespaces::Selector(LabelSelector {
            requirements: Box::new([crate::model::LabelRequirement {
                key: "team".into(),
                operator,
                values: values.iter().map(|&value| value.into()).collect(),
            }]),
        });
        let namespaces = ["labelled", "unknown", "i"];
        namespaces.map(|name| attached(&one, &route(name, &[""]), "") == "h=*")
    };
    assert_eq!(select(LabelOperator::In, &["a", "b"]), [true, false, false]);
    assert_eq!(select(LabelOperator::In, &["b"]), [false; 3]);
    assert_eq!(select(LabelOperator::NotIn, &["b"]), [true, false, false]);
    assert_eq!(select(LabelOperator::Exists, &[]), [true, false, false]);
    assert_eq!(select(LabelOperator::DoesNotExist, &[]), [false; 3]);
}
