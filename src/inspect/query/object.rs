//! Of which object a list is asked for: as problems and changes show it (`Service shop/web`), or by
//! namespace and name, whatever its kind is.

use std::str::FromStr;

use seaway_translator::ObjectKind;

/// The first words of what is no object of a kind and is shown in place of one all the same.
const OTHERS: [&str; 9] = [
    "RouteConfiguration",
    "Endpoints",
    "Role",
    "File",
    "Folder",
    "Watch",
    "Host",
    "Name",
    "mesh",
];
/// What is shown in one word.
const WORDS: [&str; 3] = ["mesh", "redirect", "healthz"];

/// Which objects a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::inspect) enum ObjectFilter {
    /// What is shown like this, or what it has on one node.
    Shown(String),
    /// Objects of any kind with this `NAMESPACE/NAME`.
    Named(String),
}

impl ObjectFilter {
    /// Whether it lets through what is shown like this.
    pub(in crate::inspect) fn has(&self, shown: &str) -> bool {
        match self {
            ObjectFilter::Shown(object) => is_made_of(shown, object),
            ObjectFilter::Named(name) => shown
                .split_once(' ')
                .is_some_and(|(word, rest)| is_made_of(rest, name) && kind(word).is_some()),
        }
    }
}

impl FromStr for ObjectFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<ObjectFilter, String> {
        let text = text.trim();
        let bad = |why: &str| {
            let form = "say NAMESPACE/NAME, or \"KIND NAMESPACE/NAME\" as lists show it";
            format!("{text:?} is no object{why}: {form}")
        };
        if let Some((word, rest)) = text.split_once(' ') {
            let is_origin = word == "ingress" && (rest == "hosts" || rest.contains(' '));
            return match kind(word) {
                _ if is_origin || OTHERS.contains(&word) => {
                    Ok(ObjectFilter::Shown(text.to_owned()))
                }
                Some(kind) if kind.is_namespaced() != is_pair(rest) => Err(bad("")),
                Some(kind) => Ok(ObjectFilter::Shown(format!("{kind} {rest}"))),
                None => Err(bad(&format!(", and there is no kind {word:?}"))),
            };
        }
        if WORDS.contains(&text) {
            return Ok(ObjectFilter::Shown(text.to_owned()));
        }
        let Some((first, rest)) = text.split_once('/') else {
            return Err(bad(""));
        };
        match kind(first) {
            // As `explain` takes it.
            Some(kind) if is_pair(rest) => Ok(ObjectFilter::Shown(format!("{kind} {rest}"))),
            Some(kind) if !kind.is_namespaced() && !rest.is_empty() => {
                Ok(ObjectFilter::Shown(format!("{kind} {rest}")))
            }
            _ if is_pair(text) => Ok(ObjectFilter::Named(text.to_owned())),
            _ => Err(bad("")),
        }
    }
}

/// Whether a text begins with `NAMESPACE/NAME` and has no other slash there.
fn is_pair(text: &str) -> bool {
    let first = text.split(' ').next().unwrap_or_default();
    let pair = first.split_once('/');
    pair.is_some_and(|(namespace, name)| {
        !namespace.is_empty() && !name.is_empty() && !name.contains('/')
    })
}

/// The kind that a word means, in whatever case, in the singular or the plural.
fn kind(word: &str) -> Option<ObjectKind> {
    let mut all = ObjectKind::ALL.iter().copied();
    let is = |kind: &ObjectKind| {
        word.eq_ignore_ascii_case(kind.as_str()) || word.eq_ignore_ascii_case(kind.plural())
    };
    match word {
        "svc" => Some(ObjectKind::Service),
        _ => all.find(is),
    }
}

/// Whether an origin is an object, or what an object has on one node.
pub(in crate::inspect) fn is_made_of(origin: &str, object: &str) -> bool {
    let rest = origin.strip_prefix(object);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ObjectFilter {
        text.parse().unwrap()
    }

    #[test]
    fn an_object_is_named_as_it_is_shown_or_by_namespace_and_name() {
        for text in [
            "Service shop/web",
            "service shop/web",
            "services shop/web",
            "svc/shop/web",
            "shop/web",
        ] {
            let filter = read(text);
            assert!(filter.has("Service shop/web"), "{text}");
            assert!(filter.has("Service shop/web node:n1"), "{text}");
            assert!(!filter.has("Service shop/web2"), "{text}");
            assert!(!filter.has("Service shop"), "{text}");
        }
        assert!(read("shop/web").has("Ingress shop/web"));
        assert!(!read("Service shop/web").has("Ingress shop/web"));
        assert!(!read("shop/web").has("File shop/web"));
        assert!(read("node/n1").has("Node n1"));
        assert!(read("ingress/f/misfit").has("Ingress f/misfit"));
    }

    #[test]
    fn what_is_no_object_is_named_as_it_is_shown() {
        for text in [
            "File web.yaml",
            "Folder .",
            "Role node",
            "mesh",
            "mesh whole-table",
            "ingress default 80/a.test",
            "ingress hosts",
            "Endpoints shop/web",
            "Node n1",
        ] {
            assert!(read(text).has(text), "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused_with_the_form() {
        for text in [
            "",
            "web",
            "Servce shop/web",
            "Service web",
            "ingress web",
            "Node a/b",
            "a/b/c",
            "/web",
            "shop/",
        ] {
            let why = text.parse::<ObjectFilter>().unwrap_err();
            assert!(why.contains("say NAMESPACE/NAME"), "{why}");
        }
    }
}
