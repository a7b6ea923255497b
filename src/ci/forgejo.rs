//! Forgejo Actions: GitHub's language with machines and actions of its own.
//!
//! <https://forgejo.org/docs/latest/user/actions/reference/>. Artifacts go
//! through Forgejo's own builds of the actions: GitHub's newer ones refuse to
//! talk to any other server.

use super::Request;
use super::document::Map;
use super::github::{self, Dialect};
use super::pipeline::Pipeline;

const FORGEJO: Dialect = Dialect {
    machine: "docker",
    actions: [
        "actions/checkout@v4",
        "forgejo/upload-artifact@v4",
        "forgejo/download-artifact@v4",
    ],
};

/// The workflow.
pub fn document(pipeline: &Pipeline, request: &Request, notes: &mut Vec<String>) -> Map {
    github::workflow(pipeline, request, &FORGEJO, notes)
}
