//! The rules of the fuzzing targets, held by every input that is kept.

#[path = "../../fuzz/src/lib.rs"]
mod rules;

use std::fs;
use std::path::Path;

/// The inputs in a folder of `fuzz/seeds`.
fn seeds(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(folder);
    let entries = fs::read_dir(folder).expect("a folder of seeds");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths.collect();
    paths.sort();
    let read = paths.iter().map(|path| fs::read(path).expect("a seed"));
    read.collect()
}

#[test]
fn every_input_that_is_kept_is_read_by_the_rules() {
    let seeds = seeds("card");
    assert!(seeds.len() > 5, "the seeds are gone");
    seeds.iter().for_each(|bytes| rules::read(bytes));
}

#[test]
fn every_input_that_is_kept_is_edited_by_the_rules() {
    let seeds = seeds("edit");
    assert!(seeds.len() > 5, "the seeds are gone");
    seeds.iter().for_each(|bytes| rules::edit(bytes));
}
