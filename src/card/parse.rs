//! From bytes to a card: the fences, gray_matter, and what can be wrong.
//!
//! gray_matter finds the front matter, and we find it again in the original
//! bytes, since it trims what it returns and knows no places; where the two
//! differ, that is a finding. Reading never fails and never drops a card.

use gray_matter::engine::Engine;
use gray_matter::{Matter, Pod};

use super::front_matter::{self, Decoded};
use super::markdown::{self, LineRole};
use super::source::{BOM, lines_of};
use super::{Card, FrontMatter, PlanState, Source, Span, Stem};
use crate::diagnostic::Diagnostic;

/// Where the front matter of a text lies.
#[derive(Debug, PartialEq, Eq)]
enum Fences {
    /// There is none.
    Absent,
    /// A first fence, and no second one.
    Unclosed {
        /// The first fence.
        open: Span,
        /// Whether there are blank lines before it.
        late: bool,
    },
    /// Both.
    Found {
        /// The lines between the fences.
        block: Span,
        /// Where the text after the second fence starts.
        body: usize,
        /// Whether there are blank lines before the first one.
        late: bool,
    },
}

/// Reads a card from a file's bytes.
pub(super) fn card(stem: Stem, source: Source) -> Card {
    let mut findings = Vec::new();
    let read = read(&source, &mut findings);
    let (front, body_start, plan) = match read {
        Some((front, body_start)) => {
            let plan = plan_state(&front, &source, &mut findings);
            (front, body_start, plan)
        }
        None => (
            FrontMatter::default(),
            source.bytes().len(),
            PlanState::Unreadable,
        ),
    };
    let page = plan != PlanState::Unreadable
        && front.status.is_none()
        && front.requires.is_none()
        && front.runner.is_none();
    Card {
        stem,
        source,
        front,
        body_start,
        plan,
        page,
        findings,
    }
}

fn plan_state(front: &FrontMatter, source: &Source, findings: &mut Vec<Diagnostic>) -> PlanState {
    let Some(status) = &front.status else {
        return PlanState::Complete;
    };
    match status.text.as_str() {
        "" | "complete" | "completed" | "done" => PlanState::Complete,
        "active" => PlanState::Open,
        other => {
            let odd = format!("the status `{other}` means nothing, so the card counts as open");
            findings.push(
                Diagnostic::warning("odd-status", odd)
                    .at(source.place(status.span.clone(), "neither `active` nor `complete`"))
                    .help("write `status: active` or `status: complete`"),
            );
            PlanState::Open
        }
    }
}

/// The front matter and where the body starts; `None` where the file can't be
/// read as a card, which the findings say.
fn read(source: &Source, findings: &mut Vec<Diagnostic>) -> Option<(FrontMatter, usize)> {
    let text = match std::str::from_utf8(source.bytes()) {
        Ok(text) => text,
        Err(error) => {
            findings.push(not_utf8(source, error.valid_up_to()));
            return None;
        }
    };
    let fences = fences(text);
    let body = match &fences {
        Fences::Found { body, .. } => *body,
        _ => 0,
    };
    if let Some(markers) = conflict(text, body) {
        let before_body = markers.start < body || is_at_top(text, markers.start);
        findings.push(conflict_finding(source, markers));
        if before_body {
            return None;
        }
    }
    match fences {
        Fences::Absent => {
            if let Some(finding) = compare_with_gray_matter(source, text, None) {
                findings.push(finding);
            }
            Some((FrontMatter::default(), leading_bom(text)))
        }
        Fences::Unclosed { open, late } => {
            let after = &text[open.end..];
            let is_front_matter = match late {
                true => starts_like_card(after),
                false => starts_like_yaml(after),
            };
            if !is_front_matter {
                return Some((FrontMatter::default(), leading_bom(text)));
            }
            findings.push(
                Diagnostic::error("unclosed-front-matter", "the front matter has no end")
                    .at(source.place(open, "starts here"))
                    .help("write a line `---` after its last key"),
            );
            None
        }
        Fences::Found { block, body, late } => {
            match front_matter::decode(source, text, block.clone()) {
                Decoded::Front(front, faults) => {
                    // A rule in prose, not a fence.
                    if late && front.keys.is_empty() {
                        return Some((FrontMatter::default(), leading_bom(text)));
                    }
                    findings.extend(faults);
                    findings.extend(match late {
                        true => Some(late_finding(source, text)),
                        false => compare_with_gray_matter(source, &text[..body], Some(block)),
                    });
                    Some((*front, body))
                }
                Decoded::Fault(_) if late && !starts_like_card(&text[block.clone()]) => {
                    Some((FrontMatter::default(), leading_bom(text)))
                }
                Decoded::Fault(fault) => {
                    findings.push(fault);
                    None
                }
            }
        }
    }
}

