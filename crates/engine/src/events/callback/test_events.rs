//! Events and callbacks for the tests of the forms.

use postrider_core::callback::{Callback, CallbackFormat};
use postrider_core::clock::from_millis;
use postrider_core::delivery::Failure;
use postrider_core::event::{Event, EventKey, EventStatus, EventTarget, EventType};
use postrider_core::id::{DeliveryId, MessageId};

use super::call::DeliveryFacts;

/// Returns an event of 2026-11-30 17:24:00 UTC.
pub fn event(event_type: EventType, failure: Option<Failure>, sequence: u32) -> Event {
    let at = from_millis(1_796_059_440_000);
    Event {
        key: EventKey { delivery: DeliveryId::from_position(7, 0), sequence },
        message: MessageId::from_bytes([0xab; 16]),
        target: EventTarget::ApiKey("shop".to_owned()),
        channel: "sms".parse().unwrap(),
        spelling: "+15005550001".to_owned(),
        event_type,
        failure,
        reason: failure.map(|_| "no".to_owned()),
        provider: Some("red".parse().unwrap()),
        at,
        status: EventStatus::Waiting { due_at: at },
        tries: 0,
        last_result: None,
    }
}

/// Returns a failure, as the first event of its delivery or after it was sent.
pub fn failed(failure: Failure, sequence: u32) -> Event {
    event(EventType::Failed, Some(failure), sequence)
}

pub fn sent() -> Event {
    event(EventType::Sent, None, 1)
}

pub fn delivered() -> Event {
    event(EventType::Delivered, None, 2)
}

pub fn callback(format: CallbackFormat, url: &str, fields: &[(&str, &str)]) -> Callback {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Callback { format, url: url.to_owned(), api_key: "shop".to_owned(), fields: fields.collect() }
}

pub fn facts() -> DeliveryFacts {
    DeliveryFacts {
        reference: Some("00abc001".to_owned()),
        accepted_at: Some(from_millis(1_796_059_320_000)),
        sender: None,
    }
}
