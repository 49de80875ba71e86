//! What running replicas have for the proxies that are connected (`live`): the layers through which
//! these look, each read once, and compared with a source of objects as any two worlds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail, ensure};
use seaway_proto::{Resource, json};
use seaway_translator::diff::{World, diff};
use seaway_translator::{Fleet, Imports, Layer, Problem, Role, Severity, View};

use super::input::{Loaded, Source};
use super::{Outcome, flags};
use crate::args::{DiffArgs, Nodes};
use crate::ask::table::grouped;
use crate::ask::{self, Asked, Replica, Replicas};
use crate::inspect::api::{Page, ProblemRow, ProxyRow, Replica as Status, ResourceRow};
use crate::inspect::types;

/// The most proxies, problems and resources of a layer that are read.
const MOST: usize = 1 << 20;

/// A resource in a layer, and the object that it is made from.
type Content = (Layer, Arc<str>, Resource);

/// What replicas have for the proxies that are asked for.
#[derive(Debug, Default)]
struct Live {
    /// The views of the proxies, and through which layers each looks.
    views: BTreeMap<View, Vec<Layer>>,
    /// What these layers have.
    resources: Vec<Content>,
    /// The problems that stand there, as they are told.
    problems: BTreeSet<String>,
    /// Which flags replicas have otherwise.
    notes: Vec<String>,
}

/// Compares what replicas have with what this binary makes of a source; `is_old` says whether the
/// replicas' side is the one before.
pub(super) fn compare(
    args: &DiffArgs,
    source: &Source,
    is_old: bool,
    roles: &[Role],
) -> anyhow::Result<Outcome> {
    let flag = if is_old { "--to" } else { "--from" };
    let loaded = Loaded::read(source, flag)?;
    let of_ingress = roles.contains(&Role::Ingress);
    if loaded.lacks_secrets && of_ingress {
        // Their listeners would be without certificates, which the replicas' are not.
        bail!(
            "{flag}: a checkpoint has no Secrets, so ingress proxies cannot be compared with live"
        );
    }
    let live = ask::run(async {
        let replicas = Replicas::of(&args.ask).await?;
        let live = Live::read(&replicas, args, roles).await;
        live.map_err(crate::process::exit::Failure::Unusable)
    })?;
    let options = args.shape.options(true);
    let views: Vec<View> = live.views.keys().cloned().collect();
    let (known, mut notes) = (live.problems, live.notes);
    let there = World::of_layers(&options, live.views.into_iter().collect(), live.resources);
    let here = World::new(options, loaded.objects, &views).without_objects();
    let mut problems = here.problems();
    problems.extend(loaded.problems);
    let is_new = |problem: &Problem| {
        is_old && problem.severity == Severity::Error && !known.contains(&told(problem))
    };
    problems.retain(is_new);
    problems.sort();
    let note = "the replicas say nothing of Secrets: certificates are not compared";
    notes.extend(of_ingress.then(|| note.to_owned()));
    Ok(Outcome {
        difference: match is_old {
            true => diff(&there, &here),
            false => diff(&here, &there),
        },
        problems,
        notes,
    })
}

/// A problem as a replica tells it.
fn told(problem: &Problem) -> String {
    let (object, field, message) = (&problem.object, &problem.field, &problem.message);
    format!("{object} {field} {message}")
}

impl Live {
    async fn read(replicas: &Replicas, args: &DiffArgs, roles: &[Role]) -> anyhow::Result<Live> {
        let mut live = Live::default();
        let mut read = BTreeSet::new();
        let ours = crate::inspect::flags();
        for replica in replicas.each() {
            let status = replica.get::<Status>(&Asked::of("status")).await;
            let status = status.map_err(|why| anyhow!("live: {}: {why}", replica.name))?;
            let note = flags::note(&replica.name, &status.flags, &ours);
            live.notes.extend(note);
            let views = views(list(replica, &Asked::of("proxies")).await?, args, roles)?;
            let layers = views.values().flatten().cloned();
            let more: BTreeSet<Layer> = layers.filter(|layer| !read.contains(layer)).collect();
            live.resources.extend(contents(replica, &more).await?);
            read.extend(more);
            live.views.extend(views);
        }
        for role in roles {
            let mut of_role = live.views.keys();
            if !of_role.any(|view| view.role == *role) {
                bail!(
                    "live: no proxy of role {role} is connected{}",
                    where_asked(args)
                );
            }
        }
        if let Nodes::Named(names) = &args.nodes {
            let has = |name: &str| {
                let mut views = live.views.keys();
                views.any(|view| view.node.as_deref() == Some(name))
            };
            if let Some(name) = names.iter().find(|name| !has(name)) {
                bail!("live: no proxy on Node {name} is connected");
            }
        }
        let replica = replicas.each().next().context("live: no replica")?;
        let problems: Vec<ProblemRow> = list(replica, &Asked::of("problems")).await?;
        let told = |row: &ProblemRow| format!("{} {} {}", row.object, row.field, row.message);
        live.problems = problems.iter().map(told).collect();
        Ok(live)
    }
}

