//! Hashes for names and addresses: equal ones have equal hashes within one report, and no other.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The fields that are names, or have names in them.
const NAMES: [&str; 16] = [
    "replica",
    "proxy",
    "node",
    "zone",
    "namespace",
    "import",
    "fleet",
    "identity",
    "address",
    "name",
    "object",
    "origins",
    "lost",
    "watch",
    "layer",
    "layers",
];
/// The fields that are sentences: they may quote anything.
const SENTENCES: [&str; 8] = [
    "message", "why", "what", "error", "unready", "degraded", "flags", "field",
];
/// Words among names that are none.
const WORDS: [&str; 37] = [
    "Service",
    "EndpointSlice",
    "Node",
    "Ingress",
    "IngressClass",
    "Gateway",
    "GatewayClass",
    "HTTPRoute",
    "ReferenceGrant",
    "Namespace",
    "Secret",
    "all",
    "inside",
    "capture",
    "captured",
    "whole-table",
    "importers",
    "import",
    "import-table",
    "on-demand",
    "node-role",
    "role",
    "zone",
    "node",
    "mesh",
    "ingress",
    "grpc",
    "fleet",
    "clusterip",
    "in",
    "services",
    "nodes",
    "endpointslices",
    "healthz",
    "redirect",
    "host",
    "certificate",
];

/// The names of a report, and the key of their hashes.
#[derive(Debug)]
pub(super) struct Names {
    names: BTreeSet<String>,
    key: u64,
}

impl Names {
    /// All names in these answers.
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a Value>) -> Names {
        let mut names = BTreeSet::new();
        for value in values {
            collect(value, false, &mut names);
        }
        for word in WORDS {
            names.remove(word);
        }
        let key = fastrand::u64(..);
        Names { names, key }
    }

    /// The hash of a name.
    pub(super) fn hash(&self, name: &str) -> String {
        let hash = xxh3_64_with_seed(name.as_bytes(), self.key);
        format!("h{:08x}", hash >> 32)
    }

    /// An answer with hashes for names, and without sentences.
    pub(super) fn hide(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.hide(item)).collect(),
            Value::Object(fields) => {
                let hidden = fields.into_iter().map(|(field, value)| {
                    match SENTENCES.contains(&&*field) && !value.is_null() {
                        true => (field, Value::String("(left out)".to_owned())),
                        false => (field, self.hide(value)),
                    }
                });
                Value::Object(hidden.collect())
            }
            value => value,
        }
    }

    /// Metrics with hashes for names in the values of labels.
    pub(super) fn hide_labels(&self, text: &str) -> String {
        let line = |line: &str| match line.starts_with('#') {
            true => format!("{line}\n"),
            false => {
                let parts = line.split('"').enumerate();
                let parts = parts.map(|(at, part)| match at % 2 {
                    0 => part.to_owned(),
                    _ => self.text(part),
                });
                parts.collect::<Vec<_>>().join("\"") + "\n"
            }
        };
        text.lines().map(line).collect()
    }

    fn text(&self, text: &str) -> String {
        let mut hidden = String::new();
        for (is_word, piece) in pieces(text, |c| is_of_name(c) || c == ':') {
            match is_word {
                true if is_address(piece) => hidden.push_str(&self.hash(piece)),
                true => hidden.push_str(&self.words(piece)),
                false => hidden.push_str(piece),
            }
        }
        hidden
    }

    /// A piece without white space: names, and host names that are made of them.
    fn words(&self, text: &str) -> String {
        let mut hidden = String::new();
        for (is_word, piece) in pieces(text, is_of_name) {
            let known = is_word && self.names.contains(piece);
            match is_word && (known || is_address(piece)) {
                true => hidden.push_str(&self.hash(piece)),
                false => {
                    let parts = piece
                        .split('.')
                        .map(|part| match self.names.contains(part) {
                            true => self.hash(part),
                            false => part.to_owned(),
                        });
                    hidden.push_str(&parts.collect::<Vec<_>>().join("."));
                }
            }
        }
        hidden
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || "-_.".contains(c)
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok()
}

/// The text in pieces that are of such characters, and pieces between them.
fn pieces(text: &str, of: impl Fn(char) -> bool) -> Vec<(bool, &str)> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = of(first);
        let end = rest.find(|c| of(c) != is_word).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        pieces.push((is_word, piece));
        rest = after;
    }
    pieces
}

/// Adds the names in a value, of which it is known whether it is one.
fn collect(value: &Value, is_name: bool, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if is_name => {
            for (is_word, piece) in pieces(text, is_of_name) {
                // A number alone is a port.
                let is_number = piece.chars().all(|c| c.is_ascii_digit());
                if is_word && !is_number {
                    names.insert(piece.to_owned());
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, is_name, names)),
        Value::Object(fields) => {
            for (field, value) in fields {
                collect(value, NAMES.contains(&&**field), names);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_addresses_become_hashes_wherever_they_are() {
        let value = json!({
            "replica": "seaway-6d9f-2kq", "node": "n1", "state": "synced", "commit": 71,
            "object": "EndpointSlice shop/web-x7k2p", "message": "shop.example.com is taken",
            "refs": ["cluster shop/web-x7k2p/80@clusterip:10.96.0.11:80", "[fd00::1]:80"],
        });
        let names = Names::of(std::iter::once(&value));
        let hidden = names.hide(value).to_string();
        for name in [
            "seaway-6d9f",
            "n1\"",
            "shop",
            "web-x7k2p",
            "10.96.0.11",
            "fd00",
        ] {
            assert!(!hidden.contains(name), "{name} in {hidden}");
        }
        for word in [
            "synced",
            "EndpointSlice ",
            "71",
            "cluster ",
            "(left out)",
            &names.hash("n1"),
        ] {
            assert!(hidden.contains(word), "no {word} in {hidden}");
        }
    }

    #[test]
    fn labels_of_metrics_are_hidden_and_their_names_are_not() {
        let names = Names::of(std::iter::once(&json!({"namespace": "shop"})));
        let text = names.hide_labels("# HELP shop x\nshop{watch=\"services in shop\"} 1\n");
        let hash = names.hash("shop");
        assert_eq!(
            text,
            format!("# HELP shop x\nshop{{watch=\"services in {hash}\"}} 1\n")
        );
    }
}
