//! What the report counts, read from rows and written to the roll-ups. What is counted and how is
//! [`crate::tally`]'s.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::errors::PgError;
use super::pool::{PgTransaction, bind};
use super::rows;
use crate::rollups::{
    CountedAttempt, CountedState, DeliveryCounts, HOUR_MS, ReportedDelivery, RollupChanges,
};
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::id::DeliveryId;

static ADD_TO_ROLLUPS: &str = sql!("postgres/report/add_rollup");
static ATTEMPTS: &str = sql!("postgres/report/select_attempts");

/// Reads the columns that every statement of the report begins with. What lies beyond `folded` was never
/// counted, whatever its columns say.
pub fn decode_reported_delivery(row: &Row, position: i64) -> Result<ReportedDelivery, PgError> {
    let id = rows::delivery_id(row, 0)?;
    let counted = if id.0 <= position {
        Some(decode_counted_state(row, 7)?)
    } else {
        None
    };
    let attempts_counted = if counted.is_some() { rows::get(row, 11)? } else { 0 };
    Ok(ReportedDelivery {
        id,
        address: rows::get(row, 1)?,
        counts: DeliveryCounts {
            is_first: id.is_first(),
            hour: rows::get::<i64>(row, 2)?.div_euclid(HOUR_MS),
            current: decode_counted_state(row, 3)?,
            counted,
        },
        attempts_counted,
    })
}

/// State, failure, provider and whether it was opened, from this column on.
pub fn decode_counted_state(row: &Row, from: usize) -> Result<CountedState, PgError> {
    Ok(CountedState {
        state: rows::decode_word(row, from, DeliveryStateKind::parse)?,
        failure: rows::get(row, from + 1)?,
        provider: rows::get(row, from + 2)?,
        is_opened: rows::get(row, from + 3)?,
    })
}

/// The calls that were made for some deliveries.
pub struct AttemptsByDelivery(HashMap<DeliveryId, Vec<CountedAttempt>>);

impl AttemptsByDelivery {
    /// Reads them.
    pub async fn load(transaction: &PgTransaction, deliveries: &[ReportedDelivery]) -> Result<Self, PgError> {
        let ids = deliveries
            .iter()
            .map(|delivery| delivery.id.0)
            .collect::<Vec<_>>();
        let mut attempts = HashMap::<_, Vec<_>>::new();
        for row in &transaction.query(ATTEMPTS, bind![ids]).await? {
            let of_delivery = attempts.entry(rows::delivery_id(row, 0)?).or_default();
            of_delivery.push(decode_counted_attempt(row)?);
        }
        Ok(Self(attempts))
    }

    /// Those for one of them.
    pub fn of_delivery(&self, id: DeliveryId) -> &[CountedAttempt] {
        self.0.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// A call out of the columns place, provider, outcome and duration, which come second to fifth.
pub fn decode_counted_attempt(row: &Row) -> Result<CountedAttempt, PgError> {
    Ok(CountedAttempt {
        sequence: rows::get(row, 1)?,
        provider: rows::get::<Option<String>>(row, 2)?.unwrap_or_default(),
        outcome: rows::get(row, 3)?,
        duration_ms: rows::decode_count(row, 4)?,
    })
}

/// Adds the sums to the roll-ups of that origin.
pub async fn save_changes(
    changes: &RollupChanges,
    transaction: &PgTransaction,
    origin: &str,
) -> Result<(), PgError> {
    let mut changes = changes.changes().collect::<Vec<_>>();
    if changes.is_empty() {
        return Ok(());
    }
    // In one order, so that two hosts do not wait for each other.
    changes.sort_unstable();
    let metrics = changes.iter().map(|change| change.0).collect::<Vec<_>>();
    let groups = changes.iter().map(|change| change.1).collect::<Vec<_>>();
    let entries = changes.iter().map(|change| change.2).collect::<Vec<_>>();
    let counts = changes.iter().map(|change| change.3).collect::<Vec<_>>();
    transaction
        .execute(ADD_TO_ROLLUPS, bind![metrics, groups, entries, counts, origin])
        .await?;
    Ok(())
}
