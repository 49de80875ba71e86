//! Text in columns: words are wrapped and never cut, and columns are as wide as their widest cell.

/// How many columns a line has at most.
pub(super) const WIDTH: usize = 120;

/// Adds a text, whose first line begins behind `first` and whose others are indented as far.
pub(in crate::commands) fn wrapped(out: &mut String, first: &str, text: &str) {
    let indent = first.chars().count();
    let room = WIDTH.saturating_sub(indent).max(20);
    let mut line = String::new();
    let mut lines = Vec::new();
    for word in text.split_whitespace() {
        let length = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    for (at, line) in lines.iter().enumerate() {
        match at {
            0 => out.push_str(first),
            _ => out.extend(std::iter::repeat_n(' ', indent)),
        }
        out.push_str(line);
        while out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
    }
}

/// Adds a table, indented by two; of its last column long cells are wrapped.
pub(super) fn table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.saturating_sub(1)).map(width).collect();
    for row in rows {
        let Some((last, cells)) = row.split_last() else {
            continue;
        };
        let mut first = " ".to_owned();
        for (cell, width) in cells.iter().zip(&widths) {
            first.push_str(&format!(" {cell:<width$} "));
        }
        first.push(' ');
        wrapped(out, &first, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped_behind_what_they_begin_with() {
        let mut out = String::new();
        wrapped(&mut out, "  label  ", &"word ".repeat(40));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= WIDTH));
        assert!(lines[1].starts_with("         word"));
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut out = String::new();
        table(&mut out, &[row(&["A", "B"]), row(&["long", "b"])]);
        assert_eq!(out, "  A     B\n  long  b\n");
    }
}
