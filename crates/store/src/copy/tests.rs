//! Moves between every pair of backends: all content arrives, and processes that use a store at the wrong time are
//! refused.

mod abandon;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::source::{CopySource, read_page};
use super::{
    MoveOptions, MoveStage, StoreMove, TableComparison, open_stores, table::CopyTable, target::CopyTarget,
    value::CopyValue,
};
use crate::testing::fixtures::*;
use crate::{ProviderEndpoint, ReportSnapshot, Store, open};
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::event::EventTarget;
use postrider_core::id::MessageId;
use postrider_core::inbound_record::{InboundAction, InboundRecord, InboundTarget, NewInbound};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{
    clock::Clock, error::ErrorKind, priority::Priority, receipt::ReceiptStatus, round::RecordResult,
    testing::postgres_server::new_database,
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Two stores and the folder of their files.
struct StorePair {
    from: String,
    to: String,
    _folder: tempfile::TempDir,
}

impl StorePair {
    fn route(&self) -> MoveOptions<'_> {
        MoveOptions { from: &self.from, to: &self.to, batch_rows: 3, lock_timeout: TIMEOUT }
    }

    fn open_old(&self) -> Arc<dyn Store> {
        open(&self.from, TIMEOUT).unwrap()
    }

    fn open_new(&self) -> Arc<dyn Store> {
        open(&self.to, TIMEOUT).unwrap()
    }
}

/// Returns every pair of backends.
fn store_pairs() -> Vec<StorePair> {
    let pair = |backends: [&str; 2]| {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = backends.map(|backend| match backend {
            "postgres" => new_database(),
            name => format!("sqlite:{}", folder.path().join(name).display()),
        });
        StorePair { from, to, _folder: folder }
    };
    vec![
        pair(["old.db", "postgres"]),
        pair(["postgres", "new.db"]),
        pair(["old.db", "new.db"]),
        pair(["postgres", "postgres"]),
    ]
}

/// Writes rows into every table.
/// Returns an inbound message with an event, whose number is negative.
fn inbound_message() -> NewInbound {
    let record = InboundRecord {
        id: MessageId::new(at(7), [7; 10]),
        provider: name("red"),
        reference: Some("mo-1".to_owned()),
        channel: None,
        from: "+989121110000".to_owned(),
        to: "983000".to_owned(),
        body: "a\0b\u{1A}0".to_owned(),
        is_incomplete: true,
        sent_at: at(6),
        received_at: at(7),
        action: InboundAction::Help,
        in_reply_to: Some(id(3)),
        account: "shop".to_owned(),
        route: Some("orders".to_owned()),
        target: Some(InboundTarget::GetUrl),
        forwarded_at: None,
    };
    let event_target = Some(EventTarget::InboundRoute("orders".to_owned()));
    NewInbound { record, changes: vec![], event_target }
}

async fn fill_store(store: &dyn Store) {
    for number in 0..20 {
        let mut message = sms_to(number, &format!("+98912111{number:04}"));
        message.body = format!("a\0b\u{1A}0 {number} é");
        message.user = (number % 2 == 0).then(|| "user\u{1A}".to_owned());
        message.deliveries.push(new_delivery("email", "a@example.org"));
        message.deliveries[1].priority = Priority::High;
        message.idempotency = idempotency_key(u8::try_from(number).unwrap(), 9);
        message.created_at = at(i64::try_from(number).unwrap() * 900);
        let delivery_id = accepted(store, message).await;
        match number % 4 {
            0 => claim_and_send(store, delivery_id, "red", &format!("red-{number}"), at(100)).await,
            1 => claim_and_fail(store, delivery_id, Failure::Rejected, at(100)).await,
            _ => {}
        }
    }
    apply_receipt(store, received_receipt(Some("red"), "red-4", ReceiptStatus::Delivered, at(200))).await;
    apply_receipt(store, received_receipt(None, "un\0known", bounced_status(), at(200))).await;
    let recipient = Recipient {
        channel: name("sms"),
        address: "+989120000000".to_owned(),
        status: RecipientStatus::OptedOut,
        reason: "asked\0for".to_owned(),
        changed_by: "operator".to_owned(),
        changed_at: at(5),
    };
    store.set_recipient(recipient).await.unwrap();
    let endpoint = ProviderEndpoint { name: name("red"), host: "red.example".to_owned(), port: 80 };
    store.save_provider_endpoints(vec![endpoint]).await.unwrap();
    store.store_inbound(vec![inbound_message()]).await.unwrap();
    apply_all_changes(store).await;
    let snapshot = ReportSnapshot { generation: 3, as_of: at(300), content: vec![0, 1, 255] };
    store.save_snapshot(snapshot).await.unwrap();
}

