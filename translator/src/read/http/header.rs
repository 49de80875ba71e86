//! Checks names and values of headers (Gateway rules 57 and 68).

/// How many bytes a name may have.
const LONGEST_NAME: usize = 256;
/// How many bytes a value may have.
pub(in super::super) const LONGEST_VALUE: usize = 4_096;

/// What is wrong with the name of a header or of a query parameter, if anything.
pub(in super::super) fn name_fault(name: &str) -> Option<String> {
    if name.len() > LONGEST_NAME {
        return Some(format!(
            "it has {} bytes, more than {LONGEST_NAME}",
            name.len()
        ));
    }
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let is_name = !name.is_empty() && name.bytes().all(is_token);
    (!is_name).then(|| format!("{name:?} is not a name of a header"))
}

/// The headers that say where a message ends, and those of a connection. Whoever may set one could
/// have a backend take the rest of a body for the next request, which may be anybody's: connections
/// to backends are shared.
const OF_CONNECTION: [&str; 10] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// What is wrong with the name of a header that is to be changed, if anything.
pub(in super::super) fn changed_name_fault(name: &str) -> Option<String> {
    let is = |other: &&str| name.eq_ignore_ascii_case(other);
    if is(&"host") || name.starts_with(':') || OF_CONNECTION.iter().any(is) {
        return Some(format!("{name:?} must not be changed as a header"));
    }
    name_fault(name)
}

/// What is wrong with the value of a header, if anything.
pub(in super::super) fn value_fault(value: &str) -> Option<String> {
    if value.len() > LONGEST_VALUE {
        let length = value.len();
        return Some(format!("it has {length} bytes, more than {LONGEST_VALUE}"));
    }
    let bad = value.contains(['\r', '\n', '\0']);
    bad.then(|| format!("{value:?} has a line break or NUL in it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens() {
        for good in ["x", "X-A", "x_a", "%", "a.b", "Host"] {
            assert_eq!(name_fault(good), None);
        }
        for bad in [
            "",
            " ",
            "a b",
            "a:",
            ":path",
            "ä",
            "a\n",
            "a\0",
            &"a".repeat(257),
        ] {
            assert!(name_fault(bad).is_some(), "{bad}");
        }
        let framing = [
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "TE",
            "upgrade",
        ];
        for bad in ["host", "HOST", ":path", ":authority", ""]
            .into_iter()
            .chain(framing)
        {
            assert!(changed_name_fault(bad).is_some(), "{bad}");
        }
        assert_eq!(changed_name_fault("x-host"), None);
    }

    #[test]
    fn values_have_no_line_breaks() {
        for good in ["", "100%", "%CEL(1)%", "a b", "ä", "\t"] {
            assert_eq!(value_fault(good), None);
        }
        for bad in ["a\r\nb: c", "\n", "\0", &"a".repeat(4_097)] {
            assert!(value_fault(bad).is_some(), "{bad}");
        }
    }
}
