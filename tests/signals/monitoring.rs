//! What `deploy/components/monitoring` has: alerts and the board, each expression with what is said
//! of its result.

use std::fs;

use anyhow::{Context, Result, ensure};
use seaway_testing::repository;
use serde_json::Value;

use crate::expressions::Named;

/// An alert.
pub(crate) struct Alert {
    pub(crate) name: String,
    pub(crate) runbook: String,
}

/// An expression, where it is, and the labels of its result that texts show.
pub(crate) struct Shown {
    pub(crate) place: String,
    pub(crate) named: Named,
    pub(crate) labels: Vec<String>,
}

/// The text of one of its files.
pub(crate) fn read(file: &str) -> Result<String> {
    let path = repository().join("deploy/components/monitoring").join(file);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    let text = value[field].as_str().filter(|text| !text.trim().is_empty());
    text.with_context(|| format!("no {field}: {value}"))
}

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a [Value]> {
    let list = value[field].as_array().map(Vec::as_slice);
    list.with_context(|| format!("no {field}: {value}"))
}

/// The alerts, in their order, as objects.
fn rules() -> Result<Vec<Value>> {
    let file: Value = serde_saphyr::from_str(&read("alerts.yaml")?)?;
    let mut rules = Vec::new();
    for group in list(&file["spec"], "groups")? {
        rules.extend(list(group, "rules")?.iter().cloned());
    }
    Ok(rules)
}

/// The alerts, in their order.
pub(crate) fn alerts() -> Result<Vec<Alert>> {
    let alert = |rule: &Value| {
        Ok(Alert {
            name: text(rule, "alert")?.to_owned(),
            runbook: text(&rule["annotations"], "runbook_url")?.to_owned(),
        })
    };
    rules()?.iter().map(alert).collect()
}

/// The board.
pub(crate) fn board() -> Result<Value> {
    Ok(serde_json::from_str(&read("board.json")?)?)
}

/// The panels of the board, rows among them.
pub(crate) fn panels(board: &Value) -> Result<&[Value]> {
    list(board, "panels")
}

/// What is between `before` and the end of a word, wherever it is in a text.
fn words(text: &str, before: &str) -> Vec<String> {
    let word = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    };
    text.split(before).skip(1).map(word).collect()
}

/// Every expression of the alerts.
pub(crate) fn of_alerts() -> Result<Vec<Shown>> {
    let shown = |rule: &Value| {
        let said = rule["annotations"].to_string();
        Ok(Shown {
            place: text(rule, "alert")?.to_owned(),
            named: Named::of(text(rule, "expr")?)?,
            labels: words(&said, "$labels."),
        })
    };
    rules()?.iter().map(shown).collect()
}

/// Every expression of the board, those of its variables among them.
pub(crate) fn of_board() -> Result<Vec<Shown>> {
    let (board, mut all) = (board()?, Vec::new());
    for panel in panels(&board)?
        .iter()
        .filter(|panel| panel["type"] != "row")
    {
        let title = text(panel, "title")?;
        ensure!(!list(panel, "targets")?.is_empty(), "{title} shows nothing");
        for target in list(panel, "targets")? {
            all.push(Shown {
                place: title.to_owned(),
                named: Named::of(text(target, "expr")?)?,
                labels: words(text(target, "legendFormat")?, "{{"),
            });
        }
    }
    for variable in list(&board["templating"], "list")? {
        let query = variable["query"]["query"].as_str().unwrap_or_default();
        let Some(values) = query.strip_prefix("label_values(") else {
            continue;
        };
        let (of, label) = values.rsplit_once(", ").context("no label")?;
        all.push(Shown {
            place: format!("variable {}", text(variable, "name")?),
            named: Named::of(of)?,
            labels: vec![label.trim_end_matches(')').to_owned()],
        });
    }
    Ok(all)
}
