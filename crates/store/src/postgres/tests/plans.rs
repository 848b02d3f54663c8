//! Every statement reads its own rows and no more, however many other rows there are, in twelve partitions.
//!
//! `EXPLAIN ANALYZE` shows what the server read. A new statement file fails the test until it has an expectation or an
//! exemption. `POSTRIDER_TEST_ROWS=1000000` runs the long form.

mod expectations;
mod other_expectations;
mod query_plan;

use std::{cell::RefCell, collections::BTreeSet, path::Path};

use super::*;
use crate::postgres::pool::{PgTransaction, SqlValue};
use crate::{postgres::errors::PgError, postgres::partitions};
use query_plan::QueryPlan;

/// Checks a statement that is about so many rows.
macro_rules! expect_plan {
    ($checker:ident, $rows:expr, $name:literal, $values:expr $(,)?) => {
        $checker.expect($rows, $name, $values).await
    };
}

use expect_plan;

/// Default number of messages in the store.
const ROWS: i64 = 60_000;

/// Number of rows that most statements are about.
const BATCH: i64 = 100;

/// A time at which half of the waiting deliveries are due, in milliseconds since 1970.
const NOW: i64 = 1_750_000_000_000;

/// Folders with the statements of PostgreSQL and with those that are the same for both backends.
const FOLDERS: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/postgres"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/common"),
];

/// Statements without an expectation, by path or by subject, with the reason.
const EXEMPTIONS: [(&str, &str); 30] = [
    ("accept/allocate_message_number", "reads a sequence"),
    ("accept/lock_user_throttles", "primary key of a table that is empty here"),
    ("accept/read_user_throttle", "primary key of a table that is empty here"),
    ("accept/save_user_throttle", "primary key of a table that is empty here"),
    ("broadcasts/insert_broadcast", "inserts one row"),
    ("coordination/", "tables with a row for each provider or job"),
    ("copy/", "reads whole tables, or creates and drops objects"),
    ("maintenance/add_partition_pruned_address_count", "reads a whole partition"),
    ("maintenance/begin_read", "no plan"),
    ("maintenance/begin_write", "no plan"),
    ("maintenance/correct_partition_address_count", "reads a whole partition"),
    ("maintenance/count_partition_attempts", "reads a whole partition"),
    ("maintenance/count_partition_deliveries", "reads a whole partition"),
    ("maintenance/create_partition", "no plan"),
    ("maintenance/delete_expired_user_throttles", "table that is empty here"),
    ("maintenance/delete_old_opt_messages", "table that is empty here"),
    ("maintenance/detach_partition", "no plan"),
    ("maintenance/drop_partition", "no plan"),
    ("maintenance/list_partitions", "reads a row for each month"),
    ("maintenance/lock_partition", "no plan"),
    ("maintenance/lock_partitions", "no plan"),
    ("maintenance/ping_store", "one row of `meta`"),
    ("maintenance/read_durability_settings", "reads no table"),
    ("maintenance/read_log_position", "reads no table"),
    ("maintenance/read_next_number", "reads a sequence"),
    ("maintenance/save_partition_month", "a row for each month"),
    ("maintenance/save_provider", "a row for each provider"),
    ("maintenance/set_lock_timeout", "no plan"),
    ("maintenance/skip_numbers", "writes a sequence"),
    ("migrations/", "run once"),
];

/// Statements of the report on tables with a few hundred rows.
const SMALL_REPORT_TABLES: [&str; 8] = [
    "report/add_rollup",
    "report/clear_address_counts",
    "report/clear_live_rollups",
    "report/delete_old_snapshots",
    "report/read_last_committed_number",
    "report/read_rollups",
    "report/read_snapshot",
    "report/save_snapshot",
];

/// A filled store, and the problems that were found.
struct PlanChecker {
    transaction: PgTransaction,
    checked: RefCell<BTreeSet<String>>,
    problems: RefCell<Vec<String>>,
}

impl PlanChecker {
    fn new(transaction: PgTransaction) -> Self {
        Self { transaction, checked: RefCell::default(), problems: RefCell::default() }
    }

