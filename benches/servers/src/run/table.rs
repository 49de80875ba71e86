//! Figures of several rounds, their medians, and tables of them.

use std::collections::BTreeMap;

/// One server's figures in one round.
pub(super) type Row = BTreeMap<&'static str, f64>;

/// The figures of a workload: all rounds of all servers, in the order of their first round.
#[derive(Debug, Default)]
pub(super) struct Figures {
    rows: Vec<(String, Vec<Row>)>,
}

impl Figures {
    pub(super) fn add(&mut self, server: &str, row: Row) {
        match self.rows.iter_mut().find(|(name, _)| name == server) {
            Some((_, rows)) => rows.push(row),
            None => self.rows.push((server.to_owned(), vec![row])),
        }
    }

    /// The median over the rounds.
    pub(super) fn median(&self, server: &str, figure: &str) -> Option<f64> {
        let (_, rows) = self.rows.iter().find(|(name, _)| name == server)?;
        let mut values: Vec<f64> = rows
            .iter()
            .filter_map(|row| row.get(figure).copied())
            .filter(|value| value.is_finite())
            .collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// A server's median in parts of the floor's.
    pub(super) fn ratio(&self, server: &str, figure: &str) -> Option<f64> {
        let floor = self.median("floor", figure)?;
        (floor > 0.0).then_some(self.median(server, figure)? / floor)
    }

    /// Prints a table: columns are figures and their headings; those in `ratios` also in parts of
    /// the floor's.
    pub(super) fn print(&self, title: &str, columns: &[(&str, &str)], ratios: &[&str]) {
        println!("\n### {title}\n");
        let mut head = vec!["server".to_owned(), "runs".to_owned()];
        head.extend(columns.iter().map(|(_, heading)| (*heading).to_owned()));
        let heading = |figure: &&str| {
            let column = columns.iter().find(|(name, _)| name == figure);
            format!("{} / floor", column.map_or(*figure, |(_, heading)| heading))
        };
        head.extend(ratios.iter().map(heading));
        println!("| {} |", head.join(" | "));
        println!("|{}", "---|".repeat(head.len()));
        for (server, rows) in &self.rows {
            let mut cells = vec![server.clone(), rows.len().to_string()];
            let figures = columns
                .iter()
                .map(|(figure, _)| self.median(server, figure));
            cells.extend(figures.map(show));
            let parts = ratios.iter().map(|figure| self.ratio(server, figure));
            cells.extend(
                parts.map(|part| part.map_or("-".to_owned(), |part| format!("{part:.2}x"))),
            );
            println!("| {} |", cells.join(" | "));
        }
    }
}

/// Three digits that count, and thousands apart.
fn show(value: Option<f64>) -> String {
    let Some(value) = value else {
        return "-".to_owned();
    };
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => {
            let digits = format!("{value:.0}");
            let groups = digits.as_bytes().rchunks(3).rev();
            let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
            groups.join(",")
        }
    }
}
