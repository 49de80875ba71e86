//! What an expression of PromQL names: metrics, labels, and values of labels. Whether it is an
//! expression at all is `promtool`'s to say (`tests/deploy`).

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

/// Words between expressions.
const OPERATORS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "atan2"];
/// Words before labels in parentheses.
const GROUPINGS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// What must be so of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub(crate) operator: String,
    pub(crate) value: String,
}

/// A metric that is named, and of which of its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    pub(crate) matchers: Vec<Matcher>,
}

/// All that an expression names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) selectors: Vec<Selector>,
    /// The labels that are kept, dropped or joined by.
    pub(crate) groupings: BTreeSet<String>,
}

/// A piece of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A name, of whatever.
    Word(String),
    /// What is between quotation marks.
    Text(String),
    /// A number, or a time such as `5m`.
    Number,
    /// Anything else, mostly one character.
    Sign(String),
}

fn tokens(expression: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first == '"' || first == '\'' {
            let inner = &rest[1..];
            let end = inner.find(first).context("a text without an end")?;
            ensure!(!inner[..end].contains('\\'), "an escape in {expression}");
            (Token::Text(inner[..end].to_owned()), end + 2)
        } else if first.is_ascii_digit() {
            let more = |c: char| !c.is_ascii_alphanumeric() && c != '.';
            (Token::Number, rest.find(more).unwrap_or(rest.len()))
        } else if first.is_ascii_alphabetic() || first == '_' || first == '$' {
            let more = |c: char| !c.is_ascii_alphanumeric() && !"_:$".contains(c);
            let length = rest.find(more).unwrap_or(rest.len());
            (Token::Word(rest[..length].to_owned()), length)
        } else {
            let two = ["=~", "!~", "!=", "==", ">=", "<="];
            let length = two.iter().any(|two| rest.starts_with(two));
            let length = if length { 2 } else { first.len_utf8() };
            (Token::Sign(rest[..length].to_owned()), length)
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn is_sign(token: Option<&Token>, sign: &str) -> bool {
    matches!(token, Some(Token::Sign(is)) if is == sign)
}

/// The labels in parentheses, and what follows them.
fn labels(tokens: &[Token]) -> Result<(Vec<String>, &[Token])> {
    let end = tokens.iter().position(|token| is_sign(Some(token), ")"));
    let (inside, rest) = tokens.split_at(end.context("labels without an end")?);
    let words = inside.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.clone()),
        _ => None,
    });
    Ok((words.collect(), &rest[1..]))
}

/// The matchers in braces, and what follows them.
fn matchers(mut tokens: &[Token]) -> Result<(Vec<Matcher>, &[Token])> {
    let mut all = Vec::new();
    loop {
        tokens = match tokens {
            [Token::Sign(end), rest @ ..] if end == "}" => return Ok((all, rest)),
            [Token::Sign(comma), rest @ ..] if comma == "," => rest,
            [
                Token::Word(label),
                Token::Sign(operator),
                Token::Text(value),
                rest @ ..,
            ] => {
                all.push(Matcher {
                    label: label.clone(),
                    operator: operator.clone(),
                    value: value.clone(),
                });
                rest
            }
            other => bail!("not a matcher: {other:?}"),
        };
    }
}

impl Named {
    /// What an expression names.
    pub(crate) fn of(expression: &str) -> Result<Named> {
        let tokens = tokens(expression)?;
        let (mut named, mut rest) = (Named::default(), &*tokens);
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match first {
                Token::Sign(open) if open == "[" => {
                    let end = after.iter().position(|token| is_sign(Some(token), "]"));
                    rest = &after[end.context("a range without an end")?..];
                }
                Token::Word(word) if GROUPINGS.contains(&&**word) => {
                    if is_sign(after.first(), "(") {
                        let (labels, after) = labels(&after[1..])?;
                        named.groupings.extend(labels);
                        rest = after;
                    }
                }
                Token::Word(word) if OPERATORS.contains(&&**word) => {}
                Token::Word(word) => {
                    let function = is_sign(after.first(), "(")
                        || matches!(after.first(), Some(Token::Word(next)) if GROUPINGS.contains(&&**next));
                    let mut found = Vec::new();
                    if is_sign(after.first(), "{") {
                        (found, rest) = matchers(&after[1..])?;
                    }
                    if !function {
                        named.selectors.push(Selector {
                            metric: word.clone(),
                            matchers: found,
                        });
                    }
                }
                Token::Sign(open) if open == "{" => bail!("series of no metric: {expression}"),
                Token::Text(_) | Token::Number | Token::Sign(_) => {}
            }
        }
        Ok(named)
    }

    /// The metrics that are named.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = &str> {
        self.selectors.iter().map(|selector| &*selector.metric)
    }
}

#[cfg(test)]
#[track_caller]
fn check(expression: &str, metrics: &[&str], groupings: &[&str]) {
    let named = Named::of(expression).unwrap();
    assert_eq!(named.metrics().collect::<Vec<_>>(), metrics, "{expression}");
    let found: Vec<&str> = named.groupings.iter().map(String::as_str).collect();
    assert_eq!(found, groupings, "{expression}");
}

#[test]
fn metrics_are_told_from_functions_labels_and_words() {
    check("up == 1", &["up"], &[]);
    check(
        "max by (pod, watch) (a_seconds) > 120",
        &["a_seconds"],
        &["pod", "watch"],
    );
    check(
        "sum(rate(a_total[$__rate_interval])) by (pod)",
        &["a_total"],
        &["pod"],
    );
    check(
        "sum(a offset 1h) > bool 0.5e3 and on (job) b",
        &["a", "b"],
        &["job"],
    );
    check("max_over_time(sum by (x) (a)[15m:1m])", &["a"], &["x"]);
    check("min by (c) (a) - time() < 7 * 86400", &["a"], &["c"]);
    check(
        "a * on (pod) group_left (version) b",
        &["a", "b"],
        &["pod", "version"],
    );
    check(
        "histogram_quantile(0.99, sum by (le) (rate(a_bucket[5m])))",
        &["a_bucket"],
        &["le"],
    );
}

#[test]
fn matchers_have_a_label_an_operator_and_a_value() {
    let named = Named::of("sum(a{x=\"1\", y=~'b|c',}[5m]) / b").unwrap();
    let matcher = |label: &str, operator: &str, value: &str| Matcher {
        label: label.to_owned(),
        operator: operator.to_owned(),
        value: value.to_owned(),
    };
    let expected = Selector {
        metric: "a".to_owned(),
        matchers: vec![matcher("x", "=", "1"), matcher("y", "=~", "b|c")],
    };
    assert_eq!(named.selectors.first(), Some(&expected));
    assert_eq!(named.selectors.len(), 2);
    for wrong in ["a{x=1}", "a{x", "{x=\"1\"}", "a[5m", "sum by (a", "\"a"] {
        assert!(Named::of(wrong).is_err(), "{wrong}");
    }
}
