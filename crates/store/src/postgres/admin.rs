//! Changes by operators and clients: cancelling and requeuing deliveries.
//!
//! Only deliveries that no worker holds are changed. A change first blocks new claims of the deliveries until its
//! transaction ends.

use std::collections::HashMap;

use async_trait::async_trait;

use super::errors::PgError;
use super::escape::escape_text;
use super::event_outbox::insert_events;
use super::message_hours::first_number_since;
use super::pool::{PgTransaction, bind, column};
use super::read::message_number;
use super::store::PostgresStore;
use crate::admin::UnclaimedDelivery;
use crate::rows::deliveries::{StateColumns, decode_unclaimed_delivery};
use crate::rows::{SqlRow, delivery_id_range, limit_to_sql};
use crate::{AdminStore, Cancelled, DeliverySelection, SelectableStatus};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::error::Result;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::name::ConfigName;
use postrider_core::queue_entry::QueueEntry;

static BLOCK_CLAIMS: &str = sql!("postgres/claim/block_claims");
static UNBLOCK_CLAIMS: &str = sql!("postgres/claim/unblock_claims");
static LOAD: &str = sql!("postgres/claim/load_for_change");
static SAVE_STATES: &str = sql!("postgres/claim/apply_change");
static WAITING_FOR_ADDRESS: &str = sql!("common/recipients/select_waiting_deliveries");
static SELECT_WAITING: &str = sql!("postgres/read/select_waiting");
static SELECT_FAILED: &str = sql!("postgres/read/select_failed");

#[async_trait]
impl AdminStore for PostgresStore {
    async fn cancel_message(&self, id: MessageId, now: Timestamp) -> Result<Cancelled> {
        let context = "cannot cancel the message";
        run_transaction!(self.begin_write, context, |transaction| cancel_message(&transaction, id, now))
    }

