//! tmp
use std::path::PathBuf;
use indexmap::IndexMap;
/// tmp
#[derive(Clone, Debug, Default)]
pub struct Project { /// r
 pub root: PathBuf, /// c
 pub config: Config, /// c
 pub card_dirs: Vec<PathBuf>, /// r
 pub runners_dir: PathBuf }
/// tmp
#[derive(Clone, Debug, Default)]
pub struct Config { /// s
 pub store: StoreConfig, /// w
 pub with: IndexMap<String, serde_yaml::Value> }
/// tmp
#[derive(Clone, Debug, Default)]
pub struct StoreConfig { /// p
 pub path: Option<PathBuf> }
