//! How long the phases of a command take, where `--timings` or `MIKADO_LOG=debug`
//! ask for it.
//!
//! A phase is a guard: its time is taken when it is dropped. Where nobody asks,
//! which is the usual, it costs one relaxed load. A phase has a name, perhaps a
//! card, and how many things it was about: never contents or values. What is done
//! with the times is for `report::timings` to know.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::card::Stem;
use crate::error::Error;

/// The phase of a card as a whole.
pub(crate) const CARD: &str = "card";

/// The phase from when a card could have been started until it was.
pub(crate) const WAIT: &str = "wait";

/// The global option.
pub(crate) const OPTION: &str = "--timings";

/// The variable of the environment.
pub(crate) const VARIABLE: &str = "MIKADO_LOG";

static IS_ON: AtomicBool = AtomicBool::new(false);
static CLOCK: OnceLock<Clock> = OnceLock::new();

struct Clock {
    began: Instant,
    listener: Option<Listener>,
    taken: Mutex<Vec<Taken>>,
}

/// Hears of each phase when it is over.
pub(crate) type Listener = fn(&Taken);

/// A phase that is over.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    /// What was done.
    pub(crate) name: &'static str,
    /// For which card.
    pub(crate) card: Option<Stem>,
    /// How many things it was about.
    pub(crate) count: usize,
    /// When it began, from the beginning of the command.
    pub(crate) at: Duration,
    /// How long it took.
    pub(crate) took: Duration,
}

#[cfg(test)]
impl Taken {
    /// A phase of these milliseconds, for tests.
    pub(crate) fn of_ms(name: &'static str, card: Option<&str>, at: u64, took: u64) -> Taken {
        Taken {
            name,
            card: card.map(Stem::new),
            count: 1,
            at: Duration::from_millis(at),
            took: Duration::from_millis(took),
        }
    }
}

/// What is wanted of the times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A table and a trace.
    pub(crate) table: bool,
    /// The file of the trace, where one is named.
    pub(crate) file: Option<PathBuf>,
    /// Each phase as it happens.
    pub(crate) log: bool,
}

impl Wanted {
    /// What the words of a command line and the environment ask for.
    ///
    /// # Errors
    ///
    /// Where the variable has a value that means nothing.
    pub(crate) fn of(arguments: &[OsString]) -> Result<Wanted, Error> {
        let mut wanted = Wanted::default();
        for word in arguments.iter().take_while(|word| *word != "--") {
            if is_option(word) {
                wanted.table = true;
                let file = word.to_str().and_then(|word| word.split_once('='));
                wanted.file = file.map(|(_, file)| PathBuf::from(file));
            }
        }
        let value = std::env::var_os(VARIABLE).unwrap_or_default();
        wanted.log = match value.to_string_lossy().as_ref() {
            "debug" => true,
            "" | "off" => false,
            other => {
                let message = format!("`{VARIABLE}` is `{other}`, and can be `debug` or `off`");
                return Err(Error::usage(message, format!("unset {VARIABLE}")));
            }
        };
        Ok(wanted)
    }
}

/// Whether this word of a command line asks for times.
pub(crate) fn is_option(word: &OsString) -> bool {
    let after = word.as_encoded_bytes().strip_prefix(OPTION.as_bytes());
    after.is_some_and(|after| matches!(after, [] | [b'=', ..]))
}

/// Takes the times of all phases from here on.
pub(crate) fn begin(listener: Option<Listener>) {
    CLOCK.get_or_init(|| Clock {
        began: Instant::now(),
        listener,
        taken: Mutex::default(),
    });
    IS_ON.store(true, Ordering::Relaxed);
}

/// How long it is since the beginning, and the phases that are over by now.
pub(crate) fn end() -> (Duration, Vec<Taken>) {
    IS_ON.store(false, Ordering::Relaxed);
    let Some(clock) = CLOCK.get() else {
        return (Duration::ZERO, Vec::new());
    };
    let mut taken = clock.taken.lock().unwrap_or_else(PoisonError::into_inner);
    (clock.began.elapsed(), std::mem::take(&mut taken))
}

/// Whether times are taken.
#[inline]
pub(crate) fn are_taken() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// A phase that goes on until it is dropped.
#[must_use]
pub(crate) struct Phase(Option<Open>);

struct Open {
    name: &'static str,
    card: Option<Stem>,
    count: usize,
    began: Instant,
}

/// The phase `name` begins.
#[inline]
pub(crate) fn phase(name: &'static str) -> Phase {
    Phase(are_taken().then(|| Open::new(name, None)))
}

/// The phase `name` of a card begins.
#[inline]
pub(crate) fn phase_of(name: &'static str, card: &Stem) -> Phase {
    Phase(are_taken().then(|| Open::new(name, Some(card.clone()))))
}

impl Open {
    fn new(name: &'static str, card: Option<Stem>) -> Open {
        Open {
            name,
            card,
            count: 1,
            began: Instant::now(),
        }
    }
}

impl Phase {
    /// The same phase, begun earlier.
    pub(crate) fn since(mut self, began: Instant) -> Phase {
        if let Some(open) = &mut self.0 {
            open.began = began;
        }
        self
    }

    /// The same phase, which is about so many things.
    pub(crate) fn about(mut self, count: usize) -> Phase {
        self.count(count);
        self
    }

    /// Says how many things it is about, once that is known.
    pub(crate) fn count(&mut self, count: usize) {
        if let Some(open) = &mut self.0 {
            open.count = count;
        }
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        if let (Some(open), Some(clock)) = (self.0.take(), CLOCK.get()) {
            let taken = Taken {
                name: open.name,
                card: open.card,
                count: open.count,
                at: open.began.saturating_duration_since(clock.began),
                took: open.began.elapsed(),
            };
            if let Some(listener) = clock.listener {
                listener(&taken);
            }
            let mut all = clock.taken.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(taken);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;

    fn wanted(words: &[&str]) -> Wanted {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Wanted::of(&words).unwrap()
    }

    #[test]
    fn option_is_seen_before_the_words_of_another_program_alone() {
        assert!(wanted(&["mikado", "run", "a", "--timings"]).table);
        assert!(!wanted(&["mikado", "run", "a", "--timing"]).table);
        assert!(!wanted(&["mikado", "shell", "a", "--", "x", "--timings"]).table);
        let named = wanted(&["mikado", "--timings=to/x.json", "list"]);
        assert_eq!(named.file, Some(PathBuf::from("to/x.json")));
    }

    #[test]
    fn phase_is_nothing_where_nobody_asks() {
        assert!(phase("x").about(3).0.is_none());
    }
}
