//! Hashes of what the texts of objects say, by which labels that nobody uses are told from what
//! decides something.

use std::collections::BTreeMap;

use seaway_translator::diff::Fingerprint;
use seaway_translator::{ObjectId, ObjectKind};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::Reader;
use super::identity::identify;

/// The hashes, by object.
pub(super) type Texts = BTreeMap<ObjectId, Fingerprint>;

impl Reader<'_> {
    /// Notes the text of an object, if it belongs to a Service. Of two the first one counts.
    pub(super) fn note_text(&mut self, kind: ObjectKind, value: &Value) {
        let is_meant = matches!(kind, ObjectKind::Service | ObjectKind::EndpointSlice);
        if let Some(texts) = &mut self.texts
            && let Some(id) = identify(kind, value).filter(|_| is_meant)
        {
            texts.entry(id).or_insert_with(|| fingerprint(value));
        }
    }
}

fn fingerprint(value: &Value) -> Fingerprint {
    let mut rest = value.clone();
    let mut take = |field: &str| {
        let metadata = rest.get_mut("metadata").and_then(Value::as_object_mut);
        let taken = metadata.and_then(|metadata| metadata.remove(field));
        // None is as good as an empty one.
        let taken = taken.filter(|taken| taken.as_object().is_none_or(|all| !all.is_empty()));
        hash(&taken.unwrap_or_default())
    };
    Fingerprint {
        labels: take("labels"),
        annotations: take("annotations"),
        rest: hash(&rest),
    }
}

/// Keys of a [`Value`] are sorted, so that their order in a text means nothing.
fn hash(value: &Value) -> u64 {
    xxh3_64(value.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::texts;

    #[test]
    fn labels_and_annotations_are_told_from_the_rest() {
        let of = |metadata: &str, spec: &str| {
            let text = format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: a{metadata}}}, spec: {{{spec}}}}}"
            );
            let all = texts("a.yaml", text.as_bytes());
            *all.values().next().unwrap()
        };
        let plain = of("", "type: ClusterIP, clusterIP: 10.0.0.1");
        assert_eq!(
            plain,
            of(", labels: {}", "clusterIP: 10.0.0.1, type: ClusterIP")
        );
        let labelled = of(", labels: {a: b}", "type: ClusterIP, clusterIP: 10.0.0.1");
        assert_ne!(plain.labels, labelled.labels);
        assert_eq!(plain.rest, labelled.rest);
        let noted = of(
            ", annotations: {a: b}",
            "type: ClusterIP, clusterIP: 10.0.0.1",
        );
        assert_ne!(plain.annotations, noted.annotations);
        assert_eq!((plain.rest, plain.labels), (noted.rest, noted.labels));
        assert_ne!(plain.rest, of("", "clusterIP: 10.0.0.2").rest);
    }
}
