//! The rollups of the report: updated with changes, reset, and read.
//!
//! Deliveries up to `meta.rollup_position` have been counted; a delivery that changed since then has `rollup_pending`.
//! Deliveries above the position were never counted, so a new delivery costs the report nothing until the next update.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio_postgres::Row;

use super::advisory_locks::{AdvisoryLock, lock_exclusive};
use super::pool::{PgTransaction, bind};
use super::rollups::{self, AttemptsByDelivery, lock_rollup_position};
use super::{drop_partition::drop_detached, errors::PgError, replica::Freshness, store::PostgresStore};
use crate::rollups::RollupChanges;
use crate::rollups::report::{RollupEntries, required_rollups};
use crate::rows::report::{
    decode_reported_delivery, decode_rollup_entry, decode_snapshot, decode_top_recipient,
};
use crate::rows::{SqlRow, delivery_id_range, limit_to_sql};
use crate::{ReportSnapshot, ReportStore};
use postrider_core::{clock::Timestamp, error::Result, report::Report};

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
        // The number is read in its own transaction, so that transactions that accept messages wait only for this short
        // read.
        let last_committed_number = run_long_transaction!(self.begin_write, context, |transaction| {
            lock_exclusive(transaction, AdvisoryLock::MessageNumbers).await?;
            transaction.query_one(LAST_NUMBER, &[]).await?.integer("number")
        })?;
        let (_, last_committed_id) = delivery_id_range(last_committed_number);
        run_long_transaction!(self.begin_write, context, |transaction| {
            apply_changes(transaction, last_committed_id, limit).await
        })
    }

    async fn begin_rebuild(&self) -> Result<()> {
        run_long_transaction!(self.begin_write, "cannot reset the report", |transaction| {
            // Detached partitions are counted before the live rollups are cleared, because their counts are taken from
            // the live rollups.
            lock_rollup_position(transaction).await?;
            drop_detached(transaction).await?;
            transaction.execute(CLEAR_ROLLUPS, &[]).await?;
            transaction.execute(CLEAR_ADDRESSES, &[]).await?;
            transaction.execute(SAVE_POSITION, bind![0_i64]).await
        })
    }

    async fn report(&self, as_of: Timestamp) -> Result<Report> {
        // The caller has just applied changes, which the report must contain.
        run_on_replica_or_primary!(self, Freshness::Now, "cannot read the report", |transaction| {
            read_report(transaction, as_of).await
        })
    }

    async fn save_snapshot(&self, snapshot: ReportSnapshot) -> Result<()> {
        run_transaction!(self.begin_write, "cannot save the report snapshot", |transaction| {
            let values = bind![snapshot.generation, snapshot.as_of.timestamp_millis(), snapshot.content];
            transaction.execute(SAVE_SNAPSHOT, values).await?;
            transaction.execute(DELETE_OLD_SNAPSHOTS, &[]).await
        })
    }

    async fn snapshot(&self) -> Result<Option<ReportSnapshot>> {
        run_transaction!(self.begin_read, "cannot read the report snapshot", |transaction| {
            transaction.query_optional(READ_SNAPSHOT, &[], decode_snapshot).await
        })
    }
}

/// Counts at most `changes_max` deliveries that changed or were never counted, up to the id `last_committed_id`, and
/// returns their number.
async fn apply_changes(
    transaction: &PgTransaction,
    last_committed_id: i64,
    changes_max: usize,
) -> Result<usize, PgError> {
    let rollup_position = lock_rollup_position(transaction).await?;
    let decode = |row: &Row| decode_reported_delivery(row, rollup_position);
    let values = bind![rollup_position, limit_to_sql(changes_max)];
    let mut deliveries: Vec<_> = transaction.query_all(SELECT_CHANGED, values, decode).await?;
    if deliveries.len() < changes_max {
        let values = bind![rollup_position, limit_to_sql(changes_max - deliveries.len()), last_committed_id];
        let new_deliveries: Vec<_> = transaction.query_all(SELECT_NEW, values, decode).await?;
        deliveries.extend(new_deliveries);
    }
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
    let (addresses, address_counts): (Vec<&str>, Vec<i64>) = addresses.into_iter().unzip();
    transaction.execute(ADD_ADDRESSES, bind![addresses, address_counts]).await?;
    let new_deliveries = deliveries.iter().filter(|delivery| !delivery.is_counted());
    if let Some(new_position) = new_deliveries.map(|delivery| delivery.id.0).max() {
        transaction.execute(SAVE_POSITION, bind![new_position]).await?;
    }
    Ok(deliveries.len())
}

async fn read_report(transaction: &PgTransaction, as_of: Timestamp) -> Result<Report, PgError> {
    let mut rollup_entries = RollupEntries::default();
    for (metric, first_group) in required_rollups(as_of) {
        let values = bind![metric, first_group.as_str()];
        let metric_entries = transaction.query_all(READ_ROLLUPS, values, decode_rollup_entry).await?;
        rollup_entries.insert(metric, metric_entries);
    }
    let top_recipients = transaction.query_all(TOP_ADDRESSES, &[], decode_top_recipient).await?;
    Ok(rollup_entries.build_report(as_of, top_recipients))
}