async fn begin(pair: &StorePair, run: i64) -> StoreMove {
    StoreMove::open(pair.route(), [run, run]).await.unwrap()
}

async fn copy(store_move: &mut StoreMove) {
    store_move.copy(|_| {}).await.unwrap();
    store_move.catch_up().await.unwrap();
}

async fn finish_move(mut store_move: StoreMove) -> u64 {
    let open_rounds = store_move.close("there", Duration::ZERO, |_| {}).await.unwrap();
    let comparisons = store_move.compare(|_| {}).await.unwrap();
    let different_tables = comparisons.iter().filter(|comparison| !comparison.is_same());
    assert_eq!(different_tables.collect::<Vec<_>>(), Vec::<&TableComparison>::new());
    store_move.open_target().await.unwrap();
    open_rounds
}

#[tokio::test]
async fn every_table_and_column_of_both_backends_is_copied() {
    for pair in store_pairs() {
        let (source, target) = open_stores_of(&pair).await;
        let names_and_keys = |tables: &[CopyTable]| {
            let described_tables = tables.iter().map(|table| (table.name.clone(), key_names(table)));
            described_tables.collect::<Vec<_>>()
        };
        assert_eq!(names_and_keys(&source.tables), names_and_keys(&target.tables));
        let table_names = source.tables.iter().map(|table| table.name.as_str());
        let table_names = table_names.collect::<BTreeSet<_>>();
        for table in [
            "messages",
            "deliveries",
            "attempts",
            "idempotency_keys",
            "unmatched_receipts",
            "recipients",
            "message_hours",
        ] {
            assert!(table_names.contains(table), "{table}");
        }
    }
}

async fn open_stores_of(pair: &StorePair) -> (CopySource, CopyTarget) {
    drop(pair.open_old());
    open_stores(pair.route()).await.unwrap()
}

fn key_names(table: &CopyTable) -> Vec<String> {
    table.key_columns().map(|column| column.name.clone()).collect()
}

#[tokio::test]
async fn all_content_arrives_and_can_be_used() {
    for pair in store_pairs() {
        let old_store = pair.open_old();
        fill_store(&*old_store).await;
        let (report, secret) =
            (old_store.report(at(400)).await.unwrap(), old_store.store_secret().await.unwrap());
        let mut store_move = begin(&pair, 1).await;
        copy(&mut store_move).await;
        assert_eq!(finish_move(store_move).await, 0);
        let new_store = pair.open_new();
        for number in 0..20 {
            assert_eq!(find_message(&*new_store, number).await, find_message(&*old_store, number).await);
        }
        assert_eq!(new_store.report(at(400)).await.unwrap(), report);
        assert_eq!(new_store.store_secret().await.unwrap(), secret);
        assert_eq!(new_store.snapshot().await.unwrap(), old_store.snapshot().await.unwrap());
        let next_id = accepted(&*new_store, sms(100)).await;
        assert_eq!(next_id.message_number(), 21, "no number is used twice");
        let replayed = new_store.accept(vec![repeated_request(3)]).await.unwrap();
        assert!(matches!(replayed[0], postrider_core::message::Acceptance::Replayed { .. }), "{replayed:?}");
        new_store.begin_rebuild().await.unwrap();
        apply_all_changes(&*new_store).await;
        assert_eq!(new_store.report(at(400)).await.unwrap().messages, report.messages + 1);
    }
}

/// Returns a message with the idempotency key of an earlier one.
fn repeated_request(number: u8) -> postrider_core::message::NewMessage {
    let mut message = sms(200);
    message.idempotency = idempotency_key(number, 9);
    message
}

#[tokio::test]
async fn changes_during_the_copy_arrive() {
    for pair in store_pairs() {
        let old_store = pair.open_old();
        fill_store(&*old_store).await;
        let mut store_move = begin(&pair, 1).await;
        copy(&mut store_move).await;
        for number in 30..40 {
            let delivery_id = accepted(&*old_store, sms(number)).await;
            claim_and_send(&*old_store, delivery_id, "red", &format!("late-{number}"), at(500)).await;
        }
        // Ends the email deliveries, so that old messages can be pruned.
        for number in 0..10 {
            old_store.cancel_message(id(number), at(600)).await.unwrap();
        }
        assert!(old_store.prune(at(7_000), at(7_000), 4).await.unwrap() > 0);
        old_store.begin_rebuild().await.unwrap();
        apply_all_changes(&*old_store).await;
        finish_move(store_move).await;
        let new_store = pair.open_new();
        assert_eq!(new_store.report(at(700)).await.unwrap(), old_store.report(at(700)).await.unwrap());
        assert_eq!(find_message(&*new_store, 35).await, find_message(&*old_store, 35).await);
        assert_eq!(new_store.find_message(id(0)).await.unwrap(), None);
    }
}

