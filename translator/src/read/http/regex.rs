//! Checks regular expressions: Envoy compiles them with RE2, byte by byte, and refuses a whole
//! route table for one that RE2 does not take (Gateway rules 66 and 96).
//!
//! `regex-syntax` parses them, whose language is close to RE2's. What only one of the two knows is
//! refused, and so is what the two read differently. The compiled size is bounded by [`SIZE`],
//! counted in characters with every repetition written out. By default Envoy refuses more than 100
//! instructions, so whoever makes a matcher of an expression has to set its own bound
//! (`google_re2.max_program_size`) to more.

use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{
    AssertionKind, Ast, ClassSet, ClassSetItem, Flag, Flags, FlagsItemKind, GroupKind,
    HexLiteralKind, Literal, LiteralKind, RepetitionKind, RepetitionRange,
};

/// The largest compiled size, about in instructions.
const SIZE: u64 = 4_000;
/// RE2 takes no repetition of more, and no more of nested ones together.
const REPETITIONS: u64 = 1_000;
/// How many groups and the like may be in one another.
const DEPTH: u32 = 50;

/// What is wrong with a regular expression, if anything.
pub(in super::super) fn fault(pattern: &str, longest: usize) -> Option<String> {
    if pattern.is_empty() {
        return Some("a regular expression must not be empty".to_owned());
    }
    if pattern.len() > longest {
        let length = pattern.len();
        return Some(format!("it has {length} bytes, more than {longest}"));
    }
    if !pattern.is_ascii() || pattern.contains('\0') {
        return Some(format!("{pattern:?} has a character that is not ASCII"));
    }
    let parsed = ParserBuilder::new()
        .nest_limit(DEPTH)
        .build()
        .parse(pattern);
    let ast = match parsed {
        Ok(ast) => ast,
        Err(error) => {
            let (kind, at) = (error.kind(), error.span().start.offset);
            return Some(format!(
                "{pattern:?} is not a regular expression: {kind}, at {at}"
            ));
        }
    };
    match measure(&ast, 1) {
        Ok(size) if size <= SIZE => None,
        Ok(_) => Some(format!("{pattern:?} is too large once it is compiled")),
        Err(why) => Some(format!(
            "{pattern:?} is not a regular expression of RE2: {why}"
        )),
    }
}

/// The compiled size of an expression inside so many repetitions, or what RE2 does not know of it.
fn measure(ast: &Ast, outer: u64) -> Result<u64, &'static str> {
    match ast {
        Ast::Empty(_) | Ast::Dot(_) | Ast::ClassPerl(_) => Ok(4),
        Ast::Flags(set) => flags(&set.flags).map(|()| 1),
        Ast::Literal(one) => literal(one).map(|()| 1),
        Ast::Assertion(assertion) => match assertion.kind {
            AssertionKind::StartLine
            | AssertionKind::EndLine
            | AssertionKind::StartText
            | AssertionKind::EndText
            | AssertionKind::WordBoundary
            | AssertionKind::NotWordBoundary => Ok(1),
            _ => Err("an assertion that it does not know"),
        },
        Ast::ClassUnicode(_) => Err(UNICODE),
        Ast::ClassBracketed(class) => match &class.kind {
            ClassSet::Item(item) => set_item(item, true),
            ClassSet::BinaryOp(_) => Err("an operation with classes"),
        },
        Ast::Repetition(repetition) => {
            if matches!(*repetition.ast, Ast::Repetition(_) | Ast::Flags(_)) {
                return Err("a repetition of a repetition");
            }
            let times = times(&repetition.op.kind);
            let nested = outer * times;
            if nested > REPETITIONS {
                return Err("a part is repeated more than 1000 times");
            }
            // An optional part takes an instruction more.
            Ok(times.saturating_mul(measure(&repetition.ast, nested)? + 1) + 1)
        }
        Ast::Group(group) => {
            if let GroupKind::NonCapturing(set) = &group.kind {
                flags(set)?;
            }
            Ok(measure(&group.ast, outer)? + 2)
        }
        Ast::Alternation(parts) => sum(&parts.asts, outer),
        Ast::Concat(parts) => sum(&parts.asts, outer),
    }
}

const UNICODE: &str = "a class of Unicode (what is compared are bytes)";

fn sum(parts: &[Ast], outer: u64) -> Result<u64, &'static str> {
    parts.iter().try_fold(0u64, |sum, part| {
        Ok(sum.saturating_add(measure(part, outer)? + 1))
    })
}

/// How often a part is written out, at least once.
fn times(kind: &RepetitionKind) -> u64 {
    let most = match kind {
        RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => 1,
        RepetitionKind::Range(RepetitionRange::Exactly(n) | RepetitionRange::AtLeast(n)) => *n,
        RepetitionKind::Range(RepetitionRange::Bounded(_, most)) => *most,
    };
    u64::from(most).max(1)
}

