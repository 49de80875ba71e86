//! Steps through the mesh Envoy: Services by host name.

use anyhow::{Result, bail, ensure};

use crate::scene::say;
use crate::{Answer, Client, MESH, Outcome, Place, Scene};

/// A Service answers under every form of its host name.
pub fn host_names(scene: &mut Scene<'_>) -> Result<()> {
    for host in ["api.shop", "api.shop.svc", "api.shop.svc.cluster.local"] {
        for host in [host.to_owned(), format!("{host}:80")] {
            let answer = ask(scene, &client(&host))?;
            ensure!(
                answer.body.starts_with("api-"),
                "{host} was answered by {}",
                answer.body
            );
        }
    }
    let outcome = scene.ask(Place::Mesh, &client("nobody.shop"))?;
    ensure!(
        matches!(&outcome, Outcome::Answered(answer) if answer.status == 404),
        "an unknown host name: {outcome}"
    );
    Ok(())
}

/// A port with `appProtocol: kubernetes.io/h2c` is spoken to in HTTP/2, whatever the client speaks.
pub fn h2c(scene: &mut Scene<'_>) -> Result<()> {
    for client in [client("stream.shop"), client("stream.shop").http2()] {
        let answer = ask(scene, &client)?;
        say(&format!(
            "          (its backend was asked in {})",
            answer.version
        ));
        ensure!(
            answer.version == "HTTP/2.0",
            "the backend was asked in {}",
            answer.version
        );
    }
    let answer = ask(scene, &client("api.shop"))?;
    ensure!(
        answer.version == "HTTP/1.1",
        "a plain backend was asked in {}",
        answer.version
    );
    Ok(())
}

/// An ExternalName: the address comes from DNS, and the host outside is asked under its own name.
pub fn external_name(scene: &mut Scene<'_>) -> Result<()> {
    let client = client("partner.shop");
    let envoy = scene.envoy(Place::Mesh)?;
    envoy.await_outcome(&client, "DNS to be asked", |outcome| {
        outcome.backend().is_some()
    })?;
    let answer = ask(scene, &client)?;
    say(&format!(
        "          (its backend was asked for host {})",
        answer.host
    ));
    ensure!(answer.body == "partner-old", "answered by {}", answer.body);
    ensure!(
        answer.host == "partner.example.com",
        "the backend was asked for host {}",
        answer.host
    );
    Ok(())
}

/// An ExternalName for a Service of the same namespace goes to that Service's endpoints.
pub fn external_alias(scene: &mut Scene<'_>) -> Result<()> {
    let answer = ask(scene, &client("storefront.shop"))?;
    ensure!(
        answer.body.starts_with("api-"),
        "answered by {}",
        answer.body
    );
    Ok(())
}

/// The target of an ExternalName changes, and so do the answers.
pub fn retarget(scene: &mut Scene<'_>) -> Result<()> {
    scene
        .world
        .manifests()
        .replace("shop.yaml", "partner.example.com", "new.example.com")?;
    let (client, envoy) = (client("partner.shop"), scene.envoy(Place::Mesh)?);
    // Where requests go and the host they ask for are a cluster and a route, which Envoy takes one
    // after the other.
    let expected = "the new target to answer, asked for its own name";
    envoy.await_outcome(&client, expected, |outcome| {
        matches!(outcome, Outcome::Answered(answer)
            if answer.body == "partner-new" && answer.host == "new.example.com")
    })?;
    ask(scene, &client)?;
    Ok(())
}

/// A request for a host name through the mesh Envoy.
fn client(host: &str) -> Client {
    Client::new(MESH).host(host)
}

/// The answer with status 200.
fn ask(scene: &Scene<'_>, client: &Client) -> Result<Answer> {
    match scene.ask(Place::Mesh, client)? {
        Outcome::Answered(answer) if answer.status == 200 => Ok(answer),
        outcome => bail!("{client}: {outcome}"),
    }
}
