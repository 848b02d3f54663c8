//! A line for each delivery, and what they come to by day, person and channel, as programs read them.
//!
//! Every field is there, null where there is nothing. The columns of the CSV are the same.

use chrono::SecondsFormat;
use serde::Serialize;
use utoipa::ToSchema;

use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::message::{Delivery, Message};
use postrider_core::usage::UsageRow;
use postrider_store::UsageTotals;

/// A page of what was sent, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsagePage)]
pub struct UsageView {
    /// One for each delivery of the page's messages.
    pub rows: Vec<UsageDeliveryRow>,
    /// What all that was asked for comes to; on the first page only.
    pub totals: Option<UsageTotalsView>,
    /// The `cursor` of the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// What, when, to whom, over which channel and provider, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageLine)]
pub struct UsageDeliveryRow {
    /// When the message was accepted.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The client's own name for the person.
    pub user_id: Option<String>,
    /// The message's id.
    #[schema(format = "uuid")]
    pub message_id: String,
    /// The delivery's number.
    pub delivery_id: i64,
    /// Over which channel.
    pub channel: String,
    /// To which address; empty where none was given.
    pub recipient: String,
    /// The provider that last took it.
    pub provider: Option<String>,
    /// That provider's id for it.
    pub reference: Option<String>,
    /// `waiting`, `sent`, `delivered` or `failed`.
    pub state: &'static str,
    /// Of what has failed: how.
    pub failure: Option<&'static str>,
    /// When it was sent, delivered or failed.
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
    /// When the person opened it.
    #[schema(format = DateTime)]
    pub opened_at: Option<String>,
    /// How many tries it used up.
    pub tries: u32,
    /// How many text parts it has.
    pub parts: u32,
    /// The line above what the message says.
    pub subject: Option<String>,
    /// What the message says.
    pub body: String,
}

/// What was counted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageTotals)]
pub struct UsageTotalsView {
    /// The newest day first, then by person and channel.
    pub rows: Vec<UsageTotalRow>,
    /// Whether that is all. Otherwise only the newest deliveries were counted: ask for less time or for one person.
    pub complete: bool,
}

/// What went to one person over one channel on one day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageTotal)]
pub struct UsageTotalRow {
    /// The day in UTC on which the messages were accepted.
    #[schema(format = Date)]
    pub day: String,
    /// The client's own name for the person.
    pub user_id: Option<String>,
    /// Over which channel.
    pub channel: String,
    /// Deliveries, whatever became of them.
    pub deliveries: u64,
    /// Of these, not sent yet.
    pub waiting: u64,
    /// Of these, with a provider.
    pub sent: u64,
    /// Of these, arrived.
    pub delivered: u64,
    /// Of these, failed for good.
    pub failed: u64,
    /// Of these, opened by the person.
    pub opened: u64,
    /// Text parts.
    pub parts: u64,
    /// Tries used up.
    pub tries: u64,
}

/// The lines of these messages, in their order.
pub fn usage_rows(messages: &[Message]) -> Vec<UsageDeliveryRow> {
    let mut lines = Vec::with_capacity(messages.len());
    for message in messages {
        let deliveries = message.deliveries.iter();
        lines.extend(deliveries.map(|delivery| UsageDeliveryRow::new(message, delivery)));
    }
    lines
}

impl UsageDeliveryRow {
    fn new(message: &Message, delivery: &Delivery) -> Self {
        let (failure, ended_at) = match &delivery.state {
            DeliveryState::Waiting { .. } => (None, None),
            DeliveryState::Sent { at, .. } | DeliveryState::Delivered { at } => (None, Some(*at)),
            DeliveryState::Failed { failure, at, .. } => (Some(failure.as_str()), Some(*at)),
        };
        Self {
            created_at: rfc3339(message.created_at),
            user_id: message.user.clone(),
            message_id: message.id.to_string(),
            delivery_id: delivery.id.0,
            channel: delivery.channel.to_string(),
            recipient: delivery.address.clone(),
            provider: delivery.provider.as_ref().map(ToString::to_string),
            reference: delivery.reference.clone(),
            state: delivery.state.kind().as_str(),
            failure,
            ended_at: ended_at.map(rfc3339),
            opened_at: delivery.opened_at.map(rfc3339),
            tries: delivery.tries,
            parts: delivery.parts,
            subject: message.subject.clone(),
            body: message.body.clone(),
        }
    }
}

impl From<UsageTotals> for UsageTotalsView {
    fn from(totals: UsageTotals) -> Self {
        Self {
            rows: totals.rows.into_iter().map(UsageTotalRow::from).collect(),
            complete: totals.is_complete,
        }
    }
}

impl From<UsageRow> for UsageTotalRow {
    fn from(total: UsageRow) -> Self {
        Self {
            day: total.day.to_string(),
            user_id: total.user,
            channel: total.channel.to_string(),
            deliveries: total.deliveries,
            waiting: total.waiting,
            sent: total.sent,
            delivered: total.delivered,
            failed: total.failed,
            opened: total.opened,
            parts: total.parts,
            tries: total.tries,
        }
    }
}

fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
