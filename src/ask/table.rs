//! Text for people within the width of a terminal: tables, and words that are wrapped.

/// The widest line.
const WIDTH: usize = 120;
/// The columns between two columns.
const GAP: usize = 2;

/// A table: its head, and rows with as many cells.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    head: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    pub(crate) fn new(head: [&'static str; N]) -> Table<N> {
        Table {
            head,
            rows: Vec::new(),
        }
    }

    /// Adds a row. An empty cell is shown as `-`.
    pub(crate) fn push(&mut self, row: [String; N]) {
        let clean = |cell: String| match cell.trim() {
            "" => "-".to_owned(),
            _ => one_line(&cell),
        };
        self.rows.push(row.map(clean));
    }

    /// The lines. The last column, and then the longest others, are cut so that lines have at most
    /// 120 columns, unless the table is to be `wide`.
    pub(crate) fn text(&self, wide: bool) -> String {
        let widths = self.widths(wide);
        let head = self.head.map(str::to_owned);
        let rows = std::iter::once(&head).chain(&self.rows);
        rows.map(|row| line(row, &widths)).collect()
    }

    /// Adds the lines, indented by two. Nothing is cut: long cells of the last column are wrapped.
    pub(crate) fn wrap_into(&self, out: &mut String) {
        let widths = self.widths(true);
        let head = self.head.map(str::to_owned);
        for row in std::iter::once(&head).chain(&self.rows) {
            let Some((last, cells)) = row.split_last() else {
                continue;
            };
            let mut first = "  ".to_owned();
            for (cell, width) in cells.iter().zip(&widths) {
                first.push_str(&format!("{cell:<width$}  "));
            }
            wrapped(out, &first, last);
        }
    }

    fn widths(&self, wide: bool) -> [usize; N] {
        let mut widths = self.head.map(str::len);
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        while !wide && widths.iter().sum::<usize>() + GAP * (N - 1) > WIDTH {
            let over = widths.iter().sum::<usize>() + GAP * (N - 1) - WIDTH;
            let longest = widths.iter().copied().max().unwrap_or_default();
            let at = widths.iter().rposition(|width| *width == longest);
            let second = widths.iter().copied().filter(|width| *width < longest);
            let second = second.max().unwrap_or_default();
            let Some(width) = at.and_then(|at| widths.get_mut(at)) else {
                break;
            };
            *width = longest.saturating_sub(over).max(second.min(longest - 1));
        }
        widths
    }
}

/// Adds a text, whose first line begins behind `first` and whose others are indented as far.
pub(crate) fn wrapped(out: &mut String, first: &str, text: &str) {
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

/// A text as one line, whatever an object or a proxy says.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A line of which the spaces stay, without what would end it or steer a terminal.
pub(crate) fn plain(line: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    line.chars().map(clean).collect()
}

/// [`one_line`] of a text of which no more than the first so many characters are shown.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let mut text = one_line(text);
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
        text.push('…');
    }
    text
}

fn line<const N: usize>(row: &[String; N], widths: &[usize; N]) -> String {
    let mut line = String::new();
    for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
        if at > 0 {
            line.push_str("  ");
        }
        let length = cell.chars().count();
        if length > *width {
            line.extend(cell.chars().take(width.saturating_sub(1)));
            line.push('…');
        } else {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - length));
        }
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// A number with its thousands apart: `10,002`.
pub(crate) fn grouped(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number with what it counts: `1 Service`, `10,002 Services`.
pub(crate) fn counted(number: impl TryInto<u64>, one: &str, many: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {one}"),
        number => format!("{} {many}", grouped(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let mut table = Table::new(["A", "LONG"]);
        table.push(["web".to_owned(), String::new()]);
        table.push(["b".to_owned(), "two\nlines".to_owned()]);
        assert_eq!(table.text(false), "A    LONG\nweb  -\nb    two lines\n");
    }

    #[test]
    fn lines_fit_a_terminal_unless_they_are_to_be_wide() {
        let mut table = Table::new(["A", "B", "C"]);
        table.push(["a".repeat(100), "b".repeat(300), "short".to_owned()]);
        for line in table.text(false).lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert!(line.contains("short") || line.contains('C'), "{line}");
        }
        assert!(table.text(true).contains(&"b".repeat(300)));
    }

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
    fn nothing_of_a_table_is_cut_where_its_last_column_is_wrapped() {
        let mut table = Table::new(["A", "B"]);
        table.push(["long".to_owned(), "b".to_owned()]);
        let mut out = String::new();
        table.wrap_into(&mut out);
        assert_eq!(out, "  A     B\n  long  b\n");
        table.push(["a".repeat(100), "word ".repeat(40)]);
        let mut out = String::new();
        table.wrap_into(&mut out);
        assert!(out.contains(&"a".repeat(100)));
        assert_eq!(out.matches("word").count(), 40);
    }

    #[test]
    fn a_text_is_one_line_without_control_characters_and_not_too_long() {
        assert_eq!(one_line(" a\n\x1b[1mb "), "a [1mb");
        assert_eq!(plain("a   b\n\x1b[1mc"), "a   b  [1mc");
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äöü…");
    }

    #[test]
    fn thousands_are_apart() {
        let all = [0, 999, 1000, 10_002, 1_234_567].map(|number: u32| grouped(number));
        assert_eq!(all, ["0", "999", "1,000", "10,002", "1,234,567"]);
    }
}
