//! The rollups of the report: updated with changes, reset, and read.
//!
//! Deliveries up to `meta.rollup_position` have been counted; those of them that changed since have `rollup_pending`.
//! Deliveries above it were never counted, so a new delivery costs the report nothing until the next update.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::advisory_locks::{AdvisoryLock, lock_exclusive};
use super::drop_partition::drop_detached;
use super::errors::PgError;
use super::pool::{PgPool, PgTransaction, bind};
use super::replica::Freshness;
use super::rollups::{self, AttemptsByDelivery, lock_rollup_position};
use super::store::PostgresStore;
use crate::rollups::RollupChanges;
use crate::rollups::report::{RollupEntries, required_rollups};
use crate::rows::report::{
    decode_reported_delivery, decode_rollup_entry, decode_snapshot, decode_top_recipient,
};
use crate::rows::{SqlRow, delivery_id_range, limit_to_sql};
use crate::{ReportSnapshot, ReportStore};
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::report::{Report, TopRecipientRow};

static SELECT_CHANGED: &str = sql!("postgres/report/select_changed");
static SELECT_NEW: &str = sql!("postgres/report/select_new");
static MARK_COUNTED: &str = sql!("postgres/report/mark_counted");
static LAST_NUMBER: &str = sql!("postgres/report/read_last_committed_number");
static SAVE_POSITION: &str = sql!("postgres/report/save_rollup_position");
static ADD_ADDRESSES: &str = sql!("postgres/report/add_address_count");
static CLEAR_ROLLUPS: &str = sql!("common/report/clear_live_rollups");
static CLEAR_ADDRESSES: &str = sql!("postgres/report/clear_address_counts");
static READ_ROLLUPS: &str = sql!("postgres/report/read_rollups");
static TOP_ADDRESSES: &str = sql!("postgres/report/select_top_addresses");
static READ_SNAPSHOT: &str = sql!("common/report/read_snapshot");
static SAVE_SNAPSHOT: &str = sql!("common/report/save_snapshot");
static DELETE_OLD_SNAPSHOTS: &str = sql!("common/report/delete_old_snapshots");

#[async_trait]
impl ReportStore for PostgresStore {
    async fn apply_changes(&self, limit: usize) -> Result<usize> {
        let context = "cannot update the report";
        let last = last_committed_delivery(&self.pool).await;
        let last = last.map_err(|error| error.to_error(context))?;
        run_transaction!(unlimited self.begin_write, context, |transaction| apply_changes(&transaction, last, limit))
    }

    async fn begin_rebuild(&self) -> Result<()> {
        let context = "cannot reset the report";
        run_transaction!(unlimited self.begin_write, context, |transaction| begin_rebuild(&transaction))
    }

    async fn report(&self, as_of: Timestamp) -> Result<Report> {
        let context = "cannot read the report";
        // The caller has just applied changes, which the report must contain.
        read_from_replica!(self, Freshness::Now, |transaction| report(&transaction, as_of));
        run_transaction!(self.begin_read, context, |transaction| report(&transaction, as_of))
    }

    async fn save_snapshot(&self, snapshot: ReportSnapshot) -> Result<()> {
        let context = "cannot save the report snapshot";
        run_transaction!(self.begin_write, context, |transaction| save_snapshot(&transaction, &snapshot))
    }

    async fn snapshot(&self) -> Result<Option<ReportSnapshot>> {
        let context = "cannot read the report snapshot";
        run_transaction!(self.begin_read, context, |transaction| read_snapshot(&transaction))
    }
}

/// Returns a delivery id up to which every delivery is committed. Runs in a transaction of its own, so that accepting
/// messages waits no longer than it takes to read a number.
async fn last_committed_delivery(pool: &PgPool) -> Result<i64, PgError> {
    let transaction = pool.begin_write().await?;
    let number = last_committed_number(&transaction).await;
    let number = transaction.finish(number).await?;
    Ok(delivery_id_range(number).1)
}

