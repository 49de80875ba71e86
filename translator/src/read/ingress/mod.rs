//! Reads an Ingress from its API object (Service rules 132 to 145).
//!
//! What an Ingress may ask for is bounded: [`HOSTS`] hosts and [`PATHS`] paths, [`HOSTLESS_PATHS`]
//! of them without a host, with [`HOSTLESS_BYTES`] together, since every host of the proxy gets
//! those too, and [`CERTIFICATES`] entries of `tls`. What is beyond a bound is left out, with the
//! problem `TooLarge`. A path with a limit of bodies is four routes of Envoy, and counts as four.

pub(super) mod annotations;
mod backend;
pub(super) mod class;
mod rules;
mod tls;

use std::sync::Arc;

use super::api as k8s;
use super::field::{Field, Wrong};
use super::http::path;
use super::report::Identity;
use super::report::Report;
use super::value;
use crate::model::Ingress;
use crate::{Problem, Reason};

/// How many hosts an Ingress may have.
const HOSTS: usize = 2_000;
/// How many paths an Ingress may have.
const PATHS: usize = 5_000;
/// How many paths without a host an Ingress may have.
const HOSTLESS_PATHS: usize = 100;
/// How many bytes the paths without a host may have together.
const HOSTLESS_BYTES: usize = 16 << 10;
/// How many bytes a path may have.
pub(super) const LONGEST_PATH: usize = 4_096;
/// How many entries of `spec.tls` an Ingress may have.
const CERTIFICATES: usize = 500;
/// How many bytes the name of a class may have.
const LONGEST_CLASS: usize = 253;

/// The annotation that named the class before `spec.ingressClassName` did.
const CLASS: &str = "kubernetes.io/ingress.class";

/// Reads an Ingress, with the problems found on the way.
pub(super) fn read(ingress: &k8s::Ingress) -> Result<Ingress, Problem> {
    let (identity, mut report) = Identity::namespaced("Ingress", &ingress.metadata)?;
    let spec = Field::top("spec", &ingress.spec);
    let has_spec = spec.has_fields(&mut report);
    let (rules, default) = (spec.get("rules"), spec.get("defaultBackend"));
    let asked = annotations::read(&ingress.metadata, &mut report);
    let namespace = &identity.namespace;
    let mut hosts = rules::read(&rules, asked.weight(), namespace, &mut report);
    let mut default_backend = default.is_set().then(|| {
        let all = path::prefix("/");
        Box::new(rules::rule(&default, all, &default, namespace, &mut report))
    });
    let asks_for_nothing =
        !default.is_set() && rules.items(&mut report).is_ok_and(|i| i.is_empty());
    if has_spec.is_ok() && asks_for_nothing {
        let message = "it has neither rules nor a default backend";
        report.error(&spec, Reason::InvalidValue, message);
    }
    let all = hosts.iter_mut().flat_map(|(_, rules)| rules);
    for rule in all.chain(default_backend.as_deref_mut()) {
        rule.timeouts.request = asked.timeout;
        rule.retry.clone_from(&asked.retry);
    }
    Ok(Ingress {
        settings: asked.settings,
        class: class(&spec, &ingress.metadata, &mut report),
        hosts,
        default_backend,
        tls: tls::read(&spec.get("tls"), &mut report).into(),
        namespace: identity.namespace,
        name: identity.name,
        created: identity.created,
        problems: report.finish(),
    })
}

/// The name of the class: the field, else the annotation (Service rule 132, T118). A field that
/// cannot be read names a class that does not exist: the Ingress is not for whoever serves those
/// without a class.
fn class(spec: &Field<'_>, meta: &k8s::Metadata, report: &mut Report) -> Option<Arc<str>> {
    let field = spec.get("ingressClassName");
    let named = match field.filled(report) {
        Ok(named) => named,
        Err(Wrong) => return Some("".into()),
    };
    let annotation = value::annotation(meta, CLASS).filter(|name| !name.is_empty());
    let (name, place) = match named {
        Some(name) => (name, field.to_string()),
        None => (annotation?, format!("metadata.annotations[{CLASS}]")),
    };
    if name.len() > LONGEST_CLASS {
        let message = format!("it has more than {LONGEST_CLASS} bytes, and is no class's name");
        report.error(place, Reason::InvalidName, message);
        return Some("".into());
    }
    Some(name.into())
}

#[cfg(test)]
mod tests;
