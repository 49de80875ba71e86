//! What kind of client this is, by its own account: what suits it, never what it may see.

use seaway_proto::envoy::core::Node;

/// A kind of client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientKind {
    Envoy,
    /// gRPC in any language.
    Grpc,
    #[default]
    Other,
}

impl ClientKind {
    /// As the node says.
    pub(crate) fn of(node: &Node) -> ClientKind {
        match node.user_agent_name.as_str() {
            "envoy" => ClientKind::Envoy,
            name if name.starts_with("gRPC") => ClientKind::Grpc,
            _ => ClientKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_known_by_what_they_call_themselves() {
        for (name, client_kind) in [
            ("envoy", ClientKind::Envoy),
            ("gRPC C-core", ClientKind::Grpc),
            ("gRPC Go", ClientKind::Grpc),
            ("envoy-mobile", ClientKind::Other),
            ("", ClientKind::Other),
        ] {
            let node = Node {
                user_agent_name: name.to_owned(),
                ..Node::default()
            };
            assert_eq!(ClientKind::of(&node), client_kind, "{name}");
        }
    }
}
