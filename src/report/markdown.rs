//! The summary of a run in Markdown, for the page of a CI job.
//!
//! A table of cards with how each ended, the tail of each failure, and the chain
//! as a picture of mermaid's. Titles and output are somebody's text, so nothing
//! of them is Markdown.

use std::collections::{BTreeMap, BTreeSet};

use crate::card::Stem;
use crate::event::{How, Outcome};
use crate::runner::units::show_duration;

use super::summary::{Row, Summary};
use super::without_controls;

/// The summary of a run.
pub fn summary(summary: &Summary) -> String {
    let mut text =
        String::from("### Mikado\n\n| Card | State | Time | Cache |\n| --- | --- | ---: | --- |\n");
    for row in &summary.rows {
        let (state, time, cache) = columns(row);
        text.push_str(&format!(
            "| {} (`{}`) | {state} | {time} | {cache} |\n",
            plain(&row.title),
            row.card.as_str().replace(['`', '|'], "?")
        ));
    }
    for (card, title) in &summary.by_hand {
        text.push_str(&format!(
            "| {} (`{card}`) | ✋ by hand | | |\n",
            plain(title)
        ));
    }
    for row in &summary.rows {
        if let Outcome::Failed(failure) = &row.outcome {
            text.push_str(&format!(
                "\n**{}**: {}\n",
                row.card,
                plain(&failure.message)
            ));
            text.push_str(&fenced(&failure.tail));
        }
    }
    text.push_str(&format!("\n```mermaid\n{}```\n", graph(&summary.rows)));
    text
}

fn columns(row: &Row) -> (String, String, &'static str) {
    match &row.outcome {
        Outcome::Passed { how, took, .. } => {
            let cache = match how {
                How::Fresh | How::Restored => "hit",
                How::Built | How::Repeated => "miss",
                How::Ran | How::Held | How::PassedOver => "",
            };
            let state = match how {
                How::Built => "✅ built",
                How::Repeated => "✅ repeated",
                How::Ran => "✅ ran",
                How::Fresh => "✅ fresh",
                How::Restored => "✅ restored",
                How::Held => "✅ holds",
                How::PassedOver => "✅ complete",
            };
            (state.into(), show_duration(*took), cache)
        }
        Outcome::Failed(_) => ("❌ failed".into(), String::new(), ""),
        Outcome::Waits(wait) => (
            format!("✋ waits: {}", plain(&wait.message)),
            String::new(),
            "",
        ),
        Outcome::NotStarted { lacks } if lacks.is_empty() => {
            ("not started".into(), String::new(), "")
        }
        Outcome::NotStarted { lacks } => {
            let lacks: Vec<&str> = lacks.iter().map(Stem::as_str).collect();
            (
                format!("not started, lacks {}", plain(&lacks.join(", "))),
                String::new(),
                "",
            )
        }
    }
}

/// Text of one line in which nothing is Markdown or HTML.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() => out.push(' '),
            c if c.is_ascii_punctuation() && !".,:;/-()'\"".contains(c) => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Lines in a block of code, with a fence that none of them ends.
fn fenced(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let text = without_controls(&lines.join("\n"));
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("\n{fence}text\n{text}\n{fence}\n")
}

fn graph(rows: &[Row]) -> String {
    let mut ids: BTreeMap<&Stem, String> = BTreeMap::new();
    let mut text = String::from("flowchart LR\n");
    let known: BTreeSet<&Stem> = rows.iter().map(|row| &row.card).collect();
    let before = rows.iter().flat_map(|row| &row.before);
    let others: BTreeSet<&Stem> = before.filter(|stem| !known.contains(stem)).collect();
    let others = others
        .into_iter()
        .map(|stem| (stem, stem.as_str(), "other"));
    let own = rows
        .iter()
        .map(|row| (&row.card, row.title.as_str(), class(&row.outcome)));
    for (number, (stem, title, class)) in others.chain(own).enumerate() {
        let id = format!("c{number}");
        // Quotes and marks of Markdown are written as entities.
        let is_plain = |c: char| c.is_alphanumeric() || " -_.,:/()".contains(c);
        let title: String = title
            .chars()
            .map(|c| match c {
                c if c.is_control() => " ".to_owned(),
                c if is_plain(c) || !c.is_ascii() => c.to_string(),
                c => format!("#{};", u32::from(c)),
            })
            .collect();
        text.push_str(&format!("  {id}[\"{title}\"]:::{class}\n"));
        ids.insert(stem, id);
    }
    for row in rows {
        for before in &row.before {
            if let (Some(from), Some(to)) = (ids.get(before), ids.get(&row.card)) {
                text.push_str(&format!("  {from} --> {to}\n"));
            }
        }
    }
    text.push_str(
        "  classDef passed fill:#d5f5d5,color:#000\n  classDef failed fill:#f8d0d0,color:#000\n  \
         classDef waits fill:#fdf0c0,color:#000\n  classDef other stroke-dasharray:4\n",
    );
    text
}

fn class(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed { .. } => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Waits(_) => "waits",
        Outcome::NotStarted { .. } => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn row(card: &str, title: &str, outcome: Outcome, before: &[&str]) -> Row {
        Row {
            card: card.into(),
            title: title.into(),
            kind: "build",
            path: "cards/a.md".into(),
            line: 4,
            outcome,
            before: before.iter().map(|stem| Stem::from(*stem)).collect(),
        }
    }

    #[test]
    fn nobodys_text_is_markdown() {
        let passed = Outcome::Passed {
            how: How::Fresh,
            artifact: None,
            took: Duration::from_secs(3),
            was_complete: false,
            not_cached: None,
        };
        let failed = Outcome::Failed(crate::event::Failure {
            code: "step",
            message: "it | <b>\nfailed".into(),
            help: String::new(),
            exit: Some(1),
            log: None,
            tail: vec!["````".into(), "\u{1b}[31mred".into()],
        });
        let summary = Summary {
            rows: vec![
                row("a", "one | [two](x) \"`three`\"", passed, &["z"]),
                row("b", "b", failed, &["a"]),
            ],
            by_hand: vec![("h".into(), "ask".into())],
            ..Summary::default()
        };
        let expected = "### Mikado\n\n\
            | Card | State | Time | Cache |\n| --- | --- | ---: | --- |\n\
            | one \\| \\[two\\](x) \"\\`three\\`\" (`a`) | ✅ fresh | 3.0 s | hit |\n\
            | b (`b`) | ❌ failed |  |  |\n\
            | ask (`h`) | ✋ by hand | | |\n\
            \n**b**: it \\| &lt;b&gt; failed\n\
            \n`````text\n````\nred\n`````\n\
            \n```mermaid\nflowchart LR\n  c0[\"z\"]:::other\n  c1[\"one #124; #91;two#93;(x) #34;#96;three#96;#34;\"]:::passed\n  c2[\"b\"]:::failed\n  c0 --> c1\n  c1 --> c2\n";
        let text = self::summary(&summary);
        assert_eq!(text.get(..expected.len()), Some(expected), "{text}");
    }
}
