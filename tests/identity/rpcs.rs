//! Every method of every service, asked by everybody.

use std::net::SocketAddr;

use futures::FutureExt;
use seaway_proto::envoy::client_status::ClientStatusRequest;
use seaway_proto::envoy::client_status::client_status_discovery_service_client::ClientStatusDiscoveryServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::call::{Stream, code, connect};

/// Every method there is; the aggregated ones are asked for assignments.
const METHODS: [(&str, TypeUrl); 12] = [
    (
        "discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
        TypeUrl::ENDPOINT,
    ),
    (
        "discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
        TypeUrl::ENDPOINT,
    ),
    (
        "cluster.v3.ClusterDiscoveryService/StreamClusters",
        TypeUrl::CLUSTER,
    ),
    (
        "cluster.v3.ClusterDiscoveryService/DeltaClusters",
        TypeUrl::CLUSTER,
    ),
    (
        "endpoint.v3.EndpointDiscoveryService/StreamEndpoints",
        TypeUrl::ENDPOINT,
    ),
    (
        "endpoint.v3.EndpointDiscoveryService/DeltaEndpoints",
        TypeUrl::ENDPOINT,
    ),
    (
        "listener.v3.ListenerDiscoveryService/StreamListeners",
        TypeUrl::LISTENER,
    ),
    (
        "listener.v3.ListenerDiscoveryService/DeltaListeners",
        TypeUrl::LISTENER,
    ),
    (
        "route.v3.RouteDiscoveryService/StreamRoutes",
        TypeUrl::ROUTE,
    ),
    ("route.v3.RouteDiscoveryService/DeltaRoutes", TypeUrl::ROUTE),
    (
        "secret.v3.SecretDiscoveryService/StreamSecrets",
        TypeUrl::SECRET,
    ),
    (
        "secret.v3.SecretDiscoveryService/DeltaSecrets",
        TypeUrl::SECRET,
    ),
];

/// Methods that other servers have, and that gave everything away there (CVE-2026-53714).
const UNKNOWN: [&str; 4] = [
    "discovery.v3.AggregatedDiscoveryService/FetchAggregatedResources",
    "cluster.v3.ClusterDiscoveryService/FetchClusters",
    "secret.v3.SecretDiscoveryService/FetchSecrets",
    "status.v3.ClientStatusDiscoveryService/DeltaClientStatus",
];

fn method(path: &str, url: TypeUrl) -> Method {
    let path = format!("/envoy.service.{path}");
    Method {
        path: path.leak(),
        url,
    }
}

/// Asks for what exists, and says with what the stream ends, or `Ok` if it is served.
async fn ask(address: SocketAddr, shows: &Shows, method: Method, node: &Node) -> Result<Code> {
    let channel = connect(address, shows).await?;
    let asked = name(method.url);
    if !method.path.ends_with("/StreamSecrets") {
        let answer = Stream::first_answer(channel, shows, method, node, asked).await;
        return Ok(code(&answer));
    }
    // There is no secret yet, and in state of the world that is no answer: what ends on this
    // connection has ended when another stream of it is served.
    let mut stream = match Stream::open(channel.clone(), shows, method, node, asked).await {
        Ok(stream) => stream,
        Err(status) => return Ok(status.code()),
    };
    let mut ended = Box::pin(stream.next());
    let other = Stream::first_answer(channel, shows, DELTA, node, name(DELTA.url));
    let ended = match other.await {
        Ok(_) => ended.as_mut().now_or_never(),
        Err(_) => Some(ended.await),
    };
    Ok(ended.as_ref().map_or(Code::Ok, code))
}

/// Who asks, and what he is told.
struct Row {
    who: &'static str,
    shows: Shows,
    node: Node,
    expected: Code,
}

