//! Conformance tests of opt-outs and opt-ins.

use super::fixtures::*;
use crate::Store;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::inbound::{OptAction, OptChange};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{clock::Timestamp, message::Acceptance};

const ADDRESS: &str = "+989121111111";

fn opt_change(action: OptAction, now: Timestamp) -> OptChange {
    OptChange {
        channel: name("sms"),
        address: ADDRESS.to_owned(),
        action,
        reason: format!("wrote {action:?}"),
        provider: name("blue"),
        reference: None,
        at: now,
    }
}

async fn apply_opt_change(store: &dyn Store, change: OptChange) -> bool {
    store.apply_opt_changes(vec![change]).await.unwrap()[0]
}

async fn find_recipient(store: &dyn Store, address: &str) -> Option<Recipient> {
    store.recipient(&name("sms"), address).await.unwrap()
}

async fn is_accepted(store: &dyn Store, number: u64) -> bool {
    let acceptances = store.accept(vec![sms_to(number, ADDRESS)]).await.unwrap();
    matches!(acceptances[0], Acceptance::Stored { .. })
}

pub async fn an_opted_out_recipient_gets_no_messages(open: OpenStore<'_>) {
    let store = open();
    assert!(apply_opt_change(&*store, opt_change(OptAction::OptOut, at(5))).await);
    let opted_out_recipient = Recipient {
        channel: name("sms"),
        address: ADDRESS.to_owned(),
        status: RecipientStatus::OptedOut,
        reason: "wrote OptOut".to_owned(),
        changed_by: "blue".to_owned(),
        changed_at: at(5),
    };
    assert_eq!(find_recipient(&*store, ADDRESS).await, Some(opted_out_recipient));
    assert!(!is_accepted(&*store, 1).await);
}

pub async fn an_opt_in_after_an_opt_out_makes_the_recipient_active(open: OpenStore<'_>) {
    let store = open();
    assert!(!apply_opt_change(&*store, opt_change(OptAction::OptIn, at(4))).await, "there is no opt-out");
    assert_eq!(find_recipient(&*store, ADDRESS).await, None);
    apply_opt_change(&*store, opt_change(OptAction::OptOut, at(5))).await;
    assert!(apply_opt_change(&*store, opt_change(OptAction::OptIn, at(6))).await);
    assert_eq!(find_recipient(&*store, ADDRESS).await.unwrap().status, RecipientStatus::Active);
    assert!(is_accepted(&*store, 1).await);
}

pub async fn an_opt_in_does_not_activate_an_invalid_address(open: OpenStore<'_>) {
    let store = open();
    let inactive_recipient = Recipient {
        channel: name("sms"),
        address: ADDRESS.to_owned(),
        status: RecipientStatus::Inactive,
        reason: "no such number".to_owned(),
        changed_by: "red".to_owned(),
        changed_at: at(1),
    };
    store.set_recipient(inactive_recipient.clone()).await.unwrap();
    assert!(!apply_opt_change(&*store, opt_change(OptAction::OptIn, at(6))).await);
    assert_eq!(find_recipient(&*store, ADDRESS).await, Some(inactive_recipient));
}

pub async fn a_repeated_opt_out_or_opt_in_changes_nothing(open: OpenStore<'_>) {
    let store = open();
    apply_opt_change(&*store, opt_change(OptAction::OptOut, at(5))).await;
    assert!(!apply_opt_change(&*store, opt_change(OptAction::OptOut, at(9))).await);
    assert_eq!(find_recipient(&*store, ADDRESS).await.unwrap().changed_at, at(5));
    apply_opt_change(&*store, opt_change(OptAction::OptIn, at(10))).await;
    assert!(!apply_opt_change(&*store, opt_change(OptAction::OptIn, at(11))).await);
    assert_eq!(find_recipient(&*store, ADDRESS).await.unwrap().changed_at, at(10));
}

pub async fn opt_changes_of_a_batch_are_applied_in_order(open: OpenStore<'_>) {
    let store = open();
    let other = |action, now| OptChange { address: "+989120000000".to_owned(), ..opt_change(action, now) };
    let changes = vec![
        opt_change(OptAction::OptOut, at(1)),
        other(OptAction::OptIn, at(1)),
        opt_change(OptAction::OptIn, at(2)),
        other(OptAction::OptOut, at(2)),
    ];
    assert_eq!(store.apply_opt_changes(changes).await.unwrap(), [true, false, true, true]);
    assert_eq!(find_recipient(&*store, ADDRESS).await.unwrap().status, RecipientStatus::Active);
    let other = find_recipient(&*store, "+989120000000").await.unwrap();
    assert_eq!(other.status, RecipientStatus::OptedOut);
}

pub async fn a_redelivered_inbound_message_changes_nothing(open: OpenStore<'_>) {
    let store = open();
    let inbound_change = |action, reference: &str, now| OptChange {
        reference: Some(reference.to_owned()),
        ..opt_change(action, now)
    };
    apply_opt_change(&*store, inbound_change(OptAction::OptOut, "t-1", at(1))).await;
    apply_opt_change(&*store, inbound_change(OptAction::OptIn, "t-2", at(2))).await;
    assert!(apply_opt_change(&*store, inbound_change(OptAction::OptOut, "t-3", at(3))).await);
    let repeated_opt_in = inbound_change(OptAction::OptIn, "t-2", at(4));
    assert!(!apply_opt_change(&*store, repeated_opt_in.clone()).await);
    assert_eq!(find_recipient(&*store, ADDRESS).await.unwrap().status, RecipientStatus::OptedOut);
    let change_of_other_provider = OptChange { provider: name("red"), ..repeated_opt_in.clone() };
    assert!(apply_opt_change(&*store, change_of_other_provider).await, "references belong to one provider");
    store.delete_expired(at(100), at(100), 9).await.unwrap();
    apply_opt_change(&*store, opt_change(OptAction::OptOut, at(101))).await;
    assert!(apply_opt_change(&*store, OptChange { at: at(102), ..repeated_opt_in }).await, "pruned");
}

pub async fn an_opt_in_older_than_the_opt_out_changes_nothing(open: OpenStore<'_>) {
    let store = open();
    apply_opt_change(&*store, opt_change(OptAction::OptOut, at(5))).await;
    assert!(!apply_opt_change(&*store, opt_change(OptAction::OptIn, at(4))).await);
    assert_eq!(find_recipient(&*store, ADDRESS).await.unwrap().status, RecipientStatus::OptedOut);
}

pub async fn an_opt_out_cancels_waiting_deliveries(open: OpenStore<'_>) {
    let store = open();
    let waiting_id = accepted(&*store, sms_to(1, ADDRESS)).await;
    let claimed_id = accepted(&*store, sms_to(2, ADDRESS)).await;
    claimed(&*store, claimed_id, at(1)).await;
    accepted(&*store, sms_to(3, "+989120000000")).await;
    apply_opt_change(&*store, opt_change(OptAction::OptOut, at(5))).await;
    let DeliveryState::Failed { failure, at: failed_at, .. } = first_delivery(&*store, 1).await.state else {
        panic!("still waiting");
    };
    assert_eq!((failure, failed_at), (Failure::Suppressed, at(5)));
    assert!(is_not_claimable(&*store, waiting_id, at(9)).await);
    for number in [2, 3] {
        assert!(matches!(first_delivery(&*store, number).await.state, DeliveryState::Waiting { .. }));
    }
}
