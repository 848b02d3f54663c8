//! Every pair of dialects: all that a store holds arrives, whatever changes while it is copied, and whoever still
//! uses a store that is closed, closing or being filled is held off.

mod endings;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Move, Route, Stage, sides};
use crate::clock::Clock;
use crate::databases::database;
use crate::domain::delivery::{Failure, State};
use crate::domain::message::{Priority, Recorded};
use crate::domain::receipt::Verdict;
use crate::domain::recipient::{Recipient, Standing};
use crate::error::Kind;
use crate::store::contract::world::*;
use crate::store::{ProviderPlace, Snapshot, Store, open};

const PATIENCE: Duration = Duration::from_secs(30);

/// Two stores' URLs, and the folder that files are in.
struct Pair {
    from: String,
    to: String,
    _folder: tempfile::TempDir,
}

impl Pair {
    fn route(&self) -> Route<'_> {
        Route {
            from: &self.from,
            to: &self.to,
            batch: 3,
            lock_wait: PATIENCE,
        }
    }

    fn open_old(&self) -> Arc<dyn Store> {
        open(&self.from, PATIENCE).unwrap()
    }

    fn open_new(&self) -> Arc<dyn Store> {
        open(&self.to, PATIENCE).unwrap()
    }
}

/// Every way there is.
fn pairs() -> Vec<Pair> {
    let pair = |dialects: [&str; 2]| {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = dialects.map(|dialect| match dialect {
            "postgres" => database(),
            name => format!("sqlite:{}", folder.path().join(name).display()),
        });
        Pair {
            from,
            to,
            _folder: folder,
        }
    };
    vec![
        pair(["old.db", "postgres"]),
        pair(["postgres", "new.db"]),
        pair(["old.db", "new.db"]),
        pair(["postgres", "postgres"]),
    ]
}

/// Puts something into every table.
async fn fill(store: &dyn Store) {
    for which in 0..20 {
        let mut message = text_to(which, &format!("+98912111{which:04}"));
        message.body = format!("a\0b\u{1A}0 {which} é");
        message.user = (which % 2 == 0).then(|| "someone\u{1A}".to_owned());
        message.deliveries.push(leg("email", "a@example.org"));
        message.deliveries[1].priority = Priority::High;
        message.idempotency = promise(u8::try_from(which).unwrap(), 9);
        message.created_at = at(i64::try_from(which).unwrap() * 900);
        let id = accepted(store, message).await;
        match which % 4 {
            0 => send(store, id, "red", &format!("red-{which}"), at(100)).await,
            1 => fail(store, id, Failure::Rejected, at(100)).await,
            _ => {}
        }
    }
    settled(store, heard(Some("red"), "red-4", Verdict::Delivered, at(200))).await;
    settled(store, heard(None, "nobody\0knows", bounced(), at(200))).await;
    let recipient = Recipient {
        channel: name("sms"),
        address: "+989120000000".to_owned(),
        standing: Standing::OptedOut,
        reason: "asked\0for".to_owned(),
        changed_by: "somebody".to_owned(),
        changed_at: at(5),
    };
    store.set_recipient(recipient).await.unwrap();
    let place = ProviderPlace {
        name: name("red"),
        host: "red.example".to_owned(),
        port: 80,
    };
    store.name_providers(vec![place]).await.unwrap();
    fold(store).await;
    let snapshot = Snapshot {
        generation: 3,
        as_of: at(300),
        content: vec![0, 1, 255],
    };
    store.keep_snapshot(snapshot).await.unwrap();
}

async fn begin(pair: &Pair, run: i64) -> Move {
    Move::open(pair.route(), [run, run]).await.unwrap()
}

async fn copy(under_way: &mut Move) {
    under_way.copy(|_| {}).await.unwrap();
    under_way.catch_up().await.unwrap();
}

async fn switch(mut under_way: Move) -> u64 {
    let in_hand = under_way.close("there", Duration::ZERO, |_| {}).await.unwrap();
    let comparisons = under_way.compare(|_| {}).await.unwrap();
    let different = comparisons.iter().filter(|one| !one.is_same());
    assert_eq!(different.collect::<Vec<_>>(), Vec::<&super::Comparison>::new());
    under_way.open_target().await.unwrap();
    in_hand
}

#[tokio::test]
async fn no_table_and_no_column_of_either_dialect_is_forgotten() {
    for pair in pairs() {
        let (source, target) = sides_of_new(&pair).await;
        let describe = |tables: &[super::Table]| {
            let keys = tables.iter().map(|table| (table.name.clone(), key(table)));
            keys.collect::<Vec<_>>()
        };
        assert_eq!(describe(&source.tables), describe(&target.tables));
        let names = source.tables.iter().map(|table| table.name.as_str());
        let names = names.collect::<BTreeSet<_>>();
        for known in [
            "messages",
            "deliveries",
            "attempts",
            "keys",
            "receipts",
            "recipients",
            "hours",
        ] {
            assert!(names.contains(known), "{known}");
        }
    }
}

async fn sides_of_new(pair: &Pair) -> (super::Source, super::Target) {
    drop(pair.open_old());
    sides(pair.route()).await.unwrap()
}

