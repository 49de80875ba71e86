//! The walls: which folder of a crate may import which. `ARCHITECTURE.md` has the order, and here
//! it is held against the paths that the code writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use seaway_testing::repository;

/// A folder of production code has no more files and folders than this.
const SIBLINGS: usize = 16;
/// Comments are wrapped at so many columns; rustfmt wraps the code.
const COLUMNS: usize = 100;
/// Files in a crate's root that name what the crate consists of, and so may import whatever there
/// is.
const TOPS: [&str; 3] = ["lib.rs", "main.rs", "fuzzing.rs"];

/// How the order calls the files beside the folders.
const ROOT: &str = "root";

/// The order of one crate's folders: of each folder its floor, where a higher floor may import a
/// lower one.
struct Order {
    /// The crate's source folder, from the repository's root.
    root: String,
    /// Folders that are one have a room in common.
    floors: BTreeMap<String, Room>,
    /// What `lib.rs` passes on, and the folder it comes from: `Store` is `store`.
    passed_on: BTreeMap<String, String>,
}

/// A floor, and which room of it.
type Room = (usize, usize);

/// The orders that the text of `ARCHITECTURE.md` lists: lines such as `src: commands > kube, writer
/// > process`.
fn orders(page: &str) -> Result<Vec<Order>> {
    let (_, block) = page.split_once("```walls\n").context("no order")?;
    let (block, _) = block.split_once("```").context("no end of the order")?;
    let mut orders = Vec::new();
    for line in block.lines().filter(|line| !line.is_empty()) {
        let (root, order) = line.split_once(':').context("no folder")?;
        let mut floors = BTreeMap::new();
        for (floor, rooms) in order.split('>').rev().enumerate() {
            for (room, names) in rooms.split(',').enumerate() {
                let names = names.split('+').map(|name| name.trim().to_owned());
                floors.extend(names.map(|name| (name, (floor, room))));
            }
        }
        orders.push(Order {
            root: root.trim().to_owned(),
            floors,
            passed_on: BTreeMap::new(),
        });
    }
    Ok(orders)
}

/// The first parts of the paths into its own crate that a file has: of `crate::store::Store` it is
/// `store`.
fn imports(text: &str) -> BTreeSet<String> {
    // What tests in the same file import is their own affair.
    let code = text.split("#[cfg(test)]\nmod tests {").next();
    let lines = code.unwrap_or_default().lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    let mut found = BTreeSet::new();
    for part in lines.flat_map(|line| line.split("crate::").skip(1)) {
        let of_name = |c: char| !(c.is_alphanumeric() || c == '_');
        let names = match part.strip_prefix('{') {
            Some(list) => list.split(['}', ',']).map(str::trim_start).collect(),
            None => vec![part],
        };
        let names = names
            .into_iter()
            .filter_map(|name| name.split(of_name).next());
        found.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    found
}

impl Order {
    /// What is wrong with the imports of a file; `path` is from the crate's source folder.
    fn faults(&self, path: &str, text: &str) -> Vec<String> {
        let room_of = |name: &str| self.floors.get(name);
        let folder = path.split_once('/').map_or(ROOT, |(folder, _)| folder);
        let may = |other: &str| {
            let other = self.passed_on.get(other).map_or(other, |folder| folder);
            match (room_of(folder), room_of(other).or_else(|| room_of(ROOT))) {
                // What lies in the root of a crate whose root has no place is for all.
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(own), Some(of_other)) => of_other.0 < own.0 || of_other == own,
            }
        };
        let imports = imports(text);
        let wrong = imports.iter().filter(|other| !may(other));
        wrong
            .map(|other| format!("{}/{path} imports {other}", self.root))
            .collect()
    }
}

/// What a `lib.rs` passes on from its folders: of `pub use store::ids::{LayerId, PlacementId};`
/// both names, with `store`.
fn passed_on(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for statement in text.split(';').map(str::trim) {
        let Some((_, path)) = statement.rsplit_once("pub use ") else {
            continue;
        };
        let Some((folder, rest)) = path.split_once("::") else {
            continue;
        };
        let list = rest
            .split_once('{')
            .map(|(_, list)| list.trim_end_matches('}'));
        let names = match list {
            Some(list) => list.split(',').collect(),
            None => vec![rest.rsplit("::").next().unwrap_or(rest)],
        };
        let names = names.into_iter().map(|name| name.trim().to_owned());
        all.extend(names.map(|name| (name, folder.to_owned())));
    }
    all
}

