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

/// The most nudges of one run: what lies beyond is found by the next run, or by idle workers.
pub const QUEUED_MAX: usize = 100_000;

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
    let nudges = gateway.store.due(now, &Wish::up_to(QUEUED_MAX)).await?;
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
