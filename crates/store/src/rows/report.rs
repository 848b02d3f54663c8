//! Rows of the report: deliveries and attempts to count, rollups, snapshots.

use super::SqlRow;
use crate::rollups::{CountedAttempt, CountedState, DeliveryCounts, HOUR_MS, ReportedDelivery};
use crate::{report::ReportSnapshot, rollups::report::RollupEntry};
use postrider_core::{delivery::DeliveryStateKind, report::TopRecipientRow};

/// Decodes a delivery to count. A delivery above the rollup position was never counted, so its columns `counted_…` are
/// ignored.
pub fn decode_reported_delivery<R: SqlRow>(
    row: &R,
    rollup_position: i64,
) -> Result<ReportedDelivery, R::Error> {
    let delivery_id = row.delivery_id("id")?;
    let is_counted = delivery_id.0 <= rollup_position;
    Ok(ReportedDelivery {
        id: delivery_id,
        address: row.word("address")?.to_owned(),
        counts: DeliveryCounts {
            is_first: delivery_id.is_first(),
            hour: row.integer("created_at")?.div_euclid(HOUR_MS),
            current: decode_current_state(row)?,
            counted: is_counted.then(|| decode_counted_state(row)).transpose()?,
        },
        attempts_counted: if is_counted { row.integer("counted_attempts")? } else { 0 },
    })
}

/// Decodes the current state from `state`, `failure`, `provider` and `is_opened`.
pub fn decode_current_state<R: SqlRow>(row: &R) -> Result<CountedState, R::Error> {
    Ok(CountedState {
        state: row.parsed("state", DeliveryStateKind::parse)?,
        failure: row.optional_word("failure")?.map(str::to_owned),
        provider: row.optional_word("provider")?.map(str::to_owned),
        is_opened: row.bool("is_opened")?,
    })
}

/// Decodes the state that was counted last from the columns `counted_…`.
pub fn decode_counted_state<R: SqlRow>(row: &R) -> Result<CountedState, R::Error> {
    Ok(CountedState {
        state: row.parsed("counted_state", DeliveryStateKind::parse)?,
        failure: row.optional_word("counted_failure")?.map(str::to_owned),
        provider: row.optional_word("counted_provider")?.map(str::to_owned),
        is_opened: row.bool("counted_opened")?,
    })
}

/// Decodes an attempt to count.
pub fn decode_counted_attempt<R: SqlRow>(row: &R) -> Result<CountedAttempt, R::Error> {
    Ok(CountedAttempt {
        sequence: row.integer("sequence")?,
        provider: row.optional_word("provider")?.unwrap_or_default().to_owned(),
        outcome: row.word("outcome")?.to_owned(),
        duration_ms: row.count("duration_ms")?,
    })
}

/// Decodes the sum of a rollup over its origins.
pub fn decode_rollup_entry<R: SqlRow>(row: &R) -> Result<RollupEntry, R::Error> {
    Ok(RollupEntry {
        group: row.word("group_name")?.to_owned(),
        entry: row.word("entry")?.to_owned(),
        count: row.count("count")?,
    })
}

/// Decodes an address and the number of its deliveries.
pub fn decode_top_recipient<R: SqlRow>(row: &R) -> Result<TopRecipientRow, R::Error> {
    Ok(TopRecipientRow { address: row.word("address")?.to_owned(), count: row.count("count")? })
}

/// Decodes a row of `report_snapshots`.
pub fn decode_snapshot<R: SqlRow>(row: &R) -> Result<ReportSnapshot, R::Error> {
    let content = row.optional_bytes("content")?;
    Ok(ReportSnapshot {
        generation: row.integer("generation")?,
        as_of: row.time("as_of")?,
        content: row.required("content", content)?.to_vec(),
    })
}
