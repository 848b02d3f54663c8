//! Those who work in the background of a process: workers, listeners for receipts, the built-in schedule.
//!
//! Started together and stopped together, so that `serve` and `work` do the same. Their loops live in `flow/`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use postrider_core::clock::{self, Timestamp};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::gateway::Gateway;
use postrider_engine::shared_health;
use postrider_engine::stop::StopSignal;
use postrider_engine::worker;
use postrider_engine::{events, fan_out, resend, sync_report};

/// How long a process that ends may take to tell the others what its last calls showed, and what it accepted last.
const SHUTDOWN_FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long listeners may take to put away the receipts they have in hand.
const TASK_STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Shortest time between two runs of the same duty, also when it failed.
const JOB_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// The tasks, and the word that stops them.
pub struct BackgroundTasks {
    stop_sender: watch::Sender<bool>,
    workers: Option<JoinHandle<u32>>,
    tasks: JoinSet<()>,
    health_sync: Option<Arc<Gateway>>,
}

impl BackgroundTasks {
    /// Nobody yet.
    pub fn new() -> Self {
        Self {
            stop_sender: watch::Sender::new(false),
            workers: None,
            tasks: JoinSet::new(),
            health_sync: None,
        }
    }

    /// Starts the workers, and with them the listeners: receipts come to the process that sent.
    pub fn start_delivery(&mut self, gateway: &Arc<Gateway>) {
        self.workers = Some(tokio::spawn(worker::run(Arc::clone(gateway), self.stop_signal())));
        self.tasks
            .spawn(events::run(Arc::clone(gateway), self.stop_signal()));
        for lane in gateway.providers() {
            self.tasks.spawn(worker::receive_incoming(
                Arc::clone(gateway),
                Arc::clone(lane),
                self.stop_signal(),
            ));
        }
    }

    /// Makes broadcasts into messages.
    pub fn start_fan_out(&mut self, gateway: &Arc<Gateway>) {
        self.tasks
            .spawn(fan_out::run(Arc::clone(gateway), self.stop_signal()));
    }

    /// Keeps in step with other processes on the same store.
    pub fn start_health_sync(&mut self, gateway: &Arc<Gateway>) {
        self.health_sync = Some(Arc::clone(gateway));
        let following = shared_health::run_health_sync(Arc::clone(gateway));
        self.tasks.spawn(run_until_stopped(following, self.stop_signal()));
    }

    /// Starts what the configuration does not leave to cron.
    pub fn start_schedule(&mut self, gateway: &Arc<Gateway>) {
        if let Some(every) = gateway.config.schedule.resend {
            let duty = run_resend_job(Arc::clone(gateway), every);
            self.tasks.spawn(run_until_stopped(duty, self.stop_signal()));
        }
        if let Some(every) = gateway.config.schedule.report {
            let duty = run_report_job(Arc::clone(gateway), every);
            self.tasks.spawn(run_until_stopped(duty, self.stop_signal()));
        }
    }

    /// Waits until anybody ends without having been told, which nobody ever should: a process that no longer keeps in
    /// step, or lets its schedule or its receipts lie, is better started anew.
    pub async fn wait_for_failure(&mut self) -> Error {
        let Self {
            workers,
            tasks: others,
            ..
        } = self;
        let working = async {
            match workers {
                None => std::future::pending().await,
                Some(workers) => workers.await.map(drop),
            }
        };
        let beside = async {
            match others.join_next().await {
                None => std::future::pending().await,
                Some(ended) => ended,
            }
        };
        let (who, ended) = tokio::select! {
            ended = working => ("the workers", ended),
            ended = beside => ("somebody beside the workers", ended),
        };
        if self.workers.as_ref().is_some_and(JoinHandle::is_finished) {
            self.workers = None;
        }
        let why = ended.map_or_else(|panic| panic.to_string(), |()| "without a reason".to_owned());
        Error::with_source(ErrorKind::Internal, format!("{who} ended unasked"), why)
    }

