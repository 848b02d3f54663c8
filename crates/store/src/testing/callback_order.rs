//! Conformance tests of callbacks in the form of another gateway: the events of a delivery are claimed in order.

use super::fixtures::*;
use crate::{EventQuery, Store};
use postrider_core::callback::{Callback, CallbackFormat};
use postrider_core::clock::Timestamp;
use postrider_core::event::{ClaimedEvent, EventAttemptResult, EventStatus, EventTarget, EventType};
use postrider_core::message::NewMessage;
use postrider_core::receipt::ReceiptStatus;

const ENDPOINT: &str = "shop.example";

fn with_callback(number: u64) -> NewMessage {
    let callback = Callback {
        format: CallbackFormat::Kannel { mask: 31 },
        url: format!("https://{ENDPOINT}/dlr?d=%d"),
        api_key: "shop one".to_owned(),
        fields: vec![("P".to_owned(), "Acme & Co".to_owned())],
    };
    NewMessage { event_target: Some(EventTarget::Callback(callback)), ..sms(number) }
}

/// Sends a message at second 1; a receipt reports at second 2 that it was delivered.
async fn sent_and_delivered(store: &dyn Store, message: NewMessage, reference: &str) {
    let delivery_id = accepted(store, message).await;
    claim_and_send(store, delivery_id, "blue", reference, at(1)).await;
    apply_receipt(store, received_receipt(Some("blue"), reference, ReceiptStatus::Delivered, at(2))).await;
}

async fn claim(store: &dyn Store, now: Timestamp) -> Vec<ClaimedEvent> {
    store.claim_events(vec![(ENDPOINT.to_owned(), 9)], now, LEASE).await.unwrap()
}

async fn end(store: &dyn Store, claim: &ClaimedEvent, status: EventStatus) {
    let (key, claims) = (claim.event.key, claim.claims);
    let result = EventAttemptResult { key, claims, status, tries: 1, result: "HTTP 200".to_owned() };
    store.record_events(vec![result]).await.unwrap();
}

fn types(claims: &[ClaimedEvent]) -> Vec<EventType> {
    claims.iter().map(|claim| claim.event.event_type).collect()
}

pub async fn callbacks_of_a_delivery_are_claimed_in_order(open: OpenStore<'_>) {
    let store = open();
    sent_and_delivered(&*store, with_callback(1), "b-1").await;
    let first = claim(&*store, at(10)).await;
    assert_eq!(types(&first), [EventType::Sent]);
    assert_eq!(first[0].event.target, with_callback(1).event_target.unwrap());
    assert_eq!(claim(&*store, at(10)).await, []);
    end(&*store, &first[0], EventStatus::Delivered { at: at(11) }).await;
    let second = claim(&*store, at(12)).await;
    assert_eq!(types(&second), [EventType::Delivered]);
    end(&*store, &second[0], EventStatus::Delivered { at: at(13) }).await;
    assert_eq!(store.waiting_endpoints("", 9).await.unwrap(), []);
}

pub async fn later_callbacks_wait_as_long_as_a_failed_one(open: OpenStore<'_>) {
    let store = open();
    sent_and_delivered(&*store, with_callback(1), "b-1").await;
    sent_and_delivered(&*store, with_callback(2), "b-2").await;
    let claims = claim(&*store, at(10)).await;
    assert_eq!(types(&claims), [EventType::Sent, EventType::Sent]);
    end(&*store, &claims[0], EventStatus::Waiting { due_at: at(90) }).await;
    end(&*store, &claims[1], EventStatus::Dead { at: at(11) }).await;
    let failed_message = claims[0].event.message;
    let query = EventQuery { message: Some(failed_message), limit: 9, ..EventQuery::default() };
    let events = store.events(query).await.unwrap();
    assert_eq!(events.iter().map(|event| event.status.time()).collect::<Vec<_>>(), [at(90), at(90)]);
    let next = claim(&*store, at(12)).await;
    assert_eq!(types(&next), [EventType::Delivered]);
    assert_ne!(next[0].event.message, failed_message);
    end(&*store, &next[0], EventStatus::Delivered { at: at(13) }).await;
    let repeated = claim(&*store, at(90)).await;
    assert_eq!((types(&repeated), repeated[0].event.message), (vec![EventType::Sent], failed_message));
}

pub async fn webhooks_of_a_delivery_do_not_wait_for_each_other(open: OpenStore<'_>) {
    let store = open();
    let target = EventTarget::Url { url: format!("https://{ENDPOINT}/hook"), api_key: String::new() };
    sent_and_delivered(&*store, NewMessage { event_target: Some(target), ..sms(1) }, "b-1").await;
    let claims = claim(&*store, at(10)).await;
    assert_eq!(claims.len(), 2);
    end(&*store, &claims[0], EventStatus::Waiting { due_at: at(900) }).await;
    let last = claim(&*store, at(200)).await;
    assert_eq!(last.len(), 1);
}
