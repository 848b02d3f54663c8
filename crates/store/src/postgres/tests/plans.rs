//! What the statements read: their own rows and no more, whatever else there is, in twelve months.
//!
//! Asks the server how it ran each of them. `POSTRIDER_TEST_ROWS=1000000` is the long form.

mod query_plan;

use std::cell::RefCell;

use super::*;
use crate::postgres::errors::PgError;
use crate::postgres::partitions;
use crate::postgres::pool::{PgTransaction, TypedValue, bind};
use postrider_core::id::DeliveryId;
use query_plan::QueryPlan;

/// Messages in the store, unless the environment says otherwise.
const ROWS: i64 = 60_000;

/// How many rows most statements speak of.
const BATCH: i64 = 100;

/// One transaction that looks at a store, and what it found wrong.
struct PlanChecker {
    transaction: PgTransaction,
    faults: RefCell<Vec<String>>,
}

impl PlanChecker {
    /// Runs the statement of that file and undoes what it did.
    async fn expect(&self, rows: i64, name: &'static str, values: &[TypedValue<'_>]) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/postgres");
        let sql = std::fs::read_to_string(format!("{folder}/{name}.sql")).unwrap();
        self.transaction.batch_execute("SAVEPOINT before").await.unwrap();
        let asked = format!("EXPLAIN (ANALYZE, BUFFERS, COSTS FALSE, TIMING FALSE)\n{sql}");
        let found = self.transaction.query(&asked, values).await;
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        self.transaction
            .batch_execute("ROLLBACK TO SAVEPOINT before")
            .await
            .unwrap();
        let lines = found
            .iter()
            .map(|row| row.get::<_, String>(0))
            .collect::<Vec<_>>();
        let text = lines.join("\n");
        self.faults
            .borrow_mut()
            .extend(QueryPlan { name, text }.problem(rows));
    }
}

macro_rules! expect {
    ($look:ident, $rows:expr, $name:literal, $values:expr $(,)?) => {
        $look.expect($rows, $name, $values).await
    };
}

fn rows_wanted() -> i64 {
    #[allow(clippy::disallowed_methods)]
    // How large the test is, not a setting of the gateway.
    let rows = std::env::var("POSTRIDER_TEST_ROWS").ok();
    rows.map_or(ROWS, |rows| rows.parse().unwrap())
}

/// A store with many rows, looked at by one transaction that is undone.
async fn filled_store() -> PlanChecker {
    let store = open(&new_database()).unwrap();
    let transaction = store.pool.begin_write().await.unwrap();
    partitions::create_ahead(&transaction).await.unwrap();
    for place in 3..12 {
        let make = sql!("postgres/maintenance/create_partition");
        transaction
            .batch_execute(&partitions::partition_script(make, place))
            .await
            .unwrap();
    }
    let rows = rows_wanted().to_string();
    let filled = include_str!("plans.sql").replace("{rows}", &rows);
    transaction.batch_execute(&filled).await.unwrap();
    transaction.finish(Ok::<_, PgError>(())).await.unwrap();
    let transaction = store.pool.begin_read().await.unwrap();
    for alone in ["ROLLBACK", "VACUUM ANALYZE", "BEGIN"] {
        transaction.batch_execute(alone).await.unwrap();
    }
    PlanChecker {
        transaction,
        faults: RefCell::default(),
    }
}

/// Messages of the last month, and one of an older one, that are spread over it.
fn numbers() -> Vec<i64> {
    let last = (0..BATCH - 1).map(|which| (11 << 36) + 1 + which * (rows_wanted() / 2 / BATCH));
    std::iter::once((3 << 36) + 5).chain(last).collect()
}

fn ids() -> Vec<i64> {
    let ids = numbers()
        .into_iter()
        .map(|number| DeliveryId::from_position(number, 0).0);
    ids.collect()
}

/// A moment at which half of what waits is due.
const NOW: i64 = 1_750_000_000_000;

