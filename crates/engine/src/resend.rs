//! Fills the queue again from the truth: what is due, and what an operator wants sent again.
//!
//! Only nudges: it never calls a provider, and running it twice sends nothing twice.

use std::time::Duration;

use super::job_lock;
use crate::gateway::Gateway;
use postrider_core::capacity::Capacity;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::error::Result;
use postrider_core::id::DeliveryId;
use postrider_core::job::ScheduledJob;
use postrider_core::queue_entry::QueueEntry;
use postrider_store::{Backlog, DeliverySelection};

/// The most nudges of one run, whatever the queue could hold.
pub const ENTRIES_PUSHED_MAX: usize = 100_000;

/// The most nudges of one run: a queue drops what is beyond its window. The rest is found by the next run, or by idle
/// workers.
pub fn entries_pushed_max(gateway: &Gateway) -> usize {
    ENTRIES_PUSHED_MAX.min(gateway.config.queue_window)
}

/// How many deliveries one write changes at most, so that no other writer waits long.
const DELIVERIES_PER_TRANSACTION: usize = 500;

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResendResult {
    /// Deliveries that were nudged.
    pub enqueued: usize,
    /// What waits altogether.
    pub backlog: Backlog,
}

/// Nudges the workers about everything that is due. Running it twice does no harm: a delivery stands in the
/// queue at most once, and only one worker wins it.
pub async fn enqueue_due(gateway: &Gateway) -> Result<ResendResult> {
    let now = gateway.clock.now();
    let nudges = gateway
        .store
        .due(now, &Capacity::total(entries_pushed_max(gateway)))
        .await?;
    gateway.queue.push(&nudges);
    Ok(ResendResult {
        enqueued: nudges.len(),
        backlog: gateway.store.backlog(now).await?,
    })
}

/// The same for the built-in schedule: none when nothing is due, or another process does it or has done it within
/// half an interval. Writes nothing while nothing is due.
pub async fn enqueue_if_due(gateway: &Gateway, every: Duration) -> Result<Option<ResendResult>> {
    if gateway
        .store
        .due(gateway.clock.now(), &Capacity::total(1))
        .await?
        .is_empty()
    {
        return Ok(None);
    }
    let together = job_lock::SAME_RUN_WINDOW.min(every / 2);
    match job_lock::run_unless_locked(gateway, ScheduledJob::Resend, together, enqueue_due(gateway)).await? {
        job_lock::JobRun::Ran(resent) => Ok(Some(resent)),
        job_lock::JobRun::Skipped(_) => Ok(None),
    }
}

/// The deliveries an operator speaks of, without touching them.
pub async fn select_deliveries(gateway: &Gateway, selection: DeliverySelection) -> Result<Vec<DeliveryId>> {
    gateway.store.select_deliveries(selection).await
}

/// A message that is sent again gets as much time as the most patient channel gives a new one.
pub fn age_max(gateway: &Gateway) -> Duration {
    let channels = gateway.config.channels.iter();
    channels
        .map(|channel| channel.retry.age_max)
        .max()
        .unwrap_or_default()
}

/// Calls off those of the deliveries that wait and are in no worker's hands. Returns how many.
pub async fn cancel(gateway: &Gateway, ids: &[DeliveryId]) -> Result<usize> {
    let mut called_off = 0;
    for some in ids.chunks(DELIVERIES_PER_TRANSACTION) {
        let channels = gateway
            .store
            .cancel_deliveries(some.to_vec(), gateway.clock.now())
            .await?;
        for channel in &channels {
            gateway.count_state_change(channel, DeliveryStateKind::Failed);
        }
        called_off += channels.len();
    }
    Ok(called_off)
}

/// Makes deliveries due at once and nudges the workers. Those that a worker has in hand, or that have arrived,
/// are left alone. Returns how many were changed; `progress` is told after each write.
pub async fn requeue(
    gateway: &Gateway,
    ids: &[DeliveryId],
    expires_at: Timestamp,
    progress: impl Fn(usize),
) -> Result<usize> {
    let mut revived = 0;
    for some in ids.chunks(DELIVERIES_PER_TRANSACTION) {
        let now = gateway.clock.now();
        let nudges: Vec<QueueEntry> = gateway.store.requeue(some.to_vec(), now, expires_at).await?;
        gateway.queue.push(&nudges);
        for nudge in &nudges {
            gateway.count_state_change(&nudge.channel, DeliveryStateKind::Waiting);
        }
        revived += nudges.len();
        progress(some.len());
    }
    Ok(revived)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::{self, AcceptRequest};
    use crate::config::Config;
    use crate::gateway::{Backends, build_providers};
    use postrider_cache::StoreSecret;
    use postrider_core::clock::Clock;
    use postrider_core::random::Random;

    #[tokio::test]
    async fn no_more_is_said_to_be_queued_than_the_queue_holds() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
        let store = postrider_store::open(&url, postrider_store::DEFAULT_LOCK_TIMEOUT).unwrap();
        let mut config = Config::test_mode();
        config.queue_window = 5;
        let edges = Backends {
            clock: Clock::manual("2026-05-01T12:00:00Z".parse().unwrap()),
            random: Random::seeded(1),
            cache: postrider_cache::open("memory:").unwrap(),
            secret: StoreSecret::new(store.store_secret().await.unwrap()),
            queue: postrider_queue::open("memory:", config.queue_window)
                .await
                .unwrap(),
            store,
        };
        let adapters = build_providers(&config, &edges.secret).unwrap();
        let gateway = Gateway::wire(config, edges, adapters);
        for _ in 0..12 {
            let request = AcceptRequest {
                body: "hello".to_owned(),
                addresses: vec![("sms".to_owned(), "09122222222".to_owned())],
                ..AcceptRequest::default()
            };
            accept::accept(&gateway, request).await.unwrap();
        }
        let resent = enqueue_due(&gateway).await.unwrap();
        assert_eq!(resent.enqueued, 5);
        assert_eq!(resent.backlog.due, 12);
        assert_eq!(gateway.queue.depth().await, Some(5));
    }
}
