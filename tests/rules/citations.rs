//! Where the repository cites a rule by its number: "xDS rules 41-44, 46", `..._rule_136`,
//! "T025 to T027", "GW012", rows of tables.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use seaway_testing::repository;

/// Where the texts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// `docs/rules/xds.md`
    Xds,
    /// `docs/rules/service.md`
    Service,
    /// `docs/rules/gateway.md`
    Gateway,
    /// The invariants in `ARCHITECTURE.md`.
    Invariants,
}

/// What an entry is called: a number, behind the letters of cases (`T056`, `GW012`) and scenarios
/// (`S14`). Ordered as the pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    /// One of [`LETTERS`]; those of a rule are none.
    pub(crate) letters: &'static str,
    pub(crate) number: u32,
}

/// What the names of cases and scenarios begin with.
pub(crate) const LETTERS: [&str; 3] = ["T", "S", "GW"];

/// A number that somebody cites.
pub(crate) struct Citation {
    /// The file, from the root.
    pub(crate) path: String,
    /// `None` if neither the words before it nor its place say whose rule it is.
    pub(crate) page: Option<Page>,
    pub(crate) id: Id,
}

impl fmt::Display for Citation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, number) = (&self.path, self.id.number);
        match (self.id.letters, self.page) {
            ("", Some(Page::Xds)) => write!(f, "{path}: xDS rule {number}"),
            ("", Some(Page::Service)) => write!(f, "{path}: Service rule {number}"),
            ("", Some(Page::Gateway)) => write!(f, "{path}: Gateway rule {number}"),
            ("", Some(Page::Invariants)) => write!(f, "{path}: invariant {number}"),
            ("", None) => write!(f, "{path}: rule {number}, of which page?"),
            ("S", _) => write!(f, "{path}: scenario S{number:02}"),
            (letters, _) => write!(f, "{path}: case {letters}{number:03}"),
        }
    }
}

/// Whose rules are meant where nobody says it.
const USUAL: [(&str, Page); 11] = [
    ("docs/gateway.md", Page::Gateway),
    ("docs/rules/gateway.md", Page::Gateway),
    ("docs/rules/service.md", Page::Service),
    ("docs/rules/xds.md", Page::Xds),
    ("docs/threat-model.md", Page::Xds),
    ("proto/", Page::Xds),
    ("tests/README.md", Page::Service),
    ("tests/identity/", Page::Xds),
    ("tests/node/", Page::Service),
    ("translator/", Page::Service),
    ("xds/", Page::Xds),
];

/// So many bytes after "xDS rule 188" a "rule 226" without more is of the same page.
const NEAR: usize = 100;

const LISTS: [&str; 5] = [", and ", ", ", " and ", "_and_", "_"];
const RANGES: [&str; 4] = [" to ", "_to_", "-", "–"];

/// All citations of the repository.
pub(crate) fn all() -> Result<Vec<Citation>> {
    let mut citations = Vec::new();
    files(&repository(), "", &mut citations)?;
    Ok(citations)
}

/// Those of the files in a folder, and in all below it.
fn files(root: &Path, folder: &str, found: &mut Vec<Citation>) -> Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let place = format!("{folder}/{name}");
        let place = place.trim_start_matches('/');
        let kind = path.extension().unwrap_or_default().to_string_lossy();
        if entry.file_type()?.is_dir() {
            // Neither what is built nor what is fetched, nor the examples of this test.
            let skipped = name == "target" || name.starts_with('.') || place == "tests/rules";
            if !skipped {
                files(root, place, found)?;
            }
        } else if ["md", "rs", "toml", "yaml"].contains(&&*kind) {
            let text = fs::read_to_string(&path).with_context(|| place.to_owned())?;
            found.extend(citations(place, &text));
        }
    }
    Ok(())
}

