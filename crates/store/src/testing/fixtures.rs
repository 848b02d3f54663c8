//! What the promises are told with: short ways to make messages, rounds and receipts, and to read a state.

use std::sync::Arc;
use std::time::Duration;

use crate::{ReceiptResult, ReceivedReceipt, Store};
use postrider_core::attempt::{Attempt, Outcome};
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Acceptance, Delivery, Idempotency, Message, NewDelivery, NewMessage};
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_core::user_throttle::UserThrottle;

/// Opens one more store on the same database.
pub type StoreOpener = Box<dyn Fn() -> Arc<dyn Store>>;

/// How long a claim lasts here.
pub const LEASE: Duration = Duration::from_secs(60);

/// A moment so many seconds after an arbitrary beginning, which is the beginning of an hour.
pub fn at(seconds: i64) -> Timestamp {
    from_millis((1_700_000_000 / 3600 * 3600 + seconds) * 1000)
}

/// A name.
pub fn name(text: &str) -> ConfigName {
    text.parse().unwrap()
}

/// A message's public name that no other of the same test has.
pub fn id(which: u64) -> MessageId {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&which.to_be_bytes());
    MessageId::from_bytes(bytes)
}

/// A text message accepted and due at the beginning of time.
pub fn sms(which: u64) -> NewMessage {
    sms_to(which, "+989121111111")
}

/// The same to another address.
pub fn sms_to(which: u64, address: &str) -> NewMessage {
    NewMessage {
        id: id(which),
        subject: None,
        body: format!("body {which} \u{1F600} <&>"),
        user: None,
        deliveries: vec![new_delivery("sms", address)],
        idempotency: None,
        event_target: None,
        throttles: vec![],
        replay_only: false,
        created_at: at(0),
    }
}

/// So many messages in an hour to a user who is known by one byte.
pub fn hourly(user: u8, limit: u32) -> UserThrottle {
    UserThrottle {
        subject: [user; 32],
        limit,
        window: Duration::from_secs(3600),
    }
}

/// One leg of a message.
pub fn new_delivery(channel: &str, address: &str) -> NewDelivery {
    NewDelivery {
        channel: name(channel),
        address: address.to_owned(),
        spelling: format!("as written {address}"),
        contacts: vec![],
        rejection_reason: None,
        parts: 2,
        priority: Priority::Normal,
        resends_left: 0,
        due_at: at(0),
        expires_at: at(86_400),
    }
}

/// A client's promise, with a key and a request that are made of one byte each.
pub fn idempotency_key(key: u8, request: u8) -> Option<Idempotency> {
    Some(Idempotency {
        key: [key; 32],
        request: [request; 32],
        expires_at: at(1000),
    })
}

/// Stores one message and returns the number of its first delivery.
pub async fn accepted(store: &dyn Store, message: NewMessage) -> DeliveryId {
    match store.accept(vec![message]).await.unwrap().as_slice() {
        [Acceptance::Stored { number }] => DeliveryId::from_position(*number, 0),
        other => panic!("not stored: {other:?}"),
    }
}

/// Claims one delivery that can be claimed.
pub async fn claimed(store: &dyn Store, id: DeliveryId, now: Timestamp) -> ClaimedDelivery {
    let mut won = store.claim(vec![id], now, LEASE).await.unwrap();
    assert_eq!(won.len(), 1, "{id} cannot be claimed");
    won.remove(0)
}

/// Whether a delivery cannot be claimed.
pub async fn is_not_claimable(store: &dyn Store, id: DeliveryId, now: Timestamp) -> bool {
    store.claim(vec![id], now, LEASE).await.unwrap().is_empty()
}

/// A call to a provider that took some milliseconds.
pub fn attempt(provider: &str, outcome: Outcome, now: Timestamp) -> Attempt {
    Attempt {
        provider: Some(name(provider)),
        outcome,
        code: Some("HTTP 418".to_owned()),
        at: now,
        duration: Duration::from_millis(40),
        address: None,
    }
}

