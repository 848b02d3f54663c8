//! Applies receipts to the deliveries they belong to, and keeps those that match no delivery yet.
//!
//! The rules for states are in [`crate::receipts`]. The caller begins and ends the transaction.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::advisory_locks::{AdvisoryLock, lock_exclusive};
use super::loaded_deliveries::{load_deliveries, save_deliveries};
use super::pool::{PgTransaction, bind, column};
use super::unmatched_receipts::{
    IndexedReceipt, LateCopy, lock_references, provider_name, save_unmatched, settle_accepted,
};
use super::{errors::PgError, escape::escape_text, group_commit::BatchOperation};
use crate::receipts::SentCopy;
use crate::rows::{SqlRow, deliveries::decode_sent_copy, limit_to_sql};
use crate::{ReceiptResult, ReceivedReceipt};
use postrider_core::{clock::Timestamp, id::DeliveryId, inbound::LateAcceptance, name::ConfigName};

static FIND_BY_REFERENCE: &str = sql!("postgres/receipts/find_by_reference");
static FIND_BY_ID: &str = sql!("postgres/receipts/check_accepted_delivery");
static SAVE_LATE_REFERENCE: &str = sql!("common/receipts/save_late_reference");

/// Receipts of one call.
pub struct ReceiptOperation(pub Vec<ReceivedReceipt>);

impl BatchOperation for ReceiptOperation {
    type Output = Vec<ReceiptResult>;
    type BatchCache = ();
    const ERROR_CONTEXT: &'static str = "cannot apply receipts";

    async fn run(
        transaction: &PgTransaction,
        (): &mut (),
        operations: &[Self],
    ) -> Result<Vec<Vec<ReceiptResult>>, PgError> {
        let receipts = operations.iter().flat_map(|operation| &operation.0).collect::<Vec<_>>();
        let mut receipt_results = apply_receipts(transaction, &receipts).await?.into_iter();
        let results_of_operation =
            |operation: &Self| receipt_results.by_ref().take(operation.0.len()).collect();
        Ok(operations.iter().map(results_of_operation).collect())
    }
}

async fn apply_receipts(
    transaction: &PgTransaction,
    receipts: &[&ReceivedReceipt],
) -> Result<Vec<ReceiptResult>, PgError> {
    let receipts = receipts.iter().copied().enumerate().collect::<Vec<_>>();
    let mut copies = find_copies(transaction, &receipts).await?;
    // A receipt that names its delivery is never kept, because a later round cannot match it.
    let is_unknown =
        |(index, received): &&IndexedReceipt<'_>| received.delivery.is_none() && !copies.contains_key(index);
    let unknown = receipts.iter().filter(is_unknown).copied().collect::<Vec<_>>();
    if !unknown.is_empty() {
        // The exclusive lock waits for the transactions that are recording rounds; afterwards their rounds are visible.
        // It is taken before any row is locked, in the same order as when a round is recorded.
        lock_exclusive(transaction, AdvisoryLock::References).await?;
        copies.extend(find_copies(transaction, &unknown).await?);
    }
    let mut receipt_results = apply_to_deliveries(transaction, &receipts, &copies).await?;
    let unmatched =
        unknown.into_iter().filter(|(index, _)| !receipt_results.contains_key(index)).collect::<Vec<_>>();
    if !unmatched.is_empty() {
        let waiting = unmatched.iter().filter(|(_, received)| received.can_wait).copied();
        let stored_indexes = save_unmatched(transaction, &waiting.collect::<Vec<_>>()).await?;
        let dropped = unmatched.iter().filter(|(index, _)| !stored_indexes.contains(index));
        receipt_results.extend(dropped.map(|(index, _)| (*index, ReceiptResult::Dropped)));
    }
    let result_of =
        |(index, _): &IndexedReceipt<'_>| receipt_results.remove(index).unwrap_or(ReceiptResult::Unmatched);
    Ok(receipts.iter().map(result_of).collect())
}

/// Applies receipts to the deliveries that were found, and returns the results by position.
async fn apply_to_deliveries(
    transaction: &PgTransaction,
    receipts: &[IndexedReceipt<'_>],
    copies: &BTreeMap<usize, (DeliveryId, SentCopy)>,
) -> Result<BTreeMap<usize, ReceiptResult>, PgError> {
    if copies.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut deliveries = load_deliveries(transaction, copies.values().map(|(id, _)| *id)).await?;
    let mut receipt_results = BTreeMap::new();
    for (index, received) in receipts {
        let Some((id, copy)) = copies.get(index) else {
            continue;
        };
        if let Some(delivery) = deliveries.get_mut(id) {
            receipt_results.insert(*index, delivery.apply_receipt(received, copy));
        }
    }
    save_deliveries(transaction, deliveries.into_values()).await?;
    Ok(receipt_results)
}

/// Returns the copy that each receipt is about, by position.
async fn find_copies(
    transaction: &PgTransaction,
    receipts: &[IndexedReceipt<'_>],
) -> Result<BTreeMap<usize, (DeliveryId, SentCopy)>, PgError> {
    let by_reference =
        receipts.iter().filter(|(_, received)| received.delivery.is_none()).collect::<Vec<_>>();
    let values = bind![
        column(&by_reference, |(index, _)| limit_to_sql(*index)),
        column(&by_reference, |(_, received)| escape_text(&received.receipt.reference)),
        column(&by_reference, |(_, received)| provider_name(received)),
        column(&by_reference, |(_, received)| received.sender.as_deref()),
    ];
    let decode =
        |row: &Row| Ok((row.count("input_index")?, (row.delivery_id("id")?, decode_sent_copy(row)?)));
    let mut copies: BTreeMap<_, _> = transaction.query_all(FIND_BY_REFERENCE, values, decode).await?;
    let by_id =
        receipts.iter().filter_map(|(index, received)| Some((limit_to_sql(*index), received.delivery?.0)));
    let (indexes, ids): (Vec<i64>, Vec<i64>) = by_id.unzip();
    if !ids.is_empty() {
        let found_by_id: Vec<_> = transaction.query_all(FIND_BY_ID, bind![indexes, ids], decode).await?;
        copies.extend(found_by_id);
    }
    Ok(copies)
}

/// Applies a late answer; see [`WorkStore::apply_late_acceptance`](crate::WorkStore::apply_late_acceptance).
pub async fn apply_late_acceptance(
    transaction: &PgTransaction,
    provider: &ConfigName,
    acceptance: &LateAcceptance,
    received_at: Timestamp,
) -> Result<ReceiptResult, PgError> {
    // The lock is taken before any row is locked, in the same order as when a round is recorded.
    lock_references(transaction).await?;
    let attempt_key = bind![
        acceptance.reference.as_deref().map(escape_text),
        acceptance.delivery.0,
        i64::from(acceptance.round),
        provider.as_str(),
    ];
    let decode = |row: &Row| Ok(row.optional_word("address")?.map(str::to_owned));
    let addresses: Vec<Option<String>> =
        transaction.query_all(SAVE_LATE_REFERENCE, attempt_key, decode).await?;
    let Some(address) = addresses.into_iter().next() else {
        return Ok(ReceiptResult::Unmatched);
    };
    let copy = SentCopy { provider: provider.clone(), reference: acceptance.reference.clone(), address };
    let late = LateCopy { id: acceptance.delivery, copy, at: acceptance.at, received_at };
    let results = settle_accepted(transaction, &[late]).await?;
    Ok(results.into_values().next().unwrap_or(ReceiptResult::Unmatched))
}
