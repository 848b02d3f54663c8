//! Takes receipts in: a provider's later word moves a delivery on, or is kept until the delivery is known.
//!
//! Hearing the same receipt again changes nothing.

use std::sync::Arc;

use crate::domain::channel::Name;
use crate::domain::delivery::State;
use crate::domain::id::DeliveryId;
use crate::domain::message::Nudge;
use crate::domain::receipt::{Receipt, Verdict};
use crate::error::Result;
use crate::gateway::{Gateway, Lane};
use crate::store::{Heard, Settled};

/// Applies receipts heard from `provider`, or through a door that belongs to no single one.
/// Replays and receipts for what has ended change nothing. The answers stand in the order of the receipts.
pub async fn settle(
    gateway: &Gateway,
    provider: Option<&Name>,
    receipts: Vec<Receipt>,
) -> Result<Vec<Settled>> {
    let heard_at = gateway.clock.now();
    let verdicts: Vec<Verdict> = receipts.iter().map(|receipt| receipt.verdict.clone()).collect();
    let heard = receipts
        .into_iter()
        .map(|receipt| Heard {
            provider: provider.cloned(),
            receipt,
            delivery: None,
            heard_at,
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
    Ok(settled)
}

/// Applies a receipt that came without any proof of its origin. It cannot speak for a provider that signs its
/// receipts, or anybody could get around the signature; none when every provider does.
pub async fn settle_unsigned(gateway: &Gateway, receipt: Receipt) -> Result<Option<Settled>> {
    let unsigned = |lane: &&Arc<Lane>| !lane.provider.signs_receipts();
    let speakers: Vec<&Arc<Lane>> = gateway.lanes().iter().filter(unsigned).collect();
    if speakers.len() == gateway.lanes().len() {
        return Ok(settle(gateway, None, vec![receipt]).await?.into_iter().next());
    }
    let mut settled = None;
    for lane in speakers {
        let heard = Heard {
            provider: Some(lane.name.clone()),
            receipt: receipt.clone(),
            delivery: None,
            heard_at: gateway.clock.now(),
        };
        settled = gateway.store.settle(vec![heard]).await?.into_iter().next();
        if matches!(settled, Some(Settled::Applied(_) | Settled::Unchanged(_))) {
            break;
        }
    }
    // One receipt, however many were asked whether it is theirs.
    if let Some(settled) = &settled {
        count(gateway, settled);
        follow_up(gateway, settled, &receipt.verdict);
    }
    Ok(settled)
}

fn count(gateway: &Gateway, settled: &Settled) {
    gateway.metrics.receipt(match settled {
        Settled::Applied(_) => "applied",
        Settled::Unchanged(_) => "unchanged",
        Settled::Kept => "kept",
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
