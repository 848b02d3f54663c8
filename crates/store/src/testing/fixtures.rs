//! Fixtures of the conformance suite: messages, rounds and receipts, and short ways to store and read them.

use std::{sync::Arc, time::Duration};

use prometheus_client::registry::Registry;

use crate::{MaintenanceStore, ReceiptResult, ReceivedReceipt, Store};
use postrider_core::attempt::{Attempt, Outcome};
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Acceptance, Delivery, Idempotency, Message, NewDelivery, NewMessage};
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_core::user_throttle::{ThrottleCounting, UserThrottle};
use postrider_core::{name::ConfigName, priority::Priority};

/// Opens one more store on the same database; the parameter of every test of the suite.
pub type OpenStore<'a> = &'a dyn Fn() -> Arc<dyn Store>;

/// An owned [`OpenStore`], which also keeps the database.
pub type StoreOpener = Box<dyn Fn() -> Arc<dyn Store>>;

/// Lease of the claims.
pub const LEASE: Duration = Duration::from_secs(60);

/// Returns a time in seconds after an arbitrary start, which is the start of an hour.
pub fn at(seconds: i64) -> Timestamp {
    from_millis((1_700_000_000 / 3600 * 3600 + seconds) * 1000)
}

/// Parses the name of a channel or a provider.
pub fn name(text: &str) -> ConfigName {
    text.parse().unwrap()
}

/// Returns the message id for a number.
pub fn id(number: u64) -> MessageId {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    MessageId::from_bytes(bytes)
}

/// Returns an SMS accepted and due at `at(0)`.
pub fn sms(number: u64) -> NewMessage {
    sms_to(number, "+989121111111")
}

/// Returns the same SMS to another address.
pub fn sms_to(number: u64, address: &str) -> NewMessage {
    NewMessage {
        id: id(number),
        subject: None,
        sender: None,
        body: format!("body {number} \u{1F600} <&>"),
        user: None,
        owner: String::new(),
        deliveries: vec![new_delivery("sms", address)],
        idempotency: None,
        event_target: None,
        throttles: vec![],
        at_most_once: false,
        client_expires_at: None,
        replay_only: false,
        created_at: at(0),
    }
}

/// Returns a throttle of `limit` messages per hour for a user.
pub fn hourly(user: u8, limit: u32) -> UserThrottle {
    let window = Duration::from_secs(3600);
    UserThrottle { subject: [user; 32], limit, window, counting: ThrottleCounting::Messages }
}

/// Returns a delivery.
pub fn new_delivery(channel: &str, address: &str) -> NewDelivery {
    NewDelivery {
        channel: name(channel),
        address: address.to_owned(),
        spelling: format!("as written {address}"),
        contacts: vec![],
        ignores_opt_out: false,
        rejection_reason: None,
        parts: 2,
        priority: Priority::Normal,
        resends_left: 0,
        due_at: at(0),
        expires_at: at(86_400),
    }
}

/// Returns an idempotency key; key and request are made of one byte each.
pub fn idempotency_key(key: u8, request: u8) -> Option<Idempotency> {
    Some(Idempotency { key: [key; 32], request: [request; 32], expires_at: at(1000) })
}

/// Stores one message and returns the id of its first delivery.
pub async fn accepted(store: &dyn Store, message: NewMessage) -> DeliveryId {
    match store.accept(vec![message]).await.unwrap().as_slice() {
        [Acceptance::Stored { number }] => DeliveryId::from_position(*number, 0),
        other => panic!("not stored: {other:?}"),
    }
}

/// Claims a delivery.
pub async fn claimed(store: &dyn Store, id: DeliveryId, now: Timestamp) -> ClaimedDelivery {
    let mut claims = store.claim(vec![id], now, LEASE).await.unwrap();
    assert_eq!(claims.len(), 1, "{id} cannot be claimed");
    claims.remove(0)
}

/// Returns whether a delivery cannot be claimed.
pub async fn is_not_claimable(store: &dyn Store, id: DeliveryId, now: Timestamp) -> bool {
    store.claim(vec![id], now, LEASE).await.unwrap().is_empty()
}

