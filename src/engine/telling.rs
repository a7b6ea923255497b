//! What is told once: that a card is being executed, where its output goes, what
//! this machine can't do to confine builds, and what is being stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::action::reason::Reason;
use crate::card::Stem;
use crate::error::Exit;
use crate::event::Event;
use crate::fail_point;
use crate::plan::PlannedCard;
use crate::runner::definition::{Isolation, Kind, Root};
use crate::words;

use super::Engine;

impl Engine {
    /// Tells once that a card is being executed, and begins its log.
    pub(super) fn begin(&self, card: &PlannedCard, reasons: Vec<Reason>) {
        self.tell(card, reasons);
        if !self.begun.borrow_mut().insert(card.stem.clone()) {
            return;
        }
        let log = self.log_of(&card.stem);
        match self.options.verify {
            true => restart(&log),
            // The log before stays beside it, for comparison; neither may be there.
            false => {
                drop(fail_point::reach("log.previous"));
                drop(std::fs::rename(&log, log.with_extension("previous.log")));
            }
        }
    }

    /// Tells once that a card is being executed.
    pub(super) fn tell(&self, card: &PlannedCard, reasons: Vec<Reason>) {
        if !self.told.borrow_mut().insert(card.stem.clone()) {
            return;
        }
        let isolates = card.work.definition.isolation == Isolation::Default;
        if card.work.kind == Kind::Build && isolates {
            self.tell_gaps(card);
        }
        self.emit(Event::CardStarted {
            card: card.stem.clone(),
            reasons,
            expected: self.expected(&card.stem),
            log: self.log_of(&card.stem),
        });
    }

    /// Tells once what this machine can't do to confine builds.
    fn tell_gaps(&self, card: &PlannedCard) {
        let kernel = self.workspace.kernel();
        let gap = match (kernel.landlock, kernel.mount_namespaces) {
            (0, false) => Some("neither Landlock nor namespaces here: builds are not confined"),
            (0, true) => Some(
                "no Landlock here: builds read and write all that you can but the repository, `/tmp` and `/run`",
            ),
            (_, false) => Some(
                "no namespaces here: builds see the machine's `/tmp` and reach its sockets, as far as Landlock lets them",
            ),
            (_, true) => None,
        };
        // Who chose it knows it.
        if let Some(message) = gap
            && !self.workspace.isolation_is_limited()
            && !self.told_open.replace(true)
        {
            self.emit(Event::Noted {
                message: message.into(),
            });
        }
        let is_fixed = card.work.definition.root == Root::Fixed;
        if is_fixed && !kernel.mount_namespaces && !self.told_fixed.replace(true) {
            self.emit(Event::Noted {
                message: format!(
                    "no mount namespaces here: `root: fixed` of `{}` is not had, and the results stay on this machine",
                    card.work.runner_name(&card.stem)
                ),
            });
        }
    }

    /// Says what is being stopped, since it may take its time.
    pub(super) fn tell_of_stopping<'a>(
        &self,
        exit: Exit,
        cards: impl Iterator<Item = &'a Arc<PlannedCard>>,
    ) {
        let stems: Vec<&Stem> = cards.map(|card| &card.stem).collect();
        if stems.is_empty() {
            return;
        }
        let again = match exit {
            Exit::Interrupted => "; Ctrl-C again kills at once",
            _ => "",
        };
        self.emit(Event::Noted {
            message: format!("stopping {}{again}", words::list(&stems)),
        });
    }

    pub(super) fn log_of(&self, stem: &Stem) -> PathBuf {
        match self.options.verify {
            true => self.log_of_question(stem),
            false => self.workspace.local.logs().join(format!("{stem}.log")),
        }
    }

    /// The log of checks that only ask: whether a complete card still holds, or
    /// a command has anything to do. The log of the card's last run stays.
    pub(super) fn log_of_question(&self, stem: &Stem) -> PathBuf {
        let logs = self.workspace.local.logs().join("verify");
        logs.join(format!("{stem}.log"))
    }
}

/// Begins a log of questions; opening it says what is in the way.
pub(super) fn restart(log: &Path) {
    if let Some(folder) = log.parent() {
        drop(std::fs::create_dir_all(folder));
    }
    drop(std::fs::remove_file(log));
}