/// Everybody who may come as a proxy of a role on n1. Only the last two are right.
fn rows(secured: &Secured, role: &str) -> Result<Vec<Row>> {
    let account = format!("seaway-{role}");
    let nobody = || secured.nobody();
    let token = |account: &str, node| nobody().token(&secured.token(account, node));
    let issued =
        |claims: TokenClaims| nobody().token(&secured.issuer.issue(&claims.pod("a", "n1")));
    let certificate = |name: String| anyhow::Ok(nobody().certificate(&secured.certificate(&name)?));
    let revoked = secured.token(&account, "n1");
    secured.issuer.revoke(&revoked);
    let revoked = |shows: Shows| shows.token(&revoked);

    let other_audience = issued(TokenClaims::new("seaway", &account, "other"));
    let other_namespace = issued(TokenClaims::new("default", &account, AUDIENCE));
    let good = certificate(format!("n1.{role}.seaway"))?;
    let unproven = [
        ("nobody", nobody()),
        ("no token", nobody().token("no-token")),
        ("a token that is no longer good", revoked(nobody())),
        ("a token for others", other_audience),
        ("a good certificate and a bad token", revoked(good.clone())),
    ];
    let forbidden = [
        ("an account of another namespace", other_namespace),
        ("an account of no proxy", token("default", "n1")),
        (
            "a certificate of no proxy",
            certificate("n1.other".to_owned())?,
        ),
        ("a token of another node", token(&account, "n2")),
        (
            "a certificate of another node",
            certificate(format!("n2.{role}.seaway"))?,
        ),
    ];
    let right = [
        ("its token", token(&account, "n1")),
        ("its certificate", good),
    ];
    let rows = |rows: Vec<(&'static str, Shows)>, expected| {
        rows.into_iter().map(move |(who, shows)| Row {
            who,
            shows,
            node: claims(role, "n1"),
            expected,
        })
    };
    let other_role = Row {
        who: "a token, another role",
        shows: token(&account, "n1"),
        node: claims("mesh", "n1"),
        expected: Code::PermissionDenied,
    };
    let mut all: Vec<_> = rows(unproven.into(), Code::Unauthenticated).collect();
    all.extend(rows(forbidden.into(), Code::PermissionDenied));
    all.push(other_role);
    all.extend(rows(right.into(), Code::Ok));
    Ok(all)
}

#[test]
fn only_the_right_identity_is_served_by_any_method_rule_216() -> Result<()> {
    Secured::run(
        &["--max-connections-per-identity", "1000"],
        |world, secured| {
            let address = world.seaway()?.address();
            // Secrets are for the edge: a proxy of role node is refused them, whoever it is.
            let (nodes, edges) = (rows(secured, "node")?, rows(secured, "ingress")?);
            let wrong = visit(world, move || async move {
                let mut wrong = Vec::new();
                for (path, url) in METHODS {
                    let method = method(path, url);
                    let secrets = url == TypeUrl::SECRET;
                    for row in if secrets { &edges } else { &nodes } {
                        let found = ask(address, &row.shows, method, &row.node).await?;
                        if found != row.expected {
                            wrong.push(format!("{path}, {}: {found:?}", row.who));
                        }
                    }
                    let good = nodes.iter().rev().take(2);
                    for row in good.filter(|_| secrets) {
                        let found = ask(address, &row.shows, method, &row.node).await?;
                        if found != Code::PermissionDenied {
                            wrong.push(format!("{path}, role node, {}: {found:?}", row.who));
                        }
                    }
                }
                Ok(wrong)
            })?;
            ensure!(wrong.is_empty(), "{wrong:#?}");
            Ok(())
        },
    )
}

#[test]
fn what_is_no_method_here_serves_nobody() -> Result<()> {
    Secured::run(&[], |world, secured| {
        let address = world.seaway()?.address();
        let shows = [
            secured.nobody(),
            secured.nobody().token(&secured.token("seaway-node", "n1")),
        ];
        visit(world, move || async move {
            for path in UNKNOWN {
                for shows in &shows {
                    let method = method(path, TypeUrl::CLUSTER);
                    let found = ask(address, shows, method, &claims("node", "n1")).await?;
                    ensure!(found == Code::Unimplemented, "{path}: {found:?}");
                }
            }
            Ok(())
        })
    })
}

/// The number of clients whose status somebody is told.
async fn clients(channel: Channel, shows: &Shows) -> Result<usize, Status> {
    let mut request = Request::new(ClientStatusRequest::default());
    if let Some(token) = &shows.token {
        let value = format!("Bearer {token}").parse();
        let value = value.map_err(|_| Status::internal("no header"))?;
        request.metadata_mut().insert("authorization", value);
    }
    let mut client = ClientStatusDiscoveryServiceClient::new(channel);
    let answer = client.fetch_client_status(request).await?;
    Ok(answer.into_inner().config.len())
}

