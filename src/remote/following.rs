//! Following one execution to its end: the stream of what becomes of it breaks,
//! is silent for hours, and belongs to a run that may be cancelled. It is taken up
//! by the execution's name; where the server does not know that any more, the
//! execution is asked for again. What is given up is ended there, too.

use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::{Code, Status};

use super::executor::{AGAIN, Executor, Job, PAUSE, Undone};
use super::fault::Fault;
use super::grpc::Grpc;
use super::operations::{self, Operations, Said};
use super::tally::add;
use crate::runner::units::show_duration;

/// How long a cancelled execution may take to end.
const ENDS: Duration = Duration::from_secs(5);

/// How the following of an execution ended.
pub(super) enum Followed {
    /// With this answer.
    Over(Box<api::ExecuteResponse>),
    /// The server does not execute it, or not to its end.
    Refused(Status),
    /// It took longer than it may, and was ended.
    TooLong,
    /// The run was cancelled; what is to be said of it.
    Cancelled(Option<String>),
}

impl Executor {
    /// Asks for an execution and waits for its end, however often the stream breaks.
    pub(super) async fn follow(
        &self,
        grpc: &Grpc,
        job: &Job,
        anew: bool,
        cancelled: &mut watch::Receiver<bool>,
    ) -> Result<Followed, Fault> {
        let mut name: Option<String> = None;
        let mut clock = Clock::new(job.timeout);
        // How often it broke since it was told of, and how often it was asked for.
        let (mut broken, mut asked) = (0, 0);
        let mut last = Status::unavailable("its stream ended");
        loop {
            if broken > AGAIN || (name.is_none() && asked > AGAIN) {
                return Err(grpc.fault(&last));
            }
            if broken > 0 {
                add(&self.tally.repeated, 1);
                tokio::select! {
                    () = sleep(PAUSE * 2_u32.pow(broken)) => {}
                    () = is_cancelled(cancelled) => {
                        return Ok(Followed::Cancelled(cancel(grpc, name.as_deref()).await));
                    }
                }
            }
            let is_taken_up = name.is_some();
            let mut operations = match &name {
                Some(name) => grpc.wait_for(name, &job.key),
                None => {
                    asked += 1;
                    clock = Clock::new(job.timeout);
                    grpc.execute(&job.key, anew)
                }
            };
            loop {
                let next = tokio::select! {
                    next = operations.next() => next,
                    () = is_cancelled(cancelled) => {
                        let note = stop(grpc, &mut name, &mut operations).await;
                        return Ok(Followed::Cancelled(note));
                    }
                    () = until(clock.deadline) => {
                        drop(stop(grpc, &mut name, &mut operations).await);
                        return Ok(Followed::TooLong);
                    }
                    // It may be at it for hours, and still be there.
                    there = is_there(grpc) => match there {
                        Ok(()) => continue,
                        Err(fault) => {
                            last = Status::unavailable(fault.to_string());
                            break;
                        }
                    }
                };
                match next {
                    Some(Ok(operation)) => {
                        // It goes on there, and the next word may be the last.
                        if is_taken_up {
                            broken = 0;
                        }
                        if !operation.name.is_empty() {
                            name = Some(operation.name.clone());
                        }
                        match operations::read(&operation) {
                            Said::Queued => clock.waits(),
                            Said::Executing => clock.begins(),
                            Said::Going => clock.goes_on(),
                            Said::Over(response) => return Ok(Followed::Over(response)),
                            Said::Lost(status) => return Ok(Followed::Refused(status)),
                        }
                    }
                    Some(Err(status)) if breaks(&status) => {
                        last = status;
                        break;
                    }
                    Some(Err(status)) if name.is_some() => {
                        // It does not know it any more, or can't tell of it again.
                        name = None;
                        last = status;
                        break;
                    }
                    Some(Err(status)) => return Ok(Followed::Refused(status)),
                    None => break,
                }
            }
            broken += 1;
        }
    }
}

/// The time that one execution may take, without that in which it waits for a
/// worker. Where a server tells of neither, it counts from when it was asked.
struct Clock {
    limit: Option<Duration>,
    deadline: Option<Instant>,
    has_begun: bool,
}

impl Clock {
    fn new(limit: Option<Duration>) -> Clock {
        Clock {
            limit,
            deadline: limit.map(|limit| Instant::now() + limit),
            has_begun: false,
        }
    }