    /// Tells everybody to stop and waits for what is in flight, as long as the configuration allows.
    pub async fn stop(mut self) -> Result<()> {
        self.stop_sender.send_replace(true);
        if let Some(workers) = self.workers.take() {
            let left = workers.await.map_err(|panic| {
                Error::with_source(ErrorKind::Internal, "the workers could not finish", panic)
            })?;
            if left > 0 {
                log::warn!("{left} calls took longer than work.grace; they will show as unknown");
            }
        }
        if let Some(gateway) = self.health_sync.take() {
            flush_before_exit(&gateway).await;
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(TASK_STOP_TIMEOUT, all).await.is_err() {
            self.tasks.shutdown().await;
        }
        Ok(())
    }

    fn stop_signal(&self) -> StopSignal {
        self.stop_sender.subscribe()
    }
}

/// A probe that ended while we stopped would otherwise be waited for by all, and a nudge by whoever sweeps next.
async fn flush_before_exit(gateway: &Gateway) {
    gateway.queue.flush(SHUTDOWN_FLUSH_TIMEOUT).await;
    match tokio::time::timeout(SHUTDOWN_FLUSH_TIMEOUT, shared_health::sync_health(gateway)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::warn!("could not tell the others how providers do: {}", error.chain()),
        Err(_) => log::warn!("could not tell the others how providers do: the store does not answer"),
    }
}

/// Drops the duty when told; every step of it is one transaction, so nothing is left half-done.
async fn run_until_stopped(duty: impl Future<Output = ()>, mut stop: StopSignal) {
    tokio::select! {
        () = duty => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn run_resend_job(gateway: Arc<Gateway>, every: Duration) {
    loop {
        clock::sleep(every).await;
        match resend::enqueue_if_due(&gateway, every).await {
            Ok(None) => {}
            Ok(Some(resent)) => log::debug!("queued {} due deliveries again", resent.enqueued),
            Err(error) => log::error!("cannot queue what is due: {}", error.chain()),
        }
    }
}

/// Brings the report up to date whenever the newest one is that old, whoever made it.
async fn run_report_job(gateway: Arc<Gateway>, every: Duration) {
    let mut wait = report_due_in(&gateway, every).await;
    loop {
        clock::sleep(wait).await;
        wait = match sync_report::sync_if_due(&gateway, every).await {
            Ok(synced) => {
                let folded = synced.map_or(0, |synced| synced.changes_applied);
                log::debug!("report brought up to date: {folded} changes");
                report_due_in(&gateway, every).await.max(JOB_INTERVAL_MIN)
            }
            Err(error) => {
                log::error!("cannot bring the report up to date: {}", error.chain());
                every.min(Duration::from_secs(60)).max(JOB_INTERVAL_MIN)
            }
        };
    }
}

async fn report_due_in(gateway: &Gateway, every: Duration) -> Duration {
    match sync_report::latest_report(gateway).await {
        Ok(Some((_, report))) => time_until_due(report.as_of, every, gateway.clock.now()),
        Ok(None) | Err(_) => Duration::ZERO,
    }
}

/// How long until something made at `made` is `every` old. A clock set back makes nobody wait longer than that.
fn time_until_due(made: Timestamp, every: Duration, now: Timestamp) -> Duration {
    let age = (now - made).to_std().unwrap_or_default();
    every.saturating_sub(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_falls_is_noticed_whoever_it_is() {
        let falls = async { panic!("a defect") };
        let mut crew = BackgroundTasks::new();
        crew.tasks
            .spawn(run_until_stopped(std::future::pending(), crew.stop_signal()));
        crew.tasks.spawn(run_until_stopped(falls, crew.stop_signal()));
        let fallen = tokio::time::timeout(Duration::from_secs(30), crew.wait_for_failure()).await;
        let words = fallen.unwrap().chain();
        assert!(
            words.contains("beside the workers") && words.contains("a defect"),
            "{words}"
        );
        crew.stop().await.unwrap();

        let mut crew = BackgroundTasks::new();
        crew.tasks
            .spawn(run_until_stopped(std::future::pending(), crew.stop_signal()));
        crew.workers = Some(tokio::spawn(async { panic!("a defect") }));
        assert!(crew.wait_for_failure().await.chain().contains("the workers"));
        crew.stop().await.unwrap();
    }

    #[test]
    fn a_report_is_due_when_it_is_old_enough_and_never_later_than_one_interval() {
        let now: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let every = Duration::from_secs(1_200);
        for (age, wait) in [(0, 1_200), (200, 1_000), (1_200, 0), (9_999, 0), (-500, 1_200)] {
            let made = now - chrono::TimeDelta::seconds(age);
            assert_eq!(
                time_until_due(made, every, now),
                Duration::from_secs(wait),
                "{age} s old"
            );
        }
    }
}
