//! `/metrics`, in the format that its reader takes: OpenMetrics with exemplars for who asks for it,
//! else the text format 0.0.4 of Prometheus, which knows none.

use std::fmt::{self, Write};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;

use crate::process::usage;

const OPENMETRICS: (&str, &str) = (
    "application/openmetrics-text",
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
);
const TEXT: (&str, &str) = ("text/plain", "text/plain; version=0.0.4; charset=utf-8");

/// All metrics, and what the process uses, for a request with these headers.
pub(super) fn answer(registry: &Registry, headers: &HeaderMap) -> impl IntoResponse + use<> {
    let takes_openmetrics = prefers_openmetrics(headers);
    let written = openmetrics(registry).and_then(|all| match takes_openmetrics {
        true => Ok((OPENMETRICS.1, all)),
        false => Ok((TEXT.1, text(&all)?)),
    });
    let (status, kind, body) = match written {
        Ok((kind, body)) => (StatusCode::OK, kind, body),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT.1,
            format!("{error}\n"),
        ),
    };
    (status, [(header::CONTENT_TYPE, kind)], body)
}

fn openmetrics(registry: &Registry) -> Result<String, fmt::Error> {
    let mut all = String::new();
    encode_registry(&mut all, registry)?;
    encode_registry(&mut all, &usage::registry())?;
    encode_eof(&mut all)?;
    Ok(all)
}

/// Whether `Accept` names OpenMetrics, and nothing that it would rather have.
fn prefers_openmetrics(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT).iter();
    let lists = all.filter_map(|value: &HeaderValue| value.to_str().ok());
    let (mut openmetrics, mut text) = (0.0, 0.0);
    for range in lists.flat_map(|list| list.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        // What cannot be read is no wish.
        let weight = weight.map_or(Ok(1.0), str::parse).unwrap_or(0.0);
        let best = match kind {
            _ if kind.eq_ignore_ascii_case(OPENMETRICS.0) => &mut openmetrics,
            _ if kind.eq_ignore_ascii_case(TEXT.0) => &mut text,
            _ => continue,
        };
        *best = f64::max(*best, weight);
    }
    openmetrics > 0.0 && openmetrics >= text
}

/// The same in the text format: counters have the names of their series, there are no units, no
/// exemplars, and no types that it does not know.
fn text(openmetrics: &str) -> Result<String, fmt::Error> {
    let mut all = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, words)| words);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.rsplit_once(' ').unwrap_or((rest, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some(words) = help.take() {
                writeln!(all, "# HELP {name}{suffix} {words}")?;
            }
            writeln!(all, "# TYPE {name}{suffix} {kind}")?;
        } else if !line.starts_with('#') {
            writeln!(all, "{}", without_exemplar(line))?;
        }
    }
    Ok(all)
}

/// A line of a series without its exemplar, which begins with a `#` that is in no label.
fn without_exemplar(line: &str) -> &str {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            b'#' if !is_quoted => return line[..at].trim_end(),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers(accept: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        prefers_openmetrics(&headers)
    }

    #[test]
    fn who_asks_for_openmetrics_gets_it_and_nobody_else() {
        assert!(!prefers_openmetrics(&HeaderMap::new()));
        for accept in [
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; version=1.0.0",
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "text/plain;q=0.2, application/openmetrics-text;q=0.2",
        ] {
            assert!(prefers(accept), "{accept}");
        }
        for accept in [
            "*/*",
            "",
            "text/plain",
            "application/json",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=much",
            "application/openmetrics-text;q=0.1, text/plain;q=0.9",
        ] {
            assert!(!prefers(accept), "{accept}");
        }
    }

    #[test]
    fn the_text_format_has_the_same_series_and_nothing_that_it_does_not_know() {
        let openmetrics = "\
# HELP a_seconds All of it.
# TYPE a_seconds histogram
# UNIT a_seconds seconds
a_seconds_bucket{le=\"1.0\",b=\"x # \\\" {y}\"} 2 # {commit=\"7\"} 0.5 1764590000.5
# HELP b Some.
# TYPE b counter
b_total 1
# TYPE c info
c_info{version=\"1\"} 1
# TYPE d unknown
d 4
# EOF
";
        let expected = "\
# HELP a_seconds All of it.
# TYPE a_seconds histogram
a_seconds_bucket{le=\"1.0\",b=\"x # \\\" {y}\"} 2
# HELP b_total Some.
# TYPE b_total counter
b_total 1
# TYPE c_info gauge
c_info{version=\"1\"} 1
# TYPE d untyped
d 4
";
        assert_eq!(text(openmetrics).unwrap(), expected);
    }
}
