//! What a mesh proxy imports: the namespaces and Services whose names it needs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ServiceKey;
use crate::OptionError;
use crate::names::is_label;

/// The annotation of a Namespace that says what its mesh proxies import.
pub const IMPORT_ANNOTATION: &str = "seaway.dev/import";

/// All Services of a namespace, or one of them. Displays as `shop` or `infra/dns`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Import {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name of the Service; `None` for all of the namespace.
    pub service: Option<Arc<str>>,
}

/// What a mesh proxy imports, in its one form: sorted, nothing twice, no Service of a namespace
/// that is imported whole. At least one entry and at most [`Imports::MOST`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Imports(Arc<[Import]>);

/// The mesh proxies that take routes as one table and have the same one, which is not that of all
/// Services. Displays as `infra/dns,shop` or `infra/dns,shop@web`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImportTable {
    /// What they import.
    pub imports: Imports,
    /// The namespace in which they are.
    pub namespace: Option<Arc<str>>,
}

impl Imports {
    /// The most entries that are read. Each has at most two labels, and so 127 bytes.
    pub const MOST: usize = 128;

    /// The imports that these entries say (`shop`, `shop/*`, `infra/dns`); `None` without any.
    ///
    /// # Errors
    /// An entry is no namespace and no Service, or there are too many.
    pub fn read<'a>(
        entries: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Imports>, OptionError> {
        let mut all = Vec::new();
        for entry in entries {
            if all.len() == Imports::MOST {
                return Err(OptionError::TooMany {
                    what: "imports",
                    most: Imports::MOST,
                });
            }
            all.push(entry.parse()?);
        }
        Ok(Imports::of(all))
    }

    /// The same of entries that are separated by commas.
    ///
    /// # Errors
    /// An entry is no namespace and no Service, or there are too many.
    pub fn read_list(text: &str) -> Result<Option<Imports>, OptionError> {
        let entries = text.split(',').map(str::trim);
        Imports::read(entries.filter(|_| !text.trim().is_empty()))
    }

    /// The imports with these entries; `None` without any.
    pub fn of(mut all: Vec<Import>) -> Option<Imports> {
        all.sort();
        // A whole namespace comes before its Services.
        all.dedup_by(|next, kept| {
            let is_whole = kept.service.is_none() && kept.namespace == next.namespace;
            is_whole || next == kept
        });
        (!all.is_empty()).then(|| Imports(all.into()))
    }

    /// The entries, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Import> {
        self.0.iter()
    }

    /// Whether a Service is among them.
    #[must_use]
    pub fn has(&self, service: &ServiceKey) -> bool {
        let namespace = (&service.namespace, None);
        let [whole, one] = [namespace, (&service.namespace, Some(&service.name))]
            .map(|key| self.0.binary_search_by(|import| import.key().cmp(&key)));
        whole.is_ok() || one.is_ok()
    }
}

impl Import {
    fn key(&self) -> (&Arc<str>, Option<&Arc<str>>) {
        (&self.namespace, self.service.as_ref())
    }
}

impl FromStr for Import {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Import, OptionError> {
        let (namespace, service) = match text.split_once('/') {
            None | Some((_, "*")) => (text.strip_suffix("/*").unwrap_or(text), None),
            Some((namespace, service)) => (namespace, Some(service)),
        };
        if !is_label(namespace) || !service.is_none_or(is_label) {
            return Err(OptionError::Unknown {
                value: text.chars().take(2 * 64).collect(),
                expected: "a namespace or NAMESPACE/SERVICE",
            });
        }
        Ok(Import {
            namespace: namespace.into(),
            service: service.map(Into::into),
        })
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            None => f.write_str(&self.namespace),
            Some(service) => write!(f, "{}/{service}", self.namespace),
        }
    }
}

impl FromStr for Imports {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Imports, OptionError> {
        Imports::read_list(text)?.ok_or_else(|| OptionError::Unknown {
            value: text.to_owned(),
            expected: "namespaces and Services, such as shop,infra/dns",
        })
    }
}

impl fmt::Display for Imports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, import) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{import}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Imports {
    type Error = OptionError;

    fn try_from(text: String) -> Result<Imports, OptionError> {
        text.parse()
    }
}

impl From<Imports> for String {
    fn from(imports: Imports) -> String {
        imports.to_string()
    }
}

impl fmt::Display for ImportTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.imports)?;
        match &self.namespace {
            Some(namespace) => write!(f, "@{namespace}"),
            None => Ok(()),
        }
    }
}

impl FromStr for ImportTable {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<ImportTable, OptionError> {
        let (imports, namespace) = match text.split_once('@') {
            Some((imports, namespace)) => (imports, Some(namespace.into())),
            None => (text, None),
        };
        Ok(ImportTable {
            imports: imports.parse()?,
            namespace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let imports = Imports::read_list(text).unwrap();
        assert_eq!(
            imports.map_or(String::new(), |all| all.to_string()),
            expected
        );
    }

    #[test]
    fn equal_imports_have_one_form() {
        check("", "");
        check(" ", "");
        check("shop", "shop");
        check("shop/*", "shop");
        check(
            "infra/dns, shop/web,shop/*,a/b,infra/dns",
            "a/b,infra/dns,shop",
        );
        check("shop-a/web,shop/web,shop", "shop,shop-a/web");
        check("shop/web,shop/api", "shop/api,shop/web");
    }

    #[test]
    fn what_no_namespace_and_no_service_can_be_is_refused() {
        for bad in [
            "*",
            "*/web",
            "shop/",
            "/web",
            "a b",
            "Shop",
            "a/b/c",
            "shop,,web",
            ",",
            ".",
            "shop/**",
        ] {
            assert!(Imports::read_list(bad).is_err(), "{bad}");
        }
        let names: Vec<String> = (0..=Imports::MOST).map(|n| format!("n{n}")).collect();
        let some = |count: usize| Imports::read(names[..count].iter().map(String::as_str));
        assert!(some(Imports::MOST).unwrap().is_some());
        let error = some(Imports::MOST + 1).unwrap_err();
        assert_eq!(error.to_string(), "more than 128 imports");
    }

    #[test]
    fn a_service_is_imported_by_its_namespace_or_by_its_name() {
        let imports: Imports = "shop,infra/dns".parse().unwrap();
        let has = |namespace: &str, name: &str| {
            imports.has(&ServiceKey {
                namespace: namespace.into(),
                name: name.into(),
            })
        };
        assert!(has("shop", "web") && has("infra", "dns"));
        assert!(!has("infra", "web") && !has("sho", "p") && !has("web", "shop"));
    }
}
