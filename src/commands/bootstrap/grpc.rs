//! The bootstrap of a gRPC client (gRFC A27), with TLS as in A65 and a token as in A97.

use serde_json::{Map, Value, json};

use super::proof::Proof;
use crate::args::BootstrapArgs;

/// How often gRPC reads certificates again; its own default (A65).
const REFRESH: &str = "600s";

/// The whole bootstrap, as JSON.
pub(super) fn bootstrap(args: &BootstrapArgs, proof: Option<&Proof<'_>>) -> String {
    let document = json!({ "xds_servers": [server(args, proof)], "node": node(args) });
    format!("{document:#}\n")
}

fn server(args: &BootstrapArgs, proof: Option<&Proof<'_>>) -> Value {
    let mut server = json!({
        "server_uri": args.xds.to_string(),
        "channel_creds": [proof.map_or_else(|| json!({ "type": "insecure" }), tls)],
        "server_features": ["xds_v3"],
    });
    if let Some(file) = proof.and_then(|proof| proof.token) {
        server["call_creds"] = json!([
            { "type": "jwt_token_file", "config": { "jwt_token_file": file } }
        ]);
    }
    server
}

fn tls(proof: &Proof<'_>) -> Value {
    let mut config = json!({
        "ca_certificate_file": proof.ca,
        "refresh_interval": REFRESH,
    });
    if let Some(files) = proof.certificate {
        config["certificate_file"] = files.cert.into();
        config["private_key_file"] = files.key.into();
    }
    json!({ "type": "tls", "config": config })
}

fn node(args: &BootstrapArgs) -> Value {
    let mut claims = json!({ "role": "grpc" });
    if let Some(name) = &args.place.node_name {
        claims["node_name"] = name.as_str().into();
    }
    let mut node = json!({
        "id": args.node_id,
        "cluster": "seaway-grpc",
        "metadata": { "seaway": claims },
    });
    let place = [("region", &args.place.region), ("zone", &args.place.zone)];
    let place = place.into_iter().filter_map(|(key, value)| {
        let value = value.as_deref()?;
        Some((key.to_owned(), value.into()))
    });
    let place: Map<String, Value> = place.collect();
    if !place.is_empty() {
        node["locality"] = place.into();
    }
    node
}
