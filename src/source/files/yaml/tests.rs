//! Values beside what `kubectl` makes of them (`kubectl label --local -o json`, 1.32).

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[track_caller]
fn check(text: &str, expected: &Value) {
    let read = read(text, &mut Allowance::of(0)).map(|(value, _)| value);
    assert_eq!(read.unwrap(), *expected, "{text}");
}

#[test]
fn scalars_mean_what_they_mean_to_kubectl() {
    for (text, expected) in [
        (
            "[0120, 0x50, 0X5F, 8_080, 0o120, 0O17, 0b101, -0b11]",
            json!([80, 80, 95, 8080, 80, 15, 5, -3]),
        ),
        (
            "[+80, -80, 00, 0, -0, 0_, 1_, 1__0, 0x_5_0]",
            json!([80, -80, 0, 0, 0, 0, 1, 10, 80]),
        ),
        (
            "[80.0, 08080, 0_8, 1e2, 12e4, .5, 5., 0.8_0, +.5, -.5e1, 017.5]",
            json!([
                80.0, 8080.0, 8.0, 100.0, 120000.0, 0.5, 5.0, 0.8, 0.5, -5.0, 17.5
            ]),
        ),
        (
            "[\"80\", '080', 1:30, 0x, 0b12, 0o8, _1, ._5, 1e400, 1.2.3, +, =]",
            json!([
                "80", "080", "1:30", "0x", "0b12", "0o8", "_1", "._5", "1e400", "1.2.3", "+", "="
            ]),
        ),
        (
            "[2001-12-14, 2001-12-14t21:59:43.10-05:00, 0x1p4]",
            json!(["2001-12-14", "2001-12-14t21:59:43.10-05:00", "0x1p4"]),
        ),
        (
            "[yes, Yes, yEs, no, y, n, on, off, TRUE, 'yes']",
            json!([
                true, true, "yEs", false, true, false, true, false, true, "yes"
            ]),
        ),
        (
            "[~, null, Null, NULL, nUll, '', \"~\"]",
            json!([null, null, null, null, "nUll", "", "~"]),
        ),
        (
            "[9223372036854775807, -9223372036854775808, 18446744073709551615]",
            json!([i64::MAX, i64::MIN, u64::MAX]),
        ),
        ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
        (
            "[!!str 80, !!int \"80\", !!float 80, !foo 80, ! 80, !!str ]",
            json!(["80", 80, 80, "80", "80", ""]),
        ),
        ("[.inf, -.INF, .nan]", json!([".inf", "-.INF", ".nan"])),
        ("{1.0: a, 1.5: b}", json!({"1": "a", "1.5": "b"})),
        (
            "{on: 1, 80: 2, 0x10: a, 2001-12-14: d}",
            json!({"true": 1, "80": 2, "16": "a", "2001-12-14": "d"}),
        ),
        (
            "a:\nb: |\n  80\nc: >-\n  yes\n",
            json!({"a": null, "b": "80\n", "c": "yes"}),
        ),
        ("", json!(null)),
    ] {
        check(text, &expected);
    }
}

#[test]
fn merges_and_fields_count_in_their_order() {
    for (text, expected) in [
        (
            "{b: &b {a: 1, c: 2}, data: {a: 9, <<: *b}}",
            json!({"a": 1, "c": 2}),
        ),
        (
            "{b: &b {a: 1, c: 2}, data: {<<: *b, a: 9}}",
            json!({"a": 9, "c": 2}),
        ),
        (
            "{b: &b {a: 1, c: 2}, d: &d {a: 3, e: 4}, data: {<<: [*b, *d], z: 9}}",
            json!({"a": 1, "c": 2, "e": 4, "z": 9}),
        ),
        (
            "{b: &b {a: 1, c: 2}, d: &d {a: 3, e: 4}, data: {<<: *b, <<: *d}}",
            json!({"a": 3, "c": 2, "e": 4}),
        ),
        ("{data: {<<: {q: 1}, z: 9}}", json!({"q": 1, "z": 9})),
        ("{data: {\"<<\": {q: 1}}}", json!({"<<": {"q": 1}})),
        ("{k: &k name, data: {*k : 1}}", json!({"name": 1})),
        ("{a: &x 1, b: &x 2, data: *x}", json!(2)),
    ] {
        let value = read(text, &mut Allowance::of(0)).unwrap().0;
        assert_eq!(value["data"], expected, "{text}");
    }
}

#[test]
fn what_means_nothing_to_kubectl_is_refused() {
    for text in [
        "{~: 1}",
        "{<<: 5}",
        "{<<: [5]}",
        "{? [a, b] : c}",
        "{? {a: b} : c}",
        "{x: &x [1], *x : 1}",
        "a: &a [*a]",
        "[!!int x]",
        "[!!null x]",
        "[!!bool 1]",
        "[!!int 80.5]",
        "a: b: c",
        "a: [1",
        "*nobody",
    ] {
        assert!(read(text, &mut Allowance::of(0)).is_err(), "{text}");
    }
}

#[test]
fn remarks_name_what_can_be_read_in_two_ways() {
    let remarks = |text: &str| {
        let (_, remarks) = read(text, &mut Allowance::of(0)).unwrap();
        remarks
            .into_iter()
            .map(|r| (r.line, r.message))
            .collect::<Vec<_>>()
    };
    assert_eq!(remarks("a: &a {x: 1}\nb: {<<: *a, x: 2}\n"), []);
    let twice = remarks("a: 1\nb: 2\na:\n  c: 3\n");
    assert!(
        matches!(&twice[..], [(3, message)] if message.contains("\"a\"")),
        "{twice:?}"
    );
    let behind = remarks("a: &a {x: 1}\nb:\n  x: 2\n  <<: *a\n");
    assert!(
        matches!(&behind[..], [(4, message)] if message.contains("\"x\"")),
        "{behind:?}"
    );
    let many = remarks(&"a: 1\n".repeat(1000));
    assert_eq!(many.len(), MAX_REMARKS);
}

proptest! {
    #[test]
    fn no_text_is_a_surprise(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let text: String = pieces.concat();
        let mut allowance = Allowance(100_000);
        if let Err(remark) = read(&text, &mut allowance) {
            prop_assert!(!remark.message.is_empty());
            prop_assert!(remark.line <= text.lines().count() + 1, "{remark:?}");
        }
    }
}

/// What texts are made of that are almost YAML.
const PIECES: &[&str] = &[
    "a",
    "b: ",
    "&x ",
    "*x",
    "*y",
    "<<: ",
    "- ",
    "? ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "\n",
    "  ",
    "\t",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "#",
    "!!int ",
    "!t ",
    "! ",
    "%",
    "---",
    "...",
    "0x",
    "-",
    "_",
    "1e9",
    "~",
    "\u{feff}",
    "\u{0}",
    "é",
    "\r\n",
    "null",
    "0b",
    "9223372036854775808",
];
