//! tmp
use std::path::Path;
/// t
pub fn open(path: &Path) -> std::io::Result<std::fs::File> { std::fs::File::options().append(true).create(true).open(path) }
/// t
pub fn tail(_path: &Path, _lines: usize) -> Vec<String> { vec![] }
