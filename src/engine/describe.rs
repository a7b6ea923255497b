//! Describes a card's actions: its fetches, its build, its checks.
//!
//! Everything is read anew each time: inputs are hashed after the prerequisites
//! have finished, and described once more after the run to see whether one
//! moved meanwhile. Blocking code, run beside the event loop.

use std::collections::BTreeMap;

use crate::action::{Action, Description, InputRoot, Node};
use crate::digest::Digest;
use crate::plan::PlannedCard;
use crate::runner::definition::{Fetch, Home, Input, Isolation, Root, Step};
use crate::runner::glob::Pattern;
use crate::runner::inputs::{Fault, Origins};
use crate::runner::listing::FoundKind;
use crate::runner::tools::{Declared, ToolSpec};
use crate::store::Sri;
use crate::timings;
use crate::workspace::Workspace;

use super::fault::Obstacle;
use super::order::{Access, Opened, Order, Part};
use super::stage::HostProgram;

/// The checks of a card look at their artifact here.
const ARTIFACT: &str = "artifact";

/// Reads what one card's actions are made of.
pub(crate) struct Describer<'a> {
    /// The world outside of the plan.
    pub(crate) workspace: &'a Workspace,
    /// The card.
    pub(crate) card: &'a PlannedCard,
    /// The artifacts that it uses, by role.
    pub(crate) requires: &'a BTreeMap<String, Digest>,
}

/// Tools of an action as far as its key and its place are concerned.
#[derive(Default)]
struct Tools {
    provisioned: Vec<String>,
    host_versions: Vec<(String, String)>,
    host: Vec<HostProgram>,
}