fn key(table: &super::Table) -> Vec<String> {
    table.key_columns().map(|column| column.name.clone()).collect()
}

#[tokio::test]
async fn everything_arrives_and_stays_in_use() {
    for pair in pairs() {
        let old = pair.open_old();
        fill(&*old).await;
        let (report, seal) = (old.report(at(400)).await.unwrap(), old.seal().await.unwrap());
        let mut under_way = begin(&pair, 1).await;
        copy(&mut under_way).await;
        assert_eq!(switch(under_way).await, 0);
        let new = pair.open_new();
        for which in 0..20 {
            assert_eq!(message(&*new, which).await, message(&*old, which).await);
        }
        assert_eq!(new.report(at(400)).await.unwrap(), report);
        assert_eq!(new.seal().await.unwrap(), seal);
        assert_eq!(new.snapshot().await.unwrap(), old.snapshot().await.unwrap());
        let next = accepted(&*new, text(100)).await;
        assert_eq!(next.message_number(), 21, "no number is given out twice");
        let replayed = new.accept(vec![again(3)]).await.unwrap();
        assert!(
            matches!(replayed[0], crate::domain::message::Acceptance::Replayed { .. }),
            "{replayed:?}"
        );
        new.unfold().await.unwrap();
        fold(&*new).await;
        assert_eq!(new.report(at(400)).await.unwrap().messages, report.messages + 1);
    }
}

/// The same request as the one before.
fn again(which: u8) -> crate::domain::message::NewMessage {
    let mut message = text(200);
    message.idempotency = promise(which, 9);
    message
}

