//! The words of a delivery receipt of SMPP, which Kannel and Jasmin pass on to their clients.

use chrono::{DateTime, Utc};
use postrider_core::delivery::Failure;
use postrider_core::event::{Event, EventType};

/// Returns the `stat` of a receipt for the event.
pub fn stat(event: &Event) -> &'static str {
    match (event.event_type, event.failure) {
        (EventType::Waiting, _) => "ENROUTE",
        (EventType::Sent, _) => "ACCEPTD",
        (EventType::Delivered | EventType::Opened | EventType::Received, _) => "DELIVRD",
        (EventType::Failed, None) => "UNDELIV",
        (EventType::Failed, Some(failure)) => match failure {
            Failure::Bounced | Failure::Exhausted | Failure::InvalidRecipient => "UNDELIV",
            Failure::Rejected | Failure::Suppressed => "REJECTD",
            Failure::Expired => "EXPIRED",
            Failure::Cancelled => "DELETED",
            Failure::Unknown => "UNKNOWN",
        },
    }
}

/// Returns the number of delivered messages in a receipt: `001` or `000`.
pub fn delivered_count(event: &Event) -> &'static str {
    if event.event_type == EventType::Delivered { "001" } else { "000" }
}

/// Returns the error code of a receipt: `000` without an error, otherwise `001`, unspecified.
pub fn error_code(event: &Event) -> &'static str {
    if event.event_type == EventType::Failed { "001" } else { "000" }
}

/// Returns a time as receipts write it: `YYMMDDhhmm` in UTC.
pub fn receipt_time(at: DateTime<Utc>) -> String {
    at.format("%y%m%d%H%M").to_string()
}

/// Returns whether the delivery failed before a provider accepted it. Every change of a delivery with callbacks has an event,
/// so its first event is then the failure.
pub fn failed_before_it_was_sent(event: &Event) -> bool {
    event.event_type == EventType::Failed && event.key.sequence == 1
}
