//! Every number that is cited has its text.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use seaway_testing::repository;

use crate::citations::{self, Id, LETTERS, Page};

/// What the entries of a page are called, in its order.
fn entries(page: &str) -> Result<Vec<Id>> {
    let path = repository().join("docs/rules").join(page);
    let text = fs::read_to_string(path)?;
    let begun = text.lines().filter(|line| line.starts_with("- <a id="));
    begun
        .map(|line| entry(line).with_context(|| format!("{page}: no entry: {line}")))
        .collect()
}

/// `- <a id="t056"></a>**T056** what it says`.
fn entry(line: &str) -> Option<Id> {
    let (anchor, rest) = line.strip_prefix("- <a id=\"")?.split_once("\"></a>**")?;
    let (name, text) = rest.split_once("** ")?;
    if anchor != name.to_ascii_lowercase() || text.trim().is_empty() {
        return None;
    }
    let number = name.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let letters = &name[..name.len() - number.len()];
    let mut known = LETTERS.into_iter().chain([""]);
    Some(Id {
        letters: known.find(|known| *known == letters)?,
        number: number.parse().ok()?,
    })
}

/// `1. What always holds`.
fn invariants() -> Result<BTreeSet<Id>> {
    let text = fs::read_to_string(repository().join("ARCHITECTURE.md"))?;
    let (_, section) = text
        .split_once("## Invariants")
        .context("the invariants are missing")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let numbers = section.lines().filter_map(|line| line.split_once(". "));
    let numbers = numbers.filter_map(|(number, _)| number.parse().ok());
    let id = |number| Id {
        letters: "",
        number,
    };
    Ok(numbers.map(id).collect())
}

#[test]
fn every_entry_has_a_number_of_its_own_in_ascending_order() -> Result<()> {
    for (page, least) in [("xds.md", 240), ("service.md", 280), ("gateway.md", 230)] {
        let entries = entries(page)?;
        ensure!(entries.len() >= least, "{page}: {} entries", entries.len());
        for pair in entries.windows(2) {
            ensure!(
                pair[0] < pair[1],
                "{page}: {:?} before {:?}",
                pair[0],
                pair[1]
            );
        }
    }
    Ok(())
}

#[test]
fn every_number_that_is_cited_has_its_text() -> Result<()> {
    let xds: BTreeSet<Id> = entries("xds.md")?.into_iter().collect();
    let service: BTreeSet<Id> = entries("service.md")?.into_iter().collect();
    let gateway: BTreeSet<Id> = entries("gateway.md")?.into_iter().collect();
    let invariants = invariants()?;
    let citations = citations::all()?;
    // With far fewer than there are, the rest would not be found any more.
    for (page, letters, least) in [
        (Page::Xds, "", 700),
        (Page::Xds, "S", 30),
        (Page::Service, "", 400),
        (Page::Service, "T", 700),
        (Page::Gateway, "", 140),
        (Page::Gateway, "GW", 270),
        (Page::Invariants, "", 10),
    ] {
        let of_kind = |citation: &&citations::Citation| {
            (citation.page, citation.id.letters) == (Some(page), letters)
        };
        let count = citations.iter().filter(of_kind).count();
        ensure!(
            count >= least,
            "{page:?} {letters:?}: only {count} citations"
        );
    }
    let mut wrong = Vec::new();
    for citation in &citations {
        let has_text = match citation.page {
            Some(Page::Xds) => xds.contains(&citation.id),
            Some(Page::Service) => service.contains(&citation.id),
            Some(Page::Gateway) => gateway.contains(&citation.id),
            Some(Page::Invariants) => invariants.contains(&citation.id),
            None => false,
        };
        if !has_text {
            wrong.push(citation.to_string());
        }
    }
    ensure!(wrong.is_empty(), "without a text: {wrong:#?}");
    Ok(())
}

