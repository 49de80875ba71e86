//! The table: a row for each figure, a column for each way, and behind a figure in brackets how
//! many times the direct way's it is.

use std::time::Duration;

use crate::load::Round;

/// A table being filled.
#[derive(Debug)]
pub(crate) struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns, of which the first is what the others are compared with.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut head = vec![String::new()];
        head.extend(columns.iter().map(|&column| column.to_owned()));
        let rule = vec!["---".to_owned(); head.len()];
        Self {
            lines: vec![head, rule],
        }
    }

    /// Medians of rounds, and the medians of the ratios in each round: rounds of all columns were
    /// in turn, so that what disturbs one disturbs its neighbour, too.
    pub(crate) fn rounds(
        &mut self,
        name: &str,
        columns: &[Vec<Round>],
        of: impl Fn(&Round) -> f64,
    ) {
        let values: Vec<Vec<f64>> = columns
            .iter()
            .map(|rounds| rounds.iter().map(&of).collect())
            .collect();
        let cells = values.iter().map(|own| {
            let ratios = own.iter().zip(&values[0]).map(|(own, direct)| own / direct);
            (median(own.clone()), median(ratios.collect()))
        });
        self.push(name, cells.collect());
    }

    /// A percentile of what every request of all rounds took, in microseconds.
    pub(crate) fn percentile(&mut self, name: &str, columns: &[Vec<Round>], part: f64) {
        let of = |rounds: &Vec<Round>| {
            let times = rounds.iter().flat_map(|round| round.times.iter().copied());
            percentile(times.collect(), part) * 1e6
        };
        let values: Vec<f64> = columns.iter().map(of).collect();
        let cells = values.iter().map(|own| (*own, own / values[0]));
        self.push(name, cells.collect());
    }

    /// Cells as they are, after the first column, which has nothing to show.
    pub(crate) fn texts(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        let mut line = vec![name.to_owned(), "-".to_owned()];
        line.extend(cells);
        self.lines.push(line);
    }

    fn push(&mut self, name: &str, cells: Vec<(f64, f64)>) {
        let mut line = vec![name.to_owned()];
        for (column, (value, ratio)) in cells.into_iter().enumerate() {
            line.push(match column {
                0 => number(value),
                _ => format!("{} ({ratio:.2})", number(value)),
            });
        }
        self.lines.push(line);
    }

    /// The table as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
        self.lines.iter().map(line).collect()
    }
}

/// The value in the middle; NaN of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Seconds that this part of all took at most; NaN of none.
pub(crate) fn percentile(mut times: Vec<Duration>, part: f64) -> f64 {
    times.sort();
    let last = times.len().saturating_sub(1);
    let index = (times.len() as f64 * part) as usize;
    times
        .get(index.min(last))
        .map_or(f64::NAN, Duration::as_secs_f64)
}

/// A number with three digits or more, and commas between thousands.
pub(crate) fn number(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value if value.is_finite() => grouped(value.round() as u64),
        _ => "-".to_owned(),
    }
}

fn grouped(value: u64) -> String {
    match value {
        0..1000 => value.to_string(),
        _ => format!("{},{:03}", grouped(value / 1000), value % 1000),
    }
}
