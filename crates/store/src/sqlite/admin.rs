//! Operator actions in SQLite: cancel, select, requeue.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::unclaimed::{load_unclaimed, save_state};
use super::{
    messages::first_number_since, query::query_all, store::SqliteStore, write_transaction::WriteTransaction,
};
use crate::admin::{AdminStore, Cancelled, DeliverySelection, SelectableStatus};
use crate::rows::{SqlRow, delivery_id_range, limit_to_sql};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::{clock::Timestamp, error::Result, name::ConfigName, queue_entry::QueueEntry};

static MESSAGE_NUMBER: &str = sql!("common/read/find_message_number");
static SELECT_WAITING: &str = sql!("sqlite/read/select_waiting");
static SELECT_FAILED: &str = sql!("sqlite/read/select_failed");

#[async_trait]
impl AdminStore for SqliteStore {
    async fn cancel_message(&self, id: MessageId, now: Timestamp) -> Result<Cancelled> {
        self.write("cannot cancel a message", move |transaction| cancel_message(transaction, id, now)).await
    }

    async fn cancel_deliveries(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<ConfigName>> {
        self.write("cannot cancel deliveries", move |transaction| {
            let mut channels = Vec::new();
            for id in &ids {
                channels.extend(cancel_range(transaction, id.0, id.0, now)?);
            }
            Ok(channels)
        })
        .await
    }

    async fn select_deliveries(&self, selection: DeliverySelection) -> Result<Vec<DeliveryId>> {
        self.read("cannot select deliveries", move |connection| select_deliveries(connection, &selection))
            .await
    }

    async fn requeue(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<QueueEntry>> {
        self.write("cannot requeue deliveries", move |transaction| {
            requeue(transaction, &ids, now, expires_at)
        })
        .await
    }
}

fn cancel_message(
    transaction: &mut WriteTransaction<'_>,
    id: MessageId,
    now: Timestamp,
) -> rusqlite::Result<Cancelled> {
    let message_number =
        transaction.query_optional(MESSAGE_NUMBER, [id.bytes()], |row| row.integer("number"))?;
    let Some(message_number) = message_number else {
        return Ok(Cancelled::NotFound);
    };
    let (first_id, last_id) = delivery_id_range(message_number);
    let channels = cancel_range(transaction, first_id, last_id, now)?;
    Ok(if channels.is_empty() { Cancelled::TooLate } else { Cancelled::Done(channels) })
}

/// Cancels the deliveries from `first_id` to `last_id` that can be cancelled; returns the channel of each.
fn cancel_range(
    transaction: &mut WriteTransaction<'_>,
    first_id: i64,
    last_id: i64,
    now: Timestamp,
) -> rusqlite::Result<Vec<ConfigName>> {
    let mut channels = Vec::new();
    for delivery in load_unclaimed(transaction, first_id, last_id)? {
        if let Some(cancelled_state) = delivery.state.cancel(now) {
            save_state(transaction, &delivery, &cancelled_state, now, now)?;
            channels.push(delivery.channel);
        }
    }
    Ok(channels)
}

fn select_deliveries(
    connection: &Connection,
    selection: &DeliverySelection,
) -> rusqlite::Result<Vec<DeliveryId>> {
    let Some(first_number) = first_number_since(connection, selection.since)? else {
        return Ok(Vec::new());
    };
    let accepted_since = selection.since.map(|accepted_since| accepted_since.timestamp_millis());
    let provider = selection.provider.as_ref().map(ConfigName::as_str);
    let deliveries_max = limit_to_sql(selection.limit);
    let decode = |row: &rusqlite::Row<'_>| row.delivery_id("id");
    if selection.status == SelectableStatus::Failed {
        return query_all(
            connection,
            SELECT_FAILED,
            params![first_number, accepted_since, provider, deliveries_max],
            decode,
        );
    }
    let (now, kind) = (selection.now.timestamp_millis(), selection.status.waiting_kind());
    query_all(
        connection,
        SELECT_WAITING,
        params![first_number, accepted_since, provider, deliveries_max, now, kind],
        decode,
    )
}

fn requeue(
    transaction: &mut WriteTransaction<'_>,
    ids: &[DeliveryId],
    now: Timestamp,
    expires_at: Timestamp,
) -> rusqlite::Result<Vec<QueueEntry>> {
    let mut queue_entries = Vec::new();
    for delivery_id in ids {
        for delivery in load_unclaimed(transaction, delivery_id.0, delivery_id.0)? {
            let Some(requeued_state) = delivery.requeue(now) else {
                continue;
            };
            save_state(transaction, &delivery, &requeued_state, now, expires_at)?;
            let (channel, priority) = (delivery.channel, delivery.priority);
            queue_entries.push(QueueEntry { id: *delivery_id, channel, due_at: now, priority });
        }
    }
    Ok(queue_entries)
}
