//! `mikado shell`: a shell, or one command, where a card's steps run.
//!
//! The process becomes the shell (see `process::become_program`), so nothing is
//! tidied up afterwards: a root that was laid for it lies in the scratch folder,
//! which the shell holds, and is deleted by the next `mikado` that executes
//! something.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::action::driver;
use crate::card::Stem;
use crate::cli::Context;
use crate::engine::scene::{Scene, SceneStep};
use crate::engine::store_error;
use crate::error::{Error, Exit};
use crate::event::Event;
use crate::plan::PlannedCard;
use crate::process::{self, Isolation};
use crate::runner::definition::Kind;
use crate::workspace::Workspace;

use super::selection::{GivenArgs, Selection, SelectionArgs};

/// Open a shell where a card's steps run
///
/// Where the card's last run failed, that is the folder of the failure, as it
/// was left; else one is laid from today's inputs. Steps of commands and probes
/// run in the repository's root. The shell has the steps' environment and is
/// confined like them; nothing that is changed in it reaches the store.
#[derive(Clone, Debug, Args)]
pub struct ShellArgs {
    /// Which card: a stem, an alias or the beginning of a stem
    #[arg(value_name = "CARD")]
    pub card: String,
    /// Run this there, and exit as it does; `step N` runs a step of the card
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
    /// Lay the folder anew, although that of a failure is kept
    #[arg(long)]
    pub fresh: bool,
    /// Lay the folder of this fetch of the card's runner
    #[arg(long, value_name = "NAME")]
    pub fetch: Option<String>,
    /// With what
    #[command(flatten)]
    pub given: GivenArgs,
}

/// Where a shell's set-up lies below the root of an action.
const SET_UP: &str = ".mikado/shell";

/// What the process is to become.
struct Place {
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    isolation: Option<Isolation>,
    steps: Vec<SceneStep>,
    /// Sets the shell up: bash.
    set_up: String,
    /// Where that is written.
    set_up_at: PathBuf,
    /// The same as the shell sees it.
    set_up_seen: PathBuf,
    /// What it is, for the user.
    told: String,
}

/// Carries `shell` out. It returns only where no shell could be started.
///
/// # Errors
///
/// Where the cards, the store or the disk are in the way, or something that the
/// card uses is not in the store.
pub fn run(args: ShellArgs, context: &Context) -> Result<Exit, Error> {
    let select = SelectionArgs::alone(&args.card, &args.given);
    let selection = Selection::read(&select, context)?;
    let stem = selection.find(&args.card)?;
    let workspace = Arc::new(selection.workspace_with_executor(&select, false)?);
    let anew = args.fresh || args.fetch.is_some();
    let kept = match anew {
        true => None,
        false => Scene::of_failure(&workspace, &stem)?,
    };
    let place = match kept {
        Some(scene) => of_scene(&workspace, &stem, scene)?,
        None => {
            let card = selection.planned(&select, &stem)?;
            match card.work.kind {
                Kind::Build => {
                    let listener = &mut |event: &Event| tell(event);
                    let fetch = args.fetch.as_deref();
                    let scene = Scene::laid(Arc::clone(&workspace), card, fetch, listener)?;
                    of_scene(&workspace, &stem, scene)?
                }
                Kind::Command | Kind::Probe => in_the_repository(&workspace, &card)?,
                Kind::Hand | Kind::Page => {
                    return Err(Error::usage(
                        format!(
                            "`{stem}` has no runner, so there is nothing that a shell could show"
                        ),
                        format!("`mikado show {stem}` has its text"),
                    ));
                }
            }
        }
    };
    let store = &workspace.store;
    store.pass_on_scratch().map_err(|e| store_error(&e))?;
    Err(become_shell(&place, &stem, &args.command, context))
}

/// Tells of what is done before there is a shell.
fn tell(event: &Event) {
    let line = match event {
        Event::Noted { message } => message.clone(),
        Event::ToolProvisioning { tool } => format!("fetching tool {tool}"),
        Event::PartStarted { part, .. } => part.clone(),
        _ => return,
    };
    // Nobody listens: then nobody is told.
    drop(writeln!(io::stderr(), "{line}"));
}

/// The root of an action.
fn of_scene(workspace: &Workspace, stem: &Stem, scene: Scene) -> Result<Place, Error> {
    let given = scene.surroundings.given(workspace, &scene.root, false);
    let given = given.map_err(|_| {
        let message = format!("the caches of `{stem}` can't be made");
        Error::usage(message, "free some space")
    })?;
    let shown = scene.root.join("work");
    let shown = shown
        .strip_prefix(&workspace.project.root)
        .unwrap_or(&shown);
    let told = match &scene.failure {
        Some(failure) => {
            let name = scene.steps.get(failure.step - 1);
            let name = name.map_or("", |step| step.name.as_str());
            format!(
                "{stem}: {}, and this is what it left: {}\n`step {}` runs `{name}` again, `step` lists the steps; `mikado run {stem}` begins anew",
                failure.message,
                shown.display(),
                failure.step,
            )
        }
        None => format!(
            "{stem}: its inputs, laid anew: {}\n`step 1` runs the first step, `step` lists them; nothing here reaches the store",
            shown.display()
        ),
    };
    if let Some(lock) = &scene.lock {
        let passed = rustix::io::fcntl_setfd(lock.as_fd(), rustix::io::FdFlags::empty());
        passed.map_err(|error| Error::disk("hold", &scene.root)(error.into()))?;
        // The program that this one becomes holds it from now on.
        std::mem::forget(scene.lock);
    }
    Ok(Place {
        set_up: format!(
            "set -f\n{}set +f\ncd \"$root/work\"\n{}",
            driver::exports(scene.surroundings.has_user_home()),
            step_function(&scene.steps, "\"$root/work\"")
        ),
        set_up_at: scene.root.join(SET_UP),
        set_up_seen: given.root.join(SET_UP),
        env: given.env,
        isolation: given.isolation,
        steps: scene.steps,
        cwd: given.root,
        told,
    })
}

