//! Reads the attempts that the rollups count, and writes changes of the rollups. The arithmetic is in
//! [`crate::rollups`].

use std::collections::HashMap;

use super::errors::PgError;
use super::pool::{PgTransaction, bind, column};
use crate::rollups::{CountedAttempt, ReportedDelivery, RollupChanges};
use crate::{rows::SqlRow, rows::report::decode_counted_attempt};
use postrider_core::id::DeliveryId;

static ADD_ROLLUPS: &str = sql!("postgres/report/add_rollup");
static ATTEMPTS: &str = sql!("postgres/report/select_attempts");
static LOCK_POSITION: &str = sql!("postgres/report/read_rollup_position");

/// Returns the greatest delivery id that the rollups have counted. Until the transaction ends, no other transaction
/// changes the rollups.
pub async fn lock_rollup_position(transaction: &PgTransaction) -> Result<i64, PgError> {
    transaction.query_one(LOCK_POSITION, &[]).await?.integer("number")
}

/// The attempts of some deliveries.
pub struct AttemptsByDelivery(HashMap<DeliveryId, Vec<CountedAttempt>>);

impl AttemptsByDelivery {
    /// Reads the attempts of these deliveries.
    pub async fn load(transaction: &PgTransaction, deliveries: &[ReportedDelivery]) -> Result<Self, PgError> {
        let ids = column(deliveries, |delivery| delivery.id.0);
        let mut attempts = HashMap::<_, Vec<_>>::new();
        for row in &transaction.query(ATTEMPTS, bind![ids]).await? {
            let attempt = decode_counted_attempt(row)?;
            attempts.entry(row.delivery_id("delivery")?).or_default().push(attempt);
        }
        Ok(Self(attempts))
    }

    /// Returns the attempts of one delivery.
    pub fn of_delivery(&self, id: DeliveryId) -> &[CountedAttempt] {
        self.0.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// Adds changes to the rollups of an origin, `live` or `pruned`.
pub async fn save_changes(
    changes: &RollupChanges,
    transaction: &PgTransaction,
    origin: &str,
) -> Result<(), PgError> {
    let mut changes = changes.changes().collect::<Vec<_>>();
    if changes.is_empty() {
        return Ok(());
    }
    // Sorted, so that two processes do not deadlock.
    changes.sort_unstable();
    let values = bind![
        column(&changes, |(metric, ..)| *metric),
        column(&changes, |(_, group, ..)| *group),
        column(&changes, |(_, _, entry, _)| *entry),
        column(&changes, |(.., count)| *count),
        origin,
    ];
    transaction.execute(ADD_ROLLUPS, values).await
}