    /// Runs a statement that is about `rows` rows, checks what it read, and rolls it back.
    async fn expect(&self, rows: i64, name: &'static str, values: &[&dyn SqlValue]) {
        let mut files = FOLDERS.iter().map(|folder| format!("{folder}/{name}.sql"));
        let sql = files.find_map(|file| std::fs::read_to_string(file).ok());
        let sql = sql.unwrap_or_else(|| panic!("no statement {name}"));
        self.transaction.batch_execute("SAVEPOINT before").await.unwrap();
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, COSTS FALSE, TIMING FALSE)\n{sql}");
        let lines = self.transaction.query(&explain, values).await;
        let lines = lines.unwrap_or_else(|error| panic!("{name}: {error}"));
        self.transaction.batch_execute("ROLLBACK TO SAVEPOINT before").await.unwrap();
        let lines = lines.iter().map(|row| row.get::<_, String>(0));
        let text = lines.collect::<Vec<_>>().join("\n");
        self.checked.borrow_mut().insert(name.to_owned());
        self.problems.borrow_mut().extend(QueryPlan { name, text }.problem(rows));
    }

    fn assert_no_problems(&self) {
        let problems = self.problems.take();
        assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    }

    /// Asserts that every statement file was checked or is exempt.
    fn assert_complete(&self) {
        let checked = self.checked.borrow();
        let is_exempt = |name: &String| {
            let mut exempt = EXEMPTIONS.iter();
            exempt.any(|(exempt, _)| name == exempt || exempt.ends_with('/') && name.starts_with(exempt))
                || SMALL_REPORT_TABLES.contains(&name.as_str())
        };
        let forgotten =
            statement_names().into_iter().filter(|name| !checked.contains(name) && !is_exempt(name));
        assert_eq!(forgotten.collect::<Vec<_>>(), Vec::<String>::new());
    }
}

/// Returns every statement file of PostgreSQL as `<subject>/<name>`.
fn statement_names() -> Vec<String> {
    let entries = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut names = Vec::new();
    for folder in FOLDERS {
        let files = entries(Path::new(folder)).flat_map(|subject| entries(&subject).collect::<Vec<_>>());
        let names_of_folder = files.map(|file| file.strip_prefix(folder).unwrap().with_extension(""));
        names.extend(names_of_folder.map(|name| name.display().to_string()));
    }
    names.sort();
    names
}

fn message_count() -> i64 {
    #[allow(clippy::disallowed_methods)]
    // The size of the test, not a setting of the gateway.
    let rows = std::env::var("POSTRIDER_TEST_ROWS").ok();
    rows.map_or(ROWS, |rows| rows.parse().unwrap())
}

/// Returns a store with many rows, and a transaction on it that is rolled back.
async fn filled_store() -> PlanChecker {
    let store = open(&new_database()).unwrap();
    let transaction = store.pool.begin_write().await.unwrap();
    partitions::create_ahead(&transaction).await.unwrap();
    for index in 3..12 {
        let create = sql!("postgres/maintenance/create_partition");
        transaction.batch_execute(&partitions::partition_script(create, index)).await.unwrap();
    }
    let filled = include_str!("plans.sql").replace("{rows}", &message_count().to_string());
    transaction.batch_execute(&filled).await.unwrap();
    transaction.finish(Ok::<_, PgError>(())).await.unwrap();
    let transaction = store.pool.begin_read().await.unwrap();
    // VACUUM cannot run in a transaction.
    for statement in ["ROLLBACK", "VACUUM ANALYZE", "BEGIN"] {
        transaction.batch_execute(statement).await.unwrap();
    }
    PlanChecker::new(transaction)
}

#[tokio::test]
async fn every_statement_reads_its_own_rows_and_no_more() {
    let checker = filled_store().await;
    expectations::expect_all(&checker).await;
    checker.assert_no_problems();
    checker.assert_complete();
}

/// Number of deliveries that were stored since the server last analysed the tables.
const UNANALYZED_ROWS: i64 = 20_000;

#[tokio::test]
async fn a_round_reads_its_own_rows_before_the_tables_are_analyzed() {
    let store = open(&new_database()).unwrap();
    let transaction = store.pool.begin_write().await.unwrap();
    let filled = include_str!("unanalyzed.sql").replace("{rows}", &UNANALYZED_ROWS.to_string());
    transaction.batch_execute(&filled).await.unwrap();
    let checker = PlanChecker::new(transaction);
    expectations::expect_first_rounds(&checker).await;
    checker.assert_no_problems();
}
