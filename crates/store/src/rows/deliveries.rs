//! Rows of messages, deliveries, attempts, receipts and recipients.

use super::SqlRow;
use crate::read::{Backlog, LastAttempt};
use crate::receipts::{LoadedDelivery, SentCopy, UnmatchedReceipt};
use crate::{admin::UnclaimedDelivery, usage::date_of_day_number};
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, Failure};
use postrider_core::message::{Acceptance, Delivery, Idempotency, Message, RecordedAttempt};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{name::ConfigName, receipt::ReceiptStatus, round::ClaimedDelivery, usage::UsageRow};

/// The columns of a delivery state.
pub struct StateColumns<'a> {
    pub state: &'static str,
    pub failure: Option<&'static str>,
    pub reason: Option<&'a str>,
    pub provider: Option<&'a str>,
    pub reference: Option<&'a str>,
    pub due_at: Option<i64>,
    pub ended_at: Option<i64>,
}

impl<'a> StateColumns<'a> {
    /// Returns the columns of a state. Only `Sent` has a provider and a reference.
    pub fn from_state(state: &'a DeliveryState) -> Self {
        let mut columns = Self {
            state: state.kind().as_str(),
            failure: None,
            reason: None,
            provider: None,
            reference: None,
            due_at: None,
            ended_at: None,
        };
        match state {
            DeliveryState::Waiting { due_at, reason } => {
                columns.due_at = Some(due_at.timestamp_millis());
                columns.reason = reason.as_deref();
            }
            DeliveryState::Sent { provider, reference, at } => {
                columns.provider = Some(provider.as_str());
                columns.reference = reference.as_deref();
                columns.ended_at = Some(at.timestamp_millis());
            }
            DeliveryState::Delivered { at } => columns.ended_at = Some(at.timestamp_millis()),
            DeliveryState::Failed { failure, reason, at } => {
                columns.failure = Some(failure.as_str());
                columns.reason = Some(reason);
                columns.ended_at = Some(at.timestamp_millis());
            }
        }
        columns
    }
}

/// Decodes `state`, `failure`, `reason`, `due_at`, `ended_at`, `provider` and `reference`.
fn decode_state<R: SqlRow>(row: &R) -> Result<DeliveryState, R::Error> {
    Ok(match row.parsed("state", DeliveryStateKind::parse)? {
        DeliveryStateKind::Waiting => {
            DeliveryState::Waiting { due_at: row.time("due_at")?, reason: row.optional_text("reason")? }
        }
        DeliveryStateKind::Sent => DeliveryState::Sent {
            provider: row.name("provider")?,
            reference: row.optional_text("reference")?,
            at: row.time("ended_at")?,
        },
        DeliveryStateKind::Delivered => DeliveryState::Delivered { at: row.time("ended_at")? },
        DeliveryStateKind::Failed => DeliveryState::Failed {
            failure: row.parsed("failure", Failure::parse)?,
            reason: row.text("reason")?,
            at: row.time("ended_at")?,
        },
    })
}

/// Decodes a message without its deliveries.
pub fn decode_message<R: SqlRow>(row: &R) -> Result<Message, R::Error> {
    Ok(Message {
        id: row.message_id("id")?,
        number: row.integer("number")?,
        subject: row.optional_text("subject")?,
        sender: row.optional_text("sender")?,
        body: row.text("body")?,
        user: row.optional_text("user")?,
        owner: row.text("owner")?,
        created_at: row.time("created_at")?,
        deliveries: Vec::new(),
    })
}

/// Decodes a delivery without its attempts.
pub fn decode_delivery<R: SqlRow>(row: &R) -> Result<Delivery, R::Error> {
    Ok(Delivery {
        id: row.delivery_id("id")?,
        channel: row.name("channel")?,
        address: row.word("address")?.to_owned(),
        spelling: row.text("spelling")?,
        parts: row.count("parts")?,
        state: decode_state(row)?,
        round: row.count("round")?,
        tries: row.count("tries")?,
        provider: row.optional_name("provider")?,
        reference: row.optional_text("reference")?,
        expires_at: row.time("expires_at")?,
        opened_at: row.optional_time("opened_at")?,
        attempts: Vec::new(),
    })
}

/// Decodes a row of `attempts`.
pub fn decode_attempt<R: SqlRow>(row: &R) -> Result<RecordedAttempt, R::Error> {
    Ok(RecordedAttempt {
        round: row.count("round")?,
        provider: row.optional_name("provider")?,
        outcome: row.word("outcome")?.to_owned(),
        code: row.optional_text("code")?,
        reference: row.optional_text("reference")?,
        reason: row.optional_text("reason")?,
        at: row.time("at")?,
        duration_ms: row.count("duration_ms")?,
        address: row.optional_word("address")?.map(str::to_owned),
    })
}

/// Decodes the last attempt of delivery `id`.
pub fn decode_last_attempt<R: SqlRow>(row: &R) -> Result<LastAttempt, R::Error> {
    Ok(LastAttempt {
        id: row.delivery_id("id")?,
        provider: row.optional_name("provider")?,
        code: row.optional_text("code")?,
        has_unknown_attempt: row.bool("has_unknown_attempt")?,
    })
}

