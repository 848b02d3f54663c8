//! Stores new webhook events in the transaction that changes the delivery.

use std::collections::HashMap;

use super::pool::{PgTransaction, bind, column};
use super::{errors::PgError, escape::escape_text};
use crate::events::NewEvent;
use postrider_core::delivery::Failure;

static INSERT_EVENTS: &str = sql!("postgres/events/insert_event");

/// Stores events. Events of the same delivery keep their order.
pub async fn insert_events(
    transaction: &PgTransaction,
    events: impl IntoIterator<Item = &NewEvent>,
) -> Result<(), PgError> {
    let events = events.into_iter().collect::<Vec<_>>();
    if events.is_empty() {
        return Ok(());
    }
    let mut counts_by_delivery = HashMap::new();
    let offsets_in_batch = column(&events, |event| {
        let event_count = counts_by_delivery.entry(event.delivery).or_insert(0_i64);
        *event_count += 1;
        *event_count - 1
    });
    let values = bind![
        column(&events, |event| event.delivery.0),
        offsets_in_batch,
        column(&events, |event| event.event_target.encode()),
        column(&events, |event| event.event_target.queue_name()),
        column(&events, |event| event.event_type.as_str()),
        column(&events, |event| event.failure.map(Failure::as_str)),
        column(&events, |event| event.reason.as_deref().map(escape_text)),
        column(&events, |event| event.provider.as_ref().map(|name| name.as_str())),
        column(&events, |event| event.occurred_at.timestamp_millis()),
        column(&events, |event| event.due_at.timestamp_millis()),
        column(&events, |event| event.delivery.message_number()),
    ];
    transaction.execute(INSERT_EVENTS, values).await
}
