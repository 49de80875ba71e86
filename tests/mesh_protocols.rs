//! What mesh proxies speak to backends, which of these they ask, and what becomes of requests when
//! one is dead or the control plane is.

use std::sync::Arc;

use anyhow::{Result, ensure};
use seaway_testing::certs::Ca;
use seaway_testing::{
    Client, Envoy, Load, MESH, Outcome, Record, ServiceManifest, SliceManifest, World, eventually,
    join, web_socket,
};
use serde_json::json;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

fn client(host: &str) -> Client {
    Client::new(MESH).host(host)
}

fn start(world: &mut World, sotw: bool) -> Result<Arc<Envoy>> {
    let more: &[&str] = if sotw { &["--sotw"] } else { &[] };
    world.start_envoy("mesh", &World::mesh_options(more))
}

/// A Service whose port 80 has this `appProtocol`, with an endpoint.
fn speaking(name: &str, protocol: &str, (ip, port): (&str, u16)) -> String {
    let service = ServiceManifest::new(name).port("http", 80);
    let service = service.on_port("appProtocol", protocol);
    let slice = SliceManifest::new(name).port("http", port).endpoint(ip);
    join([service.document(), slice.document()])
}

fn settle(envoy: &Envoy, host: &str, backend: &str) -> Result<()> {
    let is = |outcome: &Outcome| outcome.backend() == Some(backend);
    envoy.await_outcome(&client(host), backend, is).map(drop)
}

/// The names of Services by what their ports are said to speak, and what backends are asked in.
const SPOKEN: [(&str, &str, &str); 11] = [
    ("none", "", "HTTP/1.1"),
    ("http", "http", "HTTP/1.1"),
    ("ws", "kubernetes.io/ws", "HTTP/1.1"),
    ("tcp", "tcp", "HTTP/1.1"),
    ("tls", "tls", "HTTP/1.1"),
    ("own", "mycorp.com/x", "HTTP/1.1"),
    ("unknown", "kubernetes.io/unknown", "HTTP/1.1"),
    ("h2c", "kubernetes.io/h2c", "HTTP/2.0"),
    ("grpc", "grpc", "HTTP/2.0"),
    ("bare-h2c", "h2c", "HTTP/2.0"),
    ("http2", "http2", "HTTP/2.0"),
];

/// Service rules 106 to 108: a backend is asked as its port says, whatever its client speaks. What
/// is unknown, and what names no HTTP, is as good as unset.
#[test]
fn backends_are_asked_as_their_ports_say() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let _echo = world.echo_at("echo", "10.244.1.11:8080")?;
        let pod = ("10.244.1.10", 8080);
        let services = SPOKEN.map(|(name, protocol, _)| speaking(name, protocol, pod));
        let socket = speaking("socket", "kubernetes.io/ws", ("10.244.1.11", 8080));
        let rpc = speaking("rpc", "grpc", ("172.18.0.1", 18000));
        let all = join(services.into_iter().chain([socket, rpc]));
        world.manifests().save("all.yaml", &all)?;
        world.start_seaway(&[])?;
        let envoy = start(world, false)?;
        settle(&envoy, "none.default", "web-1")?;
        for (name, protocol, version) in SPOKEN {
            let client = client(&format!("{name}.default"));
            for client in [client.clone(), client.http2()] {
                match envoy.send(&client)? {
                    Outcome::Answered(answer) => {
                        ensure!(answer.version == version, "{protocol}: {}", answer.version);
                    }
                    outcome => anyhow::bail!("{protocol}: {outcome}"),
                }
            }
        }
        web_socket(envoy.namespace(), MESH, "socket.default", "/")?;
        envoy.namespace().run(|| call("rpc.default"))?
    })
}

/// Makes a call of gRPC: Seaway's own health.
fn call(host: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let to = Endpoint::from_static("http://127.0.0.1:15001");
        let to = to.origin(format!("http://{host}").parse()?);
        let mut health = HealthClient::new(to.connect().await?);
        health.check(HealthCheckRequest::default()).await?;
        Ok(())
    })
}

