//! What an execution gets beside its root: the environment, caches, secrets,
//! and what it may touch.
//!
//! It is described by names and can be written down with a failed root: what is
//! secret is read anew from the user's environment each time it is needed.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::process::Isolation;
use crate::workspace::Workspace;

use super::confine::Confining;
use super::fault::Obstacle;
use super::order::{Access, Opened, Order};

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
    /// The programs of the machine.
    programs: Vec<PathBuf>,
    /// The trees that the root links to.
    trees: Vec<PathBuf>,
    access: Access,
    /// Whether the root is to be seen at its fixed place.
    fixed: bool,
}

/// Surroundings as a process gets them.
#[derive(Debug)]
pub(crate) struct Given {
    /// The root as the process sees it.
    pub(crate) root: PathBuf,
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
            programs: order.host.iter().map(|p| p.program.clone()).collect(),
            trees,
            access: order.access.clone(),
            fixed: order.fixed,
        }
    }

    /// The same with a root that is seen where it lies.
    pub(crate) fn unmoved(self) -> Surroundings {
        Surroundings {
            fixed: false,
            ..self
        }
    }

    /// Whether HOME is the user's own.
    pub(crate) fn has_user_home(&self) -> bool {
        matches!(&self.access, Access::Steps(opened) if opened.home)
    }

    fn confining<'a>(
        &'a self,
        workspace: &'a Workspace,
        root: &'a Path,
        access: &'a Access,
        caches: Vec<PathBuf>,
    ) -> Confining<'a> {
        Confining {
            workspace,
            root,
            trees: &self.trees,
            prefixes: &self.prefixes,
            programs: &self.programs,
            caches,
            access,
            fixed: self.fixed,
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
        let mut cache_folder = None;
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
            cache_folder = Some(folder);
        }
        let confining = self.confining(workspace, root, &self.access, caches);
        if let Some(folder) = cache_folder {
            env.push(("CACHE".into(), confining.seen_caches(&folder).into()));
        }
        env.extend(confining.variables());
        let mut secrets = Vec::new();
        for name in &self.pass_env {
            if let Some(value) = workspace.user.value(name) {
                env.push((name.into(), value.to_owned()));
                secrets.push(value.as_bytes().to_vec());
            }
        }
        let mut readable = Vec::new();
        if let Access::Fetch { home } = &self.access {
            let fetch = workspace.fetch_environment(home);
            secrets.extend(fetch.secrets);
            readable = fetch.readable;
            for (name, value) in fetch.vars {
                if !env.iter().any(|(known, _)| *known == name) {
                    env.push((name, value));
                }
            }
        }
        let root = confining.seen_root();
        Ok(Given {
            env: absolute_path(env, &root),
            secrets,
            isolation: confining.isolation(&readable),
            root,
        })
    }

    /// What they may touch where they are confined, for an audit.
    pub(crate) fn granted(&self, workspace: &Workspace, root: &Path) -> Isolation {
        let folder = workspace.store.folder().join("caches");
        let caches = self.caches.iter().map(|name| folder.join(name)).collect();
        let confined = Access::Steps(Opened::default());
        let (access, readable) = match &self.access {
            Access::Free => (&confined, Vec::new()),
            Access::Fetch { home } => (&self.access, workspace.fetch_environment(home).readable),
            Access::Steps(_) => (&self.access, Vec::new()),
        };
        self.confining(workspace, root, access, caches)
            .lists(&readable)
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
