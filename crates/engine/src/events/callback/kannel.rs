//! Delivery reports of Kannel: a GET of the `dlr-url` with its escapes expanded, for the events of the `dlr-mask`.

use postrider_core::callback::Callback;
use postrider_core::delivery::Failure;
use postrider_core::event::{Event, EventType};
use reqwest::Method;

use super::call::{CallbackCall, DeliveryFacts, NoCall, event_uuid};
use super::kannel_pattern::{PatternValues, expand};
use super::receipt_words::{delivered_count, error_code, failed_before_it_was_sent, receipt_time, stat};

/// Bits of `dlr-mask`, and values of `%d`.
const DELIVERED: u8 = 1;
const FAILED: u8 = 2;
const BUFFERED: u8 = 4;
const ACCEPTED: u8 = 8;
const REFUSED: u8 = 16;

/// Builds the request for an event that the mask asks for.
pub fn build(
    event: &Event,
    callback: &Callback,
    mask: u8,
    facts: &DeliveryFacts,
) -> Result<CallbackCall, NoCall> {
    let dlr_value = dlr_value(event).filter(|value| is_asked_for(*value, mask)).ok_or(NoCall::NotAskedFor)?;
    let values = PatternValues {
        event,
        callback,
        dlr_value,
        text: &report_text(event, dlr_value, facts),
        reference: facts.reference.as_deref().unwrap_or_default(),
        sender: callback.field("P").or(facts.sender.as_deref()).unwrap_or_default(),
        uuid: &event_uuid(event),
    };
    Ok(CallbackCall {
        method: Method::GET,
        url: expand(&callback.url, &values),
        headers: vec![("user-agent", "Kannel/1.4.5".to_owned())],
        body: String::new(),
    })
}

/// Returns the value of `%d`; none for an event that Kannel does not know.
pub fn dlr_value(event: &Event) -> Option<u8> {
    match event.event_type {
        EventType::Opened | EventType::Received => None,
        EventType::Waiting => Some(BUFFERED),
        EventType::Sent => Some(ACCEPTED),
        EventType::Delivered => Some(DELIVERED),
        EventType::Failed => match event.failure {
            Some(Failure::Rejected | Failure::Suppressed) => Some(REFUSED),
            Some(Failure::InvalidRecipient) if failed_before_it_was_sent(event) => Some(REFUSED),
            _ => Some(FAILED),
        },
    }
}

/// Returns whether a mask asks for an event. Kannel tells a refusal also to clients that asked for failures only.
pub fn is_asked_for(dlr_value: u8, mask: u8) -> bool {
    let asked_bits = if dlr_value == REFUSED { REFUSED | FAILED } else { dlr_value };
    mask & asked_bits != 0
}

/// Returns the text of a report: `ACK/`, `NACK/` with the reason, or a receipt of SMPP without the beginning of the message.
fn report_text(event: &Event, dlr_value: u8, facts: &DeliveryFacts) -> String {
    match dlr_value {
        ACCEPTED => "ACK/".to_owned(),
        REFUSED => match event.failure {
            Some(Failure::InvalidRecipient) => "NACK/0x0000000b/Invalid Destination Address".to_owned(),
            _ => "NACK/0x00000045/Submit Failed".to_owned(),
        },
        _ => format!(
            "id:{} sub:001 dlvrd:{} submit date:{} done date:{} stat:{} err:{} text:",
            facts.reference.as_deref().unwrap_or_default(),
            delivered_count(event),
            receipt_time(facts.accepted_at.unwrap_or(event.at)),
            receipt_time(event.at),
            stat(event),
            error_code(event),
        ),
    }
}

#[cfg(test)]
mod tests;
