//! Receipts that arrive before the round with their reference is recorded: stored here, and applied by the record.

use std::collections::{BTreeSet, HashMap};

use tokio_postgres::Row;

use super::advisory_locks::{AdvisoryLock, lock_shared};
use super::loaded_deliveries::{load_deliveries, save_deliveries};
use super::pool::{PgTransaction, bind, column};
use super::{errors::PgError, escape::escape_text};
use crate::receipts::{EXPIRED_DELETED_MAX, UNMATCHED_KEPT_MS};
use crate::rows::deliveries::decode_unmatched_receipt;
use crate::rows::{SqlRow, limit_to_sql};
use crate::{ReceivedReceipt, UNMATCHED_RECEIPTS_MAX};
use postrider_core::{delivery::DeliveryStateKind, id::DeliveryId, name::ConfigName};

static COUNT: &str = sql!("postgres/receipts/count_unmatched_receipts");
static INSERT: &str = sql!("postgres/receipts/insert_unmatched_receipt");
static SELECT_FOR_SENT: &str = sql!("postgres/receipts/select_unmatched_receipts");
static DELETE_FOR_SENT: &str = sql!("postgres/receipts/delete_unmatched_receipts");
static DELETE_OLD: &str = sql!("postgres/maintenance/delete_old_unmatched_receipts");

/// A receipt and its position in the batch.
pub type IndexedReceipt<'r> = (usize, &'r ReceivedReceipt);

/// A recorded send.
pub struct SentReference<'r> {
    pub id: DeliveryId,
    pub provider: &'r str,
    pub reference: &'r str,
}

/// Returns the name of the provider that a receipt comes from.
pub fn provider_name(received: &ReceivedReceipt) -> Option<&str> {
    received.provider.as_ref().map(ConfigName::as_str)
}

/// Stores receipts while fewer than [`UNMATCHED_RECEIPTS_MAX`] are stored, and returns the positions of the stored ones.
/// Deletes expired receipts first. The caller holds the lock on references exclusively.
pub async fn save_unmatched(
    transaction: &PgTransaction,
    receipts: &[IndexedReceipt<'_>],
) -> Result<BTreeSet<usize>, PgError> {
    let Some(newest) = receipts.iter().map(|(_, received)| received.received_at).max() else {
        return Ok(BTreeSet::new());
    };
    let expired_before = newest.timestamp_millis() - UNMATCHED_KEPT_MS;
    let deleted_max = EXPIRED_DELETED_MAX.saturating_mul(limit_to_sql(receipts.len()));
    transaction.execute(DELETE_OLD, bind![expired_before, deleted_max]).await?;
    let count_row = transaction.query_one(COUNT, bind![limit_to_sql(UNMATCHED_RECEIPTS_MAX)]).await?;
    let capacity = UNMATCHED_RECEIPTS_MAX.saturating_sub(count_row.count("waiting")?);
    let stored_receipts = &receipts[..receipts.len().min(capacity)];
    if stored_receipts.is_empty() {
        return Ok(BTreeSet::new());
    }
    let values = bind![
        column(stored_receipts, |(_, received)| escape_text(&received.receipt.reference)),
        column(stored_receipts, |(_, received)| provider_name(received).unwrap_or_default()),
        column(stored_receipts, |(_, received)| received.receipt.status.as_str()),
        column(stored_receipts, |(_, received)| received.receipt.status.reason().map(escape_text)),
        column(stored_receipts, |(_, received)| received.receipt.at.timestamp_millis()),
        column(stored_receipts, |(_, received)| received.received_at.timestamp_millis()),
    ];
    transaction.execute(INSERT, values).await?;
    Ok(stored_receipts.iter().map(|(index, _)| *index).collect())
}

/// Takes the lock on references in shared mode, so that no unmatched receipt is stored until the transaction ends.
pub async fn lock_references(transaction: &PgTransaction) -> Result<(), PgError> {
    lock_shared(transaction, AdvisoryLock::References).await
}

/// Applies the receipts that were stored for these sends, and returns the resulting states. Runs after
/// [`lock_references`].
pub async fn apply_unmatched(
    transaction: &PgTransaction,
    sent: &[SentReference<'_>],
) -> Result<HashMap<DeliveryId, DeliveryStateKind>, PgError> {
    if sent.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = column(sent, |sent| sent.id.0);
    let providers = column(sent, |sent| sent.provider);
    let references = column(sent, |sent| escape_text(sent.reference));
    let decode = |row: &Row| Ok((row.delivery_id("id")?, decode_unmatched_receipt(row)?));
    let values = bind![ids, references, providers];
    let receipts: Vec<_> = transaction.query_all(SELECT_FOR_SENT, values, decode).await?;
    if receipts.is_empty() {
        return Ok(HashMap::new());
    }
    let mut deliveries = load_deliveries(transaction, receipts.iter().map(|(id, _)| *id)).await?;
    for (id, receipt) in &receipts {
        if let Some(delivery) = deliveries.get_mut(id) {
            delivery.apply_status(&receipt.status, receipt.at, receipt.received_at);
        }
    }
    let states = deliveries.iter().map(|(id, delivery)| (*id, delivery.state.kind())).collect();
    save_deliveries(transaction, deliveries.into_values()).await?;
    transaction.execute(DELETE_FOR_SENT, bind![references, providers]).await?;
    Ok(states)
}
