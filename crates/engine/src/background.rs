//! The background tasks of one process: worker pool, receipt polling, event delivery, fan-out, health sync, schedule.
//!
//! [`BackgroundTasks`] starts and stops the tasks together, so that `serve`, `work` and a simulation behave the same. The
//! loops are in the modules of their subjects. Every step of a loop is one transaction, so a task that is
//! dropped leaves nothing half-done.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::{
    events, fan_out, gateway::Gateway, resend, shared_health, stop::StopSignal, sync_report, worker,
};
use postrider_core::clock::{self, Timestamp};
use postrider_core::error::{Error, ErrorKind, Result};

/// Maximum time at shutdown for writing provider health to the store and pending entries to the queue.
const SHUTDOWN_FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum time at shutdown for the tasks other than the worker pool, which store the receipts they have received.
const TASK_STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Minimum delay between two runs of the same job, also after a failure.
const JOB_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Maximum delay before a failed report job runs again.
const REPORT_RETRY_DELAY_MAX: Duration = Duration::from_secs(60);

/// The running tasks of a process and the sender that stops them.
#[derive(Default)]
pub struct BackgroundTasks {
    stop_sender: watch::Sender<bool>,
    workers: Option<JoinHandle<u32>>,
    tasks: JoinSet<()>,
    health_sync: Option<Arc<Gateway>>,
}

impl BackgroundTasks {
    /// Starts the worker pool, event delivery and receipt polling. They run in the same process, because a provider
    /// reports to the process that sent the message.
    pub fn start_delivery(&mut self, gateway: &Arc<Gateway>) {
        self.workers = Some(tokio::spawn(worker::run(Arc::clone(gateway), self.stop_signal())));
        self.tasks.spawn(events::run(Arc::clone(gateway), self.stop_signal()));
        for provider in gateway.providers() {
            self.tasks.spawn(worker::receive_incoming(
                Arc::clone(gateway),
                Arc::clone(provider),
                self.stop_signal(),
            ));
        }
    }

    /// Starts the fan-out of broadcasts into messages.
    pub fn start_fan_out(&mut self, gateway: &Arc<Gateway>) {
        self.tasks.spawn(fan_out::run(Arc::clone(gateway), self.stop_signal()));
    }

    /// Starts the exchange of clock and provider health with other processes on the same store.
    pub fn start_health_sync(&mut self, gateway: &Arc<Gateway>) {
        self.health_sync = Some(Arc::clone(gateway));
        let sync = shared_health::run_health_sync(Arc::clone(gateway));
        self.tasks.spawn(run_until_stopped(sync, self.stop_signal()));
    }

    /// Starts the scheduled jobs that have an interval in the configuration; the others are left to cron.
    pub fn start_schedule(&mut self, gateway: &Arc<Gateway>) {
        if let Some(interval) = gateway.config.schedule.resend {
            let job = run_resend_job(Arc::clone(gateway), interval);
            self.tasks.spawn(run_until_stopped(job, self.stop_signal()));
        }
        if let Some(interval) = gateway.config.schedule.report {
            let job = run_report_job(Arc::clone(gateway), interval);
            self.tasks.spawn(run_until_stopped(job, self.stop_signal()));
        }
    }

    /// Waits until a task ends although it was not stopped, and returns the error to exit with.
    ///
    /// A process without health sync, schedule or receipts must not continue silently. It exits, and its supervisor
    /// restarts it.
    pub async fn wait_for_failure(&mut self) -> Error {
        let Self { workers, tasks, .. } = self;
        let worker_end = async {
            match workers {
                None => std::future::pending().await,
                Some(workers) => workers.await.map(drop),
            }
        };
        let task_end = async {
            match tasks.join_next().await {
                None => std::future::pending().await,
                Some(task_end_result) => task_end_result,
            }
        };
        let (task_name, task_end_result) = tokio::select! {
            task_end_result = worker_end => ("worker pool", task_end_result),
            task_end_result = task_end => ("background task", task_end_result),
        };
        if self.workers.as_ref().is_some_and(JoinHandle::is_finished) {
            self.workers = None;
        }
        let cause =
            task_end_result.map_or_else(|panic| panic.to_string(), |()| "the task returned".to_owned());
        Error::with_source(ErrorKind::Internal, format!("{task_name} stopped unexpectedly"), cause)
    }

