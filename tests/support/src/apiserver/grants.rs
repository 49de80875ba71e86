//! What RBAC grants, read from manifests: whoever may do only that is refused everything else.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::query::Call;
use crate::repository;

/// The fields of a rule that are known here.
const FIELDS: [&str; 4] = ["apiGroups", "resources", "resourceNames", "verbs"];

/// One thing that is granted. Each part may be `*`, but not the namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Of a Role; a ClusterRole grants everywhere.
    pub namespace: Option<String>,
    /// `""` for the core group.
    pub group: String,
    /// The plural, with a subresource after a slash.
    pub resource: String,
    /// `list`, `watch`, `create`.
    pub verb: String,
    /// The only object for which it is granted (`resourceNames`).
    pub name: Option<String>,
}

impl Grant {
    fn covers(&self, call: &Call) -> bool {
        let is = |granted: &str, asked: &str| granted == "*" || granted == asked;
        let resource = match &call.subresource {
            Some(sub) => format!("{}/{sub}", call.kind.resource),
            None => call.kind.resource.to_owned(),
        };
        (self.namespace.is_none() || self.namespace == call.namespace)
            && (self.name.is_none() || self.name == call.name)
            && is(&self.group, call.kind.group)
            && is(&self.resource, &resource)
            && is(&self.verb, call.verb)
    }
}

impl Display for Grant {
    /// `list endpointslices.discovery.k8s.io`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        match self.group.as_str() {
            "" => Ok(()),
            group => write!(f, ".{group}"),
        }
    }
}

/// Everything that is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(BTreeSet<Grant>);

impl Grants {
    /// What the ClusterRoles and Roles of a YAML text grant, each bound as a whole to the one who
    /// asks; other documents are passed over.
    pub fn read(text: &str) -> Result<Self> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
        let mut grants = BTreeSet::new();
        for role in &documents {
            let namespace = match role["kind"].as_str() {
                Some("ClusterRole") => None,
                Some("Role") => {
                    let namespace = role["metadata"]["namespace"].as_str();
                    Some(namespace.context("a Role without a namespace")?.to_owned())
                }
                _ => continue,
            };
            ensure!(
                role["aggregationRule"].is_null(),
                "aggregated roles are not known here"
            );
            for rule in role["rules"].as_array().into_iter().flatten() {
                expand(namespace.as_deref(), rule, &mut grants)?;
            }
        }
        Ok(Self(grants))
    }

    /// What the manifests of the repository grant Seaway, where it serves ingress proxies.
    pub fn of_seaway() -> Result<Self> {
        let mut all = Self::default();
        for file in ["base/rbac.yaml", "components/ingress/rbac.yaml"] {
            let path = repository().join("deploy").join(file);
            let text = fs::read_to_string(&path);
            let grants = Self::read(&text.with_context(|| path.display().to_string())?)?;
            all.0.extend(grants.0);
        }
        Ok(all)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }

    /// All but one.
    #[must_use]
    pub fn without(&self, grant: &Grant) -> Self {
        let others = self.iter().filter(|other| *other != grant);
        Self(others.cloned().collect())
    }

    pub(super) fn cover(&self, call: &Call) -> bool {
        self.iter().any(|grant| grant.covers(call))
    }
}

fn expand(namespace: Option<&str>, rule: &Value, grants: &mut BTreeSet<Grant>) -> Result<()> {
    let fields = rule.as_object().context("a rule is not an object")?;
    if let Some(field) = fields
        .keys()
        .find(|field| !FIELDS.contains(&field.as_str()))
    {
        bail!("{field} of a rule is not known here");
    }
    let all = |field: &str| -> Result<Vec<String>> {
        let all = serde_json::from_value(rule[field].clone());
        all.with_context(|| format!("{field} of a rule"))
    };
    let mut names = vec![None];
    if !rule["resourceNames"].is_null() {
        names = all("resourceNames")?.into_iter().map(Some).collect();
    }
    for group in all("apiGroups")? {
        for resource in all("resources")? {
            for verb in all("verbs")? {
                grants.extend(names.iter().map(|name| Grant {
                    namespace: namespace.map(str::to_owned),
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                    name: name.clone(),
                }));
            }
        }
    }
    Ok(())
}
