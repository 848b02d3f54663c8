//! Leases: rows beside the deliveries, which a claim does not change.

use std::sync::Arc;

use super::*;
use crate::{AdminStore, ReadStore, WorkStore};
use crate::{Cancelled, postgres::admin, postgres::pool::PgTransaction};
use postrider_core::{delivery::DeliveryState, round::RecordResult};

async fn query_number(store: &PostgresStore, sql: &str) -> i64 {
    let transaction = store.pool.begin_read().await.unwrap();
    transaction.query_one(sql, &[]).await.unwrap().get(0)
}

async fn run_script(store: &PostgresStore, sql: &str) {
    let transaction = store.pool.begin_write().await.unwrap();
    let finished = transaction.batch_execute(sql).await;
    transaction.finish(finished).await.unwrap();
}

#[tokio::test]
async fn a_claim_does_not_write_the_delivery_and_a_record_deletes_the_lease() {
    let store = open(&new_database()).unwrap();
    let id = accepted(&store, sms(1)).await;
    let row_version = "SELECT xmin::TEXT::BIGINT * 1000 + (ctid::TEXT::POINT)[1]::BIGINT FROM deliveries";
    let before = query_number(&store, row_version).await;
    let claim = claimed(&store, id, at(1)).await;
    assert_eq!(query_number(&store, row_version).await, before);
    assert_eq!(first_delivery(&store, 1).await.round, 1);
    assert_eq!(
        first_delivery(&store, 1).await.state,
        DeliveryState::Waiting { due_at: at(61), reason: None }
    );
    assert_eq!(store.backlog(at(9)).await.unwrap().due, 0);
    assert_eq!(store.backlog(at(61)).await.unwrap().oldest_due_at, Some(at(61)));
    record(&store, finished_round(&claim, vec![], waiting_state(at(50), "down"), at(2))).await;
    assert_eq!(query_number(&store, "SELECT count(*) FROM leases").await, 0);
    assert!(is_not_claimable(&store, id, at(49)).await);
    assert_eq!(
        query_number(&store, "SELECT count(*) FROM leases").await,
        0,
        "the failed claim left no lease"
    );
}

/// Waits until another session waits for a lock.
async fn wait_for_blocked_session(store: &PostgresStore) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = std::time::Instant::now() + TIMEOUT;
    while query_number(store, waiting).await == 0 {
        assert!(std::time::Instant::now() < deadline, "no session waits");
        tokio::task::yield_now().await;
    }
}

async fn claim_concurrently(store: &Arc<PostgresStore>, transaction: PgTransaction, id: DeliveryId) -> usize {
    let worker = Arc::clone(store);
    let claim = tokio::spawn(async move { worker.claim(vec![id], at(1), LEASE).await.unwrap().len() });
    wait_for_blocked_session(store).await;
    transaction.finish(Ok::<_, crate::postgres::errors::PgError>(())).await.unwrap();
    claim.await.unwrap()
}

#[tokio::test]
async fn a_delivery_that_is_cancelled_at_the_same_time_is_not_claimed() {
    let store = Arc::new(open(&new_database()).unwrap());
    let delivery = accepted(&*store, sms(1)).await;
    let transaction = store.pool.begin_write().await.unwrap();
    let cancelled = admin::cancel_message(&transaction, id(1), at(1)).await.unwrap();
    assert_eq!(cancelled, Cancelled::Done(vec![name("sms")]));
    assert_eq!(claim_concurrently(&store, transaction, delivery).await, 0);
    assert_eq!(query_number(&store, "SELECT count(*) FROM leases").await, 0);
}

#[tokio::test]
async fn a_delivery_that_is_requeued_at_the_same_time_is_claimed() {
    let store = Arc::new(open(&new_database()).unwrap());
    let mut message = sms(1);
    message.deliveries[0].due_at = at(500);
    let delivery = accepted(&*store, message).await;
    let transaction = store.pool.begin_write().await.unwrap();
    let entries = admin::requeue(&transaction, &[delivery], at(1), at(0)).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(claim_concurrently(&store, transaction, delivery).await, 1);
}

#[tokio::test]
async fn concurrent_claims_records_and_cancellations_never_share_a_round() {
    let url = new_database();
    let hosts = (0..4).map(|_| Arc::new(open(&url).unwrap())).collect::<Vec<_>>();
    let mut ids = Vec::new();
    for number in 0..60 {
        ids.push(accepted(&*hosts[0], sms(number)).await);
    }
    let mut work = tokio::task::JoinSet::new();
    for (index, host) in hosts.iter().enumerate() {
        let (host, mut ids) = (Arc::clone(host), ids.clone());
        ids.rotate_left(index * 15);
        work.spawn(async move {
            let mut rounds = Vec::new();
            for time in 0..20 {
                // Every lease expires before the next iteration.
                let now = at(time * 100);
                let claims = host.claim(ids.clone(), now, LEASE).await.unwrap();
                rounds.extend(claims.iter().map(|claim| (claim.id, claim.round)));
                let ends = claims.iter().step_by(2);
                let ends = ends
                    .map(|claim| finished_round(claim, vec![], waiting_state(now, "down"), now))
                    .collect::<Vec<_>>();
                host.record(ends).await.unwrap();
                host.cancel_message(id(u64::try_from(time).unwrap() * 3), now).await.unwrap();
            }
            rounds
        });
    }
    let mut rounds = work.join_all().await.concat();
    let round_count = rounds.len();
    rounds.sort_unstable();
    rounds.dedup();
    assert_eq!(rounds.len(), round_count, "every round was claimed once");
    let invalid = "SELECT count(*) FROM leases AS l JOIN deliveries AS d USING (id) WHERE state <> 'waiting' OR claims = 0";
    assert_eq!(query_number(&hosts[0], invalid).await, 0);
}

/// Accepts two deliveries and leaves each in a round without a lease, as a move from SQLite copies them.
async fn accept_copied_rounds(store: &PostgresStore) -> [DeliveryId; 2] {
    let ids = [accepted(store, sms(1)).await, accepted(store, sms(2)).await];
    let claim = format!("UPDATE deliveries SET round = 1, due_at = {}", at(61).timestamp_millis());
    run_script(store, &claim).await;
    ids
}

#[tokio::test]
async fn a_copied_round_without_a_lease_can_be_recorded_or_claimed_again() {
    let store = open(&new_database()).unwrap();
    let [recorded, lost] = accept_copied_rounds(&store).await;
    assert!(is_not_claimable(&store, recorded, at(60)).await);
    assert_eq!(store.cancel_message(id(1), at(2)).await.unwrap(), Cancelled::TooLate);
    let again = claimed(&store, lost, at(61)).await;
    assert_eq!((again.round, again.unrecorded_claims), (2, 1));
    let sent_round = |id, round, now| {
        let round_claim = postrider_core::round::ClaimedDelivery { id, round, ..again.clone() };
        finished_round(&round_claim, vec![], sent_state("blue", "b", now), now)
    };
    assert_eq!(record(&store, sent_round(recorded, 1, at(62))).await, RecordResult::Stored);
    assert_eq!(record(&store, sent_round(lost, 1, at(62))).await, RecordResult::Superseded);
    assert_eq!(record(&store, sent_round(lost, 2, at(63))).await, RecordResult::Stored);
    assert_eq!(first_delivery(&store, 1).await.state, sent_state("blue", "b", at(62)));
    assert_eq!(first_delivery(&store, 2).await.state, sent_state("blue", "b", at(63)));
}
