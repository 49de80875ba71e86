//! The same words in other encodings and forms.

use super::*;

#[test]
fn text_comes_in_any_dress() {
    let text = web("", "[{port: 80}]");
    let objects = vec!["Service default/web".to_owned()];
    let utf16 = |from: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(from).collect()
    };
    for (name, bytes) in [
        ("Windows", text.replace('\n', "\r\n").into_bytes()),
        ("mark", format!("\u{feff}{text}").into_bytes()),
        (
            "mark before a marker",
            format!("\u{feff}---\n{text}").into_bytes(),
        ),
        (
            "mark of a file behind another",
            format!("# first\n---\n\u{feff}{text}").into_bytes(),
        ),
        ("little UTF-16", utf16(u16::to_le_bytes)),
        ("big UTF-16", utf16(u16::to_be_bytes)),
        ("an end", format!("---\n{text}...\n").into_bytes()),
        (
            "tabs behind values",
            text.replace(":\n", ":\t\n")
                .replace("v1\n", "v1\t# x\n")
                .into_bytes(),
        ),
    ] {
        assert_eq!(
            said_of("a.yaml", &bytes),
            (objects.clone(), vec![]),
            "{name}"
        );
    }
    let (_, problems) = said("apiVersion: v1\nkind: Service\nmetadata:\n\tname: a\n");
    assert!(problems[0].contains("tab"), "{problems:?}");
}

#[test]
fn json_needs_no_file_of_its_own() {
    let one = |name: &str| {
        format!(
            "{{\n\t\"apiVersion\": \"v1\", \"kind\": \"Service\",\n\t\"metadata\": {{\"name\": \"{name}\"}}\n}}\n"
        )
    };
    gives(
        &format!("{}{}", one("a"), one("b")),
        &["Service default/a", "Service default/b"],
    );
    gives(
        &format!("{}---\n{}", one("a"), one("b")),
        &["Service default/a", "Service default/b"],
    );
    gives(
        "{apiVersion: v1, kind: Service, metadata: {name: a}}",
        &["Service default/a"],
    );
}
