//! Takes receipts in: a provider's later word moves a delivery on, or is kept until the delivery is known.
//!
//! Hearing the same receipt again changes nothing.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::channel::Name;
use crate::domain::delivery::State;
use crate::domain::id::DeliveryId;
use crate::domain::message::Nudge;
use crate::domain::receipt::{Receipt, Verdict};
use crate::error::Result;
use crate::gateway::Gateway;
use crate::provider::Callbacks;
use crate::store::{EARLY_RECEIPTS_MAX, Heard, Settled};

/// The least time between two log lines about dropped receipts, in seconds.
const DROPPED_LOG_SECONDS: i64 = 60;

/// When the last of them was logged, in Unix seconds.
static DROPPED_LOGGED_AT: AtomicI64 = AtomicI64::new(0);

/// Applies receipts of one provider, which speak of its own deliveries only. Replays and receipts for what has ended
/// change nothing. A receipt for an unknown reference is kept until the send is recorded, unless the provider's
/// receipts are unauthenticated. The answers stand in the order of the receipts.
pub async fn settle(gateway: &Gateway, provider: &Name, receipts: Vec<Receipt>) -> Result<Vec<Settled>> {
    let heard_at = gateway.clock.now();
    let lane = gateway.lane(provider);
    let may_wait = lane.is_some_and(|lane| lane.provider.callbacks() != Callbacks::Unsigned);
    let verdicts: Vec<Verdict> = receipts.iter().map(|receipt| receipt.verdict.clone()).collect();
    let heard = receipts
        .into_iter()
        .map(|receipt| Heard {
            provider: Some(provider.clone()),
            receipt,
            delivery: None,
            heard_at,
            may_wait,
        })
        .collect();
    store(gateway, heard, &verdicts).await
}

/// Says that the person opened a delivery that a provider took, and so that it arrived. Saying so again changes
/// nothing.
pub async fn open(gateway: &Gateway, delivery: DeliveryId) -> Result<Option<Settled>> {
    let heard_at = gateway.clock.now();
    let receipt = Receipt {
        reference: String::new(),
        verdict: Verdict::Opened,
        at: heard_at,
    };
    let heard = Heard {
        provider: None,
        receipt,
        delivery: Some(delivery),
        heard_at,
        may_wait: false,
    };
    let settled = store(gateway, vec![heard], &[Verdict::Opened]).await?;
    Ok(settled.into_iter().next())
}

async fn store(gateway: &Gateway, heard: Vec<Heard>, verdicts: &[Verdict]) -> Result<Vec<Settled>> {
    let settled = gateway.store.settle(heard).await?;
    for (one, verdict) in settled.iter().zip(verdicts) {
        count(gateway, one);
        follow_up(gateway, one, verdict);
    }
    let dropped = settled.iter().filter(|one| **one == Settled::Dropped).count();
    log_dropped(gateway, dropped);
    Ok(settled)
}

/// Logs that receipts were dropped, once a minute at most: a caller can repeat them without limit.
fn log_dropped(gateway: &Gateway, dropped: usize) {
    if dropped == 0 {
        return;
    }
    let now = gateway.clock.now().timestamp();
    let logged_at = DROPPED_LOGGED_AT.load(Ordering::Relaxed);
    if now.saturating_sub(logged_at) < DROPPED_LOG_SECONDS && now >= logged_at {
        return;
    }
    DROPPED_LOGGED_AT.store(now, Ordering::Relaxed);
    log::warn!(
        "receipts with an unknown reference are dropped: unauthenticated callers' are not kept, and at most \
         {EARLY_RECEIPTS_MAX} wait; see postrider_receipts_total{{fate=\"dropped\"}}; dropped_now={dropped}"
    );
}

fn count(gateway: &Gateway, settled: &Settled) {
    gateway.metrics.receipt(match settled {
        Settled::Applied(_) => "applied",
        Settled::Unchanged(_) => "unchanged",
        Settled::Kept => "kept",
        Settled::Dropped => "dropped",
    });
}

/// A delivery that is to go elsewhere is nudged; a bounce counts against the provider that had taken it, and a dead
/// address does not.
fn follow_up(gateway: &Gateway, settled: &Settled, verdict: &Verdict) {
    let Settled::Applied(settlement) = settled else {
        return;
    };
    let now = settlement.state.standing();
    if now != settlement.from {
        gateway.moved(&settlement.channel, now);
    }
    if let State::Waiting { due_at, .. } = &settlement.state {
        let nudge = Nudge {
            id: settlement.id,
            channel: settlement.channel.clone(),
            due_at: *due_at,
            priority: settlement.priority,
        };
        gateway.queue.push(&[nudge]);
    }
    if matches!(verdict, Verdict::Bounced { .. })
        && let Some(lane) = gateway.lane(&settlement.provider)
    {
        lane.bounced(gateway.clock.now());
    }
}
