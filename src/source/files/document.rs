//! One file's text, split into its YAML documents before any parser sees it, so that a broken
//! document cannot harm its neighbours.
//!
//! Splitting by lines is exact: YAML forbids a line that begins with `---` or `...` (alone or
//! before white space) anywhere inside a document, block and quoted scalars included.

/// One YAML document of a file, which may hold one object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// Position among the documents of the file that hold anything, from 1.
    pub(super) number: usize,
    /// The line of the file its text begins on, from 1.
    pub(super) line: usize,
    /// The text, without the marker in front.
    pub(super) text: &'a str,
}

/// The documents of a file that hold more than comments.
pub(super) fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut start_line) = (0, 1);
    let mut offset = 0;
    let mut line_number = 0;
    for line in text.split_inclusive('\n') {
        line_number += 1;
        if is_marker(line, "---") || is_marker(line, "...") {
            push(&mut documents, start_line, &text[start..offset]);
            // What follows the marker on its line belongs to the document that begins there.
            (start, start_line) = (offset + line.len() - unmarked(line).len() + 3, line_number);
        }
        offset += line.len();
    }
    push(&mut documents, start_line, &text[start..]);
    documents
}

/// The line without a byte order mark: files that were concatenated have them at the start of
/// documents.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn is_marker(line: &str, marker: &str) -> bool {
    unmarked(line)
        .strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn push<'a>(documents: &mut Vec<Document<'a>>, mut line: usize, mut text: &'a str) {
    if text.lines().all(is_blank) {
        return;
    }
    // Begin where the content does, so that what is said about the whole document names a line that
    // people look for.
    while let Some((first, rest)) = text.split_once('\n')
        && is_blank(first)
        && !first.starts_with('%')
    {
        (line, text) = (line + 1, rest);
    }
    let number = documents.len() + 1;
    documents.push(Document {
        number,
        line,
        text: unmarked(text),
    });
}

/// Whether a line holds no part of an object: a comment, a directive (`%YAML 1.2`), an empty line.
fn is_blank(line: &str) -> bool {
    let line = unmarked(line).trim();
    line.is_empty() || line.starts_with('#') || line.starts_with('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, usize, &str)]) {
        let found = split(text);
        let found: Vec<_> = found
            .iter()
            .map(|d| (d.number, d.line, d.text.trim()))
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn documents_are_numbered_by_what_they_hold() {
        check("", &[]);
        check("a: 1", &[(1, 1, "a: 1")]);
        check("---\na: 1\n---\nb: 2\n", &[(1, 2, "a: 1"), (2, 4, "b: 2")]);
        check(
            "# licence\n---\n---\na: 1\n---\n# nothing\n",
            &[(1, 4, "a: 1")],
        );
        check(
            "%YAML 1.2\n---\na: 1\n...\n---\nb: 2",
            &[(1, 3, "a: 1"), (2, 6, "b: 2")],
        );
        check(
            "--- {a: 1}\n--- # comment\nb: 2",
            &[(1, 1, "{a: 1}"), (2, 3, "b: 2")],
        );
        check(
            "\u{feff}a: 1\r\n---\r\nb: 2\r\n",
            &[(1, 1, "a: 1"), (2, 3, "b: 2")],
        );
        check(
            "a: 1\n\u{feff}---\nb: 2\n---\n\u{feff}# c\nc: 3\n---\n\u{feff}d: 4\n",
            &[
                (1, 1, "a: 1"),
                (2, 3, "b: 2"),
                (3, 6, "c: 3"),
                (4, 8, "d: 4"),
            ],
        );
    }

    #[test]
    fn only_a_whole_marker_at_the_line_start_splits() {
        check(
            "a: |\n  ---\n  x\nb: ---",
            &[(1, 1, "a: |\n  ---\n  x\nb: ---")],
        );
        check("----\n", &[(1, 1, "----")]);
    }
}