/// Returns an attempt of 40 ms.
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

/// Returns the outcome `accepted`.
pub fn accepted_outcome(reference: &str) -> Outcome {
    Outcome::Accepted { reference: Some(reference.to_owned()) }
}

/// Returns the outcome `unavailable`.
pub fn unavailable_outcome() -> Outcome {
    Outcome::Unavailable { reason: "down".to_owned() }
}

/// Returns the state `sent`.
pub fn sent_state(provider: &str, reference: &str, now: Timestamp) -> DeliveryState {
    DeliveryState::Sent { provider: name(provider), reference: Some(reference.to_owned()), at: now }
}

/// Returns the state `waiting`.
pub fn waiting_state(due_at: Timestamp, reason: &str) -> DeliveryState {
    DeliveryState::Waiting { due_at, reason: Some(reason.to_owned()) }
}

/// Returns a round that ended in `state` and used up a try.
pub fn finished_round(
    claim: &ClaimedDelivery,
    attempts: Vec<Attempt>,
    state: DeliveryState,
    now: Timestamp,
) -> CompletedRound {
    CompletedRound {
        id: claim.id,
        round: claim.round,
        attempts,
        state,
        tries: claim.tries + 1,
        expires_at: claim.expires_at,
        at: now,
        event_target: claim.event_target.clone(),
    }
}

/// Records a round and returns the result.
pub async fn record(store: &dyn Store, round: CompletedRound) -> RecordResult {
    store.record(vec![round]).await.unwrap()[0]
}

/// Claims a delivery and records that a provider accepted it.
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

/// Claims a delivery and records that it failed.
pub async fn claim_and_fail(store: &dyn Store, id: DeliveryId, failure: Failure, now: Timestamp) {
    let claim = claimed(store, id, now).await;
    let attempts = vec![attempt("red", unavailable_outcome(), now)];
    let round = finished_round(&claim, attempts, DeliveryState::failed(failure, "no", now), now);
    assert_eq!(record(store, round).await, RecordResult::Stored);
}

/// Returns a receipt of a provider, or of an endpoint that belongs to no provider.
pub fn received_receipt(
    provider: Option<&str>,
    reference: &str,
    status: ReceiptStatus,
    now: Timestamp,
) -> ReceivedReceipt {
    ReceivedReceipt {
        provider: provider.map(name),
        receipt: Receipt { reference: reference.to_owned(), status, at: now },
        delivery: None,
        received_at: now + Duration::from_secs(1),
        can_wait: true,
        sender: None,
    }
}

/// Returns the receipt status `bounced`.
pub fn bounced_status() -> ReceiptStatus {
    ReceiptStatus::Bounced { reason: "handset gone".to_owned() }
}

/// Applies one receipt.
pub async fn apply_receipt(store: &dyn Store, received: ReceivedReceipt) -> ReceiptResult {
    store.apply_receipts(vec![received]).await.unwrap().remove(0)
}

/// Returns a stored message.
pub async fn find_message(store: &dyn Store, number: u64) -> Message {
    store.find_message(id(number)).await.unwrap().expect("the message exists")
}

/// Returns the first delivery of a stored message.
pub async fn first_delivery(store: &dyn Store, number: u64) -> Delivery {
    find_message(store, number).await.deliveries.remove(0)
}

/// Returns the number of commits of a store, and the number of their operations.
pub fn commit_counts(store: &dyn MaintenanceStore) -> (u64, u64) {
    let mut registry = Registry::default();
    registry.register("operations", "operations per commit", store.commit_stats().unwrap().histograms().0);
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).unwrap();
    let value_of = |name: &str| {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        value.trim().trim_end_matches(".0").parse().unwrap()
    };
    (value_of("operations_count "), value_of("operations_sum "))
}

/// Counts all changes into the rollups, in small steps.
pub async fn apply_all_changes(store: &dyn Store) {
    while store.apply_changes(3).await.unwrap() > 0 {}
}