#[test]
fn who_is_unknown_is_told_of_health_alone_and_a_proxy_of_itself_rules_203_206() -> Result<()> {
    Secured::run(&[], |world, secured| {
        let address = world.seaway()?.address();
        let nobody = secured.nobody();
        let token = |account, node| secured.nobody().token(&secured.token(account, node));
        let (one, two) = (token("seaway-node", "n1"), token("seaway-node", "n2"));
        let stranger = token("default", "n1");
        visit(world, move || async move {
            let mut health = HealthClient::new(connect(address, &nobody).await?);
            let whole = health.check(HealthCheckRequest::default()).await?;
            ensure!(whole.into_inner().status() == ServingStatus::Serving);
            for (shows, expected) in [
                (&nobody, Code::Unauthenticated),
                (&stranger, Code::PermissionDenied),
            ] {
                let told = clients(connect(address, shows).await?, shows).await;
                ensure!(code(&told) == expected, "{told:?}");
            }
            let mut open = Vec::new();
            for (shows, name) in [(&one, "n1"), (&two, "n2")] {
                let (channel, node) = (connect(address, shows).await?, claims("node", name));
                let of = super::name(DELTA.url);
                let mut stream = Stream::open(channel, shows, DELTA, &node, of).await?;
                stream.next().await?;
                open.push(stream);
            }
            for shows in [&one, &two] {
                let told = clients(connect(address, shows).await?, shows).await?;
                ensure!(told == 1, "{told}");
            }
            Ok(())
        })
    })
}