/// The Rust files below a folder, but for what has one of these names.
fn rust_files(folder: &Path, without: &[&str]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if without.contains(&&*name) {
            continue;
        }
        if path.is_dir() {
            all.extend(rust_files(&path, without)?);
        } else if name.ends_with(".rs") {
            all.push(path);
        }
    }
    Ok(all)
}

/// The orders of the crates there are.
fn listed() -> Result<Vec<Order>> {
    let mut orders = orders(&fs::read_to_string(repository().join("ARCHITECTURE.md"))?)?;
    for order in &mut orders {
        let top = repository().join(&order.root).join("lib.rs");
        if top.is_file() {
            order.passed_on = passed_on(&fs::read_to_string(top)?);
        }
    }
    Ok(orders)
}

#[test]
fn no_folder_imports_one_above_it() -> Result<()> {
    let mut faults = Vec::new();
    for order in listed()? {
        let root = repository().join(&order.root);
        for file in rust_files(&root, &["tests", "tests.rs"])? {
            let path = file.strip_prefix(&root)?.to_string_lossy().into_owned();
            if !TOPS.contains(&&*path) {
                faults.extend(order.faults(&path, &fs::read_to_string(&file)?));
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

#[test]
fn every_folder_has_its_place_and_few_siblings() -> Result<()> {
    for order in listed()? {
        let root = repository().join(&order.root);
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let mut siblings = 0;
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let is_code = path.is_dir() || name.ends_with(".rs");
                if !is_code || ["tests", "tests.rs", "snapshots", "mod.rs"].contains(&&*name) {
                    continue;
                }
                siblings += 1;
                if path.is_dir() {
                    let placed = folder != root || order.floors.contains_key(&name);
                    ensure!(placed, "{}: no place in ARCHITECTURE.md", path.display());
                    folders.push(path);
                }
            }
            ensure!(siblings <= SIBLINGS, "{}: {siblings}", folder.display());
        }
    }
    Ok(())
}

/// The lines of comments that are too long. Blocks of code in them are as they are.
fn long_comments(text: &str) -> Vec<usize> {
    let mut fenced = false;
    let mut long = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let comment = line.trim_start();
        if !comment.starts_with("//") {
            fenced = false;
        } else if comment.contains("```") {
            fenced = !fenced;
        } else if !fenced && line.chars().count() > COLUMNS {
            long.push(number + 1);
        }
    }
    long
}

#[test]
fn comments_are_wrapped() -> Result<()> {
    let mut long = Vec::new();
    for folder in ["benches", "proto", "src", "tests", "translator", "xds"] {
        for file in rust_files(&repository().join(folder), &["target"])? {
            let lines = long_comments(&fs::read_to_string(&file)?);
            long.extend(
                lines
                    .iter()
                    .map(|line| format!("{}:{line}", file.display())),
            );
        }
    }
    ensure!(long.is_empty(), "{}", long.join("\n"));
    assert_eq!(long_comments(&format!("    // {}", "a ".repeat(60))), [1]);
    Ok(())
}

#[test]
fn a_planted_import_is_found_in_each_direction() -> Result<()> {
    let page = "```walls\nx/src: top > left, right > low\n```";
    let mut order = orders(page)?.remove(0);
    order.passed_on = passed_on("pub use top::deep::{Tip, Top};\npub use low::Low;\n");
    let order = order;
    let faults = |path: &str, text: &str| order.faults(path, text);
    for (path, other) in [
        ("low/a.rs", "left"),
        ("low/a.rs", "top"),
        ("left/a.rs", "right"),
        ("right/deep/a.rs", "top"),
        ("a.rs", "low"),
    ] {
        let expected = [format!("x/src/{path} imports {other}")];
        for text in [
            format!("use crate::{other}::A;"),
            format!("use crate::{{root, {other}::A}};"),
            format!("    crate::{other}::a();"),
        ] {
            assert_eq!(faults(path, &text), expected, "{text}");
        }
    }
    let page = "```walls\nx/src: top > root > low\n```";
    let rooted = orders(page)?.remove(0);
    assert_eq!(rooted.faults("a.rs", "use crate::low::A;"), [""; 0]);
    let expected = ["x/src/low/a.rs imports names"];
    assert_eq!(rooted.faults("low/a.rs", "use crate::names::A;"), expected);
    let expected = ["x/src/left/a.rs imports Top"];
    assert_eq!(faults("left/a.rs", "use crate::{Low, Top};"), expected);
    let fine = "use crate::low::A;\nuse crate::left::B;\nuse crate::root::C;\n/// crate::top\n\
        #[cfg(test)]\nmod tests {\n    use crate::top::D;\n}\n";
    assert_eq!(faults("left/a.rs", fine), [""; 0]);
    Ok(())
}