fn leading_bom(text: &str) -> usize {
    match text.starts_with(BOM) {
        true => BOM.len(),
        false => 0,
    }
}

/// Finds the fences. The first line (after blank ones, which is odd) is `---`;
/// the next line that is `---` or `...` ends the front matter. White space at
/// the end of a fence is nothing.
fn fences(text: &str) -> Fences {
    let start = leading_bom(text);
    let mut lines = lines_of(&text[start..]);
    let mut offset = start;
    let mut late = false;
    let open = loop {
        let Some(line) = lines.next() else {
            return Fences::Absent;
        };
        let trimmed = line.trim_end();
        if trimmed == "---" {
            break offset..offset + 3;
        }
        if !trimmed.is_empty() {
            return Fences::Absent;
        }
        late = true;
        offset += line.len();
    };
    let mut after_open = None;
    for line in lines_of(&text[open.start..]) {
        let Some(block_start) = after_open else {
            offset = open.start + line.len();
            after_open = Some(offset);
            continue;
        };
        if matches!(line.trim_end(), "---" | "...") {
            return Fences::Found {
                block: block_start..offset,
                body: offset + line.len(),
                late,
            };
        }
        offset += line.len();
    }
    Fences::Unclosed { open, late }
}

/// Whether the first line that says something is a key of a map.
fn starts_like_yaml(text: &str) -> bool {
    let mut lines = lines_of(text).map(str::trim_end);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some((key, rest)) = first.and_then(|line| line.split_once(':')) else {
        return false;
    };
    let named = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '"' | '\'');
    !key.is_empty() && key.chars().all(named) && (rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Whether a line of the first paragraph is a key that makes a card. A rule
/// below blank lines is more often a rule than a fence.
fn starts_like_card(text: &str) -> bool {
    let lines = lines_of(text.trim_start()).map(str::trim);
    let mut paragraph = lines.take_while(|line| !line.is_empty());
    paragraph.any(|line| {
        let key = line.split_once(':').map(|(key, _)| key);
        matches!(key, Some("status" | "requires" | "runner"))
    })
}

/// The first marker of a merge conflict outside of code in the body, where all
/// three markers stand in order. Git's form: seven characters, then a space or
/// the end of the line.
fn conflict(text: &str, body: usize) -> Option<Span> {
    if !text.contains("<<<<<<<") {
        return None;
    }
    let is_marker = |line: &str, mark: &str| {
        let rest = line.strip_prefix(mark);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let head = lines_of(&text[..body]).scan(0, |offset, line| {
        let start = *offset;
        *offset += line.len();
        Some((start, line.trim_end()))
    });
    let tail = markdown::lines(&text[body..])
        .filter(|line| line.role == LineRole::Prose)
        .map(|line| (body + line.offset, line.text.trim_end()));
    let mut first = None;
    let mut middle = false;
    for (offset, line) in head.chain(tail) {
        let unmarked = line.trim_start_matches(BOM);
        if is_marker(unmarked, "<<<<<<<") {
            let start = offset + line.len() - unmarked.len();
            first = Some(start..start + unmarked.len());
            middle = false;
        } else if is_marker(line, "=======") {
            middle = true;
        } else if middle && is_marker(line, ">>>>>>>") && first.is_some() {
            return first;
        }
    }
    None
}

/// Whether nothing but white space stands before a byte, so that a file which
/// had front matter can have lost it to a conflict.
fn is_at_top(text: &str, at: usize) -> bool {
    text[leading_bom(text)..at].trim().is_empty()
}

fn conflict_finding(source: &Source, markers: Span) -> Diagnostic {
    Diagnostic::error("conflict-markers", "an unresolved merge conflict")
        .at(source.place(markers, "one side starts here"))
        .help("choose what is right and take the three marker lines away")
}

fn not_utf8(source: &Source, at: usize) -> Diagnostic {
    let wide = source.bytes().starts_with(b"\xff\xfe") || source.bytes().starts_with(b"\xfe\xff");
    let what = match wide {
        true => "the file is UTF-16, not UTF-8",
        false => "the file is not UTF-8",
    };
    Diagnostic::error("not-utf8", what)
        .at(source.place(at..at + 1, "the first byte that is no text"))
        .help("save the file as UTF-8")
}

fn late_finding(source: &Source, text: &str) -> Diagnostic {
    let blank = text.len() - text.trim_start_matches(BOM).trim_start().len();
    Diagnostic::warning(
        "blank-before-front-matter",
        "the front matter comes after blank lines, so other tools do not see it",
    )
    .at(source.place(blank..blank + 3, "starts here"))
    .help("take the blank lines before it away")
}

/// An engine of gray_matter that returns the block as it found it.
struct RawBlock;

impl Engine for RawBlock {
    fn parse(block: &str) -> gray_matter::Result<Pod> {
        Ok(Pod::String(block.to_owned()))
    }
}

/// The finding where gray_matter's front matter is not ours, which is at
/// `block`. It is told nothing of the byte order mark, which hides everything
/// from it, and its trimming and dropped carriage returns are no difference.
fn compare_with_gray_matter(
    source: &Source,
    text: &str,
    block: Option<Span>,
) -> Option<Diagnostic> {
    let seen = &text[leading_bom(text)..];
    if !seen.starts_with("---") {
        return None;
    }
    let mut matter = Matter::<RawBlock>::new();
    matter.close_delimiter = Some("...".to_owned());
    let theirs = matter
        .parse::<String>(seen)
        .ok()
        .and_then(|found| found.data);
    let ours = block.clone().map(|block| &text[block]).unwrap_or_default();
    let same = match &theirs {
        Some(theirs) => theirs.lines().eq(ours.trim().lines()),
        None => ours.trim().is_empty(),
    };
    if same {
        return None;
    }
    let start = leading_bom(text);
    let help = match block.is_some() && !text.contains('\n') {
        true => "save the file with line feeds: its lines end in carriage returns alone",
        false => "write the fences as `---` alone on a line",
    };
    Some(
        Diagnostic::warning(
            "front-matter-differs",
            "other tools see other front matter in this file than is meant here",
        )
        .at(source.place(block.unwrap_or(start..start + 3), ""))
        .help(help),
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use crate::card::edit::{self, Completion};
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Card {
        Card::read(Stem::new("a"), Source::new("a.md".into(), bytes.to_vec()))
    }

    /// Bytes that look like cards more often than not.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("---\n"),
            Just("---\r\n"),
            Just("...\n"),
            Just("\u{feff}"),
            Just("status: active\n"),
            Just("status:\n"),
            Just("status: 'active' # x\r\n"),
            Just("requires: [a, \"b\"]\n"),
            Just("requires:\n- a\n  - b\n"),
            Just("runner: {inputs: [], steps: [x]}\n"),
            Just("with: {a: 1.10, b: {c: ~}}\n"),
            Just("uses: {r: x}\n"),
            Just("<<<<<<< HEAD\n"),
            Just("```sh run\necho\n```\n"),
            Just("# Steps\n\n1. one\n- [ ] two\n"),
            Just("\t: &x *x !t\n"),
            Just("é\u{1f600}\0"),
        ];
        let text = proptest::collection::vec(piece, 0..9).prop_map(|all| all.concat().into_bytes());
        prop_oneof![4 => text, 1 => proptest::collection::vec(any::<u8>(), 0..120)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn reading_never_panics_and_every_place_is_in_the_file(bytes in bytes()) {
            let card = read(&bytes);
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n").replace('\r', "\n");
            let lines = text.split('\n').count() as u32;
            for finding in &card.findings {
                for place in &finding.places {
                    prop_assert!((1..=lines).contains(&place.line), "{place:?}");
                }
            }
            drop((card.title(), card.body(&crate::card::body::Headings::default())));
        }

        #[test]
        fn an_edit_changes_no_other_line(bytes in bytes(), remove in any::<bool>()) {
            let card = read(&bytes);
            let completion = if remove { Completion::Remove } else { Completion::Set };
            let Some(done) = edit::completed(&card, completion) else { return Ok(()) };
            let after = read(&done);
            prop_assert_eq!(after.plan, PlanState::Complete);
            let (old, new): (Vec<_>, Vec<_>) = (bytes.split(|b| *b == b'\n').collect(), done.split(|b| *b == b'\n').collect());
            let same_start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
            let same_end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
            // A value may stand below its key.
            let line = |at: usize| card.source.line(at) as usize;
            let key = card.front.keys.iter().find(|key| key.text == "status");
            let own = key.zip(card.front.status.as_ref())
                .map_or(1, |(key, value)| line(value.span.end).saturating_sub(line(key.span.start)) + 1);
            prop_assert!(same_start + same_end + own >= old.len(), "{:?}", String::from_utf8_lossy(&done));
            let again = edit::completed(&read(&done), completion);
            prop_assert_eq!(again, None);
            if !remove {
                let opened = edit::reopened(&after).unwrap();
                prop_assert_eq!(read(&opened).plan, PlanState::Open);
            }
        }
    }
}