#[test]
fn a_refusal_says_why_in_the_log_and_never_shows_the_token() -> Result<()> {
    Secured::run(&[], |world, secured| {
        let address = world.seaway()?.address();
        let token = secured.token("seaway-node", "n2");
        let shows = secured.nobody().token(&token);
        let told = visit(world, move || async move {
            let channel = connect(address, &shows).await?;
            let node = claims("node", "n1");
            let stream = Stream::open(channel, &shows, DELTA, &node, name(DELTA.url)).await?;
            Ok(stream.end().await.message().to_owned())
        })?;
        for word in [
            "serviceaccount:seaway/seaway-node",
            "bound to node n2",
            "node n1",
        ] {
            ensure!(told.contains(word), "{told}");
        }
        let log = world.seaway()?.log();
        let line = world.seaway()?.log_line("bound to node n2")?;
        ensure!(
            line.contains(r#""identity":"serviceaccount:seaway/seaway-node"#),
            "{line}"
        );
        let metrics = world.replica(0)?.admin(world.fabric(), "/metrics")?;
        ensure!(metrics.contains(r#"seaway_xds_denied_streams_total{reason="forbidden"} 1"#));
        for part in token.split('.') {
            ensure!(
                !log.contains(part) && !metrics.contains(part),
                "it shows the token"
            );
        }
        Ok(())
    })
}

/// An identity is of the fleets that rules name: another fleet's listeners, routes and certificates
/// are refused to it, by whatever method it asks.
#[test]
fn a_proxy_of_one_fleet_may_not_be_of_another() -> Result<()> {
    let rules = ["--allow-proxy", "ingress/blue=dns:blue.seaway"];
    Secured::run(&rules, |world, secured| {
        let address = world.seaway()?.address();
        let leaf = |name: &str| -> Result<Shows> {
            let leaf = secured.certificate(name)?;
            Ok(secured.nobody().certificate(&leaf))
        };
        let all = [
            ("n1.ingress.seaway", "", Code::Ok),
            ("n1.ingress.seaway", "default", Code::Ok),
            ("n1.ingress.seaway", "blue", Code::PermissionDenied),
            ("blue.seaway", "blue", Code::Ok),
            ("blue.seaway", "", Code::PermissionDenied),
            ("blue.seaway", "green", Code::PermissionDenied),
            ("blue.seaway", "Blue", Code::InvalidArgument),
        ];
        let mut rows = Vec::new();
        for (name, fleet, expected) in all {
            rows.push((leaf(name)?, name, fleet, expected));
        }
        visit(world, move || async move {
            for (shows, name, fleet, expected) in rows {
                let node = claiming("ingress", &[("fleet", fleet)]);
                // There are secrets alone to be had here.
                let asked = METHODS.iter();
                let asked =
                    asked.filter(|(_, url)| expected != Code::Ok || *url == TypeUrl::SECRET);
                for (path, url) in asked {
                    let found = ask(address, &shows, method(path, *url), &node).await?;
                    ensure!(found == expected, "{name} in {fleet:?}, {path}: {found:?}");
                }
            }
            Ok(())
        })
    })
}

#[test]
fn whose_stream_asked_for_a_forbidden_type_is_in_the_log() -> Result<()> {
    Secured::run(&[], |world, secured| {
        let address = world.seaway()?.address();
        let leaf = secured.certificate("n1.node.seaway")?;
        let shows = secured.nobody().certificate(&leaf);
        visit(world, move || async move {
            let secrets = method(
                "secret.v3.SecretDiscoveryService/DeltaSecrets",
                TypeUrl::SECRET,
            );
            let found = ask(address, &shows, secrets, &claims("node", "n1")).await?;
            ensure!(found == Code::PermissionDenied, "{found:?}");
            Ok(())
        })?;
        let line = world.seaway()?.log_line("may not ask for")?;
        ensure!(
            line.contains(r#""identity":"dns:n1.node.seaway""#),
            "{line}"
        );
        Ok(())
    })
}

/// Without tokens there is nothing that a client without a certificate could prove: it does not get
/// as far as a method.
#[test]
fn without_tokens_a_certificate_is_a_condition_of_the_handshake() -> Result<()> {
    World::run(|world| {
        let (ca, clients, others) = (Ca::new("servers")?, Ca::new("clients")?, Ca::new("others")?);
        let folder = world.folder().join("certs");
        std::fs::create_dir_all(&folder)?;
        ca.server(&["localhost"])?.write(&folder)?;
        clients.write(&folder)?;
        let mut arguments = certificates(|file| folder.join(file));
        arguments.extend(["--allow-proxy", "mesh=dns:mesh"].map(str::to_owned));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        world.manifests().save("web.yaml", &node("n1", "a"))?;
        world.start_seaway(&arguments)?;
        let address = world.seaway()?.address();
        let nobody = Shows {
            trusts: ca.pem(),
            ..Shows::default()
        };
        let stranger = nobody
            .clone()
            .certificate(&others.client(&[San::dns("mesh")])?);
        let friend = nobody
            .clone()
            .certificate(&clients.client(&[San::dns("mesh")])?);
        visit(world, move || async move {
            let node = claims("mesh", "");
            let cds = Method {
                url: TypeUrl::LISTENER,
                ..DELTA
            };
            for shows in [nobody, stranger] {
                let refused = match connect(address, &shows).await {
                    // With TLS 1.3 a client learns only later that its certificate is not taken.
                    Ok(channel) => Stream::open(channel, &shows, cds, &node, "*").await.err(),
                    Err(_) => continue,
                };
                ensure!(refused.is_some(), "a stream was opened");
            }
            let channel = connect(address, &friend).await?;
            let mut stream = Stream::open(channel, &friend, cds, &node, "*").await?;
            ensure!(stream.next().await? > 0);
            Ok(())
        })?;
        let failed = world.metric("seaway_xds_failed_handshakes_total", "")?;
        ensure!(failed >= 2.0, "{failed} handshakes failed");
        Ok(())
    })
}

#[test]
fn the_admin_port_has_three_paths_and_shows_no_secret() -> Result<()> {
    Secured::run(&[], |world, secured| {
        let address = world.seaway()?.address();
        let token = secured.token("seaway-node", "n1");
        let shows = secured.nobody().token(&token);
        visit(world, move || async move {
            let found = ask(address, &shows, DELTA, &claims("node", "n1")).await?;
            ensure!(found == Code::Ok, "{found:?}");
            Ok(())
        })?;
        let fabric = world.fabric();
        let seaway = world.replica(0)?;
        let said: Vec<String> = ["/livez", "/readyz", "/metrics"]
            .into_iter()
            .map(|path| seaway.admin(fabric, path))
            .collect::<Result<_>>()?;
        for path in [
            "/",
            "/config_dump",
            "/debug",
            "/debug/pprof",
            "/metrics/../x",
            "/tls",
        ] {
            ensure!(seaway.admin(fabric, path).is_err(), "{path} is answered");
        }
        let said = said.concat() + &seaway.log();
        let key = std::fs::read_to_string(secured.mounted.file("tls.key"))?;
        let lines = key.lines().filter(|line| !line.starts_with("---"));
        for secret in lines.chain(token.split('.')) {
            ensure!(!said.contains(secret), "it shows {secret}");
        }
        Ok(())
    })
}

#[test]
fn what_one_identity_may_have_open_is_a_flag() -> Result<()> {
    Secured::run(&["--max-streams-per-identity", "1"], |world, secured| {
        let address = world.seaway()?.address();
        let shows = |node| secured.nobody().token(&secured.token("seaway-node", node));
        let (one, other) = (shows("n1"), shows("n2"));
        visit(world, move || async move {
            let node = claims("node", "n1");
            let channel = connect(address, &one).await?;
            let mut first = Stream::open(channel, &one, DELTA, &node, name(DELTA.url)).await?;
            first.next().await?;
            let second = ask(address, &one, DELTA, &node).await?;
            ensure!(second == Code::ResourceExhausted, "{second:?}");
            let other = ask(address, &other, DELTA, &claims("node", "n2")).await?;
            ensure!(other == Code::Ok, "{other:?}");
            Ok(())
        })
    })
}