/// An outcome that says yes.
pub fn accepted_outcome(reference: &str) -> Outcome {
    Outcome::Accepted {
        reference: Some(reference.to_owned()),
    }
}

/// An outcome that says not here.
pub fn unavailable_outcome() -> Outcome {
    Outcome::Unavailable {
        reason: "down".to_owned(),
    }
}

/// The state in which a provider has it.
pub fn sent_state(provider: &str, reference: &str, now: Timestamp) -> DeliveryState {
    DeliveryState::Sent {
        provider: name(provider),
        reference: Some(reference.to_owned()),
        at: now,
    }
}

/// The state in which it waits again.
pub fn waiting_state(due_at: Timestamp, reason: &str) -> DeliveryState {
    DeliveryState::Waiting {
        due_at,
        reason: Some(reason.to_owned()),
    }
}

/// What a round came to.
pub fn finished_round(
    of: &ClaimedDelivery,
    attempts: Vec<Attempt>,
    state: DeliveryState,
    now: Timestamp,
) -> CompletedRound {
    CompletedRound {
        id: of.id,
        round: of.round,
        attempts,
        state,
        tries: of.tries + 1,
        at: now,
        event_target: of.event_target.clone(),
    }
}

/// Records a round and says what the store made of it.
pub async fn record(store: &dyn Store, round: CompletedRound) -> RecordResult {
    store.record(vec![round]).await.unwrap()[0]
}

/// Claims a delivery and lets a provider take it.
pub async fn claim_and_send(
    store: &dyn Store,
    id: DeliveryId,
    provider: &str,
    reference: &str,
    now: Timestamp,
) {
    let claim = claimed(store, id, now).await;
    let attempts = vec![attempt(provider, accepted_outcome(reference), now)];
    let round = finished_round(&claim, attempts, sent_state(provider, reference, now), now);
    assert_ne!(record(store, round).await, RecordResult::Superseded);
}

/// Claims a delivery and lets it fail for good.
pub async fn claim_and_fail(store: &dyn Store, id: DeliveryId, failure: Failure, now: Timestamp) {
    let claim = claimed(store, id, now).await;
    let attempts = vec![attempt("red", unavailable_outcome(), now)];
    let round = finished_round(&claim, attempts, DeliveryState::failed(failure, "no", now), now);
    assert_eq!(record(store, round).await, RecordResult::Stored);
}

/// A receipt from a provider, or from a door that belongs to none.
pub fn received_receipt(
    provider: Option<&str>,
    reference: &str,
    verdict: ReceiptStatus,
    now: Timestamp,
) -> ReceivedReceipt {
    ReceivedReceipt {
        provider: provider.map(name),
        receipt: Receipt {
            reference: reference.to_owned(),
            status: verdict,
            at: now,
        },
        delivery: None,
        received_at: now + Duration::from_secs(1),
        can_wait: true,
    }
}

/// A receipt that says it did not arrive.
pub fn bounced_verdict() -> ReceiptStatus {
    ReceiptStatus::Bounced {
        reason: "handset gone".to_owned(),
    }
}

/// Hands one receipt in.
pub async fn apply_receipt(store: &dyn Store, heard: ReceivedReceipt) -> ReceiptResult {
    store.apply_receipts(vec![heard]).await.unwrap().remove(0)
}

/// The message with that public name.
pub async fn find_message(store: &dyn Store, which: u64) -> Message {
    store
        .find_message(id(which))
        .await
        .unwrap()
        .expect("the message is there")
}

/// The first delivery of that message.
pub async fn first_delivery(store: &dyn Store, which: u64) -> Delivery {
    find_message(store, which).await.deliveries.remove(0)
}

/// Folds in small steps until nothing is left.
pub async fn apply_all_changes(store: &dyn Store) {
    while store.apply_changes(3).await.unwrap() > 0 {}
}
