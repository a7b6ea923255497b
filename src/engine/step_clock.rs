//! How long the step that runs has been running. The driver says which it is,
//! the engine looks now and then; this only compares.

use std::time::Duration;

use tokio::time::Instant;

/// Since when the step that runs is running.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepClock {
    number: usize,
    since: Instant,
    is_over: bool,
}

/// What a look at the clock came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing new.
    Same,
    /// Another step began.
    Began,
    /// The step has had its time; told once.
    TooLong,
}

impl StepClock {
    /// The first step begins now.
    pub(super) fn start() -> StepClock {
        StepClock {
            number: 1,
            since: Instant::now(),
            is_over: false,
        }
    }

    /// The step with this number runs now, which may take until `limit`.
    pub(super) fn look(&mut self, number: usize, limit: Option<Duration>) -> Look {
        if number != self.number {
            (self.number, self.since) = (number, Instant::now());
            return Look::Began;
        }
        let too_long = limit.is_some_and(|limit| self.since.elapsed() > limit);
        if self.is_over || !too_long {
            return Look::Same;
        }
        self.is_over = true;
        Look::TooLong
    }

    /// Whether a step had had its time.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_step_has_its_own_time_and_is_told_of_once() {
        let limit = Some(Duration::from_secs(60));
        let mut clock = StepClock::start();
        for (seconds, number, limit, expected) in [
            (60, 1, limit, Look::Same),
            (50, 2, limit, Look::Began),
            (60, 2, limit, Look::Same),
            (9999, 2, None, Look::Same),
            (0, 2, limit, Look::TooLong),
            (1, 2, limit, Look::Same),
        ] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert_eq!(clock.is_over(), seconds == 1);
            assert_eq!(clock.look(number, limit), expected);
        }
    }
}
