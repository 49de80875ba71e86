//! The kind of client on a stream, by its own account: it decides what suits the client, never what
//! the client may see.

use seaway_proto::envoy::core::Node;

/// The kind of an xDS client: Envoy, gRPC, or another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientKind {
    Envoy,
    /// gRPC in any language.
    Grpc,
    #[default]
    Other,
}

impl ClientKind {
    /// The kind that the user agent of a node names.
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
