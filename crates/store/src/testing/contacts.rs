//! Conformance tests of recipients with several addresses.

use super::fixtures::*;
use crate::{ReceiptResult, Store};
use postrider_core::attempt::{Attempt, Outcome};
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::message::{Acceptance, NewMessage};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{address::AddressKind, contact::Contact, receipt::ReceiptStatus, round::RecordResult};

const PUSH: &str = "token-1";
const EMAIL: &str = "ada@example.org";

fn contact(kind: AddressKind, address: &str) -> Contact {
    Contact { kind, address: address.to_owned(), spelling: format!(" {address}") }
}

fn contacts() -> Vec<Contact> {
    vec![contact(AddressKind::Push, PUSH), contact(AddressKind::Email, EMAIL)]
}

/// Returns a message to a push token and an e-mail address.
fn to_both(number: u64) -> NewMessage {
    let mut new_message = sms_to(number, PUSH);
    new_message.subject = Some(format!("subject {number}"));
    new_message.sender = Some("Acme".to_owned());
    new_message.deliveries[0].channel = name("mix");
    new_message.deliveries[0].contacts = contacts();
    new_message
}

fn invalid_recipient_outcome() -> Outcome {
    let reason = "no such device".to_owned();
    Outcome::InvalidRecipient { reason }
}

fn attempt_to(address: &str, provider: &str, outcome: Outcome, second: i64) -> Attempt {
    Attempt { address: Some(address.to_owned()), ..attempt(provider, outcome, at(second)) }
}

async fn recipient_on_mix(store: &dyn Store, address: &str) -> Option<Recipient> {
    store.recipient(&name("mix"), address).await.unwrap()
}

async fn deactivate(store: &dyn Store, address: &str) {
    let recipient = Recipient {
        channel: name("mix"),
        address: address.to_owned(),
        status: RecipientStatus::Inactive,
        reason: "gone".to_owned(),
        changed_by: "operator".to_owned(),
        changed_at: at(0),
    };
    store.set_recipient(recipient).await.unwrap();
}

pub async fn a_claim_has_contacts_subject_and_sender(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, to_both(1)).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    assert_eq!(claim.contacts, Some(contacts()));
    assert_eq!((claim.address.as_str(), claim.subject.as_deref()), (PUSH, Some("subject 1")));
    let message = find_message(&*store, 1).await;
    assert_eq!((message.subject.as_deref(), message.sender.as_deref()), (Some("subject 1"), Some("Acme")));
    assert_eq!(claim.sender.as_deref(), Some("Acme"));
}

pub async fn a_claim_with_one_address_has_no_contacts(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    assert_eq!((claim.contacts, claim.subject, claim.sender), (None, None, None));
}

pub async fn a_claim_leaves_out_inactive_contacts(open: OpenStore<'_>) {
    let store = open();
    deactivate(&*store, PUSH).await;
    let delivery_id = accepted(&*store, to_both(1)).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    assert_eq!(claim.contacts, Some(contacts()[1..].to_vec()));
    deactivate(&*store, EMAIL).await;
    let claim = claimed(&*store, delivery_id, at(100)).await;
    assert_eq!(claim.contacts, Some(vec![]));
}

pub async fn a_message_without_active_contacts_is_not_stored(open: OpenStore<'_>) {
    let store = open();
    deactivate(&*store, PUSH).await;
    deactivate(&*store, EMAIL).await;
    let results = store.accept(vec![to_both(1)]).await.unwrap();
    assert_eq!(results, [Acceptance::Suppressed(RecipientStatus::Inactive)]);
}