fn where_asked(args: &DiffArgs) -> String {
    match &args.nodes {
        Nodes::All => String::new(),
        Nodes::Named(names) => format!(" on {}", names.join(", ")),
    }
}

async fn list<T: serde::de::DeserializeOwned>(
    replica: &Replica,
    asked: &Asked,
) -> anyhow::Result<Vec<T>> {
    let name = &replica.name;
    let list: Result<Page<T>, String> = replica.list(asked, MOST).await;
    let list = list.map_err(|why| anyhow!("live: {name}: {why}"))?;
    let total = grouped(list.total);
    ensure!(
        list.total <= MOST,
        "live: {name}: a list of {total} is too long to be compared"
    );
    Ok(list.items)
}

/// The views of those of these proxies that are asked for.
fn views(
    proxies: Vec<ProxyRow>,
    args: &DiffArgs,
    roles: &[Role],
) -> anyhow::Result<BTreeMap<View, Vec<Layer>>> {
    let fleet = args.fleet.clone().unwrap_or_default();
    let mut views = BTreeMap::new();
    for proxy in proxies {
        let layers = proxy.layers.iter().map(|layer| layer.parse());
        let layers: Vec<Layer> = layers
            .collect::<Result<_, _>>()
            .with_context(|| format!("live: the layers of proxy {}", proxy.proxy))?;
        let view = view(&proxy, &layers)?;
        let is_there = match &args.nodes {
            Nodes::All => true,
            Nodes::Named(names) => names.iter().any(|name| view.node.as_deref() == Some(name)),
        };
        if roles.contains(&view.role)
            && is_there
            && (view.role != Role::Ingress || view.fleet == fleet)
        {
            views.insert(view, layers);
        }
    }
    Ok(views)
}

/// The view of a proxy: what it looks through says which form it takes, and where it is.
fn view(proxy: &ProxyRow, layers: &[Layer]) -> anyhow::Result<View> {
    let zone = layers.iter().find_map(|layer| match layer {
        Layer::Zone(zone) => Some(zone.clone()),
        Layer::Node { zone, .. } => zone.clone(),
        _ => None,
    });
    let fleet: Option<Fleet> = proxy.fleet.as_deref().map(str::parse).transpose()?;
    let view = View {
        node: proxy.node.as_deref().map(Into::into),
        zone: zone.or_else(|| proxy.zone.as_deref().map(Into::into)),
        namespace: proxy.namespace.as_deref().map(Into::into),
        fleet: fleet.unwrap_or_default(),
        imports: imports(layers),
        ..View::of(proxy.role.parse()?)
    };
    Ok(view.seen_through(layers).deciding())
}

/// What a proxy that looks through these layers imports.
fn imports(layers: &[Layer]) -> Option<Imports> {
    let imports = layers.iter().filter_map(|layer| match layer {
        Layer::Import(import) => Some(import.clone()),
        _ => None,
    });
    Imports::of(imports.collect())
}

/// What layers have, but for Secrets.
async fn contents(replica: &Replica, layers: &BTreeSet<Layer>) -> anyhow::Result<Vec<Content>> {
    let some = Asked::of("resources").with("limit", Some(1));
    let some: Page<ResourceRow> = replica
        .get(&some)
        .await
        .map_err(|why| anyhow!("live: {}: {why}", replica.name))?;
    let mut contents = Vec::new();
    for asked in requests(some.total, layers) {
        let rows: Vec<ResourceRow> = list(replica, &asked).await?;
        contents.extend(rows.into_iter().filter_map(|row| content(row, layers)));
    }
    Ok(contents)
}

/// What is asked for of so many resources. For each page a replica looks through all that it has:
/// so everything is listed, or each layer for itself, whichever is fewer pages.
fn requests(total: usize, layers: &BTreeSet<Layer>) -> Vec<Asked> {
    let all = Asked::of("resources").with("content", Some(true));
    if total <= MOST && total / ask::PAGE < layers.len() {
        return vec![all];
    }
    let each = layers.iter();
    each.map(|layer| all.clone().with("layer", Some(layer)))
        .collect()
}