    /// Stops every task and waits for calls in flight, at most `work.grace`.
    pub async fn stop(mut self) -> Result<()> {
        self.stop_sender.send_replace(true);
        if let Some(workers) = self.workers.take() {
            let unfinished_calls = workers.await.map_err(|panic| {
                Error::with_source(ErrorKind::Internal, "worker pool failed while stopping", panic)
            })?;
            if unfinished_calls > 0 {
                log::warn!("calls exceeded work.grace, outcome will be unknown count={unfinished_calls}");
            }
        }
        if let Some(gateway) = self.health_sync.take() {
            flush_before_exit(&gateway).await;
        }
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(TASK_STOP_TIMEOUT, all_ended).await.is_err() {
            self.tasks.shutdown().await;
        }
        Ok(())
    }

    fn stop_signal(&self) -> StopSignal {
        self.stop_sender.subscribe()
    }
}

/// Pushes pending queue entries and reports provider health. If the push fails, the entries wait for the next resend
/// job. If the report fails, other processes do not learn the result of a probe that ended during the shutdown.
async fn flush_before_exit(gateway: &Gateway) {
    gateway.queue.flush(SHUTDOWN_FLUSH_TIMEOUT).await;
    match tokio::time::timeout(SHUTDOWN_FLUSH_TIMEOUT, shared_health::sync_health(gateway)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::warn!("cannot share provider health at shutdown: error={}", error.chain()),
        Err(_) => log::warn!("cannot share provider health at shutdown: error=store timeout"),
    }
}

async fn run_until_stopped(task: impl Future<Output = ()>, mut stop: StopSignal) {
    tokio::select! {
        () = task => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn run_resend_job(gateway: Arc<Gateway>, interval: Duration) {
    loop {
        clock::sleep(interval).await;
        match resend::enqueue_if_due(&gateway, interval).await {
            Ok(None) => {}
            Ok(Some(resend)) => log::debug!("resend job done queued={}", resend.enqueued),
            Err(error) => log::error!("resend job failed: error={}", error.chain()),
        }
    }
}

/// Updates the report each time the newest report of any process is `interval` old.
async fn run_report_job(gateway: Arc<Gateway>, interval: Duration) {
    let mut delay = time_until_report_due(&gateway, interval).await;
    loop {
        clock::sleep(delay).await;
        delay = match sync_report::sync_if_due(&gateway, interval).await {
            Ok(sync_result) => {
                let changes = sync_result.map_or(0, |result| result.changes_applied);
                log::debug!("report job done changes={changes}");
                time_until_report_due(&gateway, interval).await.max(JOB_INTERVAL_MIN)
            }
            Err(error) => {
                log::error!("report job failed: error={}", error.chain());
                interval.min(REPORT_RETRY_DELAY_MAX).max(JOB_INTERVAL_MIN)
            }
        };
    }
}

async fn time_until_report_due(gateway: &Gateway, interval: Duration) -> Duration {
    match sync_report::latest_report(gateway).await {
        Ok(Some((_, report))) if report.messages == 0 => interval.min(sync_report::EMPTY_REPORT_INTERVAL),
        Ok(Some((_, report))) => time_until_due(report.as_of, interval, gateway.clock.now()),
        Ok(None) | Err(_) => Duration::ZERO,
    }
}

/// Returns the time until a report of `report_time` is `interval` old. The result is at most `interval`, even if the
/// clock was set back.
fn time_until_due(report_time: Timestamp, interval: Duration, now: Timestamp) -> Duration {
    let report_age = (now - report_time).to_std().unwrap_or_default();
    interval.saturating_sub(report_age)
}

#[cfg(test)]
mod tests;