/// The repository's root, for commands and probes.
fn in_the_repository(workspace: &Workspace, card: &PlannedCard) -> Result<Place, Error> {
    let definition = &card.work.definition;
    let named = |name: &Option<String>, what: &str, index: usize| {
        let name = name.clone();
        name.unwrap_or_else(|| format!("{what} {}", index + 1))
    };
    let steps = definition.steps.iter().enumerate();
    let steps = steps.map(|(i, step)| SceneStep::new(named(&step.name, "step", i), step));
    let checks = definition.verify.iter().enumerate();
    let checks = checks.map(|(i, check)| {
        let name = named(&check.step.name, "check", i);
        SceneStep::new(name, &check.step)
    });
    let steps: Vec<SceneStep> = steps.chain(checks).collect();
    let root = &workspace.project.root;
    let scratch = workspace.store.scratch_folder();
    let scratch = scratch.map_err(|e| store_error(&e))?;
    Ok(Place {
        env: workspace.direct_environment(card),
        cwd: root.clone(),
        isolation: None,
        set_up: format!("root=$PWD\n{}", step_function(&steps, "\"$root\"")),
        set_up_at: scratch.join("shell"),
        set_up_seen: scratch.join("shell"),
        told: format!(
            "{}: the repository's root, with your own environment\n`step` lists its steps and checks, `step 1` runs the first one",
            card.stem
        ),
        steps,
    })
}

/// A function of bash that runs a step as the driver does, and lists them.
fn step_function(steps: &[SceneStep], folder: &str) -> String {
    let mut text = String::from("step() {\n  case ${1-} in\n");
    let mut list = String::new();
    for (index, step) in steps.iter().enumerate() {
        let number = index + 1;
        let words: Vec<String> = step.argv.iter().map(|word| driver::quoted(word)).collect();
        // Steps have no terminal.
        text.push_str(&format!(
            "    {number}) (cd {folder} && env -u TERM {} < /dev/null) ;;\n",
            words.join(" ")
        ));
        let line = driver::quoted(&format!("step {number}: {}", step.name));
        list.push_str(&format!("      echo {line}\n"));
    }
    text.push_str(&format!("    *)\n{list}      [ $# = 0 ] ;;\n  esac\n}}\n"));
    text
}

/// Becomes the shell, or the command; returns why not.
fn become_shell(place: &Place, stem: &Stem, command: &[OsString], context: &Context) -> Error {
    let interactive = command.is_empty() && io::stdin().is_terminal() && io::stderr().is_terminal();
    let mut set_up = format!("unset BASH_ENV\n{}", place.set_up);
    if interactive {
        let prompt = driver::quoted(&format!("mikado {stem}:\\W\\$ "));
        set_up.push_str(&format!("unset HISTFILE\nPS1={prompt}\n"));
    }
    if let Err(error) = std::fs::write(&place.set_up_at, set_up) {
        return Error::disk("write", &place.set_up_at)(error);
    }
    let mut env = place.env.clone();
    let mut argv = vec![bash(place, context)];
    match interactive {
        true => {
            // Steps don't have it; editing a line needs it.
            if place.isolation.is_some()
                && let Some(term) = context.user.value("TERM")
            {
                env.push(("TERM".into(), term.to_owned()));
            }
            argv.extend(["--rcfile".into(), place.set_up_seen.clone().into()]);
        }
        false => {
            env.retain(|(name, _)| name != "BASH_ENV");
            env.push(("BASH_ENV".into(), place.set_up_seen.clone().into()));
            match command.is_empty() {
                true => argv.push("-s".into()),
                false => {
                    argv.extend(["-c".into(), "\"$@\"".into(), "bash".into()]);
                    argv.extend(command.iter().cloned());
                }
            }
        }
    }
    if interactive {
        drop(writeln!(io::stderr(), "{}", place.told));
    }
    debug_assert!(!place.steps.is_empty());
    let error = process::become_program(&argv, &env, &place.cwd, place.isolation.as_ref());
    Error::usage(
        format!("could not start `{}`: {error}", argv[0].display()),
        "install bash, or put it on PATH",
    )
}

/// The user's own bash, where it can be executed there, else that of PATH.
fn bash(place: &Place, context: &Context) -> OsString {
    let own = context.user.value("SHELL").map(Path::new);
    let own = own.filter(|shell| shell.is_absolute() && shell.file_name() == Some("bash".as_ref()));
    let reaches = |path: &Path| match &place.isolation {
        None => true,
        Some(isolation) => isolation.read.iter().any(|read| path.starts_with(read)),
    };
    match own.and_then(|shell| shell.canonicalize().ok()) {
        Some(shell) if reaches(&shell) => shell.into(),
        _ => "bash".into(),
    }
}
