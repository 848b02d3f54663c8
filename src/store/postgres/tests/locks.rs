//! Who waits for whom: locks are asked for before rows, and nobody stands long before a table that is in use.

use std::collections::HashSet;
use std::time::Instant;

use super::*;
use crate::domain::throttle::PaceWish;
use crate::store::postgres::gather::Gathered;
use crate::store::postgres::link::{Desk, bind};
use crate::store::postgres::receipts::Settle;
use crate::store::postgres::sharing::Pass;

/// The locks of the fleet and of references under way.
const FLEET: i64 = 0x506F_7374_0010;
const REFERENCES: i64 = 0x506F_7374_0003;

async fn hold(store: &PostgresStore, lock: i64) -> Desk {
    let desk = store.link.write().await.unwrap();
    let sql = include_str!("../../../../sql/postgres/fleet_lock.sql");
    desk.rows(sql, bind![lock]).await.unwrap();
    desk
}

/// Waits until somebody stands before a lock, then asks for a row that he must not hold; whether it is free.
async fn is_free_while_somebody_waits(desk: &Desk, row: &str) -> bool {
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let deadline = Instant::now() + PATIENCE;
    while desk.one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(Instant::now() < deadline, "nobody waits");
        tokio::task::yield_now().await;
    }
    desk.rows(&format!("{row} FOR UPDATE NOWAIT"), &[]).await.is_ok()
}

fn pass(provider: &str) -> Pass {
    let wish = PaceWish {
        provider: name(provider),
        rate: 10.0,
        parts: vec![1],
        paused_until: None,
    };
    Pass {
        wish,
        now: at(1),
        asked: Instant::now(),
    }
}

#[tokio::test]
async fn whoever_waits_for_the_fleet_holds_no_pace() {
    let store = open(&database()).unwrap();
    store.pass(pass("a").wish, at(1)).await.unwrap();
    let desk = hold(&store, FLEET).await;
    let other = store.link.write().await.unwrap();
    let (mut seen, pieces) = (HashSet::from([name("a")]), [pass("a"), pass("b")]);
    let passing = async {
        let passed = Pass::run(&other, &mut seen, &pieces).await.map(drop);
        other.end(passed).await.unwrap();
    };
    let looking = async {
        let row = "SELECT 1 FROM paces WHERE provider = 'a'";
        let is_free = is_free_while_somebody_waits(&desk, row).await;
        drop(desk);
        is_free
    };
    let ((), is_free) = tokio::join!(passing, looking);
    assert!(is_free);
}

#[tokio::test]
async fn whoever_waits_to_keep_a_receipt_holds_no_delivery() {
    let store = open(&database()).unwrap();
    let known = accepted(&store, text(1)).await;
    send(&store, known, "blue", "b-1", at(1)).await;
    let desk = hold(&store, REFERENCES).await;
    let other = store.link.write().await.unwrap();
    let of = |reference| heard(Some("blue"), reference, Verdict::Delivered, at(2));
    let pieces = [Settle(vec![of("b-1"), of("nobody")])];
    let settling = async {
        let settled = Settle::run(&other, &mut (), &pieces).await.map(drop);
        other.end(settled).await.unwrap();
    };
    let looking = async {
        let row = format!("SELECT 1 FROM deliveries WHERE id = {}", known.0);
        let is_free = is_free_while_somebody_waits(&desk, &row).await;
        drop(desk);
        is_free
    };
    let ((), is_free) = tokio::join!(settling, looking);
    assert!(is_free);
}

#[tokio::test]
async fn an_upgrade_waits_for_a_table_in_use_without_holding_others_up() {
    let url = database();
    let store = open(&url).unwrap();
    accepted(&store, text(1)).await;
    let reader = store.link.write().await.unwrap();
    reader
        .script("DELETE FROM migrations WHERE number >= 8; DROP TABLE leases; DROP TABLE orders; DROP TABLE users, broadcasts, broadcast_users, broadcast_messages; DROP TABLE events; DROP TABLE opting_texts; \
             ALTER TABLE messages DROP COLUMN watch; DROP INDEX messages_user")
        .await
        .unwrap();
    reader
        .end(Ok::<_, crate::store::postgres::fault::Trouble>(()))
        .await
        .unwrap();
    let reader = store.link.write().await.unwrap();
    reader
        .script("LOCK TABLE migrations IN SHARE MODE")
        .await
        .unwrap();
    let upgrade = std::thread::spawn(move || super::super::migrate(&url, PATIENCE));
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'migrations'::regclass";
    let deadline = Instant::now() + PATIENCE;
    // Somebody who waits, and nobody any more: it has given the place in the queue up.
    for expected in [true, false] {
        while (reader.one(waits, &[]).await.unwrap().get::<_, i64>(0) > 0) != expected {
            assert!(Instant::now() < deadline, "not in time: {expected}");
            tokio::task::yield_now().await;
        }
    }
    drop(reader);
    let applied = upgrade.join().unwrap().unwrap();
    assert_eq!(applied.first().map(String::as_str), Some("0008_leases"));
}
