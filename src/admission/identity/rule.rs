//! The rules of `--allow-proxy`: which proof grants which role.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use seaway_translator::names::{is_label, is_subdomain};
use seaway_translator::{Fleet, Import, Role};

/// The placeholder in a pattern that stands for the name of a node.
const NODE: &str = "{node}";

/// A rule of `--allow-proxy`, `ROLE=IDENTITY`, `ingress/FLEET=IDENTITY` or
/// `mesh/NAMESPACE=IDENTITY`: proxies that prove this identity may have this role, in this fleet,
/// and import this namespace alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    role: Role,
    fleet: Fleet,
    import: Option<Import>,
    who: Who,
}

/// The identity that a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A token of this service account.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A certificate with a DNS name like this.
    Dns(Pattern),
    /// A certificate with a URI like this, as SPIFFE has them.
    Uri(Pattern),
}

/// A pattern for names in certificates: a fixed text, or a text around the name of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    before: String,
    after: Option<String>,
}

/// An identity that a proxy has proven.
#[derive(Clone, Copy, Debug)]
pub(super) enum Proven<'a> {
    /// By a token, which may be bound to a node.
    ServiceAccount {
        namespace: &'a str,
        name: &'a str,
        node: Option<&'a Arc<str>>,
    },
    /// A DNS name, by a certificate.
    Dns(&'a str),
    /// A URI, by a certificate.
    Uri(&'a str),
}

/// What a rule grants an identity: a role, in one fleet, and the one node it may claim if it is
/// limited to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) role: Role,
    /// The fleet; the default one for roles that have none.
    pub(crate) fleet: Fleet,
    /// The namespace that a mesh proxy may import; `None`: all there are.
    pub(crate) import: Option<Import>,
    /// The one node that it may claim to be on; with `None` it may claim none.
    pub(crate) node: Option<Arc<str>>,
}

impl Rule {
    /// What the rule grants for this proof, if it matches.
    pub(super) fn grant(&self, proven: Proven<'_>) -> Option<Grant> {
        let node = self.who.node_of(proven)?;
        Some(Grant {
            role: self.role,
            fleet: self.fleet.clone(),
            import: self.import.clone(),
            node,
        })
    }
}

impl Who {
    /// `None` if the proof is of somebody else; else the node that it is bound to, if it is to one.
    pub(super) fn node_of(&self, proven: Proven<'_>) -> Option<Option<Arc<str>>> {
        Some(match (self, proven) {
            (
                Who::ServiceAccount { namespace, name },
                Proven::ServiceAccount {
                    namespace: its_namespace,
                    name: its_name,
                    node,
                },
            ) if namespace == its_namespace && name == its_name => node.cloned(),
            (Who::Dns(pattern), Proven::Dns(found)) => {
                // Of DNS names case says nothing.
                pattern.node_of(&found.to_ascii_lowercase())?
            }
            (Who::Uri(pattern), Proven::Uri(found)) => pattern.node_of(found)?,
            _ => return None,
        })
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, String> {
        let (before, after) = match text.split_once(NODE) {
            Some((before, after)) => (before, Some(after)),
            None => (text, None),
        };
        let rest = before.chars().chain(after.unwrap_or_default().chars());
        if text.is_empty() || rest.clone().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("the name after the colon is empty, or has blanks".to_owned());
        }
        if rest.clone().any(|c| "{}*".contains(c)) {
            return Err(format!("the name may have {NODE} once, and no wildcard"));
        }
        Ok(Pattern {
            before: before.to_owned(),
            after: after.map(str::to_owned),
        })
    }

    /// `None` if the text does not match; else the name of the node in it, if the pattern has one.
    fn node_of(&self, text: &str) -> Option<Option<Arc<str>>> {
        let Some(after) = &self.after else {
            return (text == self.before).then_some(None);
        };
        let node = text
            .strip_prefix(&self.before)?
            .strip_suffix(after.as_str())?;
        is_subdomain(node).then(|| Some(node.into()))
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Rule, String> {
        let (role, who) = text
            .split_once('=')
            .ok_or("expected ROLE=IDENTITY, such as node=serviceaccount:seaway/seaway-node")?;
        let (role, fleet, import) = role_and_part(role)?;
        Ok(Rule {
            role,
            fleet,
            import,
            who: who.parse()?,
        })
    }
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Who, String> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        Ok(match kind {
            "serviceaccount" => {
                let parts = name.split_once('/');
                let (namespace, name) = parts
                    .filter(|(namespace, name)| is_subdomain(namespace) && is_subdomain(name))
                    .ok_or("expected serviceaccount:NAMESPACE/NAME")?;
                Who::ServiceAccount {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                }
            }
            "dns" => Who::Dns(Pattern::parse(&name.to_ascii_lowercase())?),
            "uri" => Who::Uri(Pattern::parse(name)?),
            _ => {
                return Err(
                    "expected an identity that begins with serviceaccount:, dns: or uri:"
                        .to_owned(),
                );
            }
        })
    }
}

