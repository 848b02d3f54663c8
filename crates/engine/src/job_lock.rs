//! Work that only one process on a store does at a time: cron on every host may start it at the same second.
//!
//! The owner's turn is renewed while it works and ends by itself soon after it died. The work itself may be run twice
//! without harm; turns only save the trouble.

use std::time::Duration;

use crate::gateway::Gateway;
use postrider_core::clock;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::job::{JobLockOwner, JobLockResult, ScheduledJob};

/// How long a turn lasts unless it is renewed, and so how long the work waits for one who died.
const LOCK_TTL: Duration = Duration::from_secs(10);

/// How often a turn is renewed.
const LOCK_RENEW_INTERVAL: Duration = Duration::from_secs(3);

/// How often one who waits looks whether the turn has ended.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The longest one waits for a turn.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(15 * 60);

/// Machines whose cron starts the same work do so within this time; who comes so much later wants it done again.
pub const SAME_RUN_WINDOW: Duration = Duration::from_secs(5);

/// Who did the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobRun<T> {
    /// We did.
    Ran(T),
    /// Another does, or has just done.
    Skipped(JobLockOwner),
}

/// Does the work unless another does it now, or began to less than `together` ago.
pub async fn run_unless_locked<T>(
    gateway: &Gateway,
    task: ScheduledJob,
    together: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<JobRun<T>> {
    match acquire(gateway, task).await? {
        JobLockResult::Busy(owner) => Ok(JobRun::Skipped(owner)),
        JobLockResult::Acquired => {
            let next_at = gateway.clock.now() + together;
            let outcome = run_with_renewal(gateway, task, work).await;
            let next_at = next_at.max(gateway.clock.now());
            let ends_at = if outcome.is_ok() {
                next_at
            } else {
                gateway.clock.now()
            };
            release(gateway, task, ends_at).await;
            outcome.map(JobRun::Ran)
        }
    }
}

/// Does the work when it is our turn; `told` hears of whom we wait for.
pub async fn wait_and_run<T>(
    gateway: &Gateway,
    task: ScheduledJob,
    told: impl Fn(&JobLockOwner),
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut waited = Duration::ZERO;
    while let JobLockResult::Busy(owner) = acquire(gateway, task).await? {
        if waited.is_zero() {
            told(&owner);
        }
        if waited >= LOCK_WAIT_MAX {
            let act = format!("another process has not finished yet: {}", owner.process_name);
            return Err(Error::new(ErrorKind::Unavailable, act));
        }
        clock::sleep(LOCK_POLL_INTERVAL).await;
        waited += LOCK_POLL_INTERVAL;
    }
    let outcome = run_with_renewal(gateway, task, work).await;
    release(gateway, task, gateway.clock.now()).await;
    outcome
}

async fn acquire(gateway: &Gateway, task: ScheduledJob) -> Result<JobLockResult> {
    let now = gateway.clock.now();
    gateway
        .store
        .acquire_job_lock(task, &gateway.process_name, now, LOCK_TTL)
        .await
}

/// Works, and renews the turn meanwhile.
async fn run_with_renewal<T>(
    gateway: &Gateway,
    task: ScheduledJob,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let renewing = async {
        loop {
            clock::sleep(LOCK_RENEW_INTERVAL).await;
            let ends_at = gateway.clock.now() + LOCK_TTL;
            match gateway
                .store
                .renew_job_lock(task, &gateway.process_name, ends_at)
                .await
            {
                Ok(true) => {}
                Ok(false) => log::warn!("another process has begun the work \"{}\" as well", task.as_str()),
                Err(error) => log::error!("{}", error.chain()),
            }
        }
    };
    tokio::select! {
        outcome = work => outcome,
        () = renewing => Err(Error::new(ErrorKind::Internal, "the turn was renewed to the end of time")),
    }
}

/// A turn whose end cannot be told ends by itself.
async fn release(gateway: &Gateway, task: ScheduledJob, ends_at: clock::Timestamp) {
    if let Err(error) = gateway
        .store
        .release_job_lock(task, &gateway.process_name, ends_at)
        .await
    {
        log::error!("{}", error.chain());
    }
}

#[cfg(test)]
mod tests;