/// What is cited: `x1` is xDS rule 1, `s1` Service rule 1, `g1` Gateway rule 1, `?1` one of which
/// nobody says whose it is, `i1` an invariant, `T001` and `GW001` are cases, `S01` is a scenario.
fn cited(path: &str, text: &str) -> String {
    let name = |citation: &citations::Citation| match (citation.id.letters, citation.page) {
        ("", Some(Page::Xds)) => format!("x{}", citation.id.number),
        ("", Some(Page::Service)) => format!("s{}", citation.id.number),
        ("", Some(Page::Gateway)) => format!("g{}", citation.id.number),
        ("", Some(Page::Invariants)) => format!("i{}", citation.id.number),
        ("", None) => format!("?{}", citation.id.number),
        ("S", _) => format!("S{:02}", citation.id.number),
        (letters, _) => format!("{letters}{:03}", citation.id.number),
    };
    let found = citations::citations(path, text);
    found.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(cases: &[(&str, &str, &str)]) {
    for (path, text, expected) in cases {
        assert_eq!(cited(path, text), *expected, "{path}: {text}");
    }
}

#[test]
fn citations_are_found_in_every_form() {
    let cases = [
        ("src/a.rs", "/// Why (xDS rule 90).", "x90"),
        (
            "src/a.rs",
            "//! xDS rules 41-44, 46.",
            "x41 x42 x43 x44 x46",
        ),
        ("src/a.rs", "// SERVICE RULES 24, 44: why", "s24 s44"),
        (
            "src/a.rs",
            "/// Service rules 58 to 60 and 62",
            "s58 s59 s60 s62",
        ),
        (
            "src/a.rs",
            "    /// is long (xDS\n    /// rule\n    /// 131)",
            "x131",
        ),
        ("src/a.rs", "/// xDS rule 7, for Envoy (rule 8)", "x7 x8"),
        ("src/a.rs", "/// Of nobody: rule 8", "?8"),
        ("src/a.rs", "// (invariants 2 and 3)", "i2 i3"),
        (
            "src/a.rs",
            "// a rule 2nd to none; misrule 3; rules, 4; rule 0",
            "",
        ),
        (
            "xds/a.rs",
            "fn s14_of_a_service_rules_51_64() {",
            "x51 x64 S14",
        ),
        (
            "translator/a.rs",
            "fn t015_t016_it_is_so_rule_19_too()",
            "s19 T015 T016 T016",
        ),
        (
            "a.yaml",
            "# T025 to T027, Service\n# rule 23",
            "s23 T025 T026 T027 T027",
        ),
        (
            "a.yaml",
            "metadata: {name: t085-1, at: 2026-01-01T000:1}",
            "T085",
        ),
        (
            "tests/README.md",
            "| 31 to 33 | what | tests |",
            "s31 s32 s33",
        ),
        (
            "xds/README.md",
            "| 9 |\n## Rules and their tests\n| 4, 6-8 | `x` s09…, no_rule_at_all |",
            "x4 x6 x7 x8 S09",
        ),
    ];
    check(&cases);
}

#[test]
fn rules_of_gateways_and_of_services_are_told_apart() {
    check(&[
        (
            "translator/a.rs",
            "/// Gateway rules 19 to 21 and 30, Service rule 9",
            "g19 g20 g21 g30 s9",
        ),
        (
            "translator/a.rs",
            "/// (Service rules 58, 60; Gateway\n/// rules 67, 80)",
            "s58 s60 g67 g80",
        ),
        ("docs/gateway.md", "rule 5, and Service rule 6", "g5 s6"),
        ("translator/a.rs", "/// A rule 5 of a gateway", "s5"),
        (
            "tests/a.rs",
            "/// GW040 to GW042, GW108\nfn gw013_gw014_both() // gw1 GW0011 egw012",
            "GW040 GW041 GW042 GW108 GW042 GW108 GW108 GW013 GW014 GW014",
        ),
    ]);
}
