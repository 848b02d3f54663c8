//! The message resource of the Twilio API.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::request::API_VERSION;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::id::MessageId;
use postrider_core::message::Message;

/// The facts of a message from which its resource is written.
#[derive(Clone, Debug)]
pub(super) struct MessageFacts {
    pub(super) id: MessageId,
    pub(super) body: String,
    pub(super) from: Option<String>,
    pub(super) to: String,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) sent_at: Option<Timestamp>,
    pub(super) parts: u32,
    pub(super) service_sid: Option<String>,
    pub(super) status: &'static str,
    pub(super) error_code: Option<u32>,
}

impl MessageFacts {
    /// Returns the facts of a stored message. Messages of other APIs may have several deliveries: the first one counts.
    pub(super) fn of_message(message: &Message, now: Timestamp) -> Self {
        let delivery = message.deliveries.first();
        let (status, error_code, sent_at) = match delivery.map(|delivery| &delivery.state) {
            Some(state) => status_of(state, now),
            None => ("queued", None, None),
        };
        Self {
            id: message.id,
            body: message.body.clone(),
            from: message.sender.clone(),
            to: delivery.map(|delivery| delivery.address.clone()).unwrap_or_default(),
            created_at: message.created_at,
            updated_at: sent_at.unwrap_or(message.created_at),
            sent_at,
            parts: delivery.map_or(1, |delivery| delivery.parts),
            service_sid: None,
            status,
            error_code,
        }
    }

    /// Returns the resource, with its keys in the order of Twilio.
    pub(super) fn resource(&self, account_sid: &str) -> Value {
        let sid = self.id.to_twilio_sid();
        let uri = format!("/{API_VERSION}/Accounts/{account_sid}/Messages/{sid}");
        // No number is chosen yet for a scheduled message.
        let parts = if self.status == "scheduled" { 0 } else { self.parts };
        json!({
            "account_sid": account_sid,
            "api_version": API_VERSION,
            "body": self.body,
            "date_created": rfc2822(self.created_at),
            "date_sent": self.sent_at.map(rfc2822),
            "date_updated": rfc2822(self.updated_at),
            "direction": "outbound-api",
            "error_code": self.error_code,
            "error_message": null,
            "from": self.from,
            "messaging_service_sid": self.service_sid,
            "num_media": "0",
            "num_segments": parts.to_string(),
            "price": null,
            "price_unit": "USD",
            "sid": sid,
            "status": self.status,
            "subresource_uris": { "media": format!("{uri}/Media.json") },
            "tags": null,
            "to": self.to,
            "uri": format!("{uri}.json"),
        })
    }
}

/// Returns `status`, `error_code` and `date_sent` of a delivery.
fn status_of(state: &DeliveryState, now: Timestamp) -> (&'static str, Option<u32>, Option<Timestamp>) {
    match state {
        DeliveryState::Waiting { due_at, reason: None } if *due_at > now => ("scheduled", None, None),
        DeliveryState::Waiting { .. } => ("queued", None, None),
        DeliveryState::Sent { at, .. } => ("sent", None, Some(*at)),
        DeliveryState::Delivered { at } => ("delivered", None, Some(*at)),
        DeliveryState::Failed { failure, at, .. } => {
            let (status, error_code) = failed_status(*failure);
            (status, error_code, Some(*at).filter(|_| status != "canceled"))
        }
    }
}

fn failed_status(failure: Failure) -> (&'static str, Option<u32>) {
    match failure {
        Failure::Rejected => ("failed", Some(30007)),
        Failure::InvalidRecipient => ("undelivered", Some(30005)),
        Failure::Suppressed => ("failed", Some(21610)),
        Failure::Exhausted => ("undelivered", Some(30003)),
        Failure::Expired => ("undelivered", Some(30036)),
        Failure::Cancelled => ("canceled", None),
        Failure::Bounced | Failure::Unknown => ("undelivered", Some(30008)),
    }
}

/// Formats a time as `Mon, 30 Nov 2026 17:44:46 +0000`.
fn rfc2822(time: Timestamp) -> String {
    time.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// Parses a date or a time of a filter: `2026-11-01` or RFC 3339.
pub(super) fn parse_date(text: &str) -> Option<Timestamp> {
    let as_time = |text: &str| chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    as_time(text).or_else(|| as_time(&format!("{text}T00:00:00Z")))
}

/// Formats a time as in a query.
pub(super) fn format_date(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