fn flags(flags: &Flags) -> Result<(), &'static str> {
    let known = flags.items.iter().all(|item| match item.kind {
        FlagsItemKind::Negation => true,
        FlagsItemKind::Flag(flag) => matches!(
            flag,
            Flag::CaseInsensitive | Flag::MultiLine | Flag::DotMatchesNewLine | Flag::SwapGreed
        ),
    });
    known.then_some(()).ok_or("a flag that it does not know")
}

fn literal(literal: &Literal) -> Result<(), &'static str> {
    match literal.kind {
        _ if !literal.c.is_ascii() => Err("a character that is not ASCII"),
        LiteralKind::HexFixed(HexLiteralKind::X) | LiteralKind::HexBrace(HexLiteralKind::X) => {
            Ok(())
        }
        LiteralKind::HexFixed(_) | LiteralKind::HexBrace(_) => {
            Err("an escape sequence that it does not know")
        }
        _ => Ok(()),
    }
}

fn set_item(item: &ClassSetItem, outermost: bool) -> Result<u64, &'static str> {
    match item {
        ClassSetItem::Empty(_) | ClassSetItem::Ascii(_) | ClassSetItem::Perl(_) => Ok(4),
        ClassSetItem::Literal(one) => literal(one).map(|()| 1),
        ClassSetItem::Range(range) => {
            literal(&range.start)?;
            literal(&range.end).map(|()| 1)
        }
        ClassSetItem::Union(union) if outermost => {
            // Two in a row are a range to one of them, and dashes to the other.
            let dashes = union.items.iter().filter(|item| is_dash(item));
            if dashes.count() > 1 {
                return Err("a class with several dashes");
            }
            union.items.iter().try_fold(1u64, |sum, item| {
                Ok(sum.saturating_add(set_item(item, false)?))
            })
        }
        ClassSetItem::Unicode(_) => Err(UNICODE),
        ClassSetItem::Union(_) | ClassSetItem::Bracketed(_) => Err("a class in a class"),
    }
}

fn is_dash(item: &ClassSetItem) -> bool {
    matches!(item, ClassSetItem::Literal(one) if one.c == '-' && one.kind == LiteralKind::Verbatim)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_re2_takes_is_taken() {
        for good in [
            "/a.*",
            "^/v[0-9]+/(users|orders)/[^/]+$",
            "(?i)/a",
            "(?s:.)",
            "(?P<n>a)",
            "a|",
            "()",
            "a{1000}",
            "(a{10}){100}",
            "[]a]",
            "[^a-z]",
            "[[:alpha:]]",
            r"\d+\.\w\s\x7F\x{41}",
            r"\bA\B",
            r"\A\z",
            "a{0}",
            "a{2,}",
            "(?-i)a",
            "(?U)a+?",
            r"\/\-\_\@",
            "[a-]",
        ] {
            assert_eq!(fault(good, 1_024), None);
        }
    }

    #[test]
    fn what_re2_refuses_or_reads_otherwise_is_refused() {
        for bad in [
            "",
            "/a(?=b)",
            "/a(?!b)",
            "(?<=a)b",
            "(?<!a)b",
            r"(a)\1",
            "(?>a)",
            "a++",
            "a**",
            "a{2}{3}",
            "(",
            ")",
            "[",
            "[a",
            "[z-a]",
            "a{3,2}",
            "*",
            "|*",
            "(*)",
            r"\",
            r"\p{Greek}",
            r"\pL",
            r"[\p{Lu}]",
            "ä",
            r"\u0041",
            r"\x{e4}",
            r"\x{10FFFF}",
            r"\Z",
            r"\C",
            r"\<a",
            r"\b{start}",
            "(?x)a",
            "(?u)a",
            "(?R)a",
            "(?-u)a",
            "[a&&b]",
            "[a--b]",
            "[a~~b]",
            r"[--\W]",
            "[--a]",
            "[a[b]]",
            "a{",
            "\0",
            "a{1001}",
            "(a{100}){11}",
            "((a{10}){10}){11}",
            "(?i)*",
            "(?P<n>a)(?P<n>b)",
        ] {
            assert!(fault(bad, 1_024).is_some(), "{bad}");
        }
    }

    #[test]
    fn what_explodes_is_refused() {
        for bad in [
            "(abcdefghij){1000}".to_owned(),
            "((((((((((a*)*)*)*)*)*)*)*)*)*)*{1000}{1000}".to_owned(),
            "([a-z]{900}|[0-9]{900})[a-z]{900}".to_owned(),
            "(".repeat(500) + "a" + &")".repeat(500),
            "a".repeat(1_025),
            "a{500}".repeat(10),
        ] {
            assert!(fault(&bad, 1_024).is_some(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(pattern in "\\PC{0,40}", mess in "[a(){}|*+?\\[\\]^$\\\\.0-9,&~:<>=!PxbBdw-]{0,40}") {
            let _ = fault(&pattern, 1_024);
            let _ = fault(&mess, 1_024);
        }
    }
}
