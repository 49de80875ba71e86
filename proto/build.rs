//! Compiles the `.proto` files that travel inside the `envoy-types` package, and those in `proto/`,
//! into descriptors.
//!
//! Two artefacts land in `OUT_DIR`: `descriptors.bin` (the closure of the types Seaway prints, for
//! JSON by reflection) and `map_plan.rs` (which fields of which messages are maps or lead to maps,
//! for deterministic bytes).

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

/// Every type that Seaway encodes, or may have to open inside an `Any`, is in the closure of these
/// files.
const ROOTS: &[&str] = &[
    "envoy/config/bootstrap/v3/bootstrap.proto",
    "envoy/config/cluster/v3/cluster.proto",
    "envoy/config/endpoint/v3/endpoint.proto",
    "envoy/config/listener/v3/listener.proto",
    "envoy/config/route/v3/route.proto",
    "envoy/config/route/v3/scoped_route.proto",
    "envoy/extensions/access_loggers/stream/v3/stream.proto",
    "envoy/extensions/filters/http/buffer/v3/buffer.proto",
    "envoy/extensions/filters/http/cors/v3/cors.proto",
    "envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.proto",
    "envoy/extensions/filters/http/lua/v3/lua.proto",
    "envoy/extensions/filters/http/rbac/v3/rbac.proto",
    "envoy/extensions/filters/http/router/v3/router.proto",
    "envoy/extensions/filters/listener/original_src/v3/original_src.proto",
    "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.proto",
    "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
    "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto",
    "envoy/extensions/filters/network/set_filter_state/v3/set_filter_state.proto",
    "envoy/extensions/filters/udp/udp_proxy/v3/route.proto",
    "envoy/extensions/filters/udp/udp_proxy/v3/udp_proxy.proto",
    "envoy/extensions/formatter/cel/v3/cel.proto",
    "envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation.proto",
    "envoy/extensions/matching/common_inputs/network/v3/network_inputs.proto",
    "envoy/extensions/matching/input_matchers/ip/v3/ip.proto",
    "envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver.proto",
    "envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.proto",
    "envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.proto",
    "envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.proto",
    "envoy/extensions/transport_sockets/tls/cert_mappers/sni/v3/config.proto",
    "envoy/extensions/transport_sockets/tls/cert_selectors/on_demand_secret/v3/config.proto",
    "envoy/extensions/transport_sockets/tls/v3/secret.proto",
    "envoy/extensions/transport_sockets/tls/v3/tls.proto",
    "envoy/extensions/upstreams/http/v3/http_protocol_options.proto",
    "envoy/service/cluster/v3/cds.proto",
    "envoy/service/discovery/v3/ads.proto",
    "envoy/service/endpoint/v3/eds.proto",
    "envoy/service/listener/v3/lds.proto",
    "envoy/service/load_stats/v3/lrs.proto",
    "envoy/service/route/v3/rds.proto",
    "envoy/service/secret/v3/sds.proto",
    "envoy/service/status/v3/csds.proto",
    "seaway/v1/peers.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=proto");
    let protos = envoy_types_folder()?.join("proto");
    let mut includes = Vec::new();
    for entry in std::fs::read_dir(&protos)? {
        includes.push(entry?.path());
    }
    // data-plane-api's imports start at its own folder, as do those of its siblings; cel-spec keeps
    // its tree one level down.
    includes.push(protos.join("cel-spec/proto"));
    // Those of Seaway's own.
    includes.push(PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("proto"));
    includes.sort();
    let set = protox::Compiler::new(includes.iter().filter(|p| p.is_dir()))?
        .include_imports(true)
        .open_files(ROOTS)?
        .file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), set.encode_to_vec())?;
    std::fs::write(out.join("map_plan.rs"), map_plan(&set))?;
    Ok(())
}

/// Asks cargo where the sources of `envoy-types` are, so that none of its files is copied into this
/// repository.
fn envoy_types_folder() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var("CARGO")?;
    let manifest = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("Cargo.toml");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--manifest-path"])
        .arg(manifest)
        .output()?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "envoy-types")
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or("cargo metadata lists no package envoy-types")?;
    let folder = Path::new(manifest)
        .parent()
        .ok_or("envoy-types has no folder")?;
    Ok(folder.to_path_buf())
}

/// A message's fields of message type: number → (is a map, full name of the message).
type Fields = BTreeMap<i32, (bool, String)>;

/// Writes the table `MAP_PLAN`, sorted by message name: only messages from which a map can be
/// reached, and only the fields through which it can.
fn map_plan(set: &FileDescriptorSet) -> String {
    let mut messages = BTreeMap::new();
    for file in &set.file {
        for message in &file.message_type {
            collect(&format!(".{}", file.package()), message, &mut messages);
        }
    }
    let relevant = reaching_maps(&messages);
    let index: BTreeMap<&String, usize> = relevant.iter().zip(0..).map(|(n, i)| (*n, i)).collect();
    let mut text = String::from("pub(crate) static MAP_PLAN: &[MessagePlan] = &[\n");
    for name in &relevant {
        let _ = write!(
            text,
            "    MessagePlan {{ name: {:?}, fields: &[",
            &name[1..]
        );
        for (number, (is_map, target)) in &messages[*name] {
            let target = index.get(target);
            if *is_map || target.is_some() {
                let _ = write!(
                    text,
                    "FieldPlan {{ number: {number}, is_map: {is_map}, message: {target:?} }}, "
                );
            }
        }
        text.push_str("] },\n");
    }
    text.push_str("];\n");
    text
}

fn collect(scope: &str, message: &DescriptorProto, into: &mut BTreeMap<String, Fields>) {
    let name = format!("{scope}.{}", message.name());
    let map_entries: BTreeSet<String> = message
        .nested_type
        .iter()
        .filter(|nested| nested.options.as_ref().is_some_and(|o| o.map_entry()))
        .map(|nested| format!("{name}.{}", nested.name()))
        .collect();
    let fields = message
        .field
        .iter()
        .filter(|field| field.r#type() == Type::Message)
        .map(|field| {
            let is_map =
                field.label() == Label::Repeated && map_entries.contains(field.type_name());
            (field.number(), (is_map, field.type_name().to_owned()))
        })
        .collect();
    for nested in &message.nested_type {
        collect(&name, nested, into);
    }
    into.insert(name, fields);
}

/// The messages that have a map field or reach one through their message fields (a fixpoint, since
/// messages may be recursive).
fn reaching_maps(messages: &BTreeMap<String, Fields>) -> BTreeSet<&String> {
    let mut reaching = BTreeSet::new();
    loop {
        let before = reaching.len();
        for (name, fields) in messages {
            if fields
                .values()
                .any(|(map, to)| *map || reaching.contains(to))
            {
                reaching.insert(name);
            }
        }
        if reaching.len() == before {
            return reaching;
        }
    }
}