impl Describer<'_> {
    fn timed(&self) -> timings::Phase {
        timings::phase_of("describe", &self.card.stem)
    }

    /// The order of the fetch `name`.
    pub(crate) fn fetch(&self, name: &str, fetch: &Fetch) -> Result<Order, Obstacle> {
        let _phase = self.timed();
        let parameters = &self.card.parameters;
        let mut root = InputRoot::default();
        self.lay(&fetch.inputs, &BTreeMap::new(), &mut root)?;
        self.lay_scripts(Some(&fetch.scripts), &mut root)?;
        let tools = self.tools(Some(&fetch.tools), &mut root)?;
        let seen = |parameter: &str| fetch.with.iter().any(|name| name == parameter);
        let mut env = parameters.variables(seen);
        env.extend(fetch.env.iter().map(|(k, v)| (k.clone(), v.clone())));
        let hash = parameters.expand(&fetch.hash)?;
        if !hash.is_empty() {
            env.push(("MIKADO_HASH".into(), hash.clone()));
        }
        let step = Step {
            name: Some(format!("fetch {name}")),
            run: fetch.run.clone(),
            ..Step::default()
        };
        let action = self.action(vec![step.clone()], env, &tools, root)?;
        let definition = &self.card.work.definition;
        let (access, local) = match definition.isolation {
            Isolation::None => (Access::Free, Some("`isolation: none`".to_owned())),
            Isolation::Default => {
                let home = fetch.home.clone();
                let is_pinned = fetch.locked || !hash.is_empty();
                let local = (!is_pinned).then(|| "a fetch without `hash` or `locked`".to_owned());
                (Access::Fetch { home }, local)
            }
        };
        Ok(Order {
            part: Part::Fetch(name.to_owned()),
            action,
            steps: vec![step],
            host: tools.host,
            caches: fetch.caches.clone(),
            timeout: fetch.timeout.map(|span| span.0),
            retries: self.card.work.definition.retries.clone(),
            access,
            hash: self.hash(name, &hash)?,
            group: None,
            pass_env: fetch.pass_env.clone(),
            fixed: definition.root == Root::Fixed,
            local,
            elsewhere: fetch.remote && definition.root != Root::Fixed,
        })
    }

    fn hash(&self, name: &str, text: &str) -> Result<Option<Sri>, Obstacle> {
        if text.is_empty() {
            return Ok(None);
        }
        text.parse()
            .map(Some)
            .map_err(|error: crate::store::NoSri| {
                Obstacle::failed("hash", format!("fetch {name}: {error}"), "")
            })
    }

    /// The order of the build itself, with what its fetches brought.
    pub(crate) fn build(&self, fetched: &BTreeMap<String, Digest>) -> Result<Order, Obstacle> {
        let _phase = self.timed();
        let definition = &self.card.work.definition;
        let mut root = InputRoot::default();
        for (name, digest) in fetched {
            let node = Node::Tree { digest: *digest };
            root.insert(&format!("fetch/{name}"), node)?;
        }
        self.lay_requires(&mut root)?;
        let inputs = definition.inputs.as_deref().unwrap_or_default();
        self.lay(inputs, fetched, &mut root)?;
        self.lay_scripts(None, &mut root)?;
        let tools = self.tools(None, &mut root)?;
        let action = self.action(definition.steps.clone(), self.env(), &tools, root)?;
        Ok(Order {
            part: Part::Build,
            action,
            steps: definition.steps.clone(),
            host: tools.host,
            caches: definition.caches.clone(),
            timeout: definition.timeout.map(|span| span.0),
            retries: definition.retries.clone(),
            access: self.access(),
            hash: None,
            group: definition.resources.group.clone(),
            pass_env: definition.pass_env.clone(),
            fixed: definition.root == Root::Fixed,
            local: definition.opened_up(),
            elsewhere: definition.goes_elsewhere(),
        })
    }

    /// The order of the check with this number, of `artifact`.
    pub(crate) fn check(&self, number: usize, artifact: &Digest) -> Result<Order, Obstacle> {
        let _phase = self.timed();
        let definition = &self.card.work.definition;
        let check = &definition.verify[number];
        let mut root = InputRoot::default();
        root.insert(ARTIFACT, Node::Tree { digest: *artifact })?;
        self.lay_requires(&mut root)?;
        self.lay_scripts(None, &mut root)?;
        let tools = self.tools(None, &mut root)?;
        let steps = vec![check.step.clone()];
        let action = self.action(steps.clone(), self.env(), &tools, root)?;
        Ok(Order {
            part: Part::Check(check.step.name.clone(), number + 1),
            action,
            steps,
            host: tools.host,
            caches: definition.caches.clone(),
            timeout: check.step.timeout.or(definition.timeout.map(|span| span.0)),
            retries: Default::default(),
            access: self.access(),
            hash: None,
            group: None,
            pass_env: definition.pass_env.clone(),
            fixed: definition.root == Root::Fixed,
            local: definition.opened_up(),
            elsewhere: false,
        })
    }

    fn env(&self) -> Vec<(String, String)> {
        let definition = &self.card.work.definition;
        let mut env = self.card.parameters.variables(|_| true);
        env.extend(definition.env.iter().map(|(k, v)| (k.clone(), v.clone())));
        for name in &definition.key_env {
            if let Some(value) = self.workspace.user.value(name) {
                env.push((name.clone(), value.to_string_lossy().into_owned()));
            }
        }
        env
    }

    fn access(&self) -> Access {
        let definition = &self.card.work.definition;
        match definition.isolation {
            Isolation::None => Access::Free,
            Isolation::Default => Access::Steps(Opened {
                network: definition.network,
                home: definition.home == Some(Home::User),
                sockets: definition.sockets.clone(),
            }),
        }
    }

    fn action(
        &self,
        steps: Vec<Step>,
        env: Vec<(String, String)>,
        tools: &Tools,
        root: InputRoot,
    ) -> Result<Action, Obstacle> {
        self.workspace.note_reads(&self.card.stem, &root);
        let definition = &self.card.work.definition;
        let description = Description {
            steps,
            env,
            tools: tools.provisioned.clone(),
            host_tools: tools.host_versions.clone(),
            path: definition.path.clone(),
            fixed_root: definition.root == Root::Fixed,
            namespace: self.workspace.namespace.clone(),
            user_home: definition.home == Some(Home::User),
            root,
        };
        Ok(Action::new(description, &self.workspace.machine)?)
    }

    fn lay_requires(&self, root: &mut InputRoot) -> Result<(), Obstacle> {
        for (role, digest) in self.requires {
            let node = Node::Tree { digest: *digest };
            root.insert(&format!("requires/{role}"), node)?;
        }
        Ok(())
    }

    fn lay(
        &self,
        inputs: &[Input],
        fetched: &BTreeMap<String, Digest>,
        root: &mut InputRoot,
    ) -> Result<(), Obstacle> {
        let store = &self.workspace.store;
        let origins = Origins {
            repository: &self.workspace.project.root,
            source: &|name| self.workspace.source(name),
            requires: self.requires,
            fetch: fetched,
            // A store that can't be read is as good as one without the tree.
            directory: &|digest| store.directory(digest).ok().flatten(),
            lister: &self.workspace.lister,
            trace: &self.workspace.trace,
        };
        Ok(origins.lay(inputs, &self.card.parameters, root)?)
    }

    /// Lays the files of the runner's own folder: all, or those of a list.
    fn lay_scripts(&self, only: Option<&[String]>, root: &mut InputRoot) -> Result<(), Obstacle> {
        let Some(folder) = &self.card.work.folder else {
            return Ok(());
        };
        let patterns: Vec<Pattern> = match only {
            None => vec![Pattern::new("**")],
            Some([]) => return Ok(()),
            Some(names) => names.iter().map(|name| Pattern::new(name)).collect(),
        };
        let found = self
            .workspace
            .script_lister
            .list(folder, &patterns, only.is_none())
            .map_err(Fault::from)?;
        for (path, found) in found {
            let node = match found.kind {
                FoundKind::Link { target } => Node::Link { target },
                FoundKind::File { executable, stamp } => {
                    let digest = self.workspace.trace.digest(&found.origin, stamp);
                    let path = found.origin.clone();
                    Node::File {
                        digest: digest.map_err(|source| Fault::Unreadable { path, source })?,
                        executable,
                        origin: found.origin,
                        stamp,
                    }
                }
            };
            root.insert(&format!("runner/{path}"), node)?;
        }
        Ok(())
    }

    /// Lays the trees of the tools (all, or those of a list) and finds the
    /// programs of the machine.
    fn tools(&self, only: Option<&[String]>, root: &mut InputRoot) -> Result<Tools, Obstacle> {
        let definition = &self.card.work.definition;
        let runner = self.card.work.runner_name(&self.card.stem);
        let mut tools = Tools::default();
        if let Some(unknown) = only
            .unwrap_or_default()
            .iter()
            .find(|name| !definition.tools.contains_key(*name))
        {
            let message =
                format!("a fetch names the tool `{unknown}`, which the runner does not declare");
            return Err(Obstacle::failed("tool", message, ""));
        }
        for (name, spec) in &definition.tools {
            if only.is_some_and(|only| !only.contains(name)) {
                continue;
            }
            let spec = self.expanded(spec)?;
            let declared = Declared {
                runner,
                name,
                spec: &spec,
            };
            match self.workspace.tool_tree(&declared)? {
                Some(digest) => {
                    root.insert(&format!("tools/{name}"), Node::Tree { digest })?;
                    tools.provisioned.push(name.clone());
                }
                None => {
                    let host = self.workspace.host_tool(&declared)?;
                    let (_, version) = host.property();
                    tools.host_versions.push((name.clone(), version));
                    tools.host.push(HostProgram {
                        names: names_of(name, &host.command),
                        program: host.program.clone(),
                        prefix: host.prefix.clone(),
                    });
                }
            }
        }
        Ok(tools)
    }

    /// A tool's declaration with its parameters in place.
    pub(crate) fn expanded(&self, spec: &ToolSpec) -> Result<ToolSpec, Obstacle> {
        let expand = |text: &Option<String>| match text {
            Some(text) => self.card.parameters.expand(text).map(Some),
            None => Ok(None),
        };
        Ok(ToolSpec {
            pypi: expand(&spec.pypi)?,
            npm: expand(&spec.npm)?,
            command: expand(&spec.command)?,
            prefix: expand(&spec.prefix)?,
            ..spec.clone()
        })
    }
}

/// The names that a step finds a program of the machine by: the tool's, and the
/// word that it was looked up by.
fn names_of(tool: &str, command: &str) -> Vec<String> {
    let mut names = vec![tool.to_owned()];
    if command != tool {
        names.push(command.to_owned());
    }
    names
}