#[tokio::test]
async fn what_changes_while_it_is_copied_arrives_too() {
    for pair in pairs() {
        let old = pair.open_old();
        fill(&*old).await;
        let mut under_way = begin(&pair, 1).await;
        copy(&mut under_way).await;
        for which in 30..40 {
            let id = accepted(&*old, text(which)).await;
            send(&*old, id, "red", &format!("late-{which}"), at(500)).await;
        }
        // Everything by mail is called off, so that old messages end and can be deleted.
        for which in 0..10 {
            old.cancel(id(which), at(600)).await.unwrap();
        }
        assert!(old.prune(at(7_000), at(7_000), 4).await.unwrap() > 0);
        old.unfold().await.unwrap();
        fold(&*old).await;
        switch(under_way).await;
        let new = pair.open_new();
        assert_eq!(
            new.report(at(700)).await.unwrap(),
            old.report(at(700)).await.unwrap()
        );
        assert_eq!(message(&*new, 35).await, message(&*old, 35).await);
        assert_eq!(new.find(id(0)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_move_that_stopped_anywhere_goes_on_where_it_was() {
    for pair in pairs() {
        let old = pair.open_old();
        fill(&*old).await;
        let all = begin(&pair, 1).await.rows().await.unwrap()[0];
        let copied = std::cell::Cell::new(0);
        for run in 2..5 {
            let mut under_way = begin(&pair, run).await;
            let some = under_way.copy(|rows| copied.set(copied.get() + rows));
            // Given up at the first batch that has to wait for anything, or never.
            drop(tokio::time::timeout(Duration::from_millis(5), some).await);
        }
        let mut under_way = begin(&pair, 5).await;
        under_way
            .copy(|rows| copied.set(copied.get() + rows))
            .await
            .unwrap();
        assert!(copied.get() <= all + 4 * 3, "{} of {all}", copied.get());
        under_way.close("there", Duration::ZERO, |_| {}).await.unwrap();
        drop(under_way);
        let under_way = begin(&pair, 6).await;
        assert_eq!(under_way.stage(), Stage::Closed);
        let mut under_way = under_way;
        let comparisons = under_way.compare(|_| {}).await.unwrap();
        assert!(
            comparisons.iter().all(super::Comparison::is_same),
            "{comparisons:?}"
        );
        under_way.open_target().await.unwrap();
        assert_eq!(message(&*pair.open_new(), 7).await, message(&*old, 7).await);
    }
}

#[tokio::test]
async fn numbers_of_later_months_find_room() {
    for pair in pairs()
        .into_iter()
        .filter(|pair| pair.from.starts_with("sqlite:"))
    {
        let old = pair.open_old();
        let file = pair.from.trim_start_matches("sqlite:");
        let late = "UPDATE meta SET value = 3 << 36 WHERE name = 'number_pruned'";
        rusqlite::Connection::open(file)
            .unwrap()
            .execute_batch(late)
            .unwrap();
        let id = accepted(&*old, text(1)).await;
        send(&*old, id, "red", "r-1", at(100)).await;
        let mut under_way = begin(&pair, 1).await;
        copy(&mut under_way).await;
        switch(under_way).await;
        let new = pair.open_new();
        assert_eq!(message(&*new, 1).await, message(&*old, 1).await);
        let next = accepted(&*new, text(2)).await;
        assert_eq!(next.message_number(), id.message_number() + 1);
    }
}

#[tokio::test]
async fn only_the_last_run_of_a_move_writes() {
    for pair in pairs() {
        fill(&*pair.open_old()).await;
        let mut first = begin(&pair, 1).await;
        let mut second = begin(&pair, 2).await;
        let refused = first.copy(|_| {}).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        copy(&mut second).await;
        switch(second).await;
    }
}

#[tokio::test]
async fn a_difference_is_found() {
    for pair in pairs() {
        let old = pair.open_old();
        fill(&*old).await;
        let mut under_way = begin(&pair, 1).await;
        copy(&mut under_way).await;
        under_way.close("there", Duration::ZERO, |_| {}).await.unwrap();
        let place = under_way
            .target
            .tables
            .iter()
            .position(|table| table.name == "attempts")
            .unwrap();
        let (rows, _) = super::source::page(
            under_way.target.side.as_mut(),
            &under_way.target.tables[place],
            None,
            1,
        )
        .await
        .unwrap();
        let mut wrong = rows;
        wrong[0][4] = super::Value::Text("other".to_owned());
        under_way.target.store(place, &wrong, None).await.unwrap();
        let comparisons = under_way.compare(|_| {}).await.unwrap();
        let different = comparisons.iter().filter(|one| !one.is_same());
        assert_eq!(
            different.map(|one| one.table.as_str()).collect::<Vec<_>>(),
            ["attempts"]
        );
        Move::abandon(pair.route(), 9).await.unwrap();
        accepted(&*old, text(50)).await;
    }
}

#[tokio::test]
async fn whoever_uses_a_store_at_the_wrong_time_is_held_off() {
    for pair in pairs() {
        let (old, early) = (pair.open_old(), pair.open_new());
        let waiting = accepted(&*old, text(1)).await;
        let in_hand = accepted(&*old, text(2)).await;
        let now = Clock::System.now();
        let mut claim = old.claim(vec![in_hand], now, LEASE).await.unwrap();
        let mut under_way = begin(&pair, 1).await;
        copy(&mut under_way).await;
        let refused = early.accept(vec![text(3)]).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Unavailable);
        let refused = early.claim(vec![waiting], now, LEASE).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Unavailable, "nothing is sent from there");
        assert!(
            open(&pair.to, PATIENCE)
                .err()
                .unwrap()
                .to_string()
                .contains("not finished")
        );

        let ended = std::sync::atomic::AtomicBool::new(false);
        let close = under_way.close("there", PATIENCE, |_| {});
        let meanwhile = async {
            let held = loop {
                match old.claim(vec![waiting], now, Duration::ZERO).await {
                    Ok(_) => tokio::task::yield_now().await,
                    Err(error) => break error,
                }
            };
            assert_eq!(held.kind(), Kind::Conflict);
            accepted(&*old, text(4)).await;
            let claim = claim.remove(0);
            let state = State::Sent {
                provider: name("red"),
                reference: None,
                at: now,
            };
            let end = round(&claim, vec![call("red", yes("r"), now)], state, now);
            assert_eq!(recorded(&*old, end).await, Recorded::Stored);
            ended.store(true, std::sync::atomic::Ordering::SeqCst);
        };
        let (closed, ()) = tokio::join!(close, meanwhile);
        assert_eq!(closed.unwrap(), 0, "the round in hand was waited for");
        assert!(ended.load(std::sync::atomic::Ordering::SeqCst));
        let refused = old.accept(vec![text(5)]).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Unavailable);
        assert!(refused.to_string().contains("was moved"), "{refused}");
        assert!(old.ping().await.is_err());
        assert!(old.claim(vec![waiting], now, LEASE).await.is_err());
        assert_eq!(message(&*old, 4).await.id, id(4), "it can still be read");
        assert!(
            open(&pair.from, PATIENCE)
                .err()
                .unwrap()
                .to_string()
                .contains("moved to there")
        );
        under_way.open_target().await.unwrap();
        assert_eq!(message(&*pair.open_new(), 4).await.id, id(4));
    }
}

#[tokio::test]
async fn rounds_that_have_no_end_are_known_in_the_new_store() {
    for pair in pairs() {
        let old = pair.open_old();
        let [lost, in_hand] = [accepted(&*old, text(1)).await, accepted(&*old, text(2)).await];
        let now = Clock::System.now();
        let claim = async |id, lease| old.claim(vec![id], now, lease).await.unwrap().remove(0);
        claim(lost, Duration::ZERO).await;
        claim(lost, Duration::ZERO).await;
        let late = claim(in_hand, LEASE).await;
        let mut under_way = begin(&pair, 1).await;
        copy(&mut under_way).await;
        assert_eq!(switch(under_way).await, 1);
        let new = pair.open_new();
        assert_eq!(message(&*new, 2).await, message(&*old, 2).await);
        let again = claimed(&*new, lost, now).await;
        assert_eq!((again.round, again.lost), (3, 2));
        assert!(is_refused(&*new, in_hand, now).await);
        let later = now + 2 * LEASE;
        let again = claimed(&*new, in_hand, later).await;
        assert_eq!((again.round, again.lost), (2, 1));
        let end = round(&late, vec![], sent("red", "r", later), later);
        assert_eq!(recorded(&*new, end).await, Recorded::Superseded);
    }
}
