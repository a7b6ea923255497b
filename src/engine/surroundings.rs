//! What an execution gets beside its root: the environment, caches, secrets,
//! and what it may touch.
//!
//! It is described by names and can be written down with a failed root: what is
//! secret is read anew from the user's environment each time it is needed.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::process::{ActionPaths, Isolation};
use crate::workspace::Workspace;

use super::fault::Obstacle;
use super::order::{Access, Order};

/// The surroundings of an action's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Surroundings {
    /// The variables that are in the key.
    variables: Vec<(String, String)>,
    caches: Vec<String>,
    pass_env: Vec<String>,
    /// The folders of the machine's tools.
    prefixes: Vec<PathBuf>,
    /// The trees that the root links to.
    trees: Vec<PathBuf>,
    access: Access,
}

/// Surroundings as a process gets them.
#[derive(Debug)]
pub(crate) struct Given {
    /// The whole environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Values of it that are masked in logs.
    pub(crate) secrets: Vec<Vec<u8>>,
    /// What it may touch; `None` leaves it free.
    pub(crate) isolation: Option<Isolation>,
}

impl Surroundings {
    /// Those of an order whose root links to `trees`.
    pub(crate) fn of(order: &Order, trees: Vec<PathBuf>) -> Surroundings {
        let variables = order.action.command.environment_variables.iter();
        Surroundings {
            variables: variables
                .map(|v| (v.name.clone(), v.value.clone()))
                .collect(),
            caches: order.caches.clone(),
            pass_env: order.pass_env.clone(),
            prefixes: order.host.iter().map(|p| p.prefix.clone()).collect(),
            trees,
            access: order.access.clone(),
        }
    }

    /// Gives them to an execution in `root`, with caches of its own where
    /// `empty_caches` is set.
    pub(crate) fn given(
        &self,
        workspace: &Workspace,
        root: &Path,
        empty_caches: bool,
    ) -> Result<Given, Obstacle> {
        let variables = self.variables.iter();
        let mut env: Vec<(OsString, OsString)> = variables
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let mut caches = Vec::new();
        if !self.caches.is_empty() {
            let folder = match empty_caches {
                true => root.join("tmp/cache"),
                false => workspace.store.folder().join("caches"),
            };
            for name in &self.caches {
                let path = match empty_caches {
                    true => folder.join(name),
                    false => workspace.store.cache(name)?,
                };
                std::fs::create_dir_all(&path).map_err(|error| {
                    Obstacle::failed("cache", format!("could not make a cache: {error}"), "")
                })?;
                caches.push(path);
            }
            env.push(("CACHE".into(), folder.into()));
        }
        let mut secrets = Vec::new();
        for name in &self.pass_env {
            if let Some(value) = workspace.user.value(name) {
                env.push((name.into(), value.to_owned()));
                secrets.push(value.as_bytes().to_vec());
            }
        }
        if let Access::Fetch { home } = &self.access {
            let fetch = workspace.fetch_environment(home);
            secrets.extend(fetch.secrets);
            for (name, value) in fetch.vars {
                if !env.iter().any(|(known, _)| *known == name) {
                    env.push((name, value));
                }
            }
        }
        let isolation = self.isolation(workspace, root, caches);
        Ok(Given {
            env: absolute_path(env, root),
            secrets,
            isolation: isolation.filter(|_| workspace.kernel_isolates),
        })
    }

    /// What steps in `root` with these folders of caches may touch; `None` leaves them free.
    pub(crate) fn isolation(
        &self,
        workspace: &Workspace,
        root: &Path,
        caches: Vec<PathBuf>,
    ) -> Option<Isolation> {
        let mut isolation = Isolation::of_action(&ActionPaths {
            root: root.to_owned(),
            trees: self.trees.clone(),
            prefixes: self.prefixes.clone(),
            caches,
        });
        // Tools like `go mod vendor -o` make the folder `out` anew, which is a
        // change of its parent. The root is this action's alone; what it links
        // to lies elsewhere and stays read-only.
        isolation.write.push(root.to_owned());
        match &self.access {
            Access::Confined => Some(isolation),
            Access::Network => Some(isolation.with_network(&[])),
            Access::Free => None,
            Access::Fetch { home } => {
                let readable = workspace.fetch_environment(home).readable;
                Some(isolation.with_network(&readable))
            }
        }
    }

    /// What they may touch where they are confined, for an audit.
    pub(crate) fn granted(&self, workspace: &Workspace, root: &Path) -> Isolation {
        let folder = workspace.store.folder().join("caches");
        let caches = self.caches.iter().map(|name| folder.join(name)).collect();
        let confined = Surroundings {
            access: match self.access {
                Access::Free => Access::Confined,
                _ => self.access.clone(),
            },
            ..self.clone()
        };
        confined
            .isolation(workspace, root, caches)
            .unwrap_or_default()
    }
}

/// The program is looked up before the driver makes PATH absolute.
fn absolute_path(env: Vec<(OsString, OsString)>, root: &Path) -> Vec<(OsString, OsString)> {
    let absolute = |folder: PathBuf| root.join(folder);
    env.into_iter()
        .map(|(name, value)| {
            if name != "PATH" {
                return (name, value);
            }
            let folders: Vec<PathBuf> = std::env::split_paths(&value).map(absolute).collect();
            let joined = std::env::join_paths(folders).unwrap_or(value);
            (name, joined)
        })
        .collect()
}
