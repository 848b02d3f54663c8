//! Promises about what persons ask of us by text.

use std::sync::Arc;

use super::fixtures::*;
use crate::Store;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::inbound::{OptAction, OptChange};
use postrider_core::message::Acceptance;
use postrider_core::recipient::{Recipient, RecipientStatus};

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

const ADDRESS: &str = "+989121111111";

fn opt_change(wish: OptAction, now: Timestamp) -> OptChange {
    OptChange {
        channel: name("sms"),
        address: ADDRESS.to_owned(),
        action: wish,
        reason: format!("wrote {wish:?}"),
        provider: name("blue"),
        reference: None,
        at: now,
    }
}

async fn apply_opt_change(store: &dyn Store, wish: OptChange) -> bool {
    store.apply_opt_changes(vec![wish]).await.unwrap()[0]
}

async fn find_recipient(store: &dyn Store, address: &str) -> Option<Recipient> {
    store.recipient(&name("sms"), address).await.unwrap()
}

async fn is_accepted(store: &dyn Store, which: u64) -> bool {
    let answer = store.accept(vec![sms_to(which, ADDRESS)]).await.unwrap();
    matches!(answer[0], Acceptance::Stored { .. })
}

pub async fn who_says_stop_is_not_written_to(open: Open<'_>) {
    let store = open();
    assert!(apply_opt_change(&*store, opt_change(OptAction::OptOut, at(5))).await);
    let expected = Recipient {
        channel: name("sms"),
        address: ADDRESS.to_owned(),
        status: RecipientStatus::OptedOut,
        reason: "wrote OptOut".to_owned(),
        changed_by: "blue".to_owned(),
        changed_at: at(5),
    };
    assert_eq!(find_recipient(&*store, ADDRESS).await, Some(expected));
    assert!(!is_accepted(&*store, 1).await);
}

pub async fn who_says_start_again_is_written_to(open: Open<'_>) {
    let store = open();
    assert!(
        !apply_opt_change(&*store, opt_change(OptAction::OptIn, at(4))).await,
        "nothing to undo"
    );
    assert_eq!(find_recipient(&*store, ADDRESS).await, None);
    apply_opt_change(&*store, opt_change(OptAction::OptOut, at(5))).await;
    assert!(apply_opt_change(&*store, opt_change(OptAction::OptIn, at(6))).await);
    assert_eq!(
        find_recipient(&*store, ADDRESS).await.unwrap().status,
        RecipientStatus::Active
    );
    assert!(is_accepted(&*store, 1).await);
}

pub async fn start_makes_no_dead_address_alive(open: Open<'_>) {
    let store = open();
    let dead = Recipient {
        channel: name("sms"),
        address: ADDRESS.to_owned(),
        status: RecipientStatus::Inactive,
        reason: "no such number".to_owned(),
        changed_by: "red".to_owned(),
        changed_at: at(1),
    };
    store.set_recipient(dead.clone()).await.unwrap();
    assert!(!apply_opt_change(&*store, opt_change(OptAction::OptIn, at(6))).await);
    assert_eq!(find_recipient(&*store, ADDRESS).await, Some(dead));
}

pub async fn the_same_word_twice_changes_nothing(open: Open<'_>) {
    let store = open();
    apply_opt_change(&*store, opt_change(OptAction::OptOut, at(5))).await;
    assert!(!apply_opt_change(&*store, opt_change(OptAction::OptOut, at(9))).await);
    assert_eq!(find_recipient(&*store, ADDRESS).await.unwrap().changed_at, at(5));
    apply_opt_change(&*store, opt_change(OptAction::OptIn, at(10))).await;
    assert!(!apply_opt_change(&*store, opt_change(OptAction::OptIn, at(11))).await);
    assert_eq!(find_recipient(&*store, ADDRESS).await.unwrap().changed_at, at(10));
}

pub async fn many_wishes_at_once_are_kept_in_their_order(open: Open<'_>) {
    let store = open();
    let other = |which, now| OptChange {
        address: "+989120000000".to_owned(),
        ..opt_change(which, now)
    };
    let wishes = vec![
        opt_change(OptAction::OptOut, at(1)),
        other(OptAction::OptIn, at(1)),
        opt_change(OptAction::OptIn, at(2)),
        other(OptAction::OptOut, at(2)),
    ];
    assert_eq!(
        store.apply_opt_changes(wishes).await.unwrap(),
        [true, false, true, true]
    );
    assert_eq!(
        find_recipient(&*store, ADDRESS).await.unwrap().status,
        RecipientStatus::Active
    );
    let other = find_recipient(&*store, "+989120000000").await.unwrap();
    assert_eq!(other.status, RecipientStatus::OptedOut);
}

pub async fn a_text_that_is_brought_again_changes_nothing(open: Open<'_>) {
    let store = open();
    let text = |which, reference: &str, now| OptChange {
        reference: Some(reference.to_owned()),
        ..opt_change(which, now)
    };
    apply_opt_change(&*store, text(OptAction::OptOut, "t-1", at(1))).await;
    apply_opt_change(&*store, text(OptAction::OptIn, "t-2", at(2))).await;
    assert!(apply_opt_change(&*store, text(OptAction::OptOut, "t-3", at(3))).await);
    let start = text(OptAction::OptIn, "t-2", at(4));
    assert!(!apply_opt_change(&*store, start.clone()).await);
    assert_eq!(
        find_recipient(&*store, ADDRESS).await.unwrap().status,
        RecipientStatus::OptedOut
    );
    let elsewhere = OptChange {
        provider: name("red"),
        ..start.clone()
    };
    assert!(
        apply_opt_change(&*store, elsewhere).await,
        "another provider's numbers are its own"
    );
    store.delete_expired(at(100), at(100), 9).await.unwrap();
    apply_opt_change(&*store, opt_change(OptAction::OptOut, at(101))).await;
    assert!(
        apply_opt_change(&*store, OptChange { at: at(102), ..start }).await,
        "pruned"
    );
}

pub async fn a_start_that_is_older_than_the_stop_changes_nothing(open: Open<'_>) {
    let store = open();
    apply_opt_change(&*store, opt_change(OptAction::OptOut, at(5))).await;
    assert!(!apply_opt_change(&*store, opt_change(OptAction::OptIn, at(4))).await);
    assert_eq!(
        find_recipient(&*store, ADDRESS).await.unwrap().status,
        RecipientStatus::OptedOut
    );
}

pub async fn what_waits_for_who_opts_out_is_called_off(open: Open<'_>) {
    let store = open();
    let waits = accepted(&*store, sms_to(1, ADDRESS)).await;
    let in_hand = accepted(&*store, sms_to(2, ADDRESS)).await;
    claimed(&*store, in_hand, at(1)).await;
    accepted(&*store, sms_to(3, "+989120000000")).await;
    apply_opt_change(&*store, opt_change(OptAction::OptOut, at(5))).await;
    let DeliveryState::Failed {
        failure, at: when, ..
    } = first_delivery(&*store, 1).await.state
    else {
        panic!("it waits on");
    };
    assert_eq!((failure, when), (Failure::Suppressed, at(5)));
    assert!(is_not_claimable(&*store, waits, at(9)).await);
    for others in [2, 3] {
        assert!(matches!(
            first_delivery(&*store, others).await.state,
            DeliveryState::Waiting { .. }
        ));
    }
}
