//! What operators and clients change by hand: calling off, sending again, recipients, places of providers.
//!
//! Never begins or ends a transaction.

use std::collections::HashMap;

use super::errors::PgError;
use super::events;
use super::pool::{PgTransaction, bind};
use super::read;
use super::rows::{self, StateColumns, escape_text};
use crate::events::NewEvent;
use crate::{Cancelled, ProviderEndpoint};
use postrider_core::channel::ConfigName;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::event::EventTarget;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Priority, QueueEntry};
use postrider_core::recipient::{Recipient, RecipientStatus};

static LOCK_LEASES: &str = sql!("postgres/claim/block_claims");
static UNLOCK_LEASES: &str = sql!("postgres/claim/unblock_claims");
static LOAD: &str = sql!("postgres/claim/load_for_change");
static SAVE_STATES: &str = sql!("postgres/claim/apply_change");
static RECIPIENT: &str = sql!("postgres/recipients/read_recipient");
static RECIPIENT_SET: &str = sql!("postgres/recipients/save_recipient");
static WAITING_FOR_ADDRESS: &str = sql!("postgres/recipients/select_waiting_deliveries");
static SAVE_PROVIDERS: &str = sql!("postgres/maintenance/save_provider");
static PING: &str = sql!("postgres/maintenance/ping_store");
static STORE_SECRET: &str = sql!("postgres/coordination/read_store_secret");

/// See [`crate::Store::cancel`].
pub async fn cancel_message(
    transaction: &PgTransaction,
    id: MessageId,
    now: Timestamp,
) -> Result<Cancelled, PgError> {
    let Some(number) = read::message_number(transaction, id).await? else {
        return Ok(Cancelled::NotFound);
    };
    let (first, last) = rows::delivery_id_range(number);
    let mut changes = Vec::new();
    for delivery in load_unleased(transaction, (first..=last).collect()).await? {
        let next = delivery.state.cancel(now);
        changes.extend(next.map(|next| StateChange { delivery, next }));
    }
    if changes.is_empty() {
        return Ok(Cancelled::TooLate);
    }
    save_states(transaction, &changes, now, now).await?;
    let channel = |change: StateChange| change.delivery.channel;
    Ok(Cancelled::Done(changes.into_iter().map(channel).collect()))
}

/// See [`crate::Store::call_off`].
pub async fn cancel_deliveries(
    transaction: &PgTransaction,
    ids: &[DeliveryId],
    now: Timestamp,
) -> Result<Vec<ConfigName>, PgError> {
    let mut changes = Vec::new();
    for delivery in load_unleased(transaction, ids.iter().map(|id| id.0).collect()).await? {
        let next = delivery.state.cancel(now);
        changes.extend(next.map(|next| StateChange { delivery, next }));
    }
    save_states(transaction, &changes, now, now).await?;
    Ok(changes
        .into_iter()
        .map(|change| change.delivery.channel)
        .collect())
}

/// See [`crate::Store::revive`].
pub async fn requeue(
    transaction: &PgTransaction,
    ids: &[DeliveryId],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<QueueEntry>, PgError> {
    let mut changes = Vec::new();
    for delivery in load_unleased(transaction, ids.iter().map(|id| id.0).collect()).await? {
        let next = delivery.state.requeue(now);
        changes.extend(next.map(|next| StateChange { delivery, next }));
    }
    save_states(transaction, &changes, now, expires_at).await?;
    let mut changed = changes
        .into_iter()
        .map(|change| (change.delivery.id, change.delivery))
        .collect::<HashMap<_, _>>();
    let entry = |id: &DeliveryId| {
        let UnleasedDelivery {
            channel, priority, ..
        } = changed.remove(id)?;
        Some(QueueEntry {
            id: *id,
            channel,
            due_at: now,
            priority,
        })
    };
    Ok(ids.iter().filter_map(entry).collect())
}

/// Calls off what waits for an address that may not be written to any more and is in no worker's hands.
pub async fn suppress_waiting(
    transaction: &PgTransaction,
    channel: &ConfigName,
    address: &str,
    now: Timestamp,
) -> Result<(), PgError> {
    let waiting = transaction
        .query(WAITING_FOR_ADDRESS, bind![escape_text(address), channel.as_str()])
        .await?;
    let waiting = waiting.iter().map(|row| rows::get(row, 0));
    let waiting = waiting.collect::<Result<Vec<i64>, _>>()?;
    if waiting.is_empty() {
        return Ok(());
    }
    let mut changes = Vec::new();
    for delivery in load_unleased(transaction, waiting).await? {
        let next = delivery.state.suppress(now);
        changes.extend(next.map(|next| StateChange { delivery, next }));
    }
    save_states(transaction, &changes, now, now).await
}

/// A delivery that is in no worker's hands.
struct UnleasedDelivery {
    id: DeliveryId,
    state: DeliveryState,
    channel: ConfigName,
    priority: Priority,
    event_target: Option<EventTarget>,
}

/// A delivery with the state it comes to.
struct StateChange {
    delivery: UnleasedDelivery,
    next: DeliveryState,
}

/// Those of the deliveries that are in no worker's hands, and come into none before the transaction ends.
async fn load_unleased(
    transaction: &PgTransaction,
    numbers: Vec<i64>,
) -> Result<Vec<UnleasedDelivery>, PgError> {
    let unleased_ids = transaction.query(LOCK_LEASES, bind![numbers]).await?;
    let unleased_ids = unleased_ids.iter().map(|row| rows::get(row, 0));
    let unleased_ids = unleased_ids.collect::<Result<Vec<i64>, _>>()?;
    let mut all = Vec::new();
    for row in &transaction.query(LOAD, bind![unleased_ids]).await? {
        if rows::get(row, 10)? {
            all.push(UnleasedDelivery {
                state: rows::decode_state(row)?,
                id: rows::delivery_id(row, 7)?,
                channel: rows::decode_name(row, 8)?,
                priority: rows::decode_priority(row, 9)?,
                event_target: rows::optional_watch(row, 11)?,
            });
        }
    }
    // Whoever claims one of them still waits for the end of this transaction: until then a row may come back.
    transaction.execute(UNLOCK_LEASES, bind![unleased_ids]).await?;
    Ok(all)
}

/// Writes the new states; what had failed expires at `expires_at` at the earliest.
async fn save_states(
    transaction: &PgTransaction,
    changes: &[StateChange],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), PgError> {
    if changes.is_empty() {
        return Ok(());
    }
    let columns = changes
        .iter()
        .map(|change| StateColumns::from_state(&change.next))
        .collect::<Vec<_>>();
    transaction
        .execute(
            SAVE_STATES,
            bind![
                changes
                    .iter()
                    .map(|change| change.delivery.id.0)
                    .collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.state).collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.failure).collect::<Vec<_>>(),
                columns
                    .iter()
                    .map(|columns| columns.reason.clone())
                    .collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.due_at).collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.ended_at).collect::<Vec<_>>(),
                expires_at.timestamp_millis(),
            ],
        )
        .await?;
    let new_events = changes.iter().filter_map(
        |StateChange {
             delivery: delivery,
             next,
         }| {
            let event_target = delivery.event_target.as_ref()?;
            let has_moved = delivery.state.kind() != next.kind();
            has_moved.then(|| NewEvent::new(delivery.id, event_target, next, None, now))
        },
    );
    events::insert_events(transaction, &new_events.collect::<Vec<_>>()).await
}

