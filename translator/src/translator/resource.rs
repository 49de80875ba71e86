//! What is shown of a resource: what it is made of, and who sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl};

use crate::names::service_of;
use crate::plan::explain::asker::Asker;
use crate::plan::explain::draft::Draft;
use crate::units::{Units, search};
use crate::{Fact, Layer, ObjectId, Origin, Section, Served};

/// How many layers and references are named.
const NAMED: usize = 10;

/// Adds a section for each type that has a resource of this name.
pub(super) fn answer(asker: &Asker<'_>, units: &Units, name: &Arc<str>, draft: &mut Draft) {
    let mut by_type: BTreeMap<TypeUrl, Vec<(Origin, Layer, Resource)>> = BTreeMap::new();
    for found in search::find(name, units, &asker.context) {
        by_type.entry(found.2.type_url).or_default().push(found);
    }
    if by_type.is_empty() {
        draft.add(Section {
            title: format!("resource {name}"),
            facts: vec![Fact::new("resource", "nothing of this name is made")],
            verdict: vec![format!("No proxy is sent a resource {name}.")],
            ..Section::default()
        });
    }
    for (type_url, all) in by_type {
        draft.add(section(asker, (type_url, name), &all));
        for (origin, ..) in &all {
            if let Origin::Service(key) | Origin::ServiceOnNode(key, _) | Origin::Targets(key) =
                origin
            {
                draft.concerns(ObjectId::of_service(key));
            }
        }
    }
}

fn section(
    asker: &Asker<'_>,
    (type_url, name): (TypeUrl, &Arc<str>),
    all: &[(Origin, Layer, Resource)],
) -> Section {
    let seen = asker.seen(all.iter().map(|(_, layer, resource)| (layer, resource)));
    let imports = asker.imports.as_ref();
    let is_imported = imports.is_none_or(|imports| {
        let service = service_of(type_url, name);
        service.is_none_or(|service| imports.has(&service))
    });
    let seen = seen.filter(|_| is_imported);
    let mut origins: Vec<String> = all.iter().map(|(origin, ..)| origin.to_string()).collect();
    origins.dedup();
    let layers: Vec<String> = all.iter().map(|(_, layer, _)| layer.to_string()).collect();
    let mut facts = vec![
        Fact::new("origin", shown(&origins)),
        Fact::new("layers", shown(&layers)),
    ];
    let who = asker.who();
    let kind = type_url.short();
    let verdict = match seen {
        Some((layer, resource)) => {
            let (version, bytes) = (resource.version, resource.value.len());
            facts.push(Fact::new("version", format!("{version}, {bytes} bytes")));
            let refs = resource.refs.iter();
            let refs: Vec<String> = refs
                .map(|to| format!("{} {}", to.type_url.short(), to.name))
                .collect();
            if !refs.is_empty() {
                facts.push(Fact::new("refers to", shown(&refs)));
            }
            format!("The {kind} that {who} is sent is that of layer {layer}.")
        }
        None => format!("No {kind} of this name is for {who}."),
    };
    Section {
        title: format!("{kind} {name}, as {who} sees it"),
        facts,
        served: if seen.is_some() {
            Served::Yes
        } else {
            Served::No
        },
        verdict: vec![verdict],
        ..Section::default()
    }
}

/// The first of these, and how many there are beside them.
fn shown(texts: &[String]) -> String {
    let first = texts[..texts.len().min(NAMED)].join(", ");
    match texts.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
