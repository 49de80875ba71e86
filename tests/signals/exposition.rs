//! What `/metrics` says, read back.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

/// The labels of one series, with their values.
pub(crate) type Labels = BTreeMap<String, String>;

/// All series, by the names of their metrics.
#[derive(Debug, Default)]
pub(crate) struct Exposition(BTreeMap<String, BTreeSet<Labels>>);

impl Exposition {
    /// Reads the text of an answer.
    pub(crate) fn read(text: &str) -> Result<Exposition> {
        let mut all = Exposition::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            // Without an exemplar: no label here has such a text.
            let line = line.split(" # {").next().unwrap_or(line);
            let (series, value) = line.rsplit_once(' ').context("a line without a value")?;
            value.parse::<f64>().with_context(|| line.to_owned())?;
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').with_context(|| line.to_owned())?;
            let labels = labels_of(labels).with_context(|| line.to_owned())?;
            let added = all.0.entry(name.to_owned()).or_default().insert(labels);
            ensure!(added, "twice: {line}");
        }
        ensure!(text.ends_with("# EOF\n"), "it does not end: {text}");
        Ok(all)
    }

    /// Takes in the series of another process.
    pub(crate) fn merge(&mut self, other: Exposition) {
        for (name, series) in other.0 {
            self.0.entry(name).or_default().extend(series);
        }
    }

    /// The series of a metric; `None` if there is none.
    pub(crate) fn of(&self, metric: &str) -> Option<&BTreeSet<Labels>> {
        self.0.get(metric)
    }

    /// How many series there are.
    pub(crate) fn count(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// How many series each metric has, the most first.
    pub(crate) fn counts(&self) -> Vec<(usize, &str)> {
        let counts = self.0.iter().map(|(name, series)| (series.len(), &**name));
        let mut counts: Vec<_> = counts.collect();
        counts.sort_by_key(|(count, name)| (usize::MAX - count, *name));
        counts
    }

    /// Every series as one line.
    pub(crate) fn series(&self) -> BTreeSet<String> {
        let all = self.0.iter();
        let all = all.flat_map(|(name, all)| all.iter().map(move |one| format!("{name} {one:?}")));
        all.collect()
    }
}

/// `reason="age",kind="a,b"`.
fn labels_of(text: &str) -> Result<Labels> {
    let (mut labels, mut rest) = (Labels::new(), text);
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").context("a label without a value")?;
        let (value, after) = after.split_once('"').context("a value without an end")?;
        ensure!(!value.contains('\\'), "an escaped value: {value}");
        labels.insert(name.trim_start_matches(',').to_owned(), value.to_owned());
        rest = after;
    }
    Ok(labels)
}

#[test]
fn an_answer_is_read_as_it_is() -> Result<()> {
    let text = "# TYPE a gauge\na 1\na{b=\"x,y\",c=\"\"} 2.5\nd_bucket{le=\"+Inf\"} 0 # {commit=\"1\"} 2.0 3.5\n# EOF\n";
    let read = Exposition::read(text)?;
    assert_eq!(read.counts(), [(2, "a"), (1, "d_bucket")]);
    let expected = "a {\"b\": \"x,y\", \"c\": \"\"}";
    assert!(read.series().contains(expected), "{:?}", read.series());
    for wrong in [
        "a 1\n",
        "a{b=\"x\" 1\n# EOF\n",
        "a 1\na 2\n# EOF\n",
        "a b\n# EOF\n",
    ] {
        assert!(Exposition::read(wrong).is_err(), "{wrong}");
    }
    Ok(())
}