/// See [`crate::Store::recipient`].
pub async fn recipient(
    transaction: &PgTransaction,
    channel: &ConfigName,
    address: &str,
) -> Result<Option<Recipient>, PgError> {
    let found = transaction
        .query_optional(RECIPIENT, bind![channel.as_str(), escape_text(address)])
        .await?;
    let Some(row) = found else {
        return Ok(None);
    };
    Ok(Some(Recipient {
        channel: channel.clone(),
        address: address.to_owned(),
        status: rows::decode_word(&row, 0, RecipientStatus::parse)?,
        reason: rows::decode_text(&row, 1)?,
        changed_by: rows::decode_text(&row, 2)?,
        changed_at: rows::decode_time(&row, 3)?,
    }))
}

/// See [`crate::Store::set_recipient`].
pub async fn set_recipient(transaction: &PgTransaction, recipient: &Recipient) -> Result<(), PgError> {
    transaction
        .execute(
            RECIPIENT_SET,
            bind![
                recipient.channel.as_str(),
                escape_text(&recipient.address),
                recipient.status.as_str(),
                escape_text(&recipient.reason),
                escape_text(&recipient.changed_by),
                recipient.changed_at.timestamp_millis(),
            ],
        )
        .await?;
    match recipient.status {
        RecipientStatus::Active => Ok(()),
        RecipientStatus::Inactive | RecipientStatus::OptedOut => {
            suppress_waiting(
                transaction,
                &recipient.channel,
                &recipient.address,
                recipient.changed_at,
            )
            .await
        }
    }
}

/// See [`crate::Store::name_providers`].
pub async fn save_provider_endpoints(
    transaction: &PgTransaction,
    providers: &[ProviderEndpoint],
) -> Result<(), PgError> {
    let mut endpoints = providers.iter().collect::<Vec<_>>();
    // In one order, so that hosts that start at once do not wait for each other; a name twice counts once.
    endpoints.sort_by_key(|endpoint| endpoint.name.as_str());
    endpoints.dedup_by_key(|endpoint| endpoint.name.as_str());
    let names = endpoints
        .iter()
        .map(|endpoint| endpoint.name.as_str())
        .collect::<Vec<_>>();
    let hosts = endpoints
        .iter()
        .map(|endpoint| endpoint.host.as_str())
        .collect::<Vec<_>>();
    let ports = endpoints
        .iter()
        .map(|endpoint| i64::from(endpoint.port))
        .collect::<Vec<_>>();
    transaction
        .execute(SAVE_PROVIDERS, bind![names, hosts, ports])
        .await?;
    Ok(())
}

/// See [`crate::Store::seal`].
pub async fn store_secret(transaction: &PgTransaction) -> Result<[u8; 32], PgError> {
    rows::decode_bytes(&transaction.query_one(STORE_SECRET, &[]).await?, 0)
}

/// See [`crate::Store::ping`].
pub async fn ping(transaction: &PgTransaction) -> Result<(), PgError> {
    transaction.query_one(PING, &[]).await.map(drop)
}
