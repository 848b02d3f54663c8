//! Inbound messages as the native API, `console inbound` and the event `message.received` write them.
//!
//! Every field is present; a missing value is null.

use serde::Serialize;
use utoipa::ToSchema;

use crate::usage::rfc3339;
use postrider_core::inbound_record::{InboundRecord, InboundTarget};

/// A text that a person sent to one of our numbers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InboundMessage)]
pub struct InboundView {
    /// The id of the inbound message.
    #[schema(format = "uuid")]
    pub id: String,
    /// The provider that delivered it.
    pub provider: String,
    /// The provider's id of it.
    pub reference: Option<String>,
    /// The channel over which a reply goes.
    pub channel: Option<String>,
    /// The sender.
    pub from: String,
    /// The number or name of ours to which it was sent, as the provider writes it.
    pub to: String,
    /// The text.
    pub body: String,
    /// True if parts of the text did not arrive in time.
    pub incomplete: bool,
    /// The time that the provider states.
    #[schema(format = DateTime)]
    pub sent_at: String,
    /// The time at which this gateway received it.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// The request that it makes with a keyword: `opt_out`, `opt_in`, `help` or `none`.
    pub action: &'static str,
    /// The id of the last message to the sender.
    #[schema(format = "uuid")]
    pub in_reply_to: Option<String>,
    /// The API key that it belongs to; empty if it belongs to none.
    pub account: String,
    /// The name of its route.
    pub route: Option<String>,
    /// The kind of target of the route.
    pub target: Option<&'static str>,
    /// `kept` without a target, else `waiting` or `forwarded`.
    pub state: &'static str,
    /// The time at which the target confirmed it.
    #[schema(format = DateTime)]
    pub forwarded_at: Option<String>,
}

impl From<InboundRecord> for InboundView {
    fn from(record: InboundRecord) -> Self {
        Self {
            state: record.state(),
            id: record.id.to_string(),
            provider: record.provider.to_string(),
            reference: record.reference,
            channel: record.channel.map(|channel| channel.to_string()),
            from: record.from,
            to: record.to,
            body: record.body,
            incomplete: record.is_incomplete,
            sent_at: rfc3339(record.sent_at),
            received_at: rfc3339(record.received_at),
            action: record.action.as_str(),
            in_reply_to: record.in_reply_to.map(|id| id.to_string()),
            account: record.account,
            route: record.route,
            target: record.target.map(InboundTarget::as_str),
            forwarded_at: record.forwarded_at.map(rfc3339),
        }
    }
}
