//! The report's roll-ups: kept up with what changed, forgotten, read.
//!
//! Deliveries up to the mark `folded` have been counted; those that changed since bear the mark `recount`;
//! whatever lies beyond `folded` was never counted. So a new delivery costs the report nothing until `fold`.

use std::collections::BTreeMap;

use super::accept::NUMBERS_LOCK;
use super::drop_partition;
use super::errors::PgError;
use super::pool::{PgPool, PgTransaction, bind};
use super::rollups::{self, AttemptsByDelivery};
use super::rows;
use crate::ReportSnapshot;
use crate::rollups::RollupChanges;
use crate::rollups::report::{self, RollupEntries, RollupEntry};
use postrider_core::clock::Timestamp;
use postrider_core::report::{Report, TopRecipientRow};

static CHANGED_DELIVERIES: &str = sql!("postgres/report/select_changed");
static NEW_DELIVERIES: &str = sql!("postgres/report/select_new");
static SAVE_COUNTED: &str = sql!("postgres/report/mark_counted");
static LOCK_NUMBERS_EXCLUSIVE: &str = sql!("postgres/accept/lock_numbers_exclusive");
static LAST_NUMBER: &str = sql!("postgres/report/read_last_committed_number");
static LOCK_ROLLUP_POSITION: &str = sql!("postgres/report/read_rollup_position");
static SAVE_ROLLUP_POSITION: &str = sql!("postgres/report/save_rollup_position");
static ADD_ADDRESSES: &str = sql!("postgres/report/add_address_count");
static DELETE_LIVE_ROLLUPS: &str = sql!("postgres/report/clear_live_rollups");
static DELETE_LIVE_ADDRESSES: &str = sql!("postgres/report/clear_address_counts");
static ROLLUP_ENTRIES: &str = sql!("postgres/report/read_rollups");
static TOP_ADDRESSES: &str = sql!("postgres/report/select_top_addresses");
static SNAPSHOT: &str = sql!("postgres/report/read_snapshot");
static SAVE_SNAPSHOT: &str = sql!("postgres/report/save_snapshot");
static DELETE_OLD_SNAPSHOTS: &str = sql!("postgres/report/delete_old_snapshots");

/// Up to which delivery nothing can come any more. A transaction of its own, so that accepts wait for it only
/// as long as it takes to read a number.
pub async fn last_committed_delivery(pool: &PgPool) -> Result<i64, PgError> {
    let transaction = pool.begin_write().await?;
    let number = last_number(&transaction).await;
    let number = transaction.finish(number).await?;
    Ok(rows::delivery_id_range(number).1)
}

async fn last_number(transaction: &PgTransaction) -> Result<i64, PgError> {
    transaction
        .query(LOCK_NUMBERS_EXCLUSIVE, bind![NUMBERS_LOCK])
        .await?;
    rows::get(&transaction.query_one(LAST_NUMBER, &[]).await?, 0)
}

/// Up to which delivery the report has counted. Nobody else counts until the transaction ends.
pub async fn lock_rollup_position(transaction: &PgTransaction) -> Result<i64, PgError> {
    rows::get(&transaction.query_one(LOCK_ROLLUP_POSITION, &[]).await?, 0)
}

