//! Takes receipts in: a provider's later word moves a delivery on, or is kept until the delivery is known.
//!
//! Hearing the same receipt again changes nothing.

use crate::domain::channel::Name;
use crate::domain::delivery::{Failure, State};
use crate::domain::message::Nudge;
use crate::domain::receipt::Receipt;
use crate::error::Result;
use crate::gateway::Gateway;
use crate::store::{Heard, Settled, Settlement};

/// Applies receipts heard from `provider`, or through a door that belongs to no single one.
/// Replays and receipts for what has ended change nothing. The answers stand in the order of the receipts.
pub async fn settle(
    gateway: &Gateway,
    provider: Option<&Name>,
    receipts: Vec<Receipt>,
) -> Result<Vec<Settled>> {
    let heard_at = gateway.clock.now();
    let heard = receipts
        .into_iter()
        .map(|receipt| Heard {
            provider: provider.cloned(),
            receipt,
            heard_at,
        })
        .collect();
    let settled = gateway.store.settle(heard).await?;
    for one in &settled {
        match one {
            Settled::Applied(settlement) => follow_up(gateway, settlement),
            Settled::Unchanged(_) => gateway.metrics.receipt("unchanged"),
            Settled::Kept => gateway.metrics.receipt("kept"),
        }
    }
    Ok(settled)
}

/// A delivery that is to go elsewhere is nudged; a bounce counts against the provider that had taken it.
fn follow_up(gateway: &Gateway, settlement: &Settlement) {
    gateway.metrics.receipt("applied");
    let bounced = match &settlement.state {
        State::Waiting { due_at, .. } => {
            let nudge = Nudge {
                id: settlement.id,
                due_at: *due_at,
                priority: settlement.priority,
            };
            gateway.queue.push(&[nudge]);
            true
        }
        State::Failed { failure, .. } => *failure == Failure::Bounced,
        State::Sent { .. } | State::Delivered { .. } => false,
    };
    if bounced && let Some(lane) = gateway.lane(&settlement.provider) {
        lane.bounced(gateway.clock.now());
    }
}