async fn last_committed_number(transaction: &PgTransaction) -> Result<i64, PgError> {
    lock_exclusive(transaction, AdvisoryLock::MessageNumbers).await?;
    transaction.query_one(LAST_NUMBER, &[]).await?.integer("number")
}

async fn apply_changes(
    transaction: &PgTransaction,
    last_committed: i64,
    limit: usize,
) -> Result<usize, PgError> {
    let position = lock_rollup_position(transaction).await?;
    let mut rows = transaction.query(SELECT_CHANGED, bind![position, limit_to_sql(limit)]).await?;
    if rows.len() < limit {
        let remaining = limit_to_sql(limit - rows.len());
        let new = transaction.query(SELECT_NEW, bind![position, remaining, last_committed]).await?;
        rows.extend(new);
    }
    let deliveries = rows.iter().map(|row| decode_reported_delivery(row, position));
    let deliveries = deliveries.collect::<Result<Vec<_>, _>>()?;
    if deliveries.is_empty() {
        return Ok(0);
    }
    let attempts = AttemptsByDelivery::load(transaction, &deliveries).await?;
    let mut changes = RollupChanges::default();
    let mut addresses = BTreeMap::<&str, i64>::new();
    let (mut ids, mut attempt_counts) = (Vec::new(), Vec::new());
    for delivery in &deliveries {
        ids.push(delivery.id.0);
        attempt_counts.push(delivery.apply_to(attempts.of_delivery(delivery.id), &mut changes));
        if !delivery.is_counted() {
            *addresses.entry(&delivery.address).or_default() += 1;
        }
    }
    transaction.execute(MARK_COUNTED, bind![ids, attempt_counts]).await?;
    rollups::save_changes(&changes, transaction, "live").await?;
    let (names, counts): (Vec<&str>, Vec<i64>) = addresses.into_iter().unzip();
    transaction.execute(ADD_ADDRESSES, bind![names, counts]).await?;
    let new = deliveries.iter().filter(|delivery| !delivery.is_counted());
    if let Some(position) = new.map(|delivery| delivery.id.0).max() {
        transaction.execute(SAVE_POSITION, bind![position]).await?;
    }
    Ok(deliveries.len())
}

async fn begin_rebuild(transaction: &PgTransaction) -> Result<(), PgError> {
    // Detached partitions are counted before the live rollups are cleared, because their counts come from there.
    lock_rollup_position(transaction).await?;
    drop_detached(transaction).await?;
    transaction.execute(CLEAR_ROLLUPS, &[]).await?;
    transaction.execute(CLEAR_ADDRESSES, &[]).await?;
    transaction.execute(SAVE_POSITION, bind![0_i64]).await?;
    Ok(())
}

async fn report(transaction: &PgTransaction, as_of: Timestamp) -> Result<Report, PgError> {
    let mut entries = RollupEntries::default();
    for (metric, from_group) in required_rollups(as_of) {
        let rows = transaction.query(READ_ROLLUPS, bind![metric, from_group.as_str()]).await?;
        let of_metric = rows.iter().map(decode_rollup_entry).collect::<Result<_, _>>()?;
        entries.insert(metric, of_metric);
    }
    Ok(entries.build_report(as_of, top_addresses(transaction).await?))
}

async fn top_addresses(transaction: &PgTransaction) -> Result<Vec<TopRecipientRow>, PgError> {
    let rows = transaction.query(TOP_ADDRESSES, &[]).await?;
    rows.iter().map(decode_top_recipient).collect()
}

async fn save_snapshot(transaction: &PgTransaction, snapshot: &ReportSnapshot) -> Result<(), PgError> {
    let as_of = snapshot.as_of.timestamp_millis();
    transaction.execute(SAVE_SNAPSHOT, bind![snapshot.generation, as_of, snapshot.content]).await?;
    transaction.execute(DELETE_OLD_SNAPSHOTS, &[]).await?;
    Ok(())
}

async fn read_snapshot(transaction: &PgTransaction) -> Result<Option<ReportSnapshot>, PgError> {
    let row = transaction.query_optional(READ_SNAPSHOT, &[]).await?;
    row.map(|row| decode_snapshot(&row)).transpose()
}
