//! Runs a scheduled job in one process at a time, although cron on every host may start the job at the same second.
//!
//! The lock is renewed while the job runs. If its process stops, the lock expires within 10 s. Jobs are safe to run
//! twice; the lock only avoids duplicate effort.

use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::job::{JobLockOwner, JobLockResult, ScheduledJob};
use std::time::Duration;

use crate::gateway::Gateway;
use postrider_core::clock;

/// Time after which a lock expires unless it is renewed.
const JOB_LOCK_TTL: Duration = Duration::from_secs(10);

/// Interval at which a lock is renewed.
const LOCK_RENEW_INTERVAL: Duration = Duration::from_secs(3);

/// Interval at which a waiting process tries to acquire the lock.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Maximum time to wait for a lock.
const JOB_LOCK_WAIT_MAX: Duration = Duration::from_secs(15 * 60);

/// Runs that start within this time on several hosts count as one run.
pub const SAME_RUN_WINDOW: Duration = Duration::from_secs(5);

/// Result of a job that runs in one process at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobRun<T> {
    /// The job ran here.
    Ran(T),
    /// Another process runs the job, or has just run it.
    Skipped(JobLockOwner),
}

/// Runs the job, unless another process is running it, or another process started it less than `same_run_window` ago.
pub async fn run_unless_locked<T>(
    gateway: &Gateway,
    job: ScheduledJob,
    same_run_window: Duration,
    run: impl Future<Output = Result<T>>,
) -> Result<JobRun<T>> {
    match acquire(gateway, job).await? {
        JobLockResult::Busy(owner) => Ok(JobRun::Skipped(owner)),
        JobLockResult::Acquired => {
            let window_end = gateway.clock.now() + same_run_window;
            let job_result = run_with_renewal(gateway, job, run).await;
            let finished_at = gateway.clock.now();
            let expires_at = if job_result.is_ok() { window_end.max(finished_at) } else { finished_at };
            release(gateway, job, expires_at).await;
            job_result.map(JobRun::Ran)
        }
    }
}

/// Waits for the lock and runs the job. If another process holds the lock, calls `on_wait` once with its owner.
pub async fn wait_and_run<T>(
    gateway: &Gateway,
    job: ScheduledJob,
    on_wait: impl Fn(&JobLockOwner),
    run: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut time_waited = Duration::ZERO;
    while let JobLockResult::Busy(owner) = acquire(gateway, job).await? {
        if time_waited.is_zero() {
            on_wait(&owner);
        }
        if time_waited >= JOB_LOCK_WAIT_MAX {
            let message = format!("job lock not acquired within 15 minutes; held by {}", owner.process_name);
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        clock::sleep(LOCK_POLL_INTERVAL).await;
        time_waited += LOCK_POLL_INTERVAL;
    }
    let job_result = run_with_renewal(gateway, job, run).await;
    release(gateway, job, gateway.clock.now()).await;
    job_result
}

async fn acquire(gateway: &Gateway, job: ScheduledJob) -> Result<JobLockResult> {
    let now = gateway.clock.now();
    gateway.store.acquire_job_lock(job, &gateway.process_name, now, JOB_LOCK_TTL).await
}

/// Runs the job and renews the lock until the job ends.
async fn run_with_renewal<T>(
    gateway: &Gateway,
    job: ScheduledJob,
    run: impl Future<Output = Result<T>>,
) -> Result<T> {
    let renewal = async {
        loop {
            clock::sleep(LOCK_RENEW_INTERVAL).await;
            let expires_at = gateway.clock.now() + JOB_LOCK_TTL;
            match gateway.store.renew_job_lock(job, &gateway.process_name, expires_at).await {
                Ok(true) => {}
                Ok(false) => {
                    log::warn!("job lock lost: another process runs the same job; job={}", job.as_str());
                }
                Err(error) => log::error!("job lock: renewal failed: error={}", error.chain()),
            }
        }
    };
    tokio::select! {
        job_result = run => job_result,
        () = renewal => Err(Error::new(ErrorKind::Internal, "job lock renewal ended unexpectedly")),
    }
}

/// Releases the lock at `expires_at`; if the store fails, the lock expires by itself.
async fn release(gateway: &Gateway, job: ScheduledJob, expires_at: clock::Timestamp) {
    if let Err(error) = gateway.store.release_job_lock(job, &gateway.process_name, expires_at).await {
        log::error!("job lock: release failed: error={}", error.chain());
    }
}

#[cfg(test)]
mod tests;
