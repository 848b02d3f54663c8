//! Those who work in the background of a process: workers, listeners for receipts, the built-in schedule.
//!
//! Started together and stopped together, so that `serve` and `work` do the same. Their loops live in `flow/`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::{self, Timestamp};
use crate::error::{Error, Kind, Result};
use crate::flow::work::{self, Stop};
use crate::flow::{events, resend, spread, sync_report};
use crate::gateway::{Gateway, fleet};

/// How long a process that ends may take to tell the others what its last calls showed, and what it accepted last.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(2);

/// How long listeners may take to put away the receipts they have in hand.
const LISTENERS_GRACE: Duration = Duration::from_secs(2);

/// Shortest time between two runs of the same duty, also when it failed.
const DUTY_PAUSE_MIN: Duration = Duration::from_secs(1);

/// The tasks, and the word that stops them.
pub struct Crew {
    stop: watch::Sender<bool>,
    workers: Option<JoinHandle<u32>>,
    others: JoinSet<()>,
    in_step: Option<Arc<Gateway>>,
}

impl Crew {
    /// Nobody yet.
    pub fn new() -> Self {
        Self {
            stop: watch::Sender::new(false),
            workers: None,
            others: JoinSet::new(),
            in_step: None,
        }
    }

    /// Starts the workers, and with them the listeners: receipts come to the process that sent.
    pub fn deliver(&mut self, gateway: &Arc<Gateway>) {
        self.workers = Some(tokio::spawn(work::run(Arc::clone(gateway), self.told())));
        self.others.spawn(events::run(Arc::clone(gateway), self.told()));
        for lane in gateway.lanes() {
            self.others
                .spawn(work::listen(Arc::clone(gateway), Arc::clone(lane), self.told()));
        }
    }

    /// Makes broadcasts into messages.
    pub fn spread(&mut self, gateway: &Arc<Gateway>) {
        self.others.spawn(spread::run(Arc::clone(gateway), self.told()));
    }

    /// Keeps in step with other processes on the same store.
    pub fn keep_in_step(&mut self, gateway: &Arc<Gateway>) {
        self.in_step = Some(Arc::clone(gateway));
        let following = fleet::follow(Arc::clone(gateway));
        self.others.spawn(until_told(following, self.told()));
    }

    /// Starts what the configuration does not leave to cron.
    pub fn keep_schedule(&mut self, gateway: &Arc<Gateway>) {
        if let Some(every) = gateway.config.schedule.resend {
            let duty = resend_every(Arc::clone(gateway), every);
            self.others.spawn(until_told(duty, self.told()));
        }
        if let Some(every) = gateway.config.schedule.report {
            let duty = report_every(Arc::clone(gateway), every);
            self.others.spawn(until_told(duty, self.told()));
        }
    }

    /// Waits until anybody ends without having been told, which nobody ever should: a process that no longer keeps in
    /// step, or lets its schedule or its receipts lie, is better started anew.
    pub async fn fallen(&mut self) -> Error {
        let Self { workers, others, .. } = self;
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
        Error::because(Kind::Internal, format!("{who} ended unasked"), why)
    }

    /// Tells everybody to stop and waits for what is in flight, as long as the configuration allows.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        if let Some(workers) = self.workers.take() {
            let left = workers
                .await
                .map_err(|panic| Error::because(Kind::Internal, "the workers could not finish", panic))?;
            if left > 0 {
                log::warn!("{left} calls took longer than work.grace; they will show as unknown");
            }
        }
        if let Some(gateway) = self.in_step.take() {
            last_words(&gateway).await;
        }
        let all = async { while self.others.join_next().await.is_some() {} };
        if tokio::time::timeout(LISTENERS_GRACE, all).await.is_err() {
            self.others.shutdown().await;
        }
        Ok(())
    }

    fn told(&self) -> Stop {
        self.stop.subscribe()
    }
}

/// A probe that ended while we stopped would otherwise be waited for by all, and a nudge by whoever sweeps next.
async fn last_words(gateway: &Gateway) {
    gateway.queue.flush(LAST_WORDS_LIMIT).await;
    match tokio::time::timeout(LAST_WORDS_LIMIT, fleet::exchange(gateway)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::warn!("could not tell the others how providers do: {}", error.chain()),
        Err(_) => log::warn!("could not tell the others how providers do: the store does not answer"),
    }
}

/// Drops the duty when told; every step of it is one transaction, so nothing is left half-done.
async fn until_told(duty: impl Future<Output = ()>, mut stop: Stop) {
    tokio::select! {
        () = duty => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn resend_every(gateway: Arc<Gateway>, every: Duration) {
    loop {
        clock::pause(every).await;
        match resend::if_due(&gateway, every).await {
            Ok(None) => {}
            Ok(Some(resent)) => log::debug!("queued {} due deliveries again", resent.queued),
            Err(error) => log::error!("cannot queue what is due: {}", error.chain()),
        }
    }
}

/// Brings the report up to date whenever the newest one is that old, whoever made it.
async fn report_every(gateway: Arc<Gateway>, every: Duration) {
    let mut wait = report_due_in(&gateway, every).await;
    loop {
        clock::pause(wait).await;
        wait = match sync_report::sync_if_due(&gateway, every).await {
            Ok(synced) => {
                let folded = synced.map_or(0, |synced| synced.folded);
                log::debug!("report brought up to date: {folded} changes");
                report_due_in(&gateway, every).await.max(DUTY_PAUSE_MIN)
            }
            Err(error) => {
                log::error!("cannot bring the report up to date: {}", error.chain());
                every.min(Duration::from_secs(60)).max(DUTY_PAUSE_MIN)
            }
        };
    }
}

async fn report_due_in(gateway: &Gateway, every: Duration) -> Duration {
    match sync_report::newest(gateway).await {
        Ok(Some((_, report))) => due_in(report.as_of, every, gateway.clock.now()),
        Ok(None) | Err(_) => Duration::ZERO,
    }
}

/// How long until something made at `made` is `every` old. A clock set back makes nobody wait longer than that.
fn due_in(made: Timestamp, every: Duration, now: Timestamp) -> Duration {
    let age = (now - made).to_std().unwrap_or_default();
    every.saturating_sub(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_falls_is_noticed_whoever_it_is() {
        let falls = async { panic!("a defect") };
        let mut crew = Crew::new();
        crew.others.spawn(until_told(std::future::pending(), crew.told()));
        crew.others.spawn(until_told(falls, crew.told()));
        let fallen = tokio::time::timeout(Duration::from_secs(30), crew.fallen()).await;
        let words = fallen.unwrap().chain();
        assert!(
            words.contains("beside the workers") && words.contains("a defect"),
            "{words}"
        );
        crew.stop().await.unwrap();

        let mut crew = Crew::new();
        crew.others.spawn(until_told(std::future::pending(), crew.told()));
        crew.workers = Some(tokio::spawn(async { panic!("a defect") }));
        assert!(crew.fallen().await.chain().contains("the workers"));
        crew.stop().await.unwrap();
    }

    #[test]
    fn a_report_is_due_when_it_is_old_enough_and_never_later_than_one_interval() {
        let now: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let every = Duration::from_secs(1_200);
        for (age, wait) in [(0, 1_200), (200, 1_000), (1_200, 0), (9_999, 0), (-500, 1_200)] {
            let made = now - chrono::TimeDelta::seconds(age);
            assert_eq!(due_in(made, every, now), Duration::from_secs(wait), "{age} s old");
        }
    }
}