/// Those of a file.
pub(crate) fn citations(path: &str, text: &str) -> Vec<Citation> {
    let usual = USUAL.iter().find(|(place, _)| path.starts_with(place));
    let usual = usual.map(|(_, page)| *page);
    let mut found = Vec::new();
    let mut cite = |page, letters: &'static str, numbers: Vec<u32>| {
        found.extend(numbers.into_iter().map(|number| Citation {
            path: path.to_owned(),
            page,
            id: Id { letters, number },
        }));
    };
    for row in rows(path, text) {
        cite(usual, "", list(row, ""));
    }
    let flowing = flowing(text);
    let mut named_last = None;
    for (at, numbers) in after(&flowing, "rule") {
        if let Some(page) = named(&flowing[..at]) {
            named_last = Some((at, page));
        }
        let near = named_last.filter(|(then, _)| at - then < NEAR);
        cite(near.map(|(_, page)| page).or(usual), "", numbers);
    }
    for (_, numbers) in after(&flowing, "invariant") {
        cite(Some(Page::Invariants), "", numbers);
    }
    for at in words(&flowing, "t") {
        cite(Some(Page::Service), "T", list(&flowing[at..], "t"));
    }
    for at in words(&flowing, "gw") {
        cite(Some(Page::Gateway), "GW", list(&flowing[at..], "gw"));
    }
    // Elsewhere a name may begin like this and mean something else.
    for at in words(&flowing, "s").filter(|_| path.starts_with("xds/")) {
        cite(Some(Page::Xds), "S", list(&flowing[at..], "s"));
    }
    found
}

/// In lower case and on one line, without what comments begin with: citations may go on in the next
/// line.
fn flowing(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim_start();
        let line = line.trim_start_matches(['/', '#']);
        line.trim_start_matches('!').trim()
    });
    lines.collect::<Vec<_>>().join(" ").to_ascii_lowercase()
}

/// Where a word begins so; the words in the name of a test are words, too.
fn words<'a>(text: &'a str, beginning: &'a str) -> impl Iterator<Item = usize> {
    let places = text.match_indices(beginning).map(|(at, _)| at);
    places.filter(|at| !text[..*at].ends_with(char::is_alphanumeric))
}

/// Where a word stands, or its plural, with the numbers behind it.
fn after<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = (usize, Vec<u32>)> {
    words(text, word).filter_map(move |at| {
        let rest = &text[at + word.len()..];
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        Some((at, list(rest.strip_prefix([' ', '_'])?, "")))
    })
}

/// Whose rule it is by the word before it. In the name of a test that word says what the test is
/// about.
fn named(before: &str) -> Option<Page> {
    let word = before.strip_suffix(' ')?;
    let word = word.rsplit(|c: char| !c.is_alphanumeric()).next()?;
    match word {
        "xds" => Some(Page::Xds),
        "service" => Some(Page::Service),
        "gateway" => Some(Page::Gateway),
        _ => None,
    }
}

/// The numbers in the first column of the tables that list rules.
fn rows<'a>(path: &str, text: &'a str) -> impl Iterator<Item = &'a str> {
    let table = match path {
        "tests/README.md" => text.split("## Official tests").next(),
        "xds/README.md" => text.split("## Rules and their tests").nth(1),
        _ => None,
    };
    let lines = table.unwrap_or_default().lines();
    lines.filter_map(|line| line.strip_prefix("| "))
}

/// The numbers that a text begins with: `41-44, 46`, `58 to 60 and 62`, `84_87`, each behind these
/// letters, in lower case.
fn list(text: &str, letters: &str) -> Vec<u32> {
    let Some((mut last, mut rest)) = number(text, letters) else {
        return Vec::new();
    };
    let mut numbers = vec![last];
    let next = |rest, separators: &[&str]| -> Option<(u32, &str)> {
        let mut after = separators
            .iter()
            .filter_map(|by| str::strip_prefix(rest, by));
        after.find_map(|rest| number(rest, letters))
    };
    loop {
        if let Some((end, after)) = next(rest, &RANGES) {
            numbers.extend(last + 1..=end);
            (last, rest) = (end, after);
        } else if let Some((one, after)) = next(rest, &LISTS) {
            numbers.push(one);
            (last, rest) = (one, after);
        } else {
            return numbers;
        }
    }
}

/// The number that a text begins with, and what follows. Cases have three digits, scenarios two and
/// the rest of a name. No rule has the number 0: that is a place in a list.
fn number<'a>(text: &'a str, letters: &str) -> Option<(u32, &'a str)> {
    let digits = text.strip_prefix(letters)?;
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = digits.split_at(count);
    let ends = !rest.starts_with(char::is_alphanumeric);
    let whole = match letters {
        "" => ends,
        "s" => count == 2 && rest.starts_with(['_', '…']),
        _ => count == 3 && ends,
    };
    let number: u32 = digits.parse().ok()?;
    (whole && number > 0).then_some((number, rest))
}