    async fn cancel_deliveries(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<ConfigName>> {
        let context = "cannot cancel deliveries";
        let ids = ids.iter().map(|id| id.0).collect::<Vec<_>>();
        run_transaction!(self.begin_write, context, |transaction| cancel_deliveries(&transaction, &ids, now))
    }

    async fn select_deliveries(&self, selection: DeliverySelection) -> Result<Vec<DeliveryId>> {
        let context = "cannot select deliveries";
        run_transaction!(unlimited self.begin_read, context, |transaction| select_deliveries(&transaction, &selection))
    }

    async fn requeue(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<QueueEntry>> {
        let context = "cannot requeue deliveries";
        run_transaction!(self.begin_write, context, |transaction| requeue(
            &transaction,
            &ids,
            now,
            expires_at
        ))
    }
}

/// Cancels the waiting deliveries of a message that no worker holds.
pub(super) async fn cancel_message(
    transaction: &PgTransaction,
    id: MessageId,
    now: Timestamp,
) -> Result<Cancelled, PgError> {
    let Some(number) = message_number(transaction, id).await? else {
        return Ok(Cancelled::NotFound);
    };
    let (first, last) = delivery_id_range(number);
    let ids = (first..=last).collect::<Vec<_>>();
    let channels = cancel_deliveries(transaction, &ids, now).await?;
    if channels.is_empty() {
        return Ok(Cancelled::TooLate);
    }
    Ok(Cancelled::Done(channels))
}

async fn cancel_deliveries(
    transaction: &PgTransaction,
    ids: &[i64],
    now: Timestamp,
) -> Result<Vec<ConfigName>, PgError> {
    let changes = plan_changes(transaction, ids, |state| state.cancel(now)).await?;
    save_changes(transaction, &changes, now, now).await?;
    let channels = changes.into_iter().map(|change| change.delivery.channel);
    Ok(channels.collect())
}

/// Requeues deliveries that no worker holds, and returns them.
pub(super) async fn requeue(
    transaction: &PgTransaction,
    ids: &[DeliveryId],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<QueueEntry>, PgError> {
    let numbers = column(ids, |id| id.0);
    let changes = plan_changes(transaction, &numbers, |state| state.requeue(now)).await?;
    save_changes(transaction, &changes, now, expires_at).await?;
    let mut changed =
        changes.into_iter().map(|change| (change.delivery.id, change.delivery)).collect::<HashMap<_, _>>();
    let entry = |id: &DeliveryId| {
        let delivery = changed.remove(id)?;
        Some(QueueEntry { id: *id, channel: delivery.channel, due_at: now, priority: delivery.priority })
    };
    Ok(ids.iter().filter_map(entry).collect())
}

async fn select_deliveries(
    transaction: &PgTransaction,
    selection: &DeliverySelection,
) -> Result<Vec<DeliveryId>, PgError> {
    let Some(first) = first_number_since(transaction, selection.since).await? else {
        return Ok(Vec::new());
    };
    let statement = match selection.status {
        SelectableStatus::Waiting => SELECT_WAITING,
        SelectableStatus::Failed => SELECT_FAILED,
    };
    let since = selection.since.map(|since| since.timestamp_millis());
    let provider = selection.provider.as_ref().map(|name| name.as_str());
    let limit = limit_to_sql(selection.limit);
    let rows = transaction.query(statement, bind![first, since, provider, limit]).await?;
    rows.iter().map(|row| row.delivery_id("id")).collect()
}

/// Fails the waiting deliveries to an address that is no longer active, except those that a worker holds.
pub async fn suppress_waiting(
    transaction: &PgTransaction,
    channel: &ConfigName,
    address: &str,
    now: Timestamp,
) -> Result<(), PgError> {
    let rows = transaction.query(WAITING_FOR_ADDRESS, bind![escape_text(address), channel.as_str()]).await?;
    let ids = rows.iter().map(|row| row.integer("id"));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    if ids.is_empty() {
        return Ok(());
    }
    let changes = plan_changes(transaction, &ids, |state| state.suppress(now)).await?;
    save_changes(transaction, &changes, now, now).await
}

/// A delivery and its next state.
struct StateChange {
    delivery: UnclaimedDelivery,
    next: DeliveryState,
}

/// Returns the changes of those deliveries that no worker holds and whose state `change` replaces.
async fn plan_changes(
    transaction: &PgTransaction,
    ids: &[i64],
    change: impl Fn(&DeliveryState) -> Option<DeliveryState>,
) -> Result<Vec<StateChange>, PgError> {
    let mut changes = Vec::new();
    for delivery in load_unclaimed(transaction, ids).await? {
        let next = change(&delivery.state);
        changes.extend(next.map(|next| StateChange { delivery, next }));
    }
    Ok(changes)
}

/// Returns those of the deliveries that no worker holds, and keeps workers from claiming them until the transaction
/// ends.
async fn load_unclaimed(transaction: &PgTransaction, ids: &[i64]) -> Result<Vec<UnclaimedDelivery>, PgError> {
    let rows = transaction.query(BLOCK_CLAIMS, bind![ids.to_vec()]).await?;
    let blocked = rows.iter().map(|row| row.integer("id"));
    let blocked = blocked.collect::<Result<Vec<_>, _>>()?;
    let rows = transaction.query(LOAD, bind![blocked]).await?;
    let deliveries = rows.iter().filter_map(|row| decode_unclaimed_delivery(row).transpose());
    let deliveries = deliveries.collect::<Result<_, _>>()?;
    // A worker that claims one of them still waits for the end of this transaction, because the row may come back.
    transaction.execute(UNBLOCK_CLAIMS, bind![blocked]).await?;
    Ok(deliveries)
}

/// Writes the new states. A failed delivery expires at `expires_at` at the earliest.
async fn save_changes(
    transaction: &PgTransaction,
    changes: &[StateChange],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), PgError> {
    if changes.is_empty() {
        return Ok(());
    }
    let states = column(changes, |change| StateColumns::from_state(&change.next));
    transaction
        .execute(
            SAVE_STATES,
            bind![
                column(changes, |change| change.delivery.id.0),
                column(&states, |state| state.state),
                column(&states, |state| state.failure),
                column(&states, |state| state.reason.map(escape_text)),
                column(&states, |state| state.due_at),
                column(&states, |state| state.ended_at),
                expires_at.timestamp_millis(),
            ],
        )
        .await?;
    let events = changes.iter().filter_map(|change| change.delivery.change_event(&change.next, now));
    insert_events(transaction, &events.collect::<Vec<_>>()).await
}
