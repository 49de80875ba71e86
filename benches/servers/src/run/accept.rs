//! What a build is held against.

use std::fmt::{self, Display, Formatter};

use super::table::Figures;

/// One condition and how it came out.
#[derive(Debug)]
pub(super) struct Verdict {
    what: String,
    value: Option<f64>,
    limit: f64,
    at_least: bool,
    unit: &'static str,
}

impl Verdict {
    /// A server's figure in parts of the floor's is at most `limit`.
    pub(super) fn ratio(
        figures: &Figures,
        server: &str,
        figure: &str,
        limit: f64,
        what: &str,
    ) -> Verdict {
        Verdict::new(
            server,
            what,
            figures.ratio(server, figure),
            limit,
            " x floor",
        )
    }

    /// A server's figure itself is at most `limit`.
    pub(super) fn figure(
        figures: &Figures,
        server: &str,
        figure: &str,
        limit: f64,
        what: &str,
        unit: &'static str,
    ) -> Verdict {
        Verdict::new(server, what, figures.median(server, figure), limit, unit)
    }

    fn new(
        server: &str,
        what: &str,
        value: Option<f64>,
        limit: f64,
        unit: &'static str,
    ) -> Verdict {
        Verdict {
            what: format!("{what} ({server})"),
            value,
            limit,
            at_least: false,
            unit,
        }
    }

    /// The limit is a lower one.
    pub(super) fn at_least(mut self) -> Verdict {
        self.at_least = true;
        self
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (sign, unit) = (if self.at_least { "≥" } else { "≤" }, self.unit);
        let Some(value) = self.value else {
            return write!(f, "not measured: {}", self.what);
        };
        let met = match self.at_least {
            true => value >= self.limit,
            false => value <= self.limit,
        };
        let word = if met { "met" } else { "NOT MET" };
        write!(
            f,
            "{word}: {} {value:.2}{unit}, {sign} {}{unit}",
            self.what, self.limit
        )
    }
}
