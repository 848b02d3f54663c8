//! Receipts that arrive before the round with their reference is recorded: stored here, and applied by the record.

use std::collections::{BTreeSet, HashMap};

use tokio_postgres::Row;

use super::advisory_locks::{AdvisoryLock, lock_shared};
use super::loaded_deliveries::{load_deliveries, save_deliveries};
use super::pool::{PgTransaction, bind, column};
use super::{errors::PgError, escape::escape_text};
use crate::receipts::{EXPIRED_DELETED_MAX, LoadedDelivery, SentCopy, UNMATCHED_KEPT_MS, UnmatchedReceipt};
use crate::rows::deliveries::decode_unmatched_receipt;
use crate::rows::{SqlRow, limit_to_sql};
use crate::{ReceiptResult, ReceivedReceipt, UNMATCHED_RECEIPTS_MAX};
use postrider_core::{clock::Timestamp, delivery::DeliveryStateKind, id::DeliveryId, name::ConfigName};

static COUNT: &str = sql!("postgres/receipts/count_unmatched_receipts");
static INSERT: &str = sql!("postgres/receipts/insert_unmatched_receipt");
static SELECT_FOR_SENT: &str = sql!("postgres/receipts/select_unmatched_receipts");
static DELETE_FOR_SENT: &str = sql!("postgres/receipts/delete_unmatched_receipts");
static DELETE_OLD: &str = sql!("postgres/maintenance/delete_old_unmatched_receipts");

/// A receipt and its position in the batch.
pub type IndexedReceipt<'r> = (usize, &'r ReceivedReceipt);

/// A copy that was accepted after its round had ended.
pub struct LateCopy {
    pub id: DeliveryId,
    pub copy: SentCopy,
    pub at: Timestamp,
    pub received_at: Timestamp,
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
        column(stored_receipts, |(_, received)| received.sender.as_deref().unwrap_or_default()),
    ];
    transaction.execute(INSERT, values).await?;
    Ok(stored_receipts.iter().map(|(index, _)| *index).collect())
}

/// Takes the lock on references in shared mode, so that no unmatched receipt is stored until the transaction ends.
pub async fn lock_references(transaction: &PgTransaction) -> Result<(), PgError> {
    lock_shared(transaction, AdvisoryLock::References).await
}

/// Applies the receipts that were stored for these copies, and returns the resulting states. Runs after
/// [`lock_references`].
pub async fn apply_unmatched(
    transaction: &PgTransaction,
    copies: &[(DeliveryId, SentCopy)],
) -> Result<HashMap<DeliveryId, DeliveryStateKind>, PgError> {
    let receipts = take_kept(transaction, copies).await?;
    if receipts.is_empty() {
        return Ok(HashMap::new());
    }
    let mut deliveries = load_deliveries(transaction, receipts.iter().map(|(id, _)| *id)).await?;
    for (id, copy) in copies {
        if let Some(delivery) = deliveries.get_mut(id) {
            apply_kept(delivery, copy, &receipts);
        }
    }
    let states = deliveries.iter().map(|(id, delivery)| (*id, delivery.state.kind())).collect();
    save_deliveries(transaction, deliveries.into_values()).await?;
    Ok(states)
}

/// Settles deliveries of which a copy was accepted after its round had ended, if they are not settled yet. Applies the
/// receipts that were stored for these copies. Runs after [`lock_references`].
pub async fn settle_accepted(
    transaction: &PgTransaction,
    late: &[LateCopy],
) -> Result<HashMap<DeliveryId, ReceiptResult>, PgError> {
    if late.is_empty() {
        return Ok(HashMap::new());
    }
    let copies = column(late, |late| (late.id, late.copy.clone()));
    let receipts = take_kept(transaction, &copies).await?;
    let mut deliveries = load_deliveries(transaction, late.iter().map(|late| late.id)).await?;
    let mut settled_results = HashMap::with_capacity(late.len());
    for LateCopy { id, copy, at, received_at } in late {
        if let Some(delivery) = deliveries.get_mut(id) {
            let previous_kind = delivery.state.kind();
            let mut is_changed = delivery.accept_late(copy, *at, *received_at);
            is_changed |= apply_kept(delivery, copy, &receipts);
            settled_results.insert(*id, delivery.result(previous_kind, copy, is_changed));
        }
    }
    save_deliveries(transaction, deliveries.into_values()).await?;
    Ok(settled_results)
}

/// Returns and deletes the receipts that were stored for these copies, in the order of their times.
async fn take_kept(
    transaction: &PgTransaction,
    copies: &[(DeliveryId, SentCopy)],
) -> Result<Vec<(DeliveryId, UnmatchedReceipt)>, PgError> {
    let with_reference = copies.iter().filter(|(_, copy)| copy.reference.is_some()).collect::<Vec<_>>();
    if with_reference.is_empty() {
        return Ok(Vec::new());
    }
    let ids = column(&with_reference, |(id, _)| id.0);
    let providers = column(&with_reference, |(_, copy)| copy.provider.as_str());
    let references = column(&with_reference, |(_, copy)| copy.reference.as_deref().map(escape_text));
    let decode = |row: &Row| Ok((row.delivery_id("id")?, decode_unmatched_receipt(row)?));
    let addresses = column(&with_reference, |(_, copy)| copy.address.as_deref());
    let values = bind![ids, references, providers, addresses];
    let receipts: Vec<_> = transaction.query_all(SELECT_FOR_SENT, values, decode).await?;
    if !receipts.is_empty() {
        transaction.execute(DELETE_FOR_SENT, bind![references, providers]).await?;
    }
    Ok(receipts)
}

/// Applies stored receipts to the delivery of their copy. Returns whether they changed it.
fn apply_kept(
    delivery: &mut LoadedDelivery,
    copy: &SentCopy,
    receipts: &[(DeliveryId, UnmatchedReceipt)],
) -> bool {
    let mut is_changed = false;
    for (id, receipt) in receipts {
        if *id == delivery.id {
            is_changed |= delivery.apply_status(&receipt.status, copy, receipt.at, receipt.received_at);
        }
    }
    is_changed
}
