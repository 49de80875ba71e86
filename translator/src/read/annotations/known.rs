//! Reports annotations in Seaway's name that mean nothing where they are.

use super::super::api as k8s;
use super::super::decode::OURS;
use super::super::report::Report;
use super::field;
use crate::Reason;

/// How many bytes a name that is like a known one may have.
const LONGEST_NAME: usize = 64;

/// Reports annotations in Seaway's name that are none of `known`, those of such objects (in the
/// plural); `elsewhere` says of a name that it is one of other objects.
pub(in super::super) fn unknown(
    meta: &k8s::Metadata,
    (objects, known): (&str, &[&[&'static str]]),
    elsewhere: impl Fn(&str) -> Option<&'static str>,
    report: &mut Report,
) {
    let names = meta.annotations.keys();
    let ours = names.filter(|name| name.starts_with(OURS));
    for name in ours.filter(|name| !is_among(known, name)) {
        // What nobody is told has not to be looked for.
        let near = (!report.is_full()).then(|| nearest(name, known)).flatten();
        let message = match (elsewhere(name), near) {
            (Some(where_it_is), _) => where_it_is.to_owned(),
            (None, Some(near)) => {
                format!("Seaway has no such annotation of {objects}; is it {near}?")
            }
            (None, None) => format!("Seaway has no such annotation of {objects}"),
        };
        report.warning(field(name), Reason::UnknownAnnotation, message);
    }
}

/// Whether an annotation is one of these.
pub(in super::super) fn is_among(known: &[&[&'static str]], name: &str) -> bool {
    known.iter().any(|some| some.contains(&name))
}

/// The known annotation that is written most like this name, if one is at all.
fn nearest(name: &str, known: &[&[&'static str]]) -> Option<&'static str> {
    let name = name.strip_prefix(OURS)?;
    // A name may be as long as all annotations together.
    if name.len() > LONGEST_NAME {
        return None;
    }
    let far = |known: &&str| distance(name, known.strip_prefix(OURS).unwrap_or(known));
    let known = known.iter().copied().flatten().copied().min_by_key(far)?;
    (far(&known) * 2 <= name.len()).then_some(known)
}

/// The one of these words that is written most like a text, if one is at all.
pub(in super::super) fn nearest_word(text: &str, words: &[&'static str]) -> Option<&'static str> {
    if text.len() > LONGEST_NAME {
        return None;
    }
    let far = |word: &&str| distance(text, word);
    let near = words.iter().copied().min_by_key(far)?;
    (far(&near) * 2 <= text.len()).then_some(near)
}

/// How many bytes have to be put in, left out or replaced to make one text of another.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, byte) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (at, wanted) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(byte != wanted);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