/// Service rules 106, 107 and 109: `https` and `kubernetes.io/wss` are spoken over TLS, and that
/// nobody checks the certificate is a problem of the Service.
#[test]
fn https_and_wss_are_spoken_over_tls() -> Result<()> {
    World::run(|world| {
        let server = "10.244.1.2:8443";
        let _address = world.backend("address", "10.244.1.2")?;
        let pod = ("10.244.1.2", 8443);
        let all = join([
            speaking("secure", "https", pod),
            speaking("socket", "kubernetes.io/wss", pod),
        ]);
        world.manifests().save("all.yaml", &all)?;
        world.start_seaway(&[])?;
        let leaf = Ca::new("nobody's")?.server(&["other.test"])?;
        let _server = world.tls_server(server, &leaf)?;
        let envoy = start(world, false)?;
        for name in ["secure", "socket"] {
            let of_tls = |outcome: &Outcome| matches!(outcome, Outcome::Answered(answer) if answer.body.contains("TLSv1.3"));
            let by_name = client(&format!("{name}.default"));
            envoy.await_outcome(&by_name, "an answer over TLS", of_tls)?;
        }
        let metrics = world.admin("/metrics")?;
        let unverified = "seaway_problems{reason=\"UnverifiedBackend\"} 2";
        ensure!(metrics.contains(unverified), "{metrics}");
        Ok(())
    })
}

/// The pods of a headless Service, the last of which may be unready.
const PODS: [(&str, &str); 3] = [
    ("db-0", "10.244.1.10"),
    ("db-1", "10.244.1.11"),
    ("db-2", "10.244.1.12"),
];

/// A headless Service with these pods, all of them ready or all but the last.
fn headless(ready: bool) -> String {
    let service = ServiceManifest::new("db")
        .spec("clusterIP", "None")
        .port("http", 80);
    let slice = SliceManifest::new("db").port("http", 8080);
    let with = |slice: SliceManifest, (name, ip): (&str, &str)| {
        slice.endpoint(ip).on_endpoint("hostname", name)
    };
    let slice = PODS.into_iter().fold(slice, with);
    let slice = slice.on_endpoint("conditions", json!({ "ready": ready }));
    join([service.document(), slice.document()])
}

/// Service rules 117, 120 and 129: a headless Service is served by its name and by those of its
/// pods, of which one that is not ready is none.
fn pods(sotw: bool) -> Result<()> {
    World::run(|world| {
        let _backends = PODS.map(|(name, ip)| world.backend(name, ip));
        let manifests = world.manifests().clone();
        let save = |ready| manifests.save("db.yaml", &headless(ready));
        save(false)?;
        world.start_seaway(&[])?;
        let envoy = start(world, sotw)?;
        settle(&envoy, "db-0.db.default", "db-0")?;
        for pod in ["db-0", "db-1"] {
            answers_alone(&envoy, pod)?;
        }
        let answers = client("db.default").get_often(envoy.namespace(), 20)?;
        for pod in ["db-0", "db-1"] {
            let one = answers.iter().any(|outcome| outcome.backend() == Some(pod));
            ensure!(one, "{pod} has no turn");
        }
        for (host, status) in [
            ("db-2.db.default", 503),
            ("db-9.db.default", 503),
            ("db-0.db.default:81", 404),
            ("db-0.db.other", 404),
            ("db-0.db.default.evil.com", 404),
            ("x.db-0.db.default", 404),
        ] {
            let outcome = envoy.send(&client(host))?;
            let is = matches!(&outcome, Outcome::Answered(answer) if answer.status == status);
            ensure!(is, "{host}: {outcome}");
        }
        let before = world.sent()?;
        save(true)?;
        settle(&envoy, "db-2.db.default", "db-2")?;
        let since = world.sent_since(&before)?;
        ensure!(since == [("ClusterLoadAssignment", 1)].into(), "{since:?}");
        Ok(())
    })
}

/// Checks that a pod, and no other, answers by each form of its name.
fn answers_alone(envoy: &Envoy, pod: &str) -> Result<()> {
    for host in [
        format!("{pod}.db.default"),
        format!("{pod}.db.default:80"),
        format!("{pod}.db.default.svc"),
        format!("{pod}.db.default.svc:80"),
        format!("{pod}.db.default.svc.cluster.local"),
        format!("{}.DB.default.svc.cluster.local.:80", pod.to_uppercase()),
    ] {
        // Again and again, since all endpoints have their turn.
        for _ in 0..6 {
            let outcome = envoy.send(&client(&host))?;
            ensure!(outcome.backend() == Some(pod), "{host}: {outcome}");
        }
    }
    Ok(())
}