/// Copies until a panic kills the run after so many batches.
async fn kill_after(mut store_move: StoreMove, batches: u64, copied_rows: &Arc<AtomicU64>) {
    let (copied_rows, batch_count) = (Arc::clone(copied_rows), AtomicU64::new(0));
    let killed_run = tokio::spawn(async move {
        let progress = |rows| {
            copied_rows.fetch_add(rows, Ordering::SeqCst);
            let batch_count = batch_count.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(batch_count < batches, "killed after {batches} batches");
        };
        store_move.copy(progress).await
    });
    assert!(killed_run.await.unwrap_err().is_panic());
}

#[tokio::test]
async fn a_killed_move_continues_where_it_stopped() {
    for pair in store_pairs() {
        let old_store = pair.open_old();
        fill_store(&*old_store).await;
        let row_count = begin(&pair, 1).await.row_counts().await.unwrap()[0];
        let copied_rows = Arc::new(AtomicU64::new(0));
        for (run, batches) in [(2, 1), (3, 2), (4, 4)] {
            kill_after(begin(&pair, run).await, batches, &copied_rows).await;
        }
        let mut store_move = begin(&pair, 5).await;
        let count_rows = |rows| {
            copied_rows.fetch_add(rows, Ordering::SeqCst);
        };
        store_move.copy(count_rows).await.unwrap();
        let copied_rows = copied_rows.load(Ordering::SeqCst);
        // Each killed run may repeat one batch of three rows.
        assert!(copied_rows <= row_count + 3 * 3, "{copied_rows} of {row_count}");
        store_move.close("there", Duration::ZERO, |_| {}).await.unwrap();
        drop(store_move);
        let store_move = begin(&pair, 6).await;
        assert_eq!(store_move.stage(), MoveStage::Closed);
        let mut store_move = store_move;
        let comparisons = store_move.compare(|_| {}).await.unwrap();
        assert!(comparisons.iter().all(TableComparison::is_same), "{comparisons:?}");
        store_move.open_target().await.unwrap();
        assert_eq!(find_message(&*pair.open_new(), 7).await, find_message(&*old_store, 7).await);
    }
}

#[tokio::test]
async fn messages_of_later_partitions_arrive() {
    for pair in store_pairs().into_iter().filter(|pair| pair.from.starts_with("sqlite:")) {
        let old_store = pair.open_old();
        let file = pair.from.trim_start_matches("sqlite:");
        let late_number = "UPDATE meta SET value = 3 << 36 WHERE name = 'number_pruned'";
        rusqlite::Connection::open(file).unwrap().execute_batch(late_number).unwrap();
        let delivery_id = accepted(&*old_store, sms(1)).await;
        claim_and_send(&*old_store, delivery_id, "red", "r-1", at(100)).await;
        let mut store_move = begin(&pair, 1).await;
        copy(&mut store_move).await;
        finish_move(store_move).await;
        let new_store = pair.open_new();
        assert_eq!(find_message(&*new_store, 1).await, find_message(&*old_store, 1).await);
        let next_id = accepted(&*new_store, sms(2)).await;
        assert_eq!(next_id.message_number(), delivery_id.message_number() + 1);
    }
}

#[tokio::test]
async fn only_the_last_run_of_a_move_writes() {
    for pair in store_pairs() {
        fill_store(&*pair.open_old()).await;
        let mut first_run = begin(&pair, 1).await;
        let mut second_run = begin(&pair, 2).await;
        let error = first_run.copy(|_| {}).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        copy(&mut second_run).await;
        finish_move(second_run).await;
    }
}