#[tokio::test]
async fn statements_read_their_own_rows_and_no_more() {
    let look = filled_store().await;
    expect_accept(&look).await;
    expect_rounds(&look).await;
    expect_receipts(&look).await;
    expect_reads(&look).await;
    expect_report(&look).await;
    expect_prune(&look).await;
    expect_events(&look).await;
    expect_broadcasts(&look).await;
    let faults = look.faults.take();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// Messages that came since the server looked at the tables last, which it does once a minute.
const UNANALYZED_ROWS: i64 = 20_000;

#[tokio::test]
async fn a_round_reads_its_own_rows_while_the_server_does_not_know_how_many_wait() {
    let store = open(&new_database()).unwrap();
    let transaction = store.pool.begin_write().await.unwrap();
    let filled = include_str!("unseen.sql").replace("{rows}", &UNANALYZED_ROWS.to_string());
    transaction.batch_execute(&filled).await.unwrap();
    let look = PlanChecker {
        transaction,
        faults: RefCell::default(),
    };
    let numbers = (1..=BATCH).collect::<Vec<_>>();
    let ids = numbers.iter().map(|number| number << 6).collect::<Vec<_>>();
    let (ones, nows, sent, none) = (
        repeated(&1_i64),
        repeated(&NOW),
        repeated(&"sent"),
        repeated(&None::<&str>),
    );
    expect!(look, BATCH, "claim/acquire_lease", bind![ids, nows, nows]);
    expect!(
        look,
        BATCH,
        "claim/load_claimed_deliveries",
        bind![ids, ones, nows, numbers]
    );
    let never = repeated(&None::<i64>);
    expect!(
        look,
        BATCH,
        "claim/record_round",
        bind![
            ids,
            ones,
            sent,
            none,
            none,
            never,
            nows,
            repeated(&"blue"),
            none,
            ones
        ]
    );
    let faults = look.faults.take();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

fn texts(count: i64, text: &str) -> Vec<String> {
    (0..count).map(|which| format!("{text}{which}")).collect()
}

fn repeated<T: Clone>(value: &T) -> Vec<T> {
    vec![value.clone(); usize::try_from(BATCH).unwrap()]
}

async fn expect_accept(look: &PlanChecker) {
    let keys = (0..BATCH).map(|which| vec![u8::try_from(which).unwrap(); 32]);
    let keys = keys.collect::<Vec<_>>();
    expect!(look, BATCH, "accept/find_idempotency_key", bind![keys, NOW]);
    let sms = repeated(&"sms");
    expect!(
        look,
        BATCH,
        "accept/find_suppressed_recipients",
        bind![sms, texts(BATCH, "+98")]
    );
    let new = (0..BATCH).map(|which| (11 << 36) + rows_wanted() + which);
    let new = new.collect::<Vec<_>>();
    let names = new.iter().map(|number| uuid_bytes(*number)).collect::<Vec<_>>();
    let none = repeated(&None::<&str>);
    expect!(
        look,
        BATCH,
        "accept/insert_message",
        bind![new, names, texts(BATCH, "body"), none, repeated(&NOW), none, none]
    );
    let (requests, nows) = (repeated(&vec![7_u8; 32]), repeated(&NOW));
    expect!(
        look,
        BATCH,
        "accept/insert_idempotency_key",
        bind![keys, requests, new, names, nows, NOW]
    );
    let new = new.iter().map(|number| DeliveryId::from_position(*number, 0).0);
    let waiting = repeated(&"waiting");
    let (addresses, ones) = (texts(BATCH, "+98"), repeated(&1_i64));
    let (nows, never) = (repeated(&NOW), repeated(&None::<i64>));
    expect!(
        look,
        BATCH,
        "accept/insert_delivery",
        bind![
            new.collect::<Vec<_>>(),
            sms,
            addresses,
            addresses,
            ones,
            ones,
            waiting,
            none,
            none,
            ones,
            nows,
            nows,
            never,
            none
        ]
    );
}

/// A name no message of the store has.
fn uuid_bytes(number: i64) -> Vec<u8> {
    [&[9; 8], number.to_be_bytes().as_slice()].concat()
}

async fn expect_rounds(look: &PlanChecker) {
    let (channels, rooms) = (texts(3, "channel"), vec![BATCH; 4]);
    let channels = [channels, vec!["sms".to_owned()]].concat();
    // Besides, what is passed over.
    expect!(
        look,
        2 * BATCH + 200,
        "claim/select_due",
        bind![NOW, channels, rooms]
    );
    expect!(look, 2, "claim/list_waiting_channels", &[]);
    expect!(look, BATCH, "copy/count_open_rounds", &[]);
    let (ids, numbers, nows) = (ids(), numbers(), repeated(&NOW));
    expect!(look, BATCH, "claim/acquire_lease", bind![ids, nows, nows]);
    let ones = repeated(&1_i64);
    expect!(
        look,
        BATCH,
        "claim/load_claimed_deliveries",
        bind![ids, ones, nows, numbers]
    );
    expect!(look, BATCH, "claim/release_lease", bind![ids]);
    let (rounds, waiting, none) = (repeated(&1_i64), repeated(&"waiting"), repeated(&None::<&str>));
    let never = repeated(&None::<i64>);
    expect!(
        look,
        BATCH,
        "claim/record_round",
        bind![ids, rounds, waiting, none, none, nows, never, none, none, rounds]
    );
    let (first, last) = (ids[0], ids[ids.len() - 1]);
    expect!(
        look,
        BATCH,
        "claim/insert_attempt",
        bind![
            ids, rounds, rounds, none, waiting, none, none, nows, nows, none, first, last
        ]
    );
    let new = ids.iter().map(|id| id + 63).collect::<Vec<_>>();
    expect!(
        look,
        BATCH,
        "claim/insert_first_attempt",
        bind![new, rounds, rounds, none, waiting, none, none, nows, nows, none]
    );
    expect!(look, BATCH, "claim/mark_superseded_round", bind![ids]);
    expect!(look, BATCH, "claim/check_recorded_round", bind![ids, rounds]);
    let (references, blue) = (texts(BATCH, "early-"), repeated(&"blue"));
    expect!(
        look,
        BATCH,
        "receipts/select_unmatched_receipts",
        bind![ids, references, blue]
    );
    expect!(
        look,
        BATCH,
        "receipts/delete_unmatched_receipts",
        bind![references, blue]
    );
    expect!(look, BATCH, "claim/block_claims", bind![ids]);
    expect!(look, BATCH, "claim/unblock_claims", bind![ids]);
    expect!(look, BATCH, "claim/load_for_change", bind![ids]);
    expect!(
        look,
        BATCH,
        "claim/apply_change",
        bind![ids, waiting, none, none, nows, never, NOW]
    );
}

async fn expect_receipts(look: &PlanChecker) {
    let (places, ids, nows) = (repeated(&0_i64), ids(), repeated(&NOW));
    let references = numbers()
        .iter()
        .map(|number| format!("ref-{number}"))
        .collect::<Vec<_>>();
    let (blue, none, never) = (
        repeated(&Some("blue")),
        repeated(&None::<&str>),
        repeated(&None::<i64>),
    );
    expect!(
        look,
        BATCH,
        "receipts/find_by_reference",
        bind![places, references, blue]
    );
    expect!(
        look,
        BATCH,
        "receipts/find_by_reference",
        bind![places, texts(BATCH, "nobody"), none]
    );
    expect!(look, BATCH, "receipts/load_delivery", bind![ids]);
    let (failed, bounced, delivered) = (repeated(&"failed"), repeated(&"bounced"), repeated(&"delivered"));
    expect!(
        look,
        BATCH,
        "receipts/apply_receipt",
        bind![ids, failed, bounced, bounced, never, nows, places, none, never]
    );
    let new = texts(BATCH, "early-new");
    expect!(
        look,
        BATCH,
        "receipts/insert_unmatched_receipt",
        bind![new, repeated(&"blue"), delivered, none, nows, nows]
    );
    expect!(
        look,
        BATCH,
        "recipients/deactivate_recipient",
        bind![ids, new, repeated(&"blue"), nows, repeated(&None::<&str>)]
    );
}

async fn expect_reads(look: &PlanChecker) {
    let newest = (11 << 36) + rows_wanted();
    let (first, page) = (0_i64, BATCH);
    let number = numbers()[50];
    let id = DeliveryId::from_position(number, 0).0;
    let name = [&[0; 8], number.to_be_bytes().as_slice()].concat();
    let (none, since) = (None::<&str>, None::<i64>);
    expect!(look, 1, "read/find_message_number", bind![name]);
    expect!(look, BATCH, "read/load_message", bind![numbers()]);
    expect!(look, BATCH, "read/load_deliveries", bind![numbers()]);
    expect!(look, 1, "read/load_attempts", bind![id, id + 63]);
    expect!(look, 1, "recipients/read_recipient", bind!["sms", "+985"]);
    expect!(
        look,
        BATCH,
        "read/search_messages",
        bind![first, newest, since, page]
    );
    expect!(
        look,
        BATCH,
        "read/search_by_address",
        bind![first, newest, since, page, "+9877", none]
    );
    expect!(look, BATCH, "read/find_last_attempt", bind![ids()]);
    let waiting = rows_wanted() / 10;
    expect!(
        look,
        waiting,
        "read/search_waiting",
        bind![first, newest, since, page]
    );
    let near = bind![first, newest, since, page, 20_000_i64];
    expect!(look, 500, "read/search_recent_waiting", near);
    expect!(
        look,
        BATCH,
        "read/search_by_state",
        bind![first, newest, since, page, Some("failed")]
    );
    let (from, to) = (0_i64, i64::MAX);
    expect!(
        look,
        BATCH,
        "read/list_usage",
        bind![first, newest, from, to, page]
    );
    let person = bind![first, newest, from, to, page, "person 9"];
    expect!(look, BATCH, "read/list_user_usage", person);
    let counted = bind![first, newest, from, to, page, page];
    expect!(look, BATCH, "read/count_usage", counted);
    let counted = bind![first, newest, from, to, page, page, "person 9"];
    expect!(look, BATCH, "read/count_user_usage", counted);
    expect!(look, BATCH, "read/select_failed", bind![first, since, none, page]);
    expect!(
        look,
        waiting,
        "read/select_waiting",
        bind![first, since, none, page]
    );
    expect!(look, 1, "read/find_first_number", bind![472_300_i64]);
    expect!(look, waiting, "read/count_backlog", bind![NOW]);
}

async fn expect_report(look: &PlanChecker) {
    let folded = ((11 << 36) + rows_wanted() / 20 * 9) << 6;
    let horizon = i64::MAX;
    expect!(look, BATCH, "report/select_changed", bind![folded, BATCH]);
    expect!(look, BATCH, "report/select_new", bind![folded, BATCH, horizon]);
    expect!(look, BATCH, "report/select_attempts", bind![ids()]);
    expect!(look, BATCH, "report/mark_counted", bind![ids(), repeated(&1_i64)]);
    expect!(
        look,
        BATCH,
        "report/add_address_count",
        bind![texts(BATCH, "+98"), repeated(&1_i64)]
    );
    expect!(look, 10, "report/select_top_addresses", &[]);
}

async fn expect_events(look: &PlanChecker) {
    let (ids, ones, nows, none) = (ids(), repeated(&1_i64), repeated(&NOW), repeated(&None::<&str>));
    let (host, sent) = (repeated(&"host-7"), repeated(&"sent"));
    expect!(
        look,
        BATCH,
        "events/insert_event",
        bind![
            ids,
            ones,
            host,
            host,
            sent,
            none,
            none,
            none,
            nows,
            nows,
            numbers()
        ]
    );
    expect!(
        look,
        BATCH,
        "events/list_waiting_endpoints",
        bind!["host-3", 20_i64]
    );
    expect!(
        look,
        BATCH,
        "events/claim_events",
        bind![texts(10, "host-"), vec![10_i64; 10], NOW, NOW]
    );
    let taken = repeated(&"delivered");
    expect!(
        look,
        BATCH,
        "events/record_result",
        bind![ids, ones, ones, taken, nows, ones, texts(BATCH, "200")]
    );
    expect!(
        look,
        BATCH,
        "events/mark_dead",
        bind!["host-5", None::<&str>, NOW, NOW, "gone", BATCH]
    );
    expect!(look, BATCH, "events/replay_event", bind![ids, ones, NOW]);
    let (first, any) = (ids[0], None::<&str>);
    expect!(look, BATCH, "events/list_events", bind![0_i64, any, BATCH]);
    expect!(look, BATCH, "events/list_dead_letters", bind![0_i64, BATCH]);
    expect!(
        look,
        1,
        "events/list_message_events",
        bind![first, first + 63, 0_i64, any, BATCH]
    );
    expect!(look, BATCH, "maintenance/delete_old_events", bind![NOW, BATCH]);
}

async fn expect_prune(look: &PlanChecker) {
    let (first, next) = (3 << 36, 4 << 36);
    expect!(
        look,
        BATCH,
        "maintenance/select_old_messages",
        bind![first, next, i64::MAX, BATCH]
    );
    let numbers = (1..=BATCH).map(|which| first + which).collect::<Vec<_>>();
    let ids = numbers.iter().map(|number| number << 6).collect::<Vec<_>>();
    expect!(
        look,
        BATCH,
        "maintenance/select_counted_deliveries",
        bind![numbers, ids[0], ids[99] + 63]
    );
    expect!(look, BATCH, "maintenance/delete_leases", bind![ids]);
    expect!(look, BATCH, "maintenance/delete_attempts", bind![ids]);
    expect!(look, BATCH, "maintenance/delete_deliveries", bind![ids]);
    expect!(look, BATCH, "maintenance/delete_messages", bind![numbers]);
    expect!(
        look,
        BATCH,
        "maintenance/delete_expired_idempotency_keys",
        bind![NOW, BATCH]
    );
    expect!(
        look,
        BATCH,
        "maintenance/delete_old_unmatched_receipts",
        bind![NOW, BATCH]
    );
    expect!(
        look,
        1,
        "maintenance/check_partition_waiting",
        bind![first << 6, next << 6]
    );
}

async fn expect_broadcasts(look: &PlanChecker) {
    let (people, none, zeros) = (texts(BATCH, "person "), repeated(&None::<&str>), repeated(&0_i64));
    expect!(look, 1, "broadcasts/read_user", bind!["person 9"]);
    expect!(look, BATCH, "broadcasts/read_users", bind![people]);
    expect!(look, 1, "broadcasts/read_last_user_number", &[]);
    let strangers = texts(BATCH, "stranger ");
    let behind = (1..=BATCH).map(|which| rows_wanted() + which).collect::<Vec<_>>();
    expect!(
        look,
        BATCH,
        "broadcasts/insert_user",
        bind![strangers, behind, none, none, zeros]
    );
    expect!(look, BATCH, "broadcasts/update_user", bind![people, none, none]);
    expect!(look, 1, "broadcasts/find_unfinished", bind![0_i64]);
    expect!(
        look,
        BATCH,
        "broadcasts/list_all_users",
        bind![7_i64, rows_wanted(), BATCH]
    );
    expect!(
        look,
        BATCH,
        "broadcasts/list_named_users",
        bind![7_i64, 0_i64, BATCH]
    );
    expect!(look, BATCH, "broadcasts/count_deliveries", bind![7_i64]);
    expect!(look, BATCH, "broadcasts/find_by_message", bind![numbers()]);
    expect!(look, BATCH, "broadcasts/list_broadcasts", bind![i64::MAX, BATCH]);
    expect!(
        look,
        BATCH,
        "read/list_user_inbox",
        bind!["person 9", i64::MAX >> 6, BATCH]
    );
    expect!(
        look,
        BATCH,
        "receipts/check_accepted_delivery",
        bind![numbers(), ids()]
    );
    expect!(
        look,
        BATCH,
        "maintenance/select_old_broadcasts",
        bind![NOW, BATCH]
    );
}