#[test]
fn pods_of_a_headless_service_are_found_by_their_names() -> Result<()> {
    pods(false)
}

#[test]
fn pods_are_found_in_one_table_as_in_scopes() -> Result<()> {
    pods(true)
}

/// Service rule 95: endpoints that refuse connections cost no request while another one serves,
/// also when many requests ask at a time and nothing is known of the endpoints yet.
#[test]
fn endpoints_that_refuse_connections_cost_no_request() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let service = ServiceManifest::new("web").port("http", 80);
        let service = service.annotation("seaway.dev/outlier-detection", "0");
        let slice = SliceManifest::new("web").port("http", 8080);
        let all = ["10.244.1.10", "10.244.1.11", "10.244.1.12"];
        let slice = all.iter().fold(slice, |slice, ip| slice.endpoint(ip));
        let all = join([service.document(), slice.document()]);
        world.manifests().save("web.yaml", &all)?;
        world.start_seaway(&[])?;
        let envoy = start(world, false)?;
        settle(&envoy, "web.default", "web-1")?;
        let loads = [0; 4].map(|_| Load::start(envoy.namespace(), client("web.default"), 100));
        let refused = "cluster.default_web_80.upstream_cx_connect_fail";
        eventually("connections to be refused", || {
            let count = envoy.stat(refused)?;
            ensure!(count > 300, "{count}");
            Ok(())
        })?;
        for load in loads {
            let records = load?.stop()?;
            let failures = Record::failures(&records);
            ensure!(failures.is_none(), "{failures:?}");
        }
        Ok(())
    })
}

/// The control plane dies and comes back: no request fails, and nothing is sent again.
#[test]
fn a_control_plane_that_is_killed_fails_no_request_and_sends_nothing_again() -> Result<()> {
    World::run(|world| {
        let _backend = world.backend("web-1", "10.244.1.10")?;
        let named = |name: &str, ip: &str| {
            let service = ServiceManifest::new(name).cluster_ip(ip).port("http", 80);
            let slice = SliceManifest::new(name).port("http", 8080);
            join([service.document(), slice.endpoint("10.244.1.10").document()])
        };
        world
            .manifests()
            .save("web.yaml", &named("web", "10.96.0.10"))?;
        world.start_seaway(&[])?;
        let envoy = start(world, false)?;
        settle(&envoy, "web.default", "web-1")?;
        let loads = ["web.default", "10.96.0.10"]
            .map(|host| Load::start(envoy.namespace(), client(host), 50));
        world.seaway()?.kill()?;
        let connected = |wanted: u64| {
            eventually("the control plane to be gone, or there", || {
                let found = envoy.stat("control_plane.connected_state")?;
                ensure!(found == wanted, "{found}");
                Ok(())
            })
        };
        connected(0)?;
        for host in ["web.default", "10.96.0.10"] {
            for outcome in client(host).get_often(envoy.namespace(), 20)? {
                ensure!(outcome.backend() == Some("web-1"), "{host}: {outcome}");
            }
        }
        world.restart_seaway()?;
        connected(1)?;
        world
            .manifests()
            .save("more.yaml", &named("more", "10.96.0.11"))?;
        settle(&envoy, "more.default", "web-1")?;
        settle(&envoy, "10.96.0.11", "web-1")?;
        let sent = world.sent()?.into_iter();
        let sent: Vec<_> = sent.filter(|(_, count)| *count > 0).collect();
        let of_one = [
            ("Cluster", 1),
            ("ClusterLoadAssignment", 1),
            ("ScopedRouteConfiguration", 3),
        ];
        ensure!(sent == of_one, "{sent:?}");
        for load in loads {
            let records = load?.stop()?;
            let failures = Record::failures(&records);
            ensure!(failures.is_none(), "{failures:?}");
        }
        Ok(())
    })
}
