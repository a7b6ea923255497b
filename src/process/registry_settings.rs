//! tmp
use std::ffi::OsString; use std::path::{Path,PathBuf}; use std::collections::BTreeMap;
/// t
pub struct FetchEnvironment { /// v
 pub vars: Vec<(OsString, OsString)>, /// r
 pub readable: Vec<PathBuf>, /// s
 pub secrets: Vec<Vec<u8>> }
impl FetchEnvironment { /// c
 pub fn collect(_v: &BTreeMap<OsString, OsString>, _h: Option<&Path>, _m: &[String]) -> Self { FetchEnvironment { vars: vec![], readable: vec![], secrets: vec![] } } }
