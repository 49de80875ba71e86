//! Reads what annotations say of mTLS: of a Namespace whether it is asked for, and of a Service
//! which ServiceAccounts its pods have.

use std::sync::Arc;

use super::super::api as k8s;
use super::super::report::Report;
use super::super::value;
use super::{field, known};
use crate::Reason;
use crate::model::{ACCOUNTS_ANNOTATION, MTLS_ANNOTATION, Mtls};
use crate::names::is_subdomain;

/// How many ServiceAccounts of a Service are read. Each is a matcher of its clusters.
pub(in super::super) const MOST: usize = 32;
/// How many bytes of a bad value are shown.
const SHOWN: usize = 64;

/// What a Namespace asks for. A value that cannot be read is as if it was not there, which is an
/// error: connections that were to be encrypted are not.
pub(in super::super) fn mode(meta: &k8s::Metadata, report: &mut Report) -> Option<Mtls> {
    let text = value::annotation(meta, MTLS_ANNOTATION)?;
    let modes = [Mtls::Strict, Mtls::Permissive];
    let found = modes.into_iter().find(|mode| mode.as_str() == text);
    if found.is_none() {
        let words = modes.map(Mtls::as_str);
        let lower = text.trim().to_ascii_lowercase();
        let near = known::nearest_word(&lower, &words);
        let near = near.map_or(".".to_owned(), |near| format!("; is it \"{near}\"?"));
        let text = shown(text);
        let message = format!(
            "{text:?} is neither \"strict\" nor \"permissive\"{near} Connections to this Namespace are not mTLS"
        );
        report.error(field(MTLS_ANNOTATION), Reason::InvalidValue, message);
    }
    found
}

/// The ServiceAccounts of the pods of a Service; `None`: any of its namespace. A name that is none
/// is left out, so that a list without a good one is of nobody: it is never wider than what is
/// written.
pub(in super::super) fn accounts(
    meta: &k8s::Metadata,
    report: &mut Report,
) -> Option<Box<[Arc<str>]>> {
    let text = value::annotation(meta, ACCOUNTS_ANNOTATION)?;
    let mut accounts: Vec<Arc<str>> = Vec::new();
    for name in text.split(',').map(str::trim) {
        if !is_subdomain(name) {
            let lower = name.to_ascii_lowercase().replace('_', "-");
            let near = is_subdomain(&lower).then(|| format!("; is it \"{lower}\"?"));
            let name = shown(name);
            let message = format!(
                "{name:?} is no name of a ServiceAccount{}",
                near.unwrap_or_default()
            );
            report.error(field(ACCOUNTS_ANNOTATION), Reason::InvalidValue, message);
        } else if accounts.len() == MOST {
            let message = format!("only the first {MOST} ServiceAccounts count");
            report.error(field(ACCOUNTS_ANNOTATION), Reason::TooLarge, message);
            break;
        } else if !accounts.iter().any(|known| **known == *name) {
            accounts.push(name.into());
        }
    }
    accounts.sort();
    Some(accounts.into())
}

/// The beginning of a value.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Object, Problem, read};

    fn namespace(value: &str) -> (Option<Mtls>, Vec<Problem>) {
        let object = json!({"metadata": {"name": "shop", "annotations": {MTLS_ANNOTATION: value}}});
        match read::namespace(&serde_json::from_value(object).unwrap()).unwrap() {
            Object::Namespace(one) => (one.mtls, one.problems.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    fn service(value: &str) -> (Vec<String>, Vec<Problem>) {
        let object = json!({
            "metadata": {"namespace": "shop", "name": "web", "annotations": {ACCOUNTS_ANNOTATION: value}},
        });
        match read::service(&serde_json::from_value(object).unwrap()).unwrap() {
            Object::Service(one) => (
                one.accounts
                    .iter()
                    .flatten()
                    .map(ToString::to_string)
                    .collect(),
                one.problems
                    .iter()
                    .filter(|problem| problem.field == field(ACCOUNTS_ANNOTATION))
                    .cloned()
                    .collect(),
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bad_mode_is_an_error_that_names_the_nearest_right_one() {
        assert_eq!(namespace("strict"), (Some(Mtls::Strict), vec![]));
        assert_eq!(namespace("permissive"), (Some(Mtls::Permissive), vec![]));
        for (bad, near) in [
            ("Strict", Some("strict")),
            (" strict ", Some("strict")),
            ("stric", Some("strict")),
            ("permisive", Some("permissive")),
            ("PERMISSIVE", Some("permissive")),
            ("", None),
            ("true", None),
            (&"strict".repeat(10_000), None),
            ("strict\u{0}\n", Some("strict")),
        ] {
            let (mode, problems) = namespace(bad);
            assert_eq!((mode, problems.len()), (None, 1), "{bad}");
            assert_eq!(problems[0].object.to_string(), "Namespace shop");
            let problem = &problems[0].message;
            assert!(problem.len() < 400, "{problem}");
            let ends = |text: &str| text.ends_with("? Connections to this Namespace are not mTLS");
            let is_plain = problem.ends_with(". Connections to this Namespace are not mTLS");
            assert!(is_plain || ends(problem), "{problem}");
            let asks = problem.contains("is it \"");
            assert_eq!(asks, near.is_some(), "{problem}");
            let near = near.unwrap_or_default();
            assert!(problem.contains(&format!("is it \"{near}\"")) || !asks);
        }
    }

    #[test]
    fn accounts_are_never_wider_than_what_is_written() {
        assert_eq!(service("web, api,web").0, ["api", "web"]);
        let (accounts, problems) = service("web, Api, a_b, spiffe://x/ns/a, *, ../b,");
        assert_eq!(accounts, ["web"]);
        assert_eq!(problems.len(), 6);
        let texts: Vec<String> = problems.iter().map(|p| p.message.clone()).collect();
        assert!(
            texts.iter().any(|text| text.contains("is it \"api\"?")),
            "{texts:?}"
        );
        let subjects = problems.iter().map(|p| p.object.to_string());
        assert!(
            subjects
                .into_iter()
                .all(|subject| subject == "Service shop/web")
        );
        assert_eq!(service("*").0, Vec::<String>::new());
        let (accounts, problems) = service(&(0..100).map(|n| format!("a{n},")).collect::<String>());
        assert_eq!((accounts.len(), problems.len()), (MOST, 1));
    }
}
