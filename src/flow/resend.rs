//! Fills the queue again from the truth: what is due, and what an operator wants sent again.
//!
//! Only nudges: it never calls a provider, and running it twice sends nothing twice.

use std::time::Duration;

use super::turn;
use crate::clock::Timestamp;
use crate::domain::delivery::Standing;
use crate::domain::id::DeliveryId;
use crate::domain::message::Nudge;
use crate::domain::turn::Task;
use crate::domain::wish::Wish;
use crate::error::Result;
use crate::gateway::Gateway;
use crate::store::{Backlog, Selection};

/// The most nudges of one run, whatever the queue could hold.
pub const QUEUED_MAX: usize = 100_000;

/// The most nudges of one run: a queue drops what is beyond its window. The rest is found by the next run, or by idle
/// workers.
pub fn queued_max(gateway: &Gateway) -> usize {
    QUEUED_MAX.min(gateway.config.queue_window)
}

/// How many deliveries one write changes at most, so that no other writer waits long.
const REVIVED_AT_ONCE: usize = 500;

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resent {
    /// Deliveries that were nudged.
    pub queued: usize,
    /// What waits altogether.
    pub backlog: Backlog,
}

/// Nudges the workers about everything that is due. Running it twice does no harm: a delivery stands in the
/// queue at most once, and only one worker wins it.
pub async fn due(gateway: &Gateway) -> Result<Resent> {
    let now = gateway.clock.now();
    let nudges = gateway.store.due(now, &Wish::up_to(queued_max(gateway))).await?;
    gateway.queue.push(&nudges);
    Ok(Resent {
        queued: nudges.len(),
        backlog: gateway.store.backlog(now).await?,
    })
}

/// The same for the built-in schedule: none when nothing is due, or another process does it or has done it within
/// half an interval. Writes nothing while nothing is due.
pub async fn if_due(gateway: &Gateway, every: Duration) -> Result<Option<Resent>> {
    if gateway
        .store
        .due(gateway.clock.now(), &Wish::up_to(1))
        .await?
        .is_empty()
    {
        return Ok(None);
    }
    let together = turn::TOGETHER.min(every / 2);
    match turn::once(gateway, Task::Resend, together, due(gateway)).await? {
        turn::Done::Here(resent) => Ok(Some(resent)),
        turn::Done::Elsewhere(_) => Ok(None),
    }
}

/// The deliveries an operator speaks of, without touching them.
pub async fn selected(gateway: &Gateway, selection: Selection) -> Result<Vec<DeliveryId>> {
    gateway.store.select(selection).await
}

/// A message that is sent again gets as much time as the most patient channel gives a new one.
pub fn longest_age(gateway: &Gateway) -> Duration {
    let channels = gateway.config.channels.iter();
    channels
        .map(|channel| channel.retry.age_max)
        .max()
        .unwrap_or_default()
}

/// Calls off those of the deliveries that wait and are in no worker's hands. Returns how many.
pub async fn call_off(gateway: &Gateway, ids: &[DeliveryId]) -> Result<usize> {
    let mut called_off = 0;
    for some in ids.chunks(REVIVED_AT_ONCE) {
        let channels = gateway.store.call_off(some.to_vec(), gateway.clock.now()).await?;
        for channel in &channels {
            gateway.moved(channel, Standing::Failed);
        }
        called_off += channels.len();
    }
    Ok(called_off)
}

/// Makes deliveries due at once and nudges the workers. Those that a worker has in hand, or that have arrived,
/// are left alone. Returns how many were changed; `progress` is told after each write.
pub async fn revive(
    gateway: &Gateway,
    ids: &[DeliveryId],
    expires_at: Timestamp,
    progress: impl Fn(usize),
) -> Result<usize> {
    let mut revived = 0;
    for some in ids.chunks(REVIVED_AT_ONCE) {
        let now = gateway.clock.now();
        let nudges: Vec<Nudge> = gateway.store.revive(some.to_vec(), now, expires_at).await?;
        gateway.queue.push(&nudges);
        for nudge in &nudges {
            gateway.moved(&nudge.channel, Standing::Waiting);
        }
        revived += nudges.len();
        progress(some.len());
    }
    Ok(revived)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{self, Sealed};
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::dice::Dice;
    use crate::flow::accept::{self, Request};
    use crate::gateway::{Edges, build_all};
    use crate::{queue, store};

    #[tokio::test]
    async fn no_more_is_said_to_be_queued_than_the_queue_holds() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
        let store = store::open(&url, store::LOCK_WAIT).unwrap();
        let mut config = Config::sandbox();
        config.queue_window = 5;
        let edges = Edges {
            clock: Clock::manual("2026-05-01T12:00:00Z".parse().unwrap()),
            dice: Dice::seeded(1),
            cache: Sealed::new(cache::open("memory:").unwrap(), store.seal().await.unwrap()),
            queue: queue::open("memory:", config.queue_window).await.unwrap(),
            store,
        };
        let adapters = build_all(&config, &edges.cache).unwrap();
        let gateway = Gateway::wire(config, edges, adapters);
        for _ in 0..12 {
            let request = Request {
                body: "hello".to_owned(),
                to: vec![("sms".to_owned(), "09122222222".to_owned())],
                ..Request::default()
            };
            accept::accept(&gateway, request).await.unwrap();
        }
        let resent = due(&gateway).await.unwrap();
        assert_eq!(resent.queued, 5);
        assert_eq!(resent.backlog.due, 12);
        assert_eq!(gateway.queue.depth().await, Some(5));
    }
}
