//! Reads the labels of a Namespace from its API object.

use super::super::api as k8s;
use super::super::report::Identity;
use super::selector::{is_key, is_value};
use crate::model::Namespace;
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
    Ok(Namespace {
        name: identity.name,
        labels: labels
            .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
            .collect(),
        problems: report.finish(),
    })
}