/// Reads `ROLE`, `ingress/FLEET` or `mesh/NAMESPACE`. Without a name it is the default fleet, and
/// no other, but all namespaces.
fn role_and_part(text: &str) -> Result<(Role, Fleet, Option<Import>), String> {
    let (role, part) = text.split_once('/').unzip();
    let role: Role = role
        .unwrap_or(text)
        .parse()
        .map_err(|error| format!("{error}"))?;
    match (part, role) {
        (None, _) => Ok((role, Fleet::default(), None)),
        (Some(fleet), Role::Ingress) => {
            let fleet = fleet.parse().map_err(|error| format!("{error}"))?;
            Ok((role, fleet, None))
        }
        (Some(namespace), Role::Mesh) if is_label(namespace) => {
            let namespace = Import {
                namespace: namespace.into(),
                service: None,
            };
            Ok((role, Fleet::default(), Some(namespace)))
        }
        (Some(name), Role::Mesh) => Err(format!("{name:?} is the name of no namespace")),
        (Some(_), Role::Node | Role::Grpc) => Err(format!("role {role} has no fleets")),
    }
}

impl fmt::Display for Proven<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proven::ServiceAccount {
                namespace, name, ..
            } => write!(f, "serviceaccount:{namespace}/{name}"),
            Proven::Dns(name) => write!(f, "dns:{name}"),
            Proven::Uri(uri) => write!(f, "uri:{uri}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    fn grant(role: Role, node: Option<&str>) -> Option<Grant> {
        let node = node.map(Into::into);
        Some(Grant {
            role,
            fleet: Fleet::default(),
            import: None,
            node,
        })
    }

    #[test]
    fn a_service_account_is_one_of_one_namespace_and_its_node_is_the_tokens() {
        let rule = rule("node=serviceaccount:seaway/seaway-node");
        let node = Arc::from("n1");
        let granted = |namespace, name| {
            rule.grant(Proven::ServiceAccount {
                namespace,
                name,
                node: Some(&node),
            })
        };
        assert_eq!(
            granted("seaway", "seaway-node"),
            grant(Role::Node, Some("n1"))
        );
        assert_eq!(granted("other", "seaway-node"), None);
        assert_eq!(granted("seaway", "default"), None);
        assert_eq!(rule.grant(Proven::Dns("seaway/seaway-node")), None);
    }

    #[test]
    fn a_name_in_a_certificate_may_hold_the_node() {
        let dns = rule("node=dns:{node}.node.Seaway");
        let check = |name, expected| assert_eq!(dns.grant(Proven::Dns(name)), expected, "{name}");
        check("n1.node.seaway", grant(Role::Node, Some("n1")));
        check("N1.node.seaway", grant(Role::Node, Some("n1")));
        check("ip-10-0-0-1.ec2.internal.node.seaway", {
            grant(Role::Node, Some("ip-10-0-0-1.ec2.internal"))
        });
        for other in [
            "node.seaway",
            ".node.seaway",
            "*.node.seaway",
            "n1..node.seaway",
            "n1.node.seaway.evil",
            "n1.node.seaway.",
            "n_1.node.seaway",
            "n1/.node.seaway",
        ] {
            check(other, None);
        }
        assert_eq!(dns.grant(Proven::Uri("n1.node.seaway")), None);
        let uri = rule("node=uri:spiffe://cluster.local/seaway/node/{node}");
        let granted = uri.grant(Proven::Uri("spiffe://cluster.local/seaway/node/n1"));
        assert_eq!(granted, grant(Role::Node, Some("n1")));
        let below = uri.grant(Proven::Uri("spiffe://cluster.local/seaway/node/n1/x"));
        assert_eq!(below, None);
    }

    #[test]
    fn a_name_without_a_node_is_compared_whole() {
        let rule = rule("ingress=uri:spiffe://a/ingress");
        let granted = |uri| rule.grant(Proven::Uri(uri));
        assert_eq!(granted("spiffe://a/ingress"), grant(Role::Ingress, None));
        assert_eq!(granted("spiffe://a/Ingress"), None);
        assert_eq!(granted("spiffe://a/ingress2"), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "node",
            "king=dns:a",
            "node=a",
            "node/shop=dns:a",
            "mesh/=dns:a",
            "mesh/shop/web=dns:a",
            "node=dns:",
            "node=dns:*.a",
            "node=dns:{node}.{node}",
            "node=dns:{pod}.a",
            "node=uri:a b",
            "node=serviceaccount:a",
            "node=serviceaccount:a/",
            "node=serviceaccount:*/a",
            "node=serviceaccount:a/b/c",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }
}
