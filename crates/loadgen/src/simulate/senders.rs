//! The senders of a simulation during a run: start, interrupt, stop, and detection of a run without progress.
//!
//! All senders are stopped before [`run_with_senders`] returns, even after an error or an interrupt.

use std::{future::poll_fn, task::Poll, time::Duration};

use tokio::task::JoinSet;

use super::environment::SimulationEnvironment;
use crate::interrupts::Interrupts;
use postrider_core::clock::{Clock, Stopwatch};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::background::BackgroundTasks;

/// Time without progress after which the store is pinged: longer than a retry or a slow batch takes.
const SENDING_STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time for the response to a ping.
const STORE_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Consequence of the second interrupt, for its error message.
const ABORT_CONSEQUENCE: &str = "calls that were in flight will show as unknown";

/// Runs the senders until `sending` has ended, and returns the duration. The second interrupt aborts both.
pub async fn run_with_senders(
    environment: &SimulationEnvironment,
    interrupts: &Interrupts,
    sending: impl Future<Output = Result<()>>,
) -> Result<Duration> {
    let mut senders = start_senders(environment);
    let stopwatch = environment.intake_gateway().clock.stopwatch();
    let sent = tokio::select! {
        sent = interrupts.abort_at_second(sending, ABORT_CONSEQUENCE) => sent,
        failure = first_sender_failure(&mut senders) => Err(failure),
    };
    let elapsed = stopwatch.elapsed();
    let stopped = interrupts.abort_at_second(stop_senders(senders), ABORT_CONSEQUENCE).await;
    sent.and(stopped)?;
    Ok(elapsed)
}

/// Starts one set of tasks for each sender. Only the first sender synchronises the clock, which all share, and only the
/// first fans out broadcasts.
fn start_senders(environment: &SimulationEnvironment) -> Vec<BackgroundTasks> {
    let mut senders = Vec::with_capacity(environment.senders.len());
    for (index, gateway) in environment.senders.iter().enumerate() {
        let mut tasks = BackgroundTasks::default();
        if index == 0 {
            tasks.start_health_sync(gateway);
            tasks.start_fan_out(gateway);
        }
        tasks.start_delivery(gateway);
        senders.push(tasks);
    }
    senders
}

/// Waits until a task of any sender ends unexpectedly.
async fn first_sender_failure(senders: &mut [BackgroundTasks]) -> Error {
    let mut failures = senders.iter_mut().map(|tasks| Box::pin(tasks.wait_for_failure())).collect::<Vec<_>>();
    poll_fn(|context| {
        let mut polled_failures = failures.iter_mut().map(|failure| failure.as_mut().poll(context));
        polled_failures.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// Stops all senders at the same time.
async fn stop_senders(senders: Vec<BackgroundTasks>) -> Result<()> {
    let mut stopping: JoinSet<Result<()>> = senders.into_iter().map(BackgroundTasks::stop).collect();
    while let Some(stopped) = stopping.join_next().await {
        stopped.map_err(|panic| {
            Error::with_source(ErrorKind::Internal, "sender failed while stopping", panic)
        })??;
    }
    Ok(())
}

/// Ends a run that makes no progress because the store fails.
pub struct StallDetector<'e> {
    environment: &'e SimulationEnvironment,
    last_progress: u64,
    stalled_since: Stopwatch,
}

impl<'e> StallDetector<'e> {
    /// Starts to measure.
    pub fn new(environment: &'e SimulationEnvironment) -> Self {
        Self { environment, last_progress: 0, stalled_since: Clock::System.stopwatch() }
    }

    /// Records `progress`, a counter that grows with every step of the run.
    ///
    /// # Errors
    ///
    /// Fails when the counter has not grown for [`SENDING_STALL_TIMEOUT`] and the store does not respond either.
    pub async fn check_progress(&mut self, progress: u64) -> Result<()> {
        let is_stalled = progress == self.last_progress;
        if is_stalled && self.stalled_since.elapsed() < SENDING_STALL_TIMEOUT {
            return Ok(());
        }
        self.last_progress = progress;
        self.stalled_since = Clock::System.stopwatch();
        if !is_stalled {
            return Ok(());
        }
        let ping = self.environment.intake_gateway().store.ping();
        let ping_result = tokio::time::timeout(STORE_PING_TIMEOUT, ping).await;
        let ping_result =
            ping_result.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unavailable, "no response in time")));
        ping_result.map_err(|error| {
            let message = format!("simulation stopped: the store is unavailable: {error}");
            Error::with_source(ErrorKind::Unavailable, message, error)
        })
    }
}
