//! The status that docs/status.md shows is what is written.

use std::fs;

use anyhow::{Context, Result, ensure};
use seaway_testing::{ApiServer, World, eventually, repository};
use serde_json::{Value, json};

use crate::status::{CLASSES, EXPOSED, expose};
use crate::{SERVICES, populate};

/// The moment that stands for all moments.
const MOMENT: &str = "2026-12-01T12:00:00Z";

/// The blocks of YAML of the page.
fn blocks() -> Result<Vec<String>> {
    let page = fs::read_to_string(repository().join("docs/status.md"))?;
    let blocks = page.split("```yaml\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    Ok(blocks.map(str::to_owned).collect())
}

/// The status of the objects of the page, as one value.
fn written(server: &ApiServer) -> Result<Value> {
    let of = |resource: &str, name: &str| -> Result<Value> {
        let object = server.get(resource, "shop", name)?;
        let mut status = object.context("no such object")?["status"].take();
        still(&mut status);
        Ok(status)
    };
    Ok(json!({
        "Gateway shop/edge": of("gateways", "edge")?,
        "HTTPRoute shop/web": of("httproutes", "web")?,
        "Ingress shop/old": of("ingresses", "old")?,
    }))
}

/// Puts the same moment in place of all.
fn still(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match name.as_str() {
                    "lastTransitionTime" => *field = json!(MOMENT),
                    _ => still(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(still),
        _ => {}
    }
}

#[test]
fn the_status_that_the_documentation_shows_is_what_is_written() -> Result<()> {
    World::run(|world| {
        let [manifests, shown] = <[String; 2]>::try_from(blocks()?)
            .map_err(|all| anyhow::anyhow!("{} blocks", all.len()))?;
        let shown: Value = serde_saphyr::from_str(&shown)?;
        let server = world.api_server()?;
        for resource in ["gatewayclasses", "gateways", "httproutes"] {
            server.install(resource)?;
        }
        populate(&server, SERVICES)?;
        expose(&server, "192.0.2.1")?;
        server.apply_yaml(CLASSES)?;
        server.apply_yaml(&manifests)?;
        world.start_seaway_on(&server, &EXPOSED)?;
        eventually("the status of the page", || {
            let written = written(&server)?;
            ensure!(written == shown, "{written:#}");
            Ok(())
        })
    })
}
