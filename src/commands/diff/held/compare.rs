//! Where what an Envoy has differs from what a replica has for it.

use serde::Serialize;

use super::dump::{Held, Holding};
use super::wanted::{Key, Wanted};

/// A resource that an Envoy has otherwise.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    pub(super) difference: Kind,
    pub(super) r#type: String,
    pub(super) name: String,
    /// The version that the replica has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<String>,
    /// The version that Envoy has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) envoy: Option<String>,
    /// More of it, in words; of a rejected one Envoy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) what: Option<String>,
}

/// How it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Envoy rejected the last update of it.
    Rejected,
    /// Envoy does not have it.
    MissingInEnvoy,
    /// Envoy has another version of it.
    OtherVersion,
    /// Envoy has other endpoints.
    OtherEndpoints,
    /// Envoy has it, and does not use it yet.
    Warming,
    /// Only Envoy has it.
    OnlyInEnvoy,
}

impl Kind {
    /// The words for it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Kind::Rejected => "rejected",
            Kind::MissingInEnvoy => "missing in Envoy",
            Kind::OtherVersion => "other version",
            Kind::OtherEndpoints => "other endpoints",
            Kind::Warming => "warming",
            Kind::OnlyInEnvoy => "only in Envoy",
        }
    }
}

/// All of them, the worst first.
pub(super) fn differences(wanted: &Wanted, mut holding: Holding) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (key, version) in &wanted.resources {
        let held = holding.remove(key);
        if let Some((difference, what)) = difference(wanted, key, version, held.as_ref()) {
            differences.push(Difference {
                difference,
                r#type: key.0.clone(),
                name: key.1.clone(),
                server: version.clone(),
                envoy: held.and_then(|held| held.version),
                what,
            });
        }
    }
    // The assignments that are left are of clusters of other kinds, which are compared themselves.
    let only = holding.into_iter().filter(|((of, _), _)| of != "endpoint");
    differences.extend(only.map(|((r#type, name), held)| Difference {
        difference: Kind::OnlyInEnvoy,
        r#type,
        name,
        server: None,
        envoy: held.version.or(held.warming),
        what: held.error,
    }));
    differences.sort_by(|one, other| {
        let (r#type, name) = (&other.r#type, &other.name);
        (one.difference, &one.r#type, &one.name).cmp(&(other.difference, r#type, name))
    });
    differences
}

fn difference(
    wanted: &Wanted,
    (_, name): &Key,
    version: &Option<String>,
    held: Option<&Held>,
) -> Option<(Kind, Option<String>)> {
    let Some(held) = held else {
        return Some((Kind::MissingInEnvoy, None));
    };
    if held.error.is_some() {
        return Some((Kind::Rejected, held.error.clone()));
    }
    if let Some(has) = &held.endpoints {
        let wants = wanted.endpoints.get(name)?;
        let (missing, more) = (wants.difference(has).count(), has.difference(wants).count());
        let words = format!("{missing} missing, {more} too many");
        return (missing + more > 0).then_some((Kind::OtherEndpoints, Some(words)));
    }
    if let Some(has) = &held.scope {
        let wants = wanted.scopes.get(name)?;
        return (wants != has).then_some((Kind::OtherVersion, None));
    }
    if !wanted.by_version {
        let warms = held.version.is_none() && held.warming.is_some();
        return warms.then_some((Kind::Warming, None));
    }
    match held.version == *version {
        true => None,
        false if held.warming == *version => Some((Kind::Warming, None)),
        false => Some((Kind::OtherVersion, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::wanted::Endpoints;
    use super::*;

    fn key(r#type: &str, name: &str) -> (String, String) {
        (r#type.to_owned(), name.to_owned())
    }

    fn held(version: Option<&str>, warming: Option<&str>, error: Option<&str>) -> Held {
        Held {
            version: version.map(str::to_owned),
            warming: warming.map(str::to_owned),
            error: error.map(str::to_owned),
            ..Held::default()
        }
    }

    fn told(wanted: &Wanted, holding: Holding) -> Vec<String> {
        let all = differences(wanted, holding).into_iter();
        all.map(|of| format!("{} {} {}", of.difference.as_str(), of.r#type, of.name))
            .collect()
    }

    #[test]
    fn each_way_to_differ_has_its_word_and_the_worst_comes_first() {
        let names = ["gone", "old", "refused", "same", "warm"];
        let wanted = Wanted {
            resources: names
                .map(|name| (key("cluster", name), Some("2".to_owned())))
                .into(),
            by_version: true,
            ..Wanted::default()
        };
        let holding = Holding::from([
            (key("cluster", "old"), held(Some("1"), None, None)),
            (key("cluster", "refused"), held(Some("1"), None, Some("no"))),
            (key("cluster", "same"), held(Some("2"), None, None)),
            (key("cluster", "warm"), held(Some("1"), Some("2"), None)),
            (key("cluster", "stray"), held(Some("1"), None, None)),
            (key("endpoint", "other-kind"), Held::default()),
        ]);
        let expected = [
            "rejected cluster refused",
            "missing in Envoy cluster gone",
            "other version cluster old",
            "warming cluster warm",
            "only in Envoy cluster stray",
        ];
        assert_eq!(told(&wanted, holding), expected);
    }

    #[test]
    fn assignments_are_compared_by_their_endpoints() {
        let endpoints = |all: &[&str]| -> Endpoints {
            all.iter()
                .map(|address| (0, (*address).to_owned()))
                .collect()
        };
        let wanted = Wanted {
            resources: [(key("endpoint", "a"), Some("2".to_owned()))].into(),
            endpoints: [("a".to_owned(), endpoints(&["10.0.0.1 80", "10.0.0.2 80"]))].into(),
            by_version: true,
            ..Wanted::default()
        };
        let holding = |all: &[&str]| {
            let held = Held {
                endpoints: Some(endpoints(all)),
                ..Held::default()
            };
            Holding::from([(key("endpoint", "a"), held)])
        };
        assert!(told(&wanted, holding(&["10.0.0.2 80", "10.0.0.1 80"])).is_empty());
        let other = differences(&wanted, holding(&["10.0.0.3 80"])).remove(0);
        assert_eq!(other.difference, Kind::OtherEndpoints);
        assert_eq!(other.what.as_deref(), Some("2 missing, 1 too many"));
    }

    #[test]
    fn scoped_routes_are_compared_by_what_they_are() {
        let wanted = Wanted {
            resources: [(key("scoped-route", "a"), Some("2".to_owned()))].into(),
            scopes: [("a".to_owned(), serde_json::json!({"name": "a"}))].into(),
            by_version: true,
            ..Wanted::default()
        };
        let holding = |scope| {
            let held = Held {
                scope: Some(scope),
                ..Held::default()
            };
            Holding::from([(key("scoped-route", "a"), held)])
        };
        assert!(told(&wanted, holding(serde_json::json!({"name": "a"}))).is_empty());
        let other = serde_json::json!({"name": "a", "on_demand": true});
        assert_eq!(
            told(&wanted, holding(other)),
            ["other version scoped-route a"]
        );
    }

    #[test]
    fn versions_of_the_state_of_the_world_say_nothing_of_a_resource() {
        let wanted = Wanted {
            resources: [
                (key("cluster", "a"), Some("2".to_owned())),
                (key("cluster", "b"), Some("2".to_owned())),
            ]
            .into(),
            ..Wanted::default()
        };
        let holding = Holding::from([(key("cluster", "a"), held(Some("x"), None, None))]);
        assert_eq!(told(&wanted, holding), ["missing in Envoy cluster b"]);
    }
}
