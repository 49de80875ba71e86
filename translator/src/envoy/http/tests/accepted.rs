//! Whatever valid rules say, Envoy takes it: one rejected resource would stop every change of all.

use std::process::Command;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use prost::{Message as _, Name as _};
use seaway_proto::envoy::bootstrap::Bootstrap;
use seaway_proto::envoy::bootstrap::bootstrap::StaticResources;
use seaway_proto::envoy::core::TypedExtensionConfig;
use seaway_proto::envoy::http_connection_manager::http_connection_manager::RouteSpecifier;
use seaway_proto::envoy::http_connection_manager::http_filter::ConfigType;
use seaway_proto::envoy::listener::{FilterChain, Listener};
use seaway_proto::envoy::route::{RouteConfiguration, ScopedRouteConfiguration};
use seaway_proto::{any, encode};

use super::arbitrary::worlds;
use super::*;
use crate::envoy::http::{listener, lookup, scope};
use crate::plan::certificates::Served;

/// How many hosts are made.
const HOSTS: usize = 300;

#[test]
fn envoy_takes_whatever_valid_rules_say() {
    let Some(envoy) = std::env::var_os("ENVOY") else {
        println!("skipped: ENVOY names no Envoy");
        return;
    };
    let file = std::env::temp_dir().join(format!("seaway-hosts-{}.json", std::process::id()));
    let value = json::to_value(&Bootstrap::full_name(), &encode(&bootstrap())).unwrap();
    std::fs::write(&file, value.to_string()).unwrap();
    let output = Command::new(envoy)
        .args([
            "--mode",
            "validate",
            "--concurrency",
            "1",
            "-l",
            "error",
            "-c",
        ])
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}: {}",
        file.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::remove_file(file).unwrap();
}

/// An Envoy with the listener of a table, and in it many random hosts and the lookup of their
/// wildcards.
fn bootstrap() -> Bootstrap {
    let mut runner = TestRunner::deterministic();
    let worlds = (0..HOSTS).map(|number| worlds(number).new_tree(&mut runner).unwrap().current());
    let (mut wildcards, mut virtual_hosts, mut template) = (Vec::new(), Vec::new(), None);
    for world in worlds {
        let resource = scope::scope(&table(), &world.plan());
        let scope = ScopedRouteConfiguration::decode(resource.value).unwrap();
        let mut config = scope.route_configuration.unwrap();
        virtual_hosts.append(&mut config.virtual_hosts);
        template = Some(config);
        wildcards.push(world.host);
    }
    let mut manager = listener::manager(&table(), &crate::Options::default(), None);
    manager.route_specifier = Some(RouteSpecifier::RouteConfig(RouteConfiguration {
        virtual_hosts,
        ..template.unwrap()
    }));
    let lookup = lookup::lookup(&table(), &wildcards, true);
    let lookup = TypedExtensionConfig::decode(lookup.value).unwrap();
    manager.http_filters[0].config_type = lookup.typed_config.map(ConfigType::TypedConfig);
    let filter = crate::envoy::listener::network_filter(
        "envoy.filters.network.http_connection_manager",
        any(&manager),
    );
    let listener = Listener::decode(
        listener::listener(
            &table(),
            &on(std::net::Ipv4Addr::LOCALHOST.into()),
            &Served::default(),
        )
        .value,
    );
    let listener = Listener {
        filter_chains: vec![FilterChain {
            filters: vec![filter],
            ..Default::default()
        }],
        ..listener.unwrap()
    };
    Bootstrap {
        static_resources: Some(StaticResources {
            listeners: vec![listener],
            ..Default::default()
        }),
        ..Default::default()
    }
}
