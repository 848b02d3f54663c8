//! Rows of events.

use super::{SqlRow, delivery_id_range};
use crate::events::WaitingEndpoint;
use postrider_core::delivery::Failure;
use postrider_core::event::{
    ClaimedEvent, Event, EventKey, EventStatus, EventStatusKind, EventTarget, EventType,
};
use postrider_core::id::MessageId;
use postrider_core::inbound_record::inbound_event_key;

/// Returns the first and the last delivery id of the events of a message with this number, or of the inbound message with
/// this id if no message has it.
pub fn event_key_range(id: MessageId, message_number: Option<i64>) -> (i64, i64) {
    message_number.map_or_else(
        || {
            let key = inbound_event_key(id).0;
            (key, key)
        },
        delivery_id_range,
    )
}

/// Decodes a row of `events`.
pub fn decode_event<R: SqlRow>(row: &R) -> Result<Event, R::Error> {
    let status = row.parsed("state", EventStatusKind::parse)?;
    Ok(Event {
        key: EventKey { delivery: row.delivery_id("delivery")?, sequence: row.count("sequence")? },
        message: row.message_id("message")?,
        target: row.parsed("event_target", EventTarget::decode)?,
        channel: row.name("channel")?,
        spelling: row.text("spelling")?,
        event_type: row.parsed("event_type", EventType::parse)?,
        failure: row.optional_parsed("failure", Failure::parse)?,
        reason: row.optional_text("reason")?,
        provider: row.optional_name("provider")?,
        at: row.time("at")?,
        status: EventStatus::from_parts(status, row.time("due_or_ended_at")?),
        tries: row.count("tries")?,
        last_result: row.optional_text("last_result")?,
    })
}

/// Decodes an event with the number of its claims, this one included.
pub fn decode_claimed_event<R: SqlRow>(row: &R) -> Result<ClaimedEvent, R::Error> {
    Ok(ClaimedEvent { event: decode_event(row)?, claims: row.count("claims")? })
}

/// Decodes an endpoint and the due time of its first event.
pub fn decode_waiting_endpoint<R: SqlRow>(row: &R) -> Result<WaitingEndpoint, R::Error> {
    Ok(WaitingEndpoint { name: row.word("endpoint")?.to_owned(), due_at: row.time("due_at")? })
}
