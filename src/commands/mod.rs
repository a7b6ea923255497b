//! The commands, one a file: its arguments, whose doc comments are its help,
//! and what it does.

pub mod affected;
pub(crate) mod again;
pub(crate) mod answered;
pub mod artifact;
pub mod audit;
pub mod blocked;
pub mod cache;
pub mod check;
pub mod ci;
pub mod ci_matrix;
pub mod complete;
pub mod completions;
pub mod doctor;
pub mod explain;
pub(crate) mod foresight;
pub(crate) mod freshness;
pub mod graph;
pub(crate) mod help;
pub mod init;
pub(crate) mod lack;
pub mod list;
pub mod lock;
pub mod log;
pub mod man;
pub(crate) mod new_file;
pub mod next;
pub(crate) mod old_tree;
pub mod plan;
pub(crate) mod remember;
pub(crate) mod reproduce;
pub mod require;
pub mod run;
pub(crate) mod run_ci;
pub mod runner;
pub(crate) mod runner_faults;
pub mod schema;
pub(crate) mod selection;
pub mod shell;
pub mod show;
pub mod store;
pub(crate) mod timed;
pub mod verify;
pub(crate) mod view;
pub mod why;
pub(crate) mod workers;

/// Prints one line, and is done.
fn say(line: &str) -> Result<crate::error::Exit, crate::error::Error> {
    use std::io::Write;
    let out = std::io::stdout();
    let columns = crate::cli::terminal_columns(std::io::stdout());
    let mut out = crate::report::folded::Folded::new(out.lock(), columns);
    done(writeln!(out, "{line}"))
}

/// All is done, once the answer is written.
fn done(written: std::io::Result<()>) -> Result<crate::error::Exit, crate::error::Error> {
    written.map_err(crate::error::Error::disk("write to", "standard output"))?;
    Ok(crate::error::Exit::Done)
}

/// Writes an answer as one line of JSON.
fn write_json(out: &mut dyn std::io::Write, answer: &impl serde::Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, answer)?;
    writeln!(out)
}
