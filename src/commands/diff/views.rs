//! The proxies that are compared: each role on each Node that both sides have.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::bail;
use seaway_translator::{CertificateDelivery, Object, Role, View};

use crate::args::{DiffArgs, Nodes};

/// The names of Nodes, each with its zone.
type Zones = BTreeMap<Arc<str>, Option<Arc<str>>>;

/// The node and the zone of a proxy.
type Place = (Option<Arc<str>>, Option<Arc<str>>);

/// The Nodes of one side.
#[derive(Debug, Default)]
struct Known {
    /// Those of which there is an object.
    nodes: Zones,
    /// Those that endpoints name.
    named: Zones,
}

impl Known {
    fn of(objects: &[Object]) -> Known {
        let mut known = Known::default();
        for object in objects {
            match object {
                Object::Node(node) => {
                    known.nodes.insert(node.name.clone(), node.zone.clone());
                }
                Object::EndpointSlice(slice) => {
                    let named = slice.endpoints.iter();
                    let named = named.filter_map(|e| Some((e.node.clone()?, e.zone.clone())));
                    known.named.extend(named);
                }
                _ => {}
            }
        }
        known
    }
}

/// The views of the proxies to compare.
pub(super) fn of(
    args: &DiffArgs,
    roles: &[Role],
    (old, new): (&[Object], &[Object]),
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<View>> {
    let known = common(Known::of(old), Known::of(new), notes);
    let places: Vec<Place> = match &args.nodes {
        Nodes::All if known.is_empty() => vec![(None, None)],
        Nodes::All => {
            let known = known.into_iter();
            known.map(|(node, zone)| (Some(node), zone)).collect()
        }
        Nodes::Named(names) => named(names, &known)?,
    };
    let on_demand = args.shape.certificates_on_demand;
    let view = |role: Role, (node, zone): &Place| View {
        node: node.clone(),
        zone: zone.clone(),
        fleet: args.fleet.clone().unwrap_or_default(),
        certificates: match on_demand && role == Role::Ingress {
            true => CertificateDelivery::OnDemand,
            false => CertificateDelivery::Chains,
        },
        ..View::of(role)
    };
    let mut views = Vec::new();
    for role in roles {
        views.extend(places.iter().map(|place| view(*role, place)));
        if *role == Role::Mesh && args.shape.mesh_inbound.is_some() {
            let with_certificate = |place| View {
                mesh_tls: true,
                ..view(*role, place)
            };
            views.extend(places.iter().map(with_certificate));
        }
    }
    Ok(views)
}

/// The Nodes of both sides, as the new one has them. Those that only one side has are noted:
/// everything that their proxies have comes or goes with them. Where a side has none, those that
/// endpoints name are taken.
fn common(old: Known, new: Known, notes: &mut Vec<String>) -> Zones {
    if old.nodes.is_empty() || new.nodes.is_empty() {
        let mut all = old.named;
        all.extend(new.named);
        all.extend(old.nodes);
        all.extend(new.nodes);
        return all;
    }
    let mut note = |one: &Zones, other: &Zones, what: &str| {
        let mut only = one.keys().filter(|name| !other.contains_key(*name));
        let Some(first) = only.next() else {
            return;
        };
        notes.push(match only.count() {
            0 => format!("Node {first} is {what}: its proxies are left out"),
            more => format!("Node {first} and {more} more are {what}: their proxies are left out"),
        });
    };
    note(&new.nodes, &old.nodes, "new");
    note(&old.nodes, &new.nodes, "gone");
    let mut all = new.nodes;
    all.retain(|name, _| old.nodes.contains_key(name));
    all
}

/// The places of the Nodes that are asked for.
fn named(names: &[String], known: &Zones) -> anyhow::Result<Vec<Place>> {
    let mut places = Vec::new();
    for name in names {
        let Some((node, zone)) = known.get_key_value(name.as_str()) else {
            bail!("--nodes {name}: not a Node of both sides");
        };
        places.push((Some(node.clone()), zone.clone()));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(nodes: &[&str], named: &[&str]) -> Known {
        let zones = |names: &[&str]| {
            let names = names.iter();
            names.map(|name| (Arc::from(*name), None)).collect()
        };
        Known {
            nodes: zones(nodes),
            named: zones(named),
        }
    }

    #[test]
    fn nodes_of_one_side_are_noted_and_left_out() {
        let mut notes = Vec::new();
        let both = common(
            known(&["a", "b"], &["x"]),
            known(&["b", "c", "d"], &[]),
            &mut notes,
        );
        let names: Vec<&str> = both.keys().map(|name| &**name).collect();
        assert_eq!(names, ["b"]);
        let expected = [
            "Node c and 1 more are new: their proxies are left out",
            "Node a is gone: its proxies are left out",
        ];
        assert_eq!(notes, expected);
    }

    #[test]
    fn without_nodes_those_that_endpoints_name_are_taken() {
        let mut notes = Vec::new();
        let all = common(known(&[], &["x"]), known(&["b"], &["y"]), &mut notes);
        let names: Vec<&str> = all.keys().map(|name| &**name).collect();
        assert_eq!((names, notes.len()), (vec!["b", "x", "y"], 0));
    }
}
