//! `mikado check`.

use std::io::{self, Write};

use clap::{Args, ValueEnum};

use crate::answer::FindingList;
use crate::cli::Context;
use crate::diagnostic::{self, Diagnostic, Look, Severity};
use crate::error::{Error, Exit};
use crate::report::folded::Folded;
use crate::report::github::{Level, annotation};
use crate::words::count;

use super::runner_faults;
use super::selection::{Selection, SelectionArgs};
use super::view::View;
use super::write_json;

/// Check all cards and runners
///
/// Exits 3 where something is wrong, 0 where there are warnings and notes alone.
#[derive(Clone, Debug, Default, Args)]
pub struct CheckArgs {
    /// How to print the findings
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: CheckFormat,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// With the lines that they are about.
    #[default]
    Text,
    /// For programs.
    Json,
    /// As annotations of GitHub's and Forgejo's CI.
    Github,
}

/// Carries `check` out.
///
/// # Errors
///
/// Where the cards can't be read, or the output can't be written.
pub fn run(args: CheckArgs, context: &Context) -> Result<Exit, Error> {
    let selection = Selection::read(&SelectionArgs::default(), context)?;
    let view = View::new(&selection);
    let mut findings = view.findings();
    findings.extend(runner_faults::find(&selection, &view, context));
    findings = diagnostic::once(findings);
    diagnostic::sort(&mut findings);
    let screen = context.screen();
    let out = &mut Folded::new(
        io::stdout().lock(),
        screen.columns.filter(|_| args.format == CheckFormat::Text),
    );
    let written = match args.format {
        CheckFormat::Text => {
            let look = Look {
                colour: screen.paint.0,
                width: screen.columns.unwrap_or(Look::default().width),
            };
            text(out, &findings, selection.deck.cards().len(), look)
        }
        CheckFormat::Json => write_json(out, &FindingList::new(&findings)),
        CheckFormat::Github => github(out, &findings),
    };
    written.map_err(Error::disk("write to", "standard output"))?;
    let is_error = |finding: &Diagnostic| finding.severity == Severity::Error;
    Ok(match findings.iter().any(is_error) {
        true => Exit::Findings,
        false => Exit::Done,
    })
}

fn text(out: &mut dyn Write, findings: &[Diagnostic], cards: usize, look: Look) -> io::Result<()> {
    for finding in findings {
        writeln!(out, "{}", diagnostic::render(finding, look))?;
    }
    let of = |severity| findings.iter().filter(|f| f.severity == severity).count();
    writeln!(
        out,
        "{} read: {}, {}, {}",
        count(cards, "file"),
        count(of(Severity::Error), "error"),
        count(of(Severity::Warning), "warning"),
        count(of(Severity::Note), "note"),
    )
}

/// Annotations of GitHub Actions.
fn github(out: &mut dyn Write, findings: &[Diagnostic]) -> io::Result<()> {
    for finding in findings {
        let level = match finding.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
            Severity::Note => Level::Notice,
        };
        let place = finding.places.first();
        let place = place.map(|place| (place.path.as_path(), place.line, Some(place.column)));
        let message = match finding.help.is_empty() {
            true => finding.message.clone(),
            false => format!("{}\n{}", finding.message, finding.help),
        };
        writeln!(out, "{}", annotation(level, place, None, &message))?;
    }
    Ok(())
}