/// What a row has, if it is of one of these layers and no Secret.
fn content(row: ResourceRow, layers: &BTreeSet<Layer>) -> Option<Content> {
    let layer: Layer = row.layer.parse().ok()?;
    let content = row.content.filter(|_| layers.contains(&layer))?;
    let type_url = types::of_name(&row.r#type)?;
    // What only a newer version knows is compared as it is printed.
    let bytes = json::from_value(type_url.as_str(), &content)
        .unwrap_or_else(|_| content.to_string().into_bytes());
    let mut resource = Resource::from_bytes(type_url, row.name, bytes.into(), Vec::new());
    // JSON does not tell in which order the fields were encoded, by which versions differ.
    resource.version = row.version?.parse().ok()?;
    Some((layer, row.object.into(), resource))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use seaway_translator::CertificateDelivery;

    use super::*;
    use crate::args::{Cli, Command};
    use crate::inspect::api::{Held, ProxyState};

    fn proxy(role: &str, layers: &[&str]) -> ProxyRow {
        ProxyRow {
            proxy: "p".to_owned(),
            stream: 1,
            role: role.to_owned(),
            node: Some("n1".to_owned()),
            zone: Some("claimed".to_owned()),
            namespace: None,
            import: Vec::new(),
            fleet: None,
            identity: None,
            address: None,
            client: String::new(),
            dialect: "delta".to_owned(),
            connected: String::new(),
            state: ProxyState::Synced,
            since: None,
            behind: None,
            what: None,
            layers: layers.iter().map(|layer| (*layer).to_owned()).collect(),
            types: Vec::new(),
        }
    }

    #[test]
    fn the_layers_of_a_proxy_say_where_it_is_and_what_it_takes() {
        let of = |proxy: &ProxyRow| {
            let layers = proxy.layers.iter().map(|layer| layer.parse().unwrap());
            view(proxy, &layers.collect::<Vec<_>>()).unwrap()
        };
        let node = of(&proxy("node", &["node:n1@a", "zone:a", "role:node", "all"]));
        assert_eq!(node.zone.as_deref(), Some("a"));
        assert_eq!((node.role, node.whole_table), (Role::Node, false));
        let mesh = of(&proxy("mesh", &["whole-table", "role:mesh", "all"]));
        assert_eq!(mesh.zone.as_deref(), Some("claimed"));
        assert!(mesh.whole_table);
        let edge = of(&proxy("ingress", &["on-demand:default", "all"]));
        assert_eq!(edge.certificates, CertificateDelivery::OnDemand);
    }

    #[test]
    fn layers_are_listed_together_where_that_is_fewer_pages_and_no_other_layer_is_taken() {
        let layers = BTreeSet::from([Layer::All, Layer::Role(Role::Node)]);
        let requests = |total| requests(total, &layers).len();
        assert_eq!((requests(0), requests(1_999)), (1, 1));
        assert_eq!((requests(2_000), requests(MOST + 1)), (2, 2));
        let nodes = (0..2_000).map(|number| Layer::NodeRole(number.to_string().into()));
        let nodes = BTreeSet::from_iter(nodes);
        assert_eq!(super::requests(MOST, &nodes).len(), 1);
        assert_eq!(super::requests(MOST + 1, &nodes).len(), 2_000);

        let row = |layer: &str| ResourceRow {
            r#type: "cluster".to_owned(),
            name: "a".to_owned(),
            layer: layer.to_owned(),
            object: "Service shop/a".to_owned(),
            version: Some("0000000000000001".to_owned()),
            bytes: 0,
            commit: 1,
            since: None,
            held: Held::default(),
            refs: Vec::new(),
            content: Some(serde_json::json!({ "name": "a" })),
        };
        let layer = |name| content(row(name), &layers).map(|(layer, ..)| layer);
        assert_eq!(layer("role:node"), Some(Layer::Role(Role::Node)));
        assert_eq!((layer("role:mesh"), layer("(gone)")), (None, None));
    }

    #[test]
    fn mesh_proxies_of_two_namespaces_on_one_node_have_a_view_each() {
        let in_namespace = |name: &str| {
            let layer = format!("namespace:{name}");
            let mut proxy = proxy("mesh", &["node:n1@a", &layer, "role:mesh", "all"]);
            proxy.namespace = Some(name.to_owned());
            proxy
        };
        let line = "seaway diff --from live --to here --role mesh";
        let Command::Diff(args) = Cli::try_parse_from(line.split(' ')).unwrap().command else {
            panic!("{line}");
        };
        let proxies = vec![in_namespace("shop"), in_namespace("blog")];
        let views = views(proxies, &args, &[Role::Mesh]).unwrap();
        let namespaces = views.iter().map(|(view, layers)| {
            let name = view.namespace.as_deref().unwrap();
            assert_eq!(layers[1].to_string(), format!("namespace:{name}"));
            name
        });
        assert_eq!(Vec::from_iter(namespaces), ["blog", "shop"]);
    }
}
