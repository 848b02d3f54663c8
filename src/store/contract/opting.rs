//! Promises about what persons ask of us by text.

use std::sync::Arc;

use super::world::*;
use crate::clock::Timestamp;
use crate::domain::delivery::{Failure, State};
use crate::domain::inbound::{Opting, Wish};
use crate::domain::message::Acceptance;
use crate::domain::recipient::{Recipient, Standing};
use crate::store::Store;

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

const WHO: &str = "+989121111111";

fn wish(wish: Wish, now: Timestamp) -> Opting {
    Opting {
        channel: name("sms"),
        address: WHO.to_owned(),
        wish,
        reason: format!("wrote {wish:?}"),
        by: name("blue"),
        reference: None,
        at: now,
    }
}

async fn asked(store: &dyn Store, wish: Opting) -> bool {
    store.opt(vec![wish]).await.unwrap()[0]
}

async fn known(store: &dyn Store, address: &str) -> Option<Recipient> {
    store.recipient(&name("sms"), address).await.unwrap()
}

async fn is_taken(store: &dyn Store, which: u64) -> bool {
    let answer = store.accept(vec![text_to(which, WHO)]).await.unwrap();
    matches!(answer[0], Acceptance::Stored { .. })
}

pub async fn who_says_stop_is_not_written_to(open: Open<'_>) {
    let store = open();
    assert!(asked(&*store, wish(Wish::Stop, at(5))).await);
    let expected = Recipient {
        channel: name("sms"),
        address: WHO.to_owned(),
        standing: Standing::OptedOut,
        reason: "wrote Stop".to_owned(),
        changed_by: "blue".to_owned(),
        changed_at: at(5),
    };
    assert_eq!(known(&*store, WHO).await, Some(expected));
    assert!(!is_taken(&*store, 1).await);
}

pub async fn who_says_start_again_is_written_to(open: Open<'_>) {
    let store = open();
    assert!(!asked(&*store, wish(Wish::Start, at(4))).await, "nothing to undo");
    assert_eq!(known(&*store, WHO).await, None);
    asked(&*store, wish(Wish::Stop, at(5))).await;
    assert!(asked(&*store, wish(Wish::Start, at(6))).await);
    assert_eq!(known(&*store, WHO).await.unwrap().standing, Standing::Active);
    assert!(is_taken(&*store, 1).await);
}

pub async fn start_makes_no_dead_address_alive(open: Open<'_>) {
    let store = open();
    let dead = Recipient {
        channel: name("sms"),
        address: WHO.to_owned(),
        standing: Standing::Inactive,
        reason: "no such number".to_owned(),
        changed_by: "red".to_owned(),
        changed_at: at(1),
    };
    store.set_recipient(dead.clone()).await.unwrap();
    assert!(!asked(&*store, wish(Wish::Start, at(6))).await);
    assert_eq!(known(&*store, WHO).await, Some(dead));
}

pub async fn the_same_word_twice_changes_nothing(open: Open<'_>) {
    let store = open();
    asked(&*store, wish(Wish::Stop, at(5))).await;
    assert!(!asked(&*store, wish(Wish::Stop, at(9))).await);
    assert_eq!(known(&*store, WHO).await.unwrap().changed_at, at(5));
    asked(&*store, wish(Wish::Start, at(10))).await;
    assert!(!asked(&*store, wish(Wish::Start, at(11))).await);
    assert_eq!(known(&*store, WHO).await.unwrap().changed_at, at(10));
}

pub async fn many_wishes_at_once_are_kept_in_their_order(open: Open<'_>) {
    let store = open();
    let other = |which, now| Opting {
        address: "+989120000000".to_owned(),
        ..wish(which, now)
    };
    let wishes = vec![
        wish(Wish::Stop, at(1)),
        other(Wish::Start, at(1)),
        wish(Wish::Start, at(2)),
        other(Wish::Stop, at(2)),
    ];
    assert_eq!(store.opt(wishes).await.unwrap(), [true, false, true, true]);
    assert_eq!(known(&*store, WHO).await.unwrap().standing, Standing::Active);
    let other = known(&*store, "+989120000000").await.unwrap();
    assert_eq!(other.standing, Standing::OptedOut);
}

pub async fn a_text_that_is_brought_again_changes_nothing(open: Open<'_>) {
    let store = open();
    let text = |which, reference: &str, now| Opting {
        reference: Some(reference.to_owned()),
        ..wish(which, now)
    };
    asked(&*store, text(Wish::Stop, "t-1", at(1))).await;
    asked(&*store, text(Wish::Start, "t-2", at(2))).await;
    assert!(asked(&*store, text(Wish::Stop, "t-3", at(3))).await);
    let start = text(Wish::Start, "t-2", at(4));
    assert!(!asked(&*store, start.clone()).await);
    assert_eq!(known(&*store, WHO).await.unwrap().standing, Standing::OptedOut);
    let elsewhere = Opting {
        by: name("red"),
        ..start.clone()
    };
    assert!(
        asked(&*store, elsewhere).await,
        "another provider's numbers are its own"
    );
    store.forget(at(100), at(100), 9).await.unwrap();
    asked(&*store, wish(Wish::Stop, at(101))).await;
    assert!(asked(&*store, Opting { at: at(102), ..start }).await, "pruned");
}

pub async fn a_start_that_is_older_than_the_stop_changes_nothing(open: Open<'_>) {
    let store = open();
    asked(&*store, wish(Wish::Stop, at(5))).await;
    assert!(!asked(&*store, wish(Wish::Start, at(4))).await);
    assert_eq!(known(&*store, WHO).await.unwrap().standing, Standing::OptedOut);
}

pub async fn what_waits_for_who_opts_out_is_called_off(open: Open<'_>) {
    let store = open();
    let waits = accepted(&*store, text_to(1, WHO)).await;
    let in_hand = accepted(&*store, text_to(2, WHO)).await;
    claimed(&*store, in_hand, at(1)).await;
    accepted(&*store, text_to(3, "+989120000000")).await;
    asked(&*store, wish(Wish::Stop, at(5))).await;
    let State::Failed {
        failure, at: when, ..
    } = delivery(&*store, 1).await.state
    else {
        panic!("it waits on");
    };
    assert_eq!((failure, when), (Failure::Suppressed, at(5)));
    assert!(is_refused(&*store, waits, at(9)).await);
    for others in [2, 3] {
        assert!(matches!(
            delivery(&*store, others).await.state,
            State::Waiting { .. }
        ));
    }
}