pub async fn only_the_invalid_contact_becomes_inactive(open: OpenStore<'_>) {
    let store = open();
    let mut new_message = to_both(1);
    new_message.deliveries[0].contacts.swap(0, 1);
    let delivery_id = accepted(&*store, new_message).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    let attempts = vec![
        attempt_to(EMAIL, "post", invalid_recipient_outcome(), 1),
        attempt_to(PUSH, "pushy", accepted_outcome("p-1"), 2),
    ];
    let round = finished_round(&claim, attempts, sent_state("pushy", "p-1", at(2)), at(2));
    assert_eq!(record(&*store, round).await, RecordResult::Stored);
    let email_recipient = recipient_on_mix(&*store, EMAIL).await.unwrap();
    assert_eq!(
        (email_recipient.status, email_recipient.reason.as_str(), email_recipient.changed_by.as_str()),
        (RecipientStatus::Inactive, "no such device", "post")
    );
    assert_eq!(recipient_on_mix(&*store, PUSH).await, None);
    let attempts = first_delivery(&*store, 1).await.attempts;
    let used_addresses = attempts.iter().map(|attempt| attempt.address.as_deref());
    assert_eq!(used_addresses.collect::<Vec<_>>(), [Some(EMAIL), Some(PUSH)]);
}

pub async fn a_recipient_that_was_never_called_stays_active(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, to_both(1)).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    let failed_state = DeliveryState::failed(Failure::InvalidRecipient, "no address fits", at(1));
    assert_eq!(
        record(&*store, finished_round(&claim, vec![], failed_state, at(1))).await,
        RecordResult::Stored
    );
    assert_eq!(recipient_on_mix(&*store, PUSH).await, None);
}

/// Sends message 1 to its e-mail address, which is not the first one.
async fn send_to_email(store: &dyn Store) {
    let delivery_id = accepted(store, to_both(1)).await;
    let claim = claimed(store, delivery_id, at(1)).await;
    let attempts = vec![attempt_to(EMAIL, "post", accepted_outcome("m-1"), 1)];
    let round = finished_round(&claim, attempts, sent_state("post", "m-1", at(1)), at(1));
    assert_ne!(record(store, round).await, RecordResult::Superseded);
}

fn invalid_status() -> ReceiptStatus {
    let reason = "no such mailbox".to_owned();
    ReceiptStatus::Invalid { reason }
}

pub async fn an_invalid_address_in_a_receipt_leads_to_the_other_contacts(open: OpenStore<'_>) {
    let store = open();
    send_to_email(&*store).await;
    let receipt_result =
        apply_receipt(&*store, received_receipt(Some("post"), "m-1", invalid_status(), at(5))).await;
    assert!(matches!(receipt_result, ReceiptResult::Applied(_)), "{receipt_result:?}");
    assert_eq!(recipient_on_mix(&*store, EMAIL).await.unwrap().status, RecipientStatus::Inactive);
    assert_eq!(recipient_on_mix(&*store, PUSH).await, None);
    let found_delivery = first_delivery(&*store, 1).await;
    assert_eq!(found_delivery.state, waiting_state(at(6), "sent again to another address: no such mailbox"));
    let claim = claimed(&*store, found_delivery.id, at(6)).await;
    assert_eq!((claim.contacts, claim.avoid), (Some(contacts()[..1].to_vec()), None));
}

pub async fn an_invalid_address_in_a_receipt_fails_without_other_contacts(open: OpenStore<'_>) {
    let store = open();
    send_to_email(&*store).await;
    deactivate(&*store, PUSH).await;
    apply_receipt(&*store, received_receipt(Some("post"), "m-1", invalid_status(), at(5))).await;
    let failed_state = DeliveryState::failed(Failure::InvalidRecipient, "no such mailbox", at(5));
    assert_eq!(first_delivery(&*store, 1).await.state, failed_state);
}

pub async fn an_early_receipt_concerns_the_address_that_was_used(open: OpenStore<'_>) {
    let store = open();
    let early_receipt = received_receipt(Some("post"), "m-1", invalid_status(), at(1));
    assert_eq!(apply_receipt(&*store, early_receipt).await, ReceiptResult::Unmatched);
    send_to_email(&*store).await;
    assert_eq!(recipient_on_mix(&*store, EMAIL).await.unwrap().status, RecipientStatus::Inactive);
    assert_eq!(recipient_on_mix(&*store, PUSH).await, None);
    assert_eq!(first_delivery(&*store, 1).await.state.kind().as_str(), "waiting");
}
