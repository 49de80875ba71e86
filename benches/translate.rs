//! What a change costs in a large world, and what holding that world costs: 10,000 Services with 10
//! endpoints each.

mod large;

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use anyhow::Result;
use criterion::{BatchSize, Criterion};
use seaway_translator::read::{EndpointSlice, Service};
use seaway_translator::{
    Change, Layer, Object, Options, Question, Replace, Role, Translator, View, Viewpoint, read,
};
use seaway_xds::{Commit, LayerId, Publisher, Types, channel};

use large::{ENDPOINTS, SERVICES, Server, free_port, service_json, slice_json};

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    translation(&mut criterion)?;
    criterion.final_summary();
    // `cargo test --benches` runs each benchmark once; a full server is not worth that.
    if std::env::args().any(|argument| argument == "--bench") {
        memory()?;
    }
    Ok(())
}

/// Times translation and publishing.
fn translation(criterion: &mut Criterion) -> Result<()> {
    let world = World::build()?;
    let mut group = criterion.benchmark_group("10,000 Services x 10 endpoints");
    group.sample_size(10);
    group.bench_function("cold: read, join and translate all", |bench| {
        bench.iter_with_large_drop(|| world.translate());
    });

    let (mut translator, first) = world.translate()?;
    let mut layers = Layers::default();
    let (mut publisher, _snapshots) = channel(Types::envoy());
    publisher.commit(layers.commit(first));
    let slices = [slice(5_000, 1)?, slice(5_000, 0)?];
    group.sample_size(100);
    let mut turn = 0;
    group.bench_function("one slice changed: read, join and translate it", |bench| {
        bench.iter(|| {
            turn += 1;
            let object = read::endpoint_slice(&slices[turn % 2]);
            object
                .map(|object| translator.apply(Change::Apply(object)))
                .map_err(drop)?;
            Ok::<_, ()>(translator.flush())
        });
    });
    let mut variants = Vec::new();
    for slice in &slices {
        let object =
            read::endpoint_slice(slice).map_err(|problem| anyhow::anyhow!("{problem:?}"))?;
        translator.apply(Change::Apply(object));
        variants.push(translator.flush());
    }
    group.bench_function("that change committed to the publisher", |bench| {
        let input = || {
            turn += 1;
            layers.commit(variants[turn % 2].clone())
        };
        bench.iter_batched(
            input,
            |commit| commit_once(&mut publisher, commit),
            BatchSize::SmallInput,
        );
    });
    group.finish();
    explanation(criterion)
}

/// Times the answer to a question about a Service with many endpoints.
fn explanation(criterion: &mut Criterion) -> Result<()> {
    let mut slice = slice_json(0, 0);
    let endpoints = (0..1_000).map(|i| {
        let (a, b) = (i / 250, i % 250);
        let zone = if i % 2 == 0 { "a" } else { "b" };
        serde_json::json!({
            "addresses": [format!("10.9.{a}.{b}")], "zone": zone, "nodeName": format!("n{b}"),
            "hints": {"forZones": [{"name": zone}]},
        })
    });
    slice["endpoints"] = endpoints.collect();
    let (service, slice) = (
        serde_json::from_value(service_json(0))?,
        serde_json::from_value(slice)?,
    );
    let mut translator = Translator::new(Options::default());
    for object in [read::service(&service), read::endpoint_slice(&slice)] {
        let object = object.map_err(|problem| anyhow::anyhow!("{problem:?}"))?;
        translator.apply(Change::Apply(object));
    }
    translator.flush();
    let Object::Service(service) = read::service(&service).map_err(|_| anyhow::anyhow!("bad"))?
    else {
        anyhow::bail!("no Service");
    };
    let question = Question::Service(service.key.clone(), None);
    let viewpoint = Viewpoint::of(View::of(Role::Node)).from("zone/a")?;
    criterion.bench_function("explain a Service with 1,000 endpoints", |bench| {
        bench.iter(|| translator.explain(&question, &viewpoint));
    });
    Ok(())
}

fn commit_once(publisher: &mut Publisher, commit: Commit) -> u64 {
    publisher.commit(commit).seq
}

/// The objects as an API server or a folder would give them.
struct World {
    services: Vec<Service>,
    slices: Vec<EndpointSlice>,
}

impl World {
    fn build() -> Result<Self> {
        let services =
            (0..SERVICES).map(|number| Ok(serde_json::from_value(service_json(number))?));
        let slices = (0..SERVICES).map(|number| slice(number, 0));
        Ok(Self {
            services: services.collect::<Result<_>>()?,
            slices: slices.collect::<Result<_>>()?,
        })
    }

    /// A translator that has seen everything, for a node and a mesh proxy, and what it makes of it.
    fn translate(&self) -> Result<(Translator, Vec<Replace>)> {
        let mut translator = Translator::new(Options::default());
        let node = View {
            node: Some("n1".into()),
            zone: Some("a".into()),
            ..View::of(Role::Node)
        };
        translator.activate(&node);
        translator.activate(&View::of(Role::Mesh));
        let services = self.services.iter().map(read::service);
        for object in services.chain(self.slices.iter().map(read::endpoint_slice)) {
            translator.apply(Change::Apply(
                object.map_err(|problem| anyhow::anyhow!("{problem:?}"))?,
            ));
        }
        let replaced = translator.flush();
        Ok((translator, replaced))
    }
}

/// Layers as numbers, as the writer of `seaway serve` keeps them.
#[derive(Default)]
struct Layers(BTreeMap<Layer, LayerId>);

impl Layers {
    fn commit(&mut self, replaced: Vec<Replace>) -> Commit {
        let replace = replaced.into_iter().map(|replace| seaway_xds::Replace {
            hidden: Vec::new(),
            origin: replace.origin.to_string().into(),
            resources: replace
                .resources
                .into_iter()
                .map(|(layer, resource)| (self.id(layer), resource))
                .collect(),
        });
        Commit {
            replace: replace.collect(),
            placements: Vec::new(),
            since: None,
        }
    }

    fn id(&mut self, layer: Layer) -> LayerId {
        let next = LayerId(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        *self.0.entry(layer).or_insert(next)
    }
}

fn slice(number: u32, variant: u32) -> Result<EndpointSlice> {
    Ok(serde_json::from_value(slice_json(number, variant))?)
}

/// Starts `seaway serve` on the same world as files and prints how long it takes to be ready and
/// what it then holds.
#[expect(clippy::print_stdout, reason = "the figure is the point")]
fn memory() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for file in 0..100 {
        let numbers = (0..SERVICES).filter(|number| number % 100 == file);
        let documents = numbers.flat_map(|number| [service_json(number), slice_json(number, 0)]);
        let text: Vec<String> = documents.map(|document| document.to_string()).collect();
        fs::write(
            folder.path().join(format!("team-{file}.yaml")),
            text.join("\n---\n"),
        )?;
    }
    let started = Instant::now();
    let mut server = Server::start(free_port()?, |command| {
        command.arg("--files").arg(folder.path());
    })?;
    server.wait_ready()?;
    let ready = started.elapsed();
    println!(
        "\nseaway serve with {SERVICES} Services x {ENDPOINTS} endpoints from files: ready after {ready:.1?}"
    );
    server.print_memory()
}