#[tokio::test]
async fn a_difference_between_the_stores_is_found() {
    for pair in store_pairs() {
        let old_store = pair.open_old();
        fill_store(&*old_store).await;
        let mut store_move = begin(&pair, 1).await;
        copy(&mut store_move).await;
        store_move.close("there", Duration::ZERO, |_| {}).await.unwrap();
        let table_index = store_move.target.tables.iter().position(|table| table.name == "attempts").unwrap();
        let (rows, _) =
            read_page(store_move.target.store.as_mut(), &store_move.target.tables[table_index], None, 1)
                .await
                .unwrap();
        let mut changed_rows = rows;
        changed_rows[0][4] = CopyValue::Text("other".to_owned());
        store_move.target.write_page(table_index, &changed_rows, None).await.unwrap();
        let comparisons = store_move.compare(|_| {}).await.unwrap();
        let different_tables = comparisons.iter().filter(|comparison| !comparison.is_same());
        assert_eq!(
            different_tables.map(|comparison| comparison.table.as_str()).collect::<Vec<_>>(),
            ["attempts"]
        );
        StoreMove::abandon(pair.route(), 9).await.unwrap();
        accepted(&*old_store, sms(50)).await;
    }
}

#[tokio::test]
async fn a_process_that_uses_a_store_at_the_wrong_time_is_refused() {
    for pair in store_pairs() {
        let (old_store, early_store) = (pair.open_old(), pair.open_new());
        let waiting_id = accepted(&*old_store, sms(1)).await;
        let claimed_id = accepted(&*old_store, sms(2)).await;
        let now = Clock::System.now();
        let mut claims = old_store.claim(vec![claimed_id], now, LEASE).await.unwrap();
        let mut store_move = begin(&pair, 1).await;
        copy(&mut store_move).await;
        let error = early_store.accept(vec![sms(3)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let error = early_store.claim(vec![waiting_id], now, LEASE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "no delivery is sent from the new store yet");
        assert!(open(&pair.to, TIMEOUT).err().unwrap().to_string().contains("not finished"));

        let is_recorded = AtomicBool::new(false);
        let closing = store_move.close("there", TIMEOUT, |_| {});
        let round_of_old_process = async {
            let error = loop {
                match old_store.claim(vec![waiting_id], now, Duration::ZERO).await {
                    Ok(_) => tokio::task::yield_now().await,
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::Conflict);
            accepted(&*old_store, sms(4)).await;
            let claim = claims.remove(0);
            let state = DeliveryState::Sent { provider: name("red"), reference: None, at: now };
            let round = finished_round(&claim, vec![attempt("red", accepted_outcome("r"), now)], state, now);
            assert_eq!(record(&*old_store, round).await, RecordResult::Stored);
            is_recorded.store(true, Ordering::SeqCst);
        };
        let (open_rounds, ()) = tokio::join!(closing, round_of_old_process);
        assert_eq!(open_rounds.unwrap(), 0, "the move waited for the open round");
        assert!(is_recorded.load(Ordering::SeqCst));
        let error = old_store.accept(vec![sms(5)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("was moved"), "{error}");
        assert!(old_store.ping().await.is_err());
        assert!(old_store.claim(vec![waiting_id], now, LEASE).await.is_err());
        assert_eq!(find_message(&*old_store, 4).await.id, id(4), "a closed store can be read");
        assert!(open(&pair.from, TIMEOUT).err().unwrap().to_string().contains("moved to there"));
        store_move.open_target().await.unwrap();
        assert_eq!(find_message(&*pair.open_new(), 4).await.id, id(4));
    }
}

#[tokio::test]
async fn open_rounds_are_known_in_the_new_store() {
    for pair in store_pairs() {
        let old_store = pair.open_old();
        let [lost_id, open_id] = [accepted(&*old_store, sms(1)).await, accepted(&*old_store, sms(2)).await];
        let now = Clock::System.now();
        let claim = async |id, lease| old_store.claim(vec![id], now, lease).await.unwrap().remove(0);
        claim(lost_id, Duration::ZERO).await;
        claim(lost_id, Duration::ZERO).await;
        let late_claim = claim(open_id, LEASE).await;
        let mut store_move = begin(&pair, 1).await;
        copy(&mut store_move).await;
        assert_eq!(finish_move(store_move).await, 1);
        let new_store = pair.open_new();
        assert_eq!(find_message(&*new_store, 2).await, find_message(&*old_store, 2).await);
        let second_claim = claimed(&*new_store, lost_id, now).await;
        assert_eq!((second_claim.round, second_claim.unrecorded_claims), (3, 2));
        assert!(is_not_claimable(&*new_store, open_id, now).await);
        let after_lease = now + 2 * LEASE;
        let second_claim = claimed(&*new_store, open_id, after_lease).await;
        assert_eq!((second_claim.round, second_claim.unrecorded_claims), (2, 1));
        let late_round =
            finished_round(&late_claim, vec![], sent_state("red", "r", after_lease), after_lease);
        assert_eq!(record(&*new_store, late_round).await, RecordResult::Superseded);
    }
}
