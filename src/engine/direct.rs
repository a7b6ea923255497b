//! Cards without an artifact: commands, probes and what is done by hand.
//!
//! A command runs in the repository's root with the user's own environment, as
//! it would from a shell; nothing of it is cached. Its checks are tried before
//! its steps, so that a crash between the change and the mark does no harm.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{Event, Failure, How, Outcome, Wait, WaitKind};
use crate::plan::PlannedCard;
use crate::process::{Execution, Exit, capture};
use crate::runner::definition::{Kind, Step};
use crate::runner::units;
use crate::store::CardRun;

use super::fault::Obstacle;
use super::perform::{blocking, last_lines};
use super::telling::restart;
use super::{Engine, Finished};

/// How long a check of the world may take, unless it says otherwise.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// How a step in the repository's root ended.
enum Ended {
    Passed,
    Exited(String, Option<i32>),
}

impl Engine {
    pub(super) fn hand(&self, card: &PlannedCard) -> Result<Finished, Obstacle> {
        if !card.open {
            return Ok(Finished::passed(How::PassedOver, card));
        }
        let message = match card.work.human {
            true => "only a person may do it",
            false => "to be done by hand",
        };
        Err(Obstacle::Waits(Box::new(Wait {
            kind: WaitKind::Hand,
            message: message.into(),
            lines: Vec::new(),
            steps: card.steps.clone(),
            log: None,
        })))
    }

    pub(super) async fn probe(&self, card: &Arc<PlannedCard>) -> Result<Finished, Obstacle> {
        if !(card.open || self.options.force && card.asked) {
            return Ok(Finished::passed(How::PassedOver, card));
        }
        let started = Instant::now();
        let log = self.log_of(&card.stem);
        self.begin(card, Vec::new());
        match self.holds(card, &log).await? {
            None => Ok(self.done(card, How::Held, started)),
            Some(what) => Err(Obstacle::Waits(Box::new(Wait {
                kind: WaitKind::Probe,
                message: format!("not true yet: {what}"),
                lines: last_lines(&log),
                steps: card.steps.clone(),
                log: Some(log),
            }))),
        }
    }

    pub(super) async fn command(&self, card: &Arc<PlannedCard>) -> Result<Finished, Obstacle> {
        let forced = self.options.force && card.asked;
        if !card.open && !forced {
            return Ok(Finished::passed(How::PassedOver, card));
        }
        let started = Instant::now();
        let definition = &card.work.definition;
        if !definition.verify.is_empty() && !forced {
            // A question: that it does not hold is no part of what the card did.
            let log = self.log_of_question(&card.stem);
            self.tell(card, Vec::new());
            restart(&log);
            if self.holds(card, &log).await?.is_none() {
                return Ok(self.done(card, How::Held, started));
            }
        }
        self.confirm(card).await?;
        let _group = match &definition.resources.group {
            Some(group) => Some(self.lock_group(&card.stem, group).await?),
            None => None,
        };
        self.begin(card, Vec::new());
        let log = self.log_of(&card.stem);
        let steps = async || self.steps(card, &log).await;
        self.tried(&card.stem, &definition.retries, steps).await?;
        if let Some(what) = self.holds(card, &log).await? {
            let message = format!("its steps ran, and its check does not hold: {what}");
            return Err(self.failed(card, message, None));
        }
        Ok(self.done(card, How::Ran, started))
    }

    /// Runs the steps of a command.
    async fn steps(&self, card: &Arc<PlannedCard>, log: &Path) -> Result<(), Obstacle> {
        let definition = &card.work.definition;
        for (index, step) in definition.steps.iter().enumerate() {
            let name = step
                .name
                .clone()
                .unwrap_or_else(|| match definition.steps.len() {
                    1 => "the command".into(),
                    _ => format!("step {}", index + 1),
                });
            let timeout = step.timeout.or(definition.timeout.map(|span| span.0));
            if let Ended::Exited(how, exit) = self.direct(card, &name, step, timeout, log).await? {
                return Err(self.failed(card, format!("`{name}` {how}"), exit));
            }
        }
        Ok(())
    }

    /// Tries the checks of a card that is complete; changes nothing.
    pub(super) async fn verify(&self, card: &Arc<PlannedCard>) -> Result<Finished, Obstacle> {
        let broken = match card.work.kind {
            Kind::Page | Kind::Hand => None,
            Kind::Probe | Kind::Command => {
                self.begin(card, Vec::new());
                self.holds(card, &self.log_of(&card.stem)).await?
            }
            Kind::Build => match self.recheck(card).await {
                Err(Obstacle::Failed(failure)) => Some(failure.message),
                other => other.map(|()| None)?,
            },
        };
        match broken {
            Some(what) => Err(self.failed(card, format!("no longer true: {what}"), None)),
            None => Ok(Finished::passed(How::Held, card)),
        }
    }