    fn waits(&mut self) {
        if !self.has_begun {
            self.deadline = None;
        }
    }

    /// Where a server that told of the queue tells of no worker, this has to do.
    fn goes_on(&mut self) {
        if self.deadline.is_none() {
            self.begins();
        }
    }

    /// However often that is said: a stream that is taken up says it again.
    fn begins(&mut self) {
        if !self.has_begun {
            *self = Clock::new(self.limit);
            self.has_begun = true;
        }
    }
}

/// Whether it was the stream that broke, and not the execution.
fn breaks(status: &Status) -> bool {
    status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
}

/// Asks a server that says nothing for as long as a stall may take whether it is
/// there.
async fn is_there(grpc: &Grpc) -> Result<(), Fault> {
    sleep(grpc.stall()).await;
    grpc.limits().await.map(drop)
}

/// What comes of `work`, unless the run is cancelled before.
pub(super) async fn unless_cancelled<T>(
    cancelled: &mut watch::Receiver<bool>,
    work: impl Future<Output = T>,
) -> Result<T, Undone> {
    tokio::select! {
        done = work => Ok(done),
        () = is_cancelled(cancelled) => Err(Undone::Cancelled(None)),
    }
}

/// Ends once the run is cancelled.
async fn is_cancelled(cancelled: &mut watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        // The run is over; it was not cancelled.
        std::future::pending::<()>().await;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Ends an execution, and waits until it has ended; what is to be said of it.
async fn stop(
    grpc: &Grpc,
    name: &mut Option<String>,
    operations: &mut Operations,
) -> Option<String> {
    if name.is_none() {
        // It may have been asked for a moment ago.
        let first = timeout(ENDS, operations.next()).await;
        if let Ok(Some(Ok(operation))) = first {
            *name = Some(operation.name);
        }
    }
    let note = cancel(grpc, name.as_deref()).await;
    if note.is_none() && name.is_some() {
        let ended = async {
            while let Some(Ok(operation)) = operations.next().await {
                if operation.done {
                    return;
                }
            }
        };
        drop(timeout(ENDS, ended).await);
    }
    note
}

async fn cancel(grpc: &Grpc, name: Option<&str>) -> Option<String> {
    let Some(name) = name else {
        return Some("it may still run there: the server has not said its name".into());
    };
    match timeout(ENDS, grpc.cancel(name)).await {
        Ok(Ok(())) => None,
        // It has ended meanwhile.
        Ok(Err(status)) if matches!(status.code(), Code::NotFound | Code::FailedPrecondition) => {
            None
        }
        Ok(Err(status)) if status.code() == Code::Unimplemented => {
            Some("it runs on there to its end: the server can't cancel".into())
        }
        Ok(Err(status)) => Some(format!("it may still run there: {}", grpc.fault(&status))),
        Err(_) => Some(format!(
            "it may still run there: no answer for {}",
            show_duration(ENDS)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn cancelled_run_waits_for_nothing() {
        let (cancel, mut cancelled) = watch::channel(false);
        let (begun, hour) = (Instant::now(), Duration::from_secs(3600));
        assert_eq!(
            unless_cancelled(&mut cancelled, sleep(hour)).await,
            Ok(()),
            "it was not cancelled"
        );
        let later = async {
            sleep(hour).await;
            cancel.send_replace(true);
        };
        let (ended, ()) = tokio::join!(unless_cancelled(&mut cancelled, sleep(hour * 9)), later);
        assert_eq!(ended, Err(Undone::Cancelled(None)));
        assert_eq!(begun.elapsed(), hour * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_a_queue_does_not_count_and_what_is_said_twice_counts_once() {
        let limit = Duration::from_secs(10);
        let mut clock = Clock::new(Some(limit));
        // A server that tells of nothing.
        assert_eq!(clock.deadline, Some(Instant::now() + limit));
        clock.waits();
        assert_eq!(clock.deadline, None);
        tokio::time::advance(limit * 3).await;
        clock.begins();
        let ends = Some(Instant::now() + limit);
        tokio::time::advance(limit / 2).await;
        clock.begins();
        clock.waits();
        clock.goes_on();
        assert_eq!(clock.deadline, ends);
        // One that tells of the queue, and of no worker.
        let mut clock = Clock::new(Some(limit));
        clock.waits();
        clock.goes_on();
        assert_eq!(clock.deadline, Some(Instant::now() + limit));
        assert_eq!(Clock::new(None).deadline, None);
    }
}
