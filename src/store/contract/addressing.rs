//! Promises about recipients with several addresses.

use std::sync::Arc;

use super::world::*;
use crate::domain::attempt::{Attempt, Outcome};
use crate::domain::contact::Contact;
use crate::domain::delivery::{Failure, State};
use crate::domain::message::{Acceptance, NewMessage, Recorded};
use crate::domain::receipt::Verdict;
use crate::domain::recipient::{AddressKind, Recipient, Standing};
use crate::store::{Settled, Store};

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

const PUSH: &str = "token-1";
const EMAIL: &str = "ada@example.org";

fn contact(kind: AddressKind, address: &str) -> Contact {
    Contact {
        kind,
        address: address.to_owned(),
        spelling: format!(" {address}"),
    }
}

fn contacts() -> Vec<Contact> {
    vec![
        contact(AddressKind::Push, PUSH),
        contact(AddressKind::Email, EMAIL),
    ]
}

/// A message to a person with a push token and an e-mail address.
fn to_both(which: u64) -> NewMessage {
    let mut new = text_to(which, PUSH);
    new.subject = Some(format!("subject {which}"));
    new.deliveries[0].channel = name("mix");
    new.deliveries[0].contacts = contacts();
    new
}

fn invalid() -> Outcome {
    let reason = "no such device".to_owned();
    Outcome::InvalidRecipient { reason }
}

fn call_to(address: &str, provider: &str, outcome: Outcome, second: i64) -> Attempt {
    Attempt {
        address: Some(address.to_owned()),
        ..call(provider, outcome, at(second))
    }
}

async fn standing(store: &dyn Store, address: &str) -> Option<Recipient> {
    store.recipient(&name("mix"), address).await.unwrap()
}

async fn deactivate(store: &dyn Store, address: &str) {
    let recipient = Recipient {
        channel: name("mix"),
        address: address.to_owned(),
        standing: Standing::Inactive,
        reason: "gone".to_owned(),
        changed_by: "operator".to_owned(),
        changed_at: at(0),
    };
    store.set_recipient(recipient).await.unwrap();
}

pub async fn contacts_and_subject_come_back_with_the_claim(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, to_both(1)).await;
    let claim = claimed(&*store, id, at(1)).await;
    assert_eq!(claim.contacts, Some(contacts()));
    assert_eq!(
        (claim.address.as_str(), claim.subject.as_deref()),
        (PUSH, Some("subject 1"))
    );
    assert_eq!(message(&*store, 1).await.subject.as_deref(), Some("subject 1"));
}

pub async fn one_address_needs_no_contacts(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, text(1)).await;
    let claim = claimed(&*store, id, at(1)).await;
    assert_eq!((claim.contacts, claim.subject), (None, None));
}

pub async fn a_contact_that_is_inactive_is_left_out(open: Open<'_>) {
    let store = open();
    deactivate(&*store, PUSH).await;
    let id = accepted(&*store, to_both(1)).await;
    let claim = claimed(&*store, id, at(1)).await;
    assert_eq!(claim.contacts, Some(contacts()[1..].to_vec()));
    deactivate(&*store, EMAIL).await;
    let claim = claimed(&*store, id, at(100)).await;
    assert_eq!(claim.contacts, Some(vec![]));
}

pub async fn a_person_without_any_active_contact_is_not_written_to(open: Open<'_>) {
    let store = open();
    deactivate(&*store, PUSH).await;
    deactivate(&*store, EMAIL).await;
    let answers = store.accept(vec![to_both(1)]).await.unwrap();
    assert_eq!(answers, [Acceptance::Suppressed]);
}

pub async fn the_address_that_was_used_becomes_inactive_and_no_other(open: Open<'_>) {
    let store = open();
    let mut new = to_both(1);
    new.deliveries[0].contacts.swap(0, 1);
    let id = accepted(&*store, new).await;
    let claim = claimed(&*store, id, at(1)).await;
    let attempts = vec![
        call_to(EMAIL, "post", invalid(), 1),
        call_to(PUSH, "pushy", yes("p-1"), 2),
    ];
    let round = round(&claim, attempts, sent("pushy", "p-1", at(2)), at(2));
    assert_eq!(recorded(&*store, round).await, Recorded::Stored);
    let dead = standing(&*store, EMAIL).await.unwrap();
    assert_eq!(
        (dead.standing, dead.reason.as_str(), dead.changed_by.as_str()),
        (Standing::Inactive, "no such device", "post")
    );
    assert_eq!(standing(&*store, PUSH).await, None);
    let attempts = delivery(&*store, 1).await.attempts;
    let used = attempts.iter().map(|attempt| attempt.address.as_deref());
    assert_eq!(used.collect::<Vec<_>>(), [Some(EMAIL), Some(PUSH)]);
}

pub async fn who_could_not_be_addressed_stays_active(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, to_both(1)).await;
    let claim = claimed(&*store, id, at(1)).await;
    let state = State::failed(Failure::InvalidRecipient, "no address fits", at(1));
    assert_eq!(
        recorded(&*store, round(&claim, vec![], state, at(1))).await,
        Recorded::Stored
    );
    assert_eq!(standing(&*store, PUSH).await, None);
}

/// Sends message 1 to the e-mail address, which is not its first one.
async fn mailed(store: &dyn Store) {
    let id = accepted(store, to_both(1)).await;
    let claim = claimed(store, id, at(1)).await;
    let attempts = vec![call_to(EMAIL, "post", yes("m-1"), 1)];
    let round = round(&claim, attempts, sent("post", "m-1", at(1)), at(1));
    assert_ne!(recorded(store, round).await, Recorded::Superseded);
}

fn dead_mailbox() -> Verdict {
    let reason = "no such mailbox".to_owned();
    Verdict::Invalid { reason }
}

pub async fn a_dead_address_in_a_receipt_lets_the_others_have_it(open: Open<'_>) {
    let store = open();
    mailed(&*store).await;
    let outcome = settled(&*store, heard(Some("post"), "m-1", dead_mailbox(), at(5))).await;
    assert!(matches!(outcome, Settled::Applied(_)), "{outcome:?}");
    assert_eq!(
        standing(&*store, EMAIL).await.unwrap().standing,
        Standing::Inactive
    );
    assert_eq!(standing(&*store, PUSH).await, None);
    let found = delivery(&*store, 1).await;
    assert_eq!(
        found.state,
        waits(at(6), "sent again to another address: no such mailbox")
    );
    let claim = claimed(&*store, found.id, at(6)).await;
    assert_eq!(
        (claim.contacts, claim.avoid),
        (Some(contacts()[..1].to_vec()), None)
    );
}

pub async fn a_dead_address_in_a_receipt_is_the_end_when_no_other_is_left(open: Open<'_>) {
    let store = open();
    mailed(&*store).await;
    deactivate(&*store, PUSH).await;
    settled(&*store, heard(Some("post"), "m-1", dead_mailbox(), at(5))).await;
    let state = State::failed(Failure::InvalidRecipient, "no such mailbox", at(5));
    assert_eq!(delivery(&*store, 1).await.state, state);
}

pub async fn an_early_receipt_knows_the_address_that_was_used(open: Open<'_>) {
    let store = open();
    let early = heard(Some("post"), "m-1", dead_mailbox(), at(1));
    assert_eq!(settled(&*store, early).await, Settled::Kept);
    mailed(&*store).await;
    assert_eq!(
        standing(&*store, EMAIL).await.unwrap().standing,
        Standing::Inactive
    );
    assert_eq!(standing(&*store, PUSH).await, None);
    assert_eq!(delivery(&*store, 1).await.state.standing().word(), "waiting");
}
