//! placeholder until the tools part lands
use serde::Deserialize;
/// tool
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolSpec {
    /// v
    pub version: Option<String>,
    /// v
    pub pypi: Option<String>,
    /// v
    pub npm: Option<String>,
    /// v
    pub command: Option<String>,
    /// v
    pub prefix: Option<String>,
    /// v
    pub bin: indexmap::IndexMap<String, String>,
}
