//! Locks and provisions the tools of a YAML map into a folder:
//! `provision TOOLS.yaml LOCK.yaml HOME [--upgrade] [PLATFORM..]`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::time::Instant;

use mikado::runner::client::UserEnvironment;
use mikado::runner::lock::ToolLock;
use mikado::runner::pin::{Pinning, pin};
use mikado::runner::provision::Provisioner;
use mikado::runner::tools::{Declared, ToolSpec};
use mikado::store::Store;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tools, lock_path, home, rest @ ..] = &arguments[..] else {
        return Err("usage: provision TOOLS.yaml LOCK.yaml HOME [--upgrade] [PLATFORM..]".into());
    };
    let start = Instant::now();
    let tools: BTreeMap<String, ToolSpec> = serde_yaml::from_str(&fs::read_to_string(tools)?)?;
    let declared: Vec<Declared<'_>> = tools
        .iter()
        .map(|(name, spec)| Declared {
            runner: "example",
            name,
            spec,
        })
        .collect();
    let user = UserEnvironment::current();
    let home = Store::open(home.as_ref())?;
    let progress = |step| {
        let _ = writeln!(stdout(), "{:6.2} {step:?}", start.elapsed().as_secs_f64());
    };
    let old = ToolLock::parse(&fs::read_to_string(lock_path).unwrap_or_default())?;
    let upgrade = rest.iter().any(|word| word == "--upgrade");
    let asked = rest
        .iter()
        .filter(|word| *word != "--upgrade")
        .map(|word| word.parse())
        .collect::<Result<Vec<_>, _>>()?;
    let pinned = pin(
        &old,
        &declared,
        &Pinning::of(&asked, upgrade),
        &home,
        &user,
        &progress,
    );
    let pinned = pinned.map_err(|errors| {
        errors
            .iter()
            .map(|error| format!("{error}\n"))
            .collect::<String>()
    })?;
    for note in &pinned.notes {
        writeln!(stdout(), "note: {note}")?;
    }
    fs::write(lock_path, pinned.lock.to_string())?;
    let provisioner = Provisioner::new(&home, &pinned.lock, &declared, &user, &progress);
    for result in provisioner.trees(&declared) {
        match result {
            Ok(Some(tool)) => writeln!(stdout(), "{} {}", tool.name, tool.tree.display())?,
            Ok(None) => {}
            Err(error) => writeln!(stdout(), "{error}")?,
        }
    }
    Ok(())
}