    fn failed(&self, card: &PlannedCard, message: String, exit: Option<i32>) -> Obstacle {
        let log = self.log_of(&card.stem);
        Obstacle::Failed(Box::new(Failure {
            code: "step",
            message,
            help: String::new(),
            exit,
            tail: last_lines(&log),
            log: Some(log),
        }))
    }

    fn done(&self, card: &PlannedCard, how: How, started: Instant) -> Finished {
        let took = started.elapsed();
        Finished {
            outcome: Outcome::Passed {
                how,
                artifact: None,
                took,
                was_complete: !card.open,
                not_cached: None,
            },
            run: Some(CardRun {
                stem: card.stem.to_string(),
                started_ms: self.started_ms(started),
                took_ms: took.as_millis() as u64,
                hit: how == How::Held,
                ..CardRun::default()
            }),
            link: None,
            mark: true,
        }
    }

    /// Tries the card's checks in the repository's root; returns the first that
    /// does not hold, and where a complete card is looked at, all that do not.
    async fn holds(&self, card: &Arc<PlannedCard>, log: &Path) -> Result<Option<String>, Obstacle> {
        let mut broken = Vec::new();
        let checks = &card.work.definition.verify;
        for (index, check) in checks.iter().enumerate() {
            let name = match (&check.step.name, checks.len()) {
                (Some(name), _) => format!("`{name}`"),
                (None, 1) => "its check".into(),
                (None, _) => format!("check {}", index + 1),
            };
            let timeout = Some(check.step.timeout.unwrap_or(CHECK_TIMEOUT));
            let part = name.trim_matches('`');
            let ended = self.direct(card, part, &check.step, timeout, log).await?;
            if let Ended::Exited(how, _) = ended {
                broken.push(format!("{name} {how}"));
                if !self.options.verify {
                    break;
                }
            }
        }
        Ok((!broken.is_empty()).then(|| broken.join("; ")))
    }

    /// Runs one script in the repository's root.
    async fn direct(
        &self,
        card: &Arc<PlannedCard>,
        name: &str,
        step: &Step,
        timeout: Option<Duration>,
        log: &Path,
    ) -> Result<Ended, Obstacle> {
        let workspace = &self.workspace;
        let output = capture::open(log).map_err(|error| {
            let message = format!("could not open the log `{}`: {error}", log.display());
            Obstacle::failed("log", message, "")
        })?;
        self.emit(Event::PartStarted {
            card: card.stem.clone(),
            part: name.to_owned(),
        });
        let mut argv: Vec<OsString> = step.language.argv().iter().map(Into::into).collect();
        argv.push(step.run.clone().into());
        let execution = Execution {
            argv,
            env: workspace.direct_environment(card),
            cwd: workspace.project.root.clone(),
            output: OwnedFd::from(output),
            isolation: None,
            secrets: Vec::new(),
            timeout,
            grace: self.options.grace,
        };
        let keeper = self.keeper().await?;
        let outcome = keeper.execute(execution).await.wait().await;
        // What it changed may be an input of another card.
        Ok(match outcome.exit {
            Exit::Code(0) => Ended::Passed,
            Exit::Code(code) => Ended::Exited(format!("exited with {code}"), Some(code)),
            Exit::Signal(signal) => Ended::Exited(format!("was ended by signal {signal}"), None),
            Exit::TimedOut => {
                let limit = units::show_duration(timeout.unwrap_or_default());
                Ended::Exited(format!("took longer than {limit}"), None)
            }
            Exit::Cancelled => return Err(Obstacle::Cancelled),
            other => Ended::Exited(format!("could not be run: {other}"), None),
        })
    }

    /// Asks the card's question, where it has one.
    async fn confirm(&self, card: &PlannedCard) -> Result<(), Obstacle> {
        let Some(question) = &card.work.definition.confirm else {
            return Ok(());
        };
        if self.options.yes.contains(&card.stem) {
            return Ok(());
        }
        let waits = |message: String| {
            Obstacle::Waits(Box::new(Wait {
                kind: WaitKind::Confirm,
                message,
                lines: vec![format!("mikado run {stem} --yes {stem}", stem = card.stem)],
                steps: Vec::new(),
                log: None,
            }))
        };
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if !terminal {
            return Err(waits(format!("asks first: {question}")));
        }
        self.emit(Event::Noted {
            message: format!("`{}` asks: {question} [y/N]", card.stem),
        });
        let answer = blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        let answer = tokio::select! {
            answer = answer => answer?,
            () = self.cancelled() => return Err(Obstacle::Cancelled),
        };
        match answer.as_deref().map(str::trim) {
            Ok("y" | "Y" | "yes") => Ok(()),
            _ => Err(waits(format!("not confirmed: {question}"))),
        }
    }
}
