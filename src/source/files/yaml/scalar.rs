//! Resolves YAML scalars: the numbers, booleans and nulls of YAML 1.1 that `kubectl` knows.

use std::borrow::Cow;

use granit_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

/// The JSON value of a YAML scalar.
///
/// # Errors
///
/// Its tag asks for a type that it is not of.
pub(super) fn read(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Value, String> {
    let found = match tag.map(Tag::core_suffix) {
        None if style == ScalarStyle::Plain => plain(&text),
        Some(Some(kind @ ("int" | "float" | "bool" | "null"))) => {
            let value = plain(&text).filter(|value| is_of(value, kind));
            Some(value.ok_or_else(|| format!("{text:?} is no !!{kind}"))?)
        }
        _ => None,
    };
    Ok(found.unwrap_or_else(|| Value::String(text.into_owned())))
}

fn is_of(value: &Value, kind: &str) -> bool {
    match (value, kind) {
        (Value::Null, "null") | (Value::Bool(_), "bool") | (Value::Number(_), "float") => true,
        (Value::Number(number), "int") => !number.is_f64(),
        _ => false,
    }
}

/// The value of an unquoted scalar, if it is not a text.
fn plain(text: &str) -> Option<Value> {
    match text.bytes().next() {
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => number(text).map(Value::Number),
        _ => word(text),
    }
}

fn word(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Value::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Value::Bool(false))
        }
        _ => None,
    }
}

/// The number a scalar stands for. Infinity and NaN have no place in JSON: they stay texts.
fn number(text: &str) -> Option<Number> {
    if text.starts_with("._") {
        return None;
    }
    let digits = if text.contains('_') {
        Cow::Owned(text.replace('_', ""))
    } else {
        Cow::Borrowed(text)
    };
    integer(&digits).or_else(|| float(&digits))
}

fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // `from_str_radix` alone would take a sign.
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(size).map(Number::from);
    }
    Some(size.into())
}

fn float(text: &str) -> Option<Number> {
    let decimal = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    if !text.bytes().all(decimal) {
        return None;
    }
    text.parse().ok().and_then(Number::from_f64)
}
