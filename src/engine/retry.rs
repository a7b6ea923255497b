//! Trying again what failed: how often, after which exit codes, and with which
//! wait between. A wait ends at once when the run is cancelled.

use crate::event::Failure;
use crate::runner::definition::Retries;

use super::fault::Obstacle;

/// Whether a failure is to be tried again after `attempts` further attempts.
/// Only what a step did is: a hash that does not fit will not fit then.
fn tries_again(retries: &Retries, failure: &Failure, attempts: u32) -> bool {
    let codes = &retries.exit_codes;
    let code_fits = codes.is_empty() || failure.exit.is_some_and(|code| codes.contains(&code));
    failure.code == "step" && attempts < retries.attempts && code_fits
}

/// Calls `attempt` until it passes or may not be tried again. `telling` hears of
/// each failure that is tried again and the number of the attempt that follows,
/// of all that there may be.
pub(super) async fn tried<T>(
    retries: &Retries,
    attempt: impl AsyncFn() -> Result<T, Obstacle>,
    telling: impl Fn(&Failure, u32, u32),
    cancelled: impl AsyncFn(),
) -> Result<T, Obstacle> {
    let mut attempts = 0;
    loop {
        let failure = match attempt().await {
            Err(Obstacle::Failed(failure)) => failure,
            other => return other,
        };
        if !tries_again(retries, &failure, attempts) {
            return Err(Obstacle::Failed(failure));
        }
        attempts += 1;
        telling(&failure, attempts + 1, retries.attempts + 1);
        tokio::select! {
            () = tokio::time::sleep(retries.delay) => {}
            () = cancelled() => return Err(Obstacle::Cancelled),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::time::Duration;
    use tokio::time::Instant;

    const HOUR: Duration = Duration::from_secs(3600);

    fn retries(attempts: u32, exit_codes: &[i32]) -> Retries {
        Retries {
            attempts,
            delay: HOUR,
            exit_codes: exit_codes.to_vec(),
        }
    }

    fn failure(code: &'static str, exit: i32) -> Obstacle {
        match Obstacle::failed(code, "", "") {
            Obstacle::Failed(failure) => Obstacle::Failed(Box::new(Failure {
                exit: Some(exit),
                ..*failure
            })),
            other => other,
        }
    }

    /// Fails as often as `failures` says; how it ended, how many attempts there
    /// were, and after how many hours.
    async fn run(retries: &Retries, code: &'static str, failures: u32) -> (bool, u32, u64) {
        let (begun, made) = (Instant::now(), Cell::new(0));
        let told = RefCell::new(Vec::new());
        let result = tried(
            retries,
            async || {
                made.set(made.get() + 1);
                match made.get() > failures {
                    true => Ok(()),
                    false => Err(failure(code, 7)),
                }
            },
            |_, next, of| told.borrow_mut().push((next, of)),
            async || std::future::pending().await,
        );
        let passed = result.await.is_ok();
        let expected: Vec<_> = (2..=made.get())
            .map(|n| (n, retries.attempts + 1))
            .collect();
        assert_eq!(told.into_inner(), expected);
        (passed, made.get(), begun.elapsed().as_secs() / 3600)
    }

    #[tokio::test(start_paused = true)]
    async fn each_attempt_comes_after_its_delay_until_there_are_no_more() {
        assert_eq!(run(&retries(2, &[]), "step", 0).await, (true, 1, 0));
        assert_eq!(run(&retries(2, &[]), "step", 2).await, (true, 3, 2));
        assert_eq!(run(&retries(2, &[]), "step", 3).await, (false, 3, 2));
        assert_eq!(run(&retries(0, &[]), "step", 1).await, (false, 1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn only_steps_with_the_exit_codes_that_are_listed_are_tried_again() {
        assert_eq!(run(&retries(5, &[1, 7]), "step", 2).await, (true, 3, 2));
        assert_eq!(run(&retries(5, &[1]), "step", 2).await, (false, 1, 0));
        assert_eq!(run(&retries(5, &[]), "hash", 2).await, (false, 1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_run_does_not_wait_for_the_next_attempt() {
        let (begun, retries) = (Instant::now(), retries(9, &[]));
        let ended = tried(
            &retries,
            async || Err::<(), _>(failure("step", 7)),
            |_, _, _| {},
            async || tokio::time::sleep(Duration::from_secs(5)).await,
        );
        assert!(matches!(ended.await.unwrap_err(), Obstacle::Cancelled));
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }
}
