//! The tables in `tests/README.md` and `docs/threat-model.md` are complete and name what exists,
//! and every rule that is cited has its text in `docs/rules`, every invariant in `ARCHITECTURE.md`.

mod citations;
mod texts;

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use seaway_testing::repository;

/// Every rule that must hold for role `node`.
const RULES: [&[u32]; 10] = [
    &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 16],
    &[17, 18, 19, 20, 21],
    &[23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34],
    &[
        36, 37, 38, 39, 40, 41, 42, 44, 45, 47, 48, 49, 50, 51, 53, 55,
    ],
    &[58, 59, 60, 61, 64, 69, 70, 71, 72, 73, 74],
    &[76, 77, 80],
    &[81, 82, 83, 84, 85, 87, 88, 90, 91, 93, 96],
    &[97, 98, 99, 100, 101],
    &[104, 105, 106, 107],
    &[111, 112, 113],
];

/// The text of every Rust file below a folder.
fn sources(folder: &Path) -> Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            text += &sources(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path)?;
        }
    }
    Ok(text)
}

/// `1, 2` and `31 to 34` as numbers.
fn numbers(cell: &str) -> Result<Vec<u32>> {
    let mut all = Vec::new();
    for part in cell.split(',') {
        match part.split_once(" to ") {
            None => all.push(part.trim().parse()?),
            Some((first, last)) => {
                all.extend(first.trim().parse::<u32>()?..=last.trim().parse()?);
            }
        }
    }
    Ok(all)
}

/// The texts in which tests are looked for, and the rows of the tables that name them.
struct Tables {
    own: String,
    translator: String,
    kube: String,
    xds: String,
    rows: Vec<String>,
}

impl Tables {
    /// Those of one half of `tests/README.md`: the rules, or the official tests.
    fn read(official: bool) -> Result<Self> {
        let root = repository();
        let page = fs::read_to_string(root.join("tests/README.md"))?;
        let (rules, others) = page
            .split_once("## Official tests")
            .context("the official tests are missing")?;
        let half = if official { others } else { rules };
        let rows = half.lines().filter(|line| line.starts_with("| "));
        Ok(Self {
            own: sources(&root.join("tests"))?,
            translator: sources(&root.join("translator"))?,
            kube: sources(&root.join("src/kube"))?,
            xds: sources(&root.join("xds"))?,
            rows: rows.map(str::to_owned).collect(),
        })
    }

    /// Whether there are tests in a cell, and all of them exist.
    fn check(&self, cell: &str) -> Result<()> {
        let words = cell.split([' ', ',', ';']);
        let mut count = 0;
        for (kind, name) in words.filter_map(|word| word.split_once(':')) {
            count += 1;
            let name = name.trim_end_matches(':');
            let function = [format!("fn {name}("), format!("fn {name}\n")];
            let contained = |text: &str| function.iter().any(|function| text.contains(function));
            let exists = match kind {
                "golden" => repository()
                    .join(format!("translator/testdata/{name}.yaml"))
                    .is_file(),
                "node" | "e2e" | "ingress" => contained(&self.own),
                "kube" => contained(&self.own) || contained(&self.kube),
                "session" => contained(&self.xds),
                _ => contained(&self.translator),
            };
            ensure!(exists, "{kind}:{name} does not exist: {cell}");
        }
        ensure!(count > 0, "no test in {cell:?}");
        Ok(())
    }
}

/// The cells of a row, from 1.
fn cells(row: &str) -> Vec<&str> {
    row.split('|').map(str::trim).collect()
}

#[test]
fn every_rule_has_a_test_and_every_test_that_is_named_exists() -> Result<()> {
    let tables = Tables::read(false)?;
    let mut listed = BTreeSet::new();
    for row in &tables.rows {
        if let [_, rules, _, tests, ..] = cells(row)[..]
            && let Ok(rules) = numbers(rules)
        {
            listed.extend(rules);
            tables.check(tests)?;
        }
    }
    let missing: Vec<u32> = RULES
        .iter()
        .flat_map(|section| section.iter())
        .filter(|rule| !listed.contains(rule))
        .copied()
        .collect();
    ensure!(missing.is_empty(), "without a test: {missing:?}");
    Ok(())
}

/// The cases that ingress proxies have to keep, those of kinds that only other proxies have left
/// out.
const CASES: [(&str, RangeInclusive<u32>); 4] = [
    ("T", 98..=124),
    ("GW", 1..=115),
    ("GW", 126..=130),
    ("GW", 139..=140),
];

