//! Usage rows, as the native API and `console usage` write them: one per delivery, and totals by day, user and channel.
//!
//! Every field is present; a missing value is null. [`csv`] writes the same fields as columns.

pub mod csv;

use chrono::SecondsFormat;
use serde::Serialize;
use utoipa::ToSchema;

use postrider_core::message::{Delivery, Message};
use postrider_core::{clock::Timestamp, delivery::DeliveryState, usage::UsageRow};
use postrider_store::UsageTotals;

/// One delivery with its message.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = UsageRow)]
pub struct UsageDeliveryRow {
    /// Time of acceptance.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// User id, assigned by the client.
    pub user_id: Option<String>,
    /// Id of the message.
    #[schema(format = "uuid")]
    pub message_id: String,
    /// Id of the delivery.
    pub delivery_id: i64,
    /// The channel.
    pub channel: String,
    /// The address; empty if none was given.
    pub recipient: String,
    /// The provider that accepted it last.
    pub provider: Option<String>,
    /// The provider's id of the delivery.
    pub reference: Option<String>,
    /// `waiting`, `sent`, `delivered` or `failed`.
    pub state: &'static str,
    /// Kind of failure of a failed delivery.
    pub failure: Option<&'static str>,
    /// Time at which it was sent, delivered or failed.
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
    /// Time at which the user opened it.
    #[schema(format = DateTime)]
    pub opened_at: Option<String>,
    /// Number of tries used up.
    pub tries: u32,
    /// Number of text parts.
    pub parts: u32,
    /// Subject of the message.
    pub subject: Option<String>,
    /// Text of the message.
    pub body: String,
}

/// Totals of the deliveries that match a query.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageTotals)]
pub struct UsageTotalsView {
    /// Newest day first, then by user and channel.
    pub rows: Vec<UsageTotalRow>,
    /// `true` if all deliveries were counted; otherwise only the newest ones: restrict the time or the user.
    pub complete: bool,
}

/// Deliveries to one user over one channel on one day.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = UsageTotal)]
pub struct UsageTotalRow {
    /// The day in the requested time zone, otherwise in UTC, on which the messages were accepted.
    #[schema(format = Date)]
    pub day: String,
    /// User id, assigned by the client.
    pub user_id: Option<String>,
    /// The channel.
    pub channel: String,
    /// Deliveries in all states.
    pub deliveries: u64,
    /// Deliveries that are not sent yet.
    pub waiting: u64,
    /// Deliveries that a provider accepted, without a delivery receipt.
    pub sent: u64,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Deliveries that failed finally.
    pub failed: u64,
    /// Deliveries that the user opened.
    pub opened: u64,
    /// Number of text parts.
    pub parts: u64,
    /// Number of tries used up.
    pub tries: u64,
}

/// Returns the rows of these messages, in their order.
pub fn usage_rows(messages: &[Message]) -> Vec<UsageDeliveryRow> {
    let mut rows = Vec::with_capacity(messages.len());
    for message in messages {
        let deliveries = message.deliveries.iter();
        rows.extend(deliveries.map(|delivery| UsageDeliveryRow::new(message, delivery)));
    }
    rows
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
    fn from(usage_total: UsageRow) -> Self {
        Self {
            day: usage_total.day.to_string(),
            user_id: usage_total.user,
            channel: usage_total.channel.to_string(),
            deliveries: usage_total.deliveries,
            waiting: usage_total.waiting,
            sent: usage_total.sent,
            delivered: usage_total.delivered,
            failed: usage_total.failed,
            opened: usage_total.opened,
            parts: usage_total.parts,
            tries: usage_total.tries,
        }
    }
}

/// Writes a time in RFC 3339, in UTC with milliseconds.
pub fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
