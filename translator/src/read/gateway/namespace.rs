//! Reads the labels of a Namespace from its API object, and what its mesh proxies import.

use super::super::annotations;
use super::super::api as k8s;
use super::super::report::{Identity, Report};
use super::super::value;
use super::selector::{is_key, is_value};
use crate::model::{IMPORT_ANNOTATION, Imports, Namespace};
use crate::{Problem, Reason};

/// How many labels of a Namespace are kept.
const LABELS: usize = 256;

/// Reads a Namespace, with the problems found on the way.
pub(in super::super) fn read(namespace: &k8s::Namespace) -> Result<Namespace, Problem> {
    let meta = &namespace.metadata;
    let (identity, mut report) = Identity::clusterwide("Namespace", meta)?;
    let all = meta.labels.iter();
    let good = all.filter(|(key, value)| {
        let good = is_key(key) && is_value(value);
        if !good {
            let message = "it is not a label, and nothing selects it";
            report.error(
                format!("metadata.labels[{key}]"),
                Reason::InvalidValue,
                message,
            );
        }
        good
    });
    let good: Vec<_> = good.collect();
    if good.len() > LABELS {
        let message = format!("only the first {LABELS} of {} count", good.len());
        report.error("metadata.labels", Reason::TooLarge, message);
    }
    let labels = good.into_iter().take(LABELS);
    let labels = labels.map(|(key, value)| (key.as_str().into(), value.as_str().into()));
    let labels = labels.collect();
    let known: &[&[&str]] = &[&[IMPORT_ANNOTATION]];
    annotations::known::unknown(meta, ("Namespaces", known), |_| None, &mut report);
    let imports = imports(meta, &mut report);
    Ok(Namespace {
        name: identity.name,
        labels,
        imports,
        problems: report.finish(),
    })
}

/// What mesh proxies in the Namespace import. Of a list with a bad entry nothing counts: with the
/// others alone the proxies would lack what that entry means.
fn imports(meta: &k8s::Metadata, report: &mut Report) -> Option<Imports> {
    let text = value::annotation(meta, IMPORT_ANNOTATION)?;
    Imports::read_list(text).unwrap_or_else(|error| {
        let message = format!("{error}; mesh proxies in this Namespace get all Services");
        report.warning(
            annotations::field(IMPORT_ANNOTATION),
            Reason::InvalidValue,
            message,
        );
        None
    })
}
