//! Measures work while another session holds a snapshot, so that no dead row can be removed.

use std::time::Instant;

use super::*;
use postrider_core::capacity::Capacity;
use postrider_core::round::{ClaimedDelivery, CompletedRound};

/// Messages that are accepted, claimed and recorded together.
const BATCH: u64 = 100;
/// Batches of one measurement.
const BATCHES: u64 = 20;
/// Measurements while the snapshot is held: 60,000 messages, which is ten minutes at 100 a second.
const MEASUREMENTS: usize = 30;

/// Mean times of a batch in milliseconds: finding what is due, claiming, recording.
#[derive(Clone, Copy, Debug)]
struct BatchTimes {
    find: f64,
    claim: f64,
    record: f64,
}

impl BatchTimes {
    fn total(self) -> f64 {
        self.find + self.claim + self.record
    }
}

fn sent_round(claim: &ClaimedDelivery) -> CompletedRound {
    let reference = claim.id.to_string();
    let attempts = vec![attempt("blue", accepted_outcome(&reference), at(1))];
    finished_round(claim, attempts, sent_state("blue", &reference, at(1)), at(1))
}

/// Runs batches of messages, each a second after the one before.
async fn measure(store: &PostgresStore, next_message: &mut u64) -> BatchTimes {
    let mut elapsed = [Duration::ZERO; 3];
    for _ in 0..BATCHES {
        let now = at(i64::try_from(*next_message / BATCH).unwrap());
        let mut messages = (0..BATCH).map(|offset| sms(*next_message + offset)).collect::<Vec<_>>();
        messages.iter_mut().for_each(|message| message.deliveries[0].due_at = now);
        *next_message += BATCH;
        store.accept(messages).await.unwrap();
        let mut started = Instant::now();
        let mut lap = || std::mem::replace(&mut started, Instant::now()).elapsed();
        let due = store.due(now, &Capacity::total(1_000)).await.unwrap();
        elapsed[0] += lap();
        let ids = due.iter().map(|entry| entry.id).collect();
        let claims = store.claim(ids, now, LEASE).await.unwrap();
        elapsed[1] += lap();
        assert_eq!(claims.len() as u64, BATCH);
        store.record(claims.iter().map(sent_round).collect()).await.unwrap();
        elapsed[2] += lap();
    }
    let [find, claim, record] = elapsed.map(|time| time.as_secs_f64() * 1_000.0 / BATCHES as f64);
    BatchTimes { find, claim, record }
}

#[tokio::test]
#[ignore = "a measurement: cargo test -p postrider-store --lib -- --ignored --nocapture held_snapshot"]
async fn work_is_at_most_a_quarter_slower_while_a_snapshot_is_held() {
    let store = open(&new_database()).unwrap();
    let mut next_message = 1;
    measure(&store, &mut next_message).await;
    let before = measure(&store, &mut next_message).await;
    let reader = store.pool.begin_read().await.unwrap();
    let hold = "ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM leases";
    reader.batch_execute(hold).await.unwrap();
    println!("before: {before:.1?}, in milliseconds for {BATCH} messages");
    let mut totals = Vec::new();
    for _ in 0..MEASUREMENTS {
        let during = measure(&store, &mut next_message).await;
        println!("snapshot held, {next_message} messages: {during:.1?}");
        totals.push(during.total());
    }
    drop(reader);
    let last = totals[MEASUREMENTS - 5..].iter().sum::<f64>() / 5.0;
    assert!(last < before.total() * 1.25, "{last:.1} ms with the snapshot, {:.1} ms before", before.total());
}