/// Decodes the backlog of `channel`.
pub fn decode_backlog<R: SqlRow>(row: &R) -> Result<(ConfigName, Backlog), R::Error> {
    let backlog = Backlog {
        waiting: row.count("waiting")?,
        due: row.count("due")?,
        oldest_due_at: row.optional_time("oldest_due_at")?,
        oldest_accepted_at: row.optional_time("oldest_accepted_at")?,
    };
    Ok((row.name("channel")?, backlog))
}

/// Decodes the totals of one day, user and channel.
pub fn decode_usage_row<R: SqlRow>(row: &R) -> Result<UsageRow, R::Error> {
    Ok(UsageRow {
        user: row.optional_text("user")?,
        channel: row.name("channel")?,
        day: date_of_day_number(row.integer("day")?),
        deliveries: row.count("deliveries")?,
        waiting: row.count("waiting")?,
        sent: row.count("sent")?,
        delivered: row.count("delivered")?,
        failed: row.count("failed")?,
        opened: row.count("opened")?,
        parts: row.count("parts")?,
        tries: row.count("tries")?,
    })
}

/// Decodes a claimed delivery. `message` is the id of its message, `round` the claimed round.
pub fn decode_claimed_delivery<R: SqlRow>(row: &R) -> Result<ClaimedDelivery, R::Error> {
    Ok(ClaimedDelivery {
        id: row.delivery_id("id")?,
        message: row.message_id("message")?,
        channel: row.name("channel")?,
        address: row.word("address")?.to_owned(),
        spelling: row.text("spelling")?,
        contacts: row.optional_contacts("contacts")?,
        subject: row.optional_text("subject")?,
        sender: row.optional_text("sender")?,
        body: row.text("body")?,
        parts: row.count("parts")?,
        round: row.count("round")?,
        tries: row.count("tries")?,
        unrecorded_claims: row.count("unrecorded_claims")?,
        unknown_attempts: row.count("unknown_attempts")?,
        at_most_once: row.bool("at_most_once")?,
        avoid: row.optional_name("avoid")?,
        priority: row.priority("priority")?,
        expires_at: row.time("expires_at")?,
        client_expires_at: row.optional_time("client_expires_at")?,
        event_target: row.optional_event_target("event_target")?,
    })
}

/// Decodes a delivery for a change by an operator; none if `is_recorded` is false, because a worker then holds the
/// delivery.
pub fn decode_unclaimed_delivery<R: SqlRow>(row: &R) -> Result<Option<UnclaimedDelivery>, R::Error> {
    if !row.bool("is_recorded")? {
        return Ok(None);
    }
    Ok(Some(UnclaimedDelivery {
        id: row.delivery_id("id")?,
        state: decode_state(row)?,
        channel: row.name("channel")?,
        priority: row.priority("priority")?,
        at_most_once: row.bool("at_most_once")?,
        event_target: row.optional_event_target("event_target")?,
    }))
}

/// Decodes a delivery that a receipt is about. The caller removes the addresses that are not active from `contacts`.
pub fn decode_loaded_delivery<R: SqlRow>(row: &R) -> Result<LoadedDelivery, R::Error> {
    Ok(LoadedDelivery {
        id: row.delivery_id("id")?,
        channel: row.name("channel")?,
        provider: row.optional_name("provider")?,
        reference: row.optional_text("reference")?,
        spelling: row.text("spelling")?,
        body: row.text("body")?,
        owner: row.text("owner")?,
        priority: row.priority("priority")?,
        resends_left: row.count("resends_left")?,
        contacts: row.optional_contacts("contacts")?,
        opened_at: row.optional_time("opened_at")?,
        state: decode_state(row)?,
        event_target: row.optional_event_target("event_target")?,
        change: None,
    })
}

/// Decodes the copy that a receipt is about.
pub fn decode_sent_copy<R: SqlRow>(row: &R) -> Result<SentCopy, R::Error> {
    Ok(SentCopy {
        provider: row.name("provider")?,
        reference: row.optional_text("reference")?,
        address: row.optional_word("address")?.map(str::to_owned),
    })
}

/// Decodes a row of `unmatched_receipts`.
pub fn decode_unmatched_receipt<R: SqlRow>(row: &R) -> Result<UnmatchedReceipt, R::Error> {
    let reason = row.optional_text("reason")?.unwrap_or_default();
    Ok(UnmatchedReceipt {
        status: row.parsed("status", |status| ReceiptStatus::from_parts(status, reason))?,
        at: row.time("at")?,
        received_at: row.time("received_at")?,
    })
}

/// Decodes the status of a recipient.
pub fn decode_recipient<R: SqlRow>(
    row: &R,
    channel: &ConfigName,
    address: &str,
) -> Result<Recipient, R::Error> {
    Ok(Recipient {
        channel: channel.clone(),
        address: address.to_owned(),
        status: row.parsed("status", RecipientStatus::parse)?,
        reason: row.text("reason")?,
        changed_by: row.text("changed_by")?,
        changed_at: row.time("changed_at")?,
    })
}

/// Decodes an idempotency key: the repeated result, or that the key was used for another request.
pub fn decode_replay<R: SqlRow>(row: &R, key: &Idempotency) -> Result<Acceptance, R::Error> {
    if row.bytes::<32>("request")? != key.request {
        return Ok(Acceptance::KeyReused);
    }
    Ok(Acceptance::Replayed { id: row.message_id("message")?, number: row.integer("number")? })
}