/// `T098, GW013 to GW015` as cases.
fn cases(cell: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for part in cell.split(',').map(str::trim) {
        let (first, last) = part.split_once(" to ").unwrap_or((part, part));
        let letters = first.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = |case: &str| -> Result<u32> {
            let digits = case.strip_prefix(letters).context("other letters")?;
            Ok(digits.parse()?)
        };
        let numbers = number(first)?..=number(last)?;
        all.extend(numbers.map(|number| format!("{letters}{number:03}")));
    }
    Ok(all)
}

#[test]
fn every_case_of_ingress_proxies_has_a_test_that_exists_or_is_for_later() -> Result<()> {
    let tables = Tables::read(false)?;
    let mut listed = BTreeSet::new();
    for row in &tables.rows {
        if let [_, which, _, tests, ..] = cells(row)[..]
            && (which == "none" || which.starts_with("T") || which.starts_with("GW"))
        {
            if which != "none" {
                listed.extend(cases(which).with_context(|| row.clone())?);
            }
            if !tests.starts_with("later") && !tests.starts_with("nobody") {
                tables.check(tests)?;
            }
        }
    }
    let all = CASES.into_iter();
    let all = all.flat_map(|(letters, numbers)| numbers.map(move |n| format!("{letters}{n:03}")));
    let missing: Vec<String> = all.filter(|case| !listed.contains(case)).collect();
    ensure!(missing.is_empty(), "not listed: {missing:?}");
    Ok(())
}

#[test]
fn every_official_test_has_one_here_that_exists() -> Result<()> {
    let tables = Tables::read(true)?;
    let official = |row: &&String| !row.starts_with("| official test");
    let mut count = 0;
    for row in tables.rows.iter().filter(official) {
        count += 1;
        tables.check(cells(row).get(2).copied().unwrap_or_default())?;
    }
    ensure!(count >= 30, "only {count} rows");
    Ok(())
}

#[test]
fn every_prepared_fault_has_a_test_that_exists() -> Result<()> {
    let root = repository();
    let page = fs::read_to_string(root.join("tests/README.md"))?;
    let faults = page.split("## Prepared faults").nth(1).unwrap_or_default();
    let items = faults.lines().filter(|line| line.contains(". "));
    let items: Vec<&str> = items
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    ensure!(items.len() == 20, "{} faults", items.len());
    for item in items {
        let tests = item.split_once(": ").context("no test")?.1;
        for test in tests.split(", ") {
            let (kind, name) = test.split_once(':').with_context(|| item.to_owned())?;
            let exists = match kind {
                "explain" => root
                    .join(format!("tests/fixtures/explain/{name}.snap"))
                    .is_file(),
                folder => {
                    sources(&root.join("tests").join(folder))?.contains(&format!("fn {name}("))
                }
            };
            ensure!(exists, "{test} does not exist: {item}");
        }
    }
    Ok(())
}

/// What a row of the threat model names instead of a test: how else it is looked at.
const COMMANDS: [&str; 4] = [
    "make deploy-check",
    "make test-docker",
    "make deny",
    "make sbom",
];

#[test]
fn every_threat_has_a_test_that_exists() -> Result<()> {
    let root = repository();
    let model = fs::read_to_string(root.join("docs/threat-model.md"))?;
    let mut code = String::new();
    for folder in ["src", "tests", "translator", "xds/src", "xds/tests"] {
        code += &sources(&root.join(folder))?;
    }
    let makefile = fs::read_to_string(root.join("Makefile"))?;
    let threats = model.split("## Threats").nth(1).unwrap_or_default();
    let rows: Vec<&str> = threats
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    ensure!(rows.len() >= 14, "only {} threats", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let tests = cells.get(3).copied().unwrap_or_default();
        ensure!(!tests.is_empty(), "no test in {row}");
        for name in tests.split(',').map(|name| name.trim().trim_matches('`')) {
            let exists = match name.strip_prefix("golden:") {
                Some(golden) => root
                    .join(format!("translator/testdata/{golden}.yaml"))
                    .is_file(),
                None if COMMANDS.contains(&name) => {
                    let target = name.trim_start_matches("make ");
                    makefile.contains(&format!("\n{target}:"))
                }
                None => code.contains(&format!("fn {name}(")),
            };
            ensure!(exists, "{name} does not exist: {row}");
        }
    }
    Ok(())
}