/// See [`crate::Store::fold`].
pub async fn apply_changes(
    transaction: &PgTransaction,
    horizon: i64,
    limit: usize,
) -> Result<usize, PgError> {
    let position = lock_rollup_position(transaction).await?;
    let mut found = transaction
        .query(CHANGED_DELIVERIES, bind![position, rows::limit_to_sql(limit)])
        .await?;
    if found.len() < limit {
        let left = rows::limit_to_sql(limit - found.len());
        found.extend(
            transaction
                .query(NEW_DELIVERIES, bind![position, left, horizon])
                .await?,
        );
    }
    let deliveries = found
        .iter()
        .map(|row| rollups::decode_reported_delivery(row, position));
    let deliveries = deliveries.collect::<Result<Vec<_>, _>>()?;
    if deliveries.is_empty() {
        return Ok(0);
    }
    let attempts = AttemptsByDelivery::load(transaction, &deliveries).await?;
    let mut changes = RollupChanges::default();
    let mut addresses = BTreeMap::<&str, i64>::new();
    let mut counted = Vec::with_capacity(deliveries.len());
    for delivery in &deliveries {
        counted.push(delivery.apply_to(attempts.of_delivery(delivery.id), &mut changes));
        if !delivery.is_counted() {
            *addresses.entry(&delivery.address).or_default() += 1;
        }
    }
    let ids = deliveries
        .iter()
        .map(|delivery| delivery.id.0)
        .collect::<Vec<_>>();
    transaction.execute(SAVE_COUNTED, bind![ids, counted]).await?;
    rollups::save_changes(&changes, transaction, "live").await?;
    let (names, counts): (Vec<&str>, Vec<i64>) = addresses.into_iter().unzip();
    transaction.execute(ADD_ADDRESSES, bind![names, counts]).await?;
    let new = deliveries.iter().filter(|delivery| !delivery.is_counted());
    if let Some(new_position) = new.map(|delivery| delivery.id.0).max() {
        transaction
            .execute(SAVE_ROLLUP_POSITION, bind![new_position])
            .await?;
    }
    Ok(deliveries.len())
}

/// See [`crate::Store::unfold`].
pub async fn begin_rebuild(transaction: &PgTransaction) -> Result<(), PgError> {
    // A month on its way out is counted by what the roll-ups say now.
    lock_rollup_position(transaction).await?;
    drop_partition::drop_detached(transaction).await?;
    transaction.execute(DELETE_LIVE_ROLLUPS, &[]).await?;
    transaction.execute(DELETE_LIVE_ADDRESSES, &[]).await?;
    transaction.execute(SAVE_ROLLUP_POSITION, bind![0_i64]).await?;
    Ok(())
}

/// See [`crate::Store::report`].
pub async fn report(transaction: &PgTransaction, as_of: Timestamp) -> Result<Report, PgError> {
    let mut entries = RollupEntries::default();
    for (metric, from_group) in report::required_rollups(as_of) {
        entries.insert(metric, rollup_entries(transaction, metric, &from_group).await?);
    }
    Ok(entries.build_report(as_of, top_addresses(transaction).await?))
}

async fn rollup_entries(
    transaction: &PgTransaction,
    metric: &str,
    from_group: &str,
) -> Result<Vec<RollupEntry>, PgError> {
    let found = transaction
        .query(ROLLUP_ENTRIES, bind![metric, from_group])
        .await?;
    let read = |row| {
        Ok(RollupEntry {
            group: rows::get(row, 0)?,
            key: rows::get(row, 1)?,
            count: rows::decode_count(row, 2)?,
        })
    };
    found.iter().map(read).collect()
}

async fn top_addresses(transaction: &PgTransaction) -> Result<Vec<TopRecipientRow>, PgError> {
    let found = transaction.query(TOP_ADDRESSES, &[]).await?;
    let read = |row| {
        Ok(TopRecipientRow {
            address: rows::get(row, 0)?,
            count: rows::decode_count(row, 1)?,
        })
    };
    found.iter().map(read).collect()
}

/// See [`crate::Store::keep_snapshot`].
pub async fn save_snapshot(transaction: &PgTransaction, snapshot: &ReportSnapshot) -> Result<(), PgError> {
    let as_of = snapshot.as_of.timestamp_millis();
    transaction
        .execute(SAVE_SNAPSHOT, bind![snapshot.generation, as_of, snapshot.content])
        .await?;
    transaction.execute(DELETE_OLD_SNAPSHOTS, &[]).await?;
    Ok(())
}

/// See [`crate::Store::snapshot`].
pub async fn snapshot(transaction: &PgTransaction) -> Result<Option<ReportSnapshot>, PgError> {
    let Some(row) = transaction.query_optional(SNAPSHOT, &[]).await? else {
        return Ok(None);
    };
    Ok(Some(ReportSnapshot {
        generation: rows::get(&row, 0)?,
        as_of: rows::decode_time(&row, 1)?,
        content: rows::get(&row, 2)?,
    }))
}
