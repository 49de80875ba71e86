//! Names: which ones Kubernetes allows, and the resource names made of them (public API, see the table in DESIGN).

/// Whether this is an RFC 1123 label: at most 63 lower-case letters, digits and dashes, no dash at either end. It may begin with a
/// digit (Service rule 14).
pub(crate) fn is_label(text: &str) -> bool {
    let dash = |byte: Option<&u8>| byte == Some(&b'-');
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= 63
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && !dash(bytes.first())
        && !dash(bytes.last())
}

/// Whether this is an RFC 1123 subdomain: labels joined by dots, at most 253 bytes.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}
