//! What kind of client this is, by its own account: what suits it, never what it may see.

use seaway_proto::envoy::core::Node;

/// A kind of client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Agent {
    Envoy,
    /// gRPC in any language.
    Grpc,
    #[default]
    Other,
}

impl Agent {
    /// As the node says.
    pub(crate) fn of(node: &Node) -> Agent {
        match node.user_agent_name.as_str() {
            "envoy" => Agent::Envoy,
            name if name.starts_with("gRPC") => Agent::Grpc,
            _ => Agent::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_known_by_what_they_call_themselves() {
        for (name, agent) in [
            ("envoy", Agent::Envoy),
            ("gRPC C-core", Agent::Grpc),
            ("gRPC Go", Agent::Grpc),
            ("envoy-mobile", Agent::Other),
            ("", Agent::Other),
        ] {
            let node = Node {
                user_agent_name: name.to_owned(),
                ..Node::default()
            };
            assert_eq!(Agent::of(&node), agent, "{name}");
        }
    }
}
