//! Changes by operators and clients: cancelling and requeuing deliveries.
//!
//! Only deliveries that no worker holds are changed. A change first blocks new claims of the deliveries until its
//! transaction ends.

use std::collections::HashMap;

use async_trait::async_trait;
use tokio_postgres::Row;

use super::pool::{PgTransaction, bind, column};
use super::{
    errors::PgError, escape::escape_text, event_outbox::insert_events, message_hours::first_number_since,
    read::message_number, store::PostgresStore,
};
use crate::admin::UnclaimedDelivery;
use crate::rows::deliveries::{StateColumns, decode_unclaimed_delivery};
use crate::rows::{SqlRow, delivery_id_range, limit_to_sql};
use crate::{AdminStore, Cancelled, DeliverySelection, SelectableStatus};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::recipient::RecipientStatus;
use postrider_core::{
    clock::Timestamp, delivery::DeliveryState, error::Result, name::ConfigName, queue_entry::QueueEntry,
};

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
        run_transaction!(self.begin_write, "cannot cancel the message", |transaction| {
            cancel_message(transaction, id, now).await
        })
    }

    async fn cancel_deliveries(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<ConfigName>> {
        let ids = column(&ids, |id| id.0);
        run_transaction!(self.begin_write, "cannot cancel deliveries", |transaction| {
            cancel_deliveries(transaction, &ids, now).await
        })
    }

    async fn select_deliveries(&self, selection: DeliverySelection) -> Result<Vec<DeliveryId>> {
        let accepted_since = selection.since.map(|accepted_since| accepted_since.timestamp_millis());
        let provider = selection.provider.as_ref().map(|name| name.as_str());
        let (limit, now) = (limit_to_sql(selection.limit), selection.now.timestamp_millis());
        run_long_transaction!(self.begin_read, "cannot select deliveries", |transaction| {
            let Some(first_number) = first_number_since(transaction, selection.since).await? else {
                return Ok(Vec::new());
            };
            let decode = |row: &Row| row.delivery_id("id");
            if selection.status == SelectableStatus::Failed {
                let values = bind![first_number, accepted_since, provider, limit];
                return transaction.query_all(SELECT_FAILED, values, decode).await;
            }
            let values =
                bind![first_number, accepted_since, provider, limit, now, selection.status.waiting_kind()];
            transaction.query_all(SELECT_WAITING, values, decode).await
        })
    }

    async fn requeue(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<QueueEntry>> {
        run_transaction!(self.begin_write, "cannot requeue deliveries", |transaction| {
            requeue(transaction, &ids, now, expires_at).await
        })
    }
}

/// Cancels the waiting deliveries of a message that no worker holds.
pub(super) async fn cancel_message(
    transaction: &PgTransaction,
    id: MessageId,
    now: Timestamp,
) -> Result<Cancelled, PgError> {
    let Some(message_number) = message_number(transaction, id).await? else {
        return Ok(Cancelled::NotFound);
    };
    let (first_id, last_id) = delivery_id_range(message_number);
    let ids = (first_id..=last_id).collect::<Vec<_>>();
    let channels = cancel_deliveries(transaction, &ids, now).await?;
    Ok(if channels.is_empty() { Cancelled::TooLate } else { Cancelled::Done(channels) })
}

async fn cancel_deliveries(
    transaction: &PgTransaction,
    ids: &[i64],
    now: Timestamp,
) -> Result<Vec<ConfigName>, PgError> {
    let changes = plan_changes(transaction, ids, |delivery| delivery.state.cancel(now)).await?;
    save_changes(transaction, &changes, now, now).await?;
    Ok(changes.into_iter().map(|change| change.delivery.channel).collect())
}

/// Requeues deliveries that no worker holds, and returns them.
pub(super) async fn requeue(
    transaction: &PgTransaction,
    ids: &[DeliveryId],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<QueueEntry>, PgError> {
    let numeric_ids = column(ids, |id| id.0);
    let changes = plan_changes(transaction, &numeric_ids, |delivery| delivery.requeue(now)).await?;
    save_changes(transaction, &changes, now, expires_at).await?;
    let requeued = changes.into_iter().map(|change| (change.delivery.id, change.delivery));
    let mut requeued = requeued.collect::<HashMap<_, _>>();
    let queue_entry = |id: &DeliveryId| {
        let delivery = requeued.remove(id)?;
        Some(QueueEntry { id: *id, channel: delivery.channel, due_at: now, priority: delivery.priority })
    };
    Ok(ids.iter().filter_map(queue_entry).collect())
}

/// Fails the waiting deliveries to an address that is no longer active, except those that a worker holds.
pub async fn suppress_waiting(
    transaction: &PgTransaction,
    channel: &ConfigName,
    address: &str,
    status: RecipientStatus,
    now: Timestamp,
) -> Result<(), PgError> {
    let values = bind![escape_text(address), channel.as_str()];
    let ids: Vec<i64> = transaction.query_all(WAITING_FOR_ADDRESS, values, |row| row.integer("id")).await?;
    let changes = plan_changes(transaction, &ids, |delivery| delivery.state.suppress(status, now)).await?;
    save_changes(transaction, &changes, now, now).await
}

/// A delivery and its next state.
struct StateChange {
    delivery: UnclaimedDelivery,
    next_state: DeliveryState,
}

/// Returns the changes of those deliveries that no worker holds and for which `next_state` returns a state.
async fn plan_changes(
    transaction: &PgTransaction,
    ids: &[i64],
    next_state: impl Fn(&UnclaimedDelivery) -> Option<DeliveryState>,
) -> Result<Vec<StateChange>, PgError> {
    let change = |delivery: UnclaimedDelivery| {
        next_state(&delivery).map(|next_state| StateChange { delivery, next_state })
    };
    let unclaimed = load_unclaimed(transaction, ids).await?;
    Ok(unclaimed.into_iter().filter_map(change).collect())
}

/// Returns those of the deliveries that no worker holds, and keeps workers from claiming them until the transaction
/// ends.
async fn load_unclaimed(
    transaction: &PgTransaction,
    delivery_ids: &[i64],
) -> Result<Vec<UnclaimedDelivery>, PgError> {
    if delivery_ids.is_empty() {
        return Ok(Vec::new());
    }
    let delivery_ids = bind![delivery_ids.to_vec()];
    let blocked_ids: Vec<i64> =
        transaction.query_all(BLOCK_CLAIMS, delivery_ids, |row| row.integer("id")).await?;
    let rows = transaction.query(LOAD, bind![blocked_ids]).await?;
    let deliveries = rows.iter().filter_map(|row| decode_unclaimed_delivery(row).transpose());
    let deliveries = deliveries.collect::<Result<_, _>>()?;
    // A worker that is claiming one of the deliveries must keep waiting for the end of this transaction, because a
    // rollback would restore the row.
    transaction.execute(UNBLOCK_CLAIMS, bind![blocked_ids]).await?;
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
    let state_columns = column(changes, |change| StateColumns::from_state(&change.next_state));
    let values = bind![
        column(changes, |change| change.delivery.id.0),
        column(&state_columns, |state| state.state),
        column(&state_columns, |state| state.failure),
        column(&state_columns, |state| state.reason.map(escape_text)),
        column(&state_columns, |state| state.due_at),
        column(&state_columns, |state| state.ended_at),
        expires_at.timestamp_millis(),
    ];
    transaction.execute(SAVE_STATES, values).await?;
    let events = changes.iter().filter_map(|change| change.delivery.change_event(&change.next_state, now));
    insert_events(transaction, &events.collect::<Vec<_>>()).await
}
