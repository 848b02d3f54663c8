//! Receipts in SQLite: applied to their delivery, or kept until a recorded round has their reference.

use rusqlite::params;

use super::{
    events, recipients::deactivate_address, suppressed::active_contacts, write_transaction::WriteTransaction,
};
use crate::receipts::{
    EXPIRED_DELETED_MAX, LoadedDelivery, ReceiptResult, ReceivedReceipt, SentCopy, UNMATCHED_KEPT_MS,
    UNMATCHED_RECEIPTS_MAX,
};
use crate::rows::deliveries::{
    StateColumns, decode_loaded_delivery, decode_sent_copy, decode_unmatched_receipt,
};
use crate::rows::{SqlRow, limit_to_sql};
use postrider_core::{
    clock::Timestamp, delivery::DeliveryStateKind, id::DeliveryId, inbound::LateAcceptance, name::ConfigName,
};

static FIND_BY_REFERENCE: &str = sql!("sqlite/receipts/find_by_reference");
static FIND_BY_ID: &str = sql!("sqlite/receipts/check_accepted_delivery");
static LOAD_DELIVERY: &str = sql!("sqlite/receipts/load_delivery");
static SAVE_DELIVERY: &str = sql!("sqlite/receipts/apply_receipt");
static DELETE_EXPIRED: &str = sql!("sqlite/maintenance/delete_old_unmatched_receipts");
static COUNT_UNMATCHED: &str = sql!("sqlite/receipts/count_unmatched_receipts");
static INSERT_UNMATCHED: &str = sql!("sqlite/receipts/insert_unmatched_receipt");
static FIND_UNMATCHED: &str = sql!("sqlite/receipts/select_unmatched_receipts");
static SAVE_LATE_REFERENCE: &str = sql!("common/receipts/save_late_reference");
static DELETE_UNMATCHED: &str = sql!("sqlite/receipts/delete_unmatched_receipts");

/// Applies receipts; see [`WorkStore::apply_receipts`](crate::WorkStore::apply_receipts).
pub fn apply_receipts(
    transaction: &mut WriteTransaction<'_>,
    receipts: &[ReceivedReceipt],
) -> rusqlite::Result<Vec<ReceiptResult>> {
    let mut capacity = UnmatchedCapacity::default();
    receipts.iter().map(|receipt| apply_receipt(transaction, receipt, &mut capacity)).collect()
}

/// Number of receipts that may still be kept. Counted once, because only this transaction can keep more receipts.
#[derive(Default)]
struct UnmatchedCapacity(Option<usize>);

impl UnmatchedCapacity {
    fn left(&mut self, transaction: &mut WriteTransaction<'_>) -> rusqlite::Result<usize> {
        if let Some(capacity_left) = self.0 {
            return Ok(capacity_left);
        }
        let limit = [limit_to_sql(UNMATCHED_RECEIPTS_MAX)];
        let kept_count =
            transaction.query_one(COUNT_UNMATCHED, limit, |row| row.count::<usize>("waiting"))?;
        let capacity_left = UNMATCHED_RECEIPTS_MAX.saturating_sub(kept_count);
        self.0 = Some(capacity_left);
        Ok(capacity_left)
    }

    fn subtract(&mut self, kept_count: usize) {
        self.0 = self.0.map(|capacity_left| capacity_left.saturating_sub(kept_count));
    }
}

fn apply_receipt(
    transaction: &mut WriteTransaction<'_>,
    received: &ReceivedReceipt,
    capacity: &mut UnmatchedCapacity,
) -> rusqlite::Result<ReceiptResult> {
    let Some((id, copy)) = find_copy(transaction, received)? else {
        if received.delivery.is_some() {
            return Ok(ReceiptResult::Unmatched);
        }
        return save_unmatched(transaction, received, capacity);
    };
    let mut delivery = load_delivery(transaction, id)?;
    let result = delivery.apply_receipt(received, &copy);
    save_changes(transaction, &mut delivery)?;
    Ok(result)
}

fn find_copy(
    transaction: &mut WriteTransaction<'_>,
    received: &ReceivedReceipt,
) -> rusqlite::Result<Option<(DeliveryId, SentCopy)>> {
    let decode = |row: &rusqlite::Row<'_>| Ok((row.delivery_id("id")?, decode_sent_copy(row)?));
    if let Some(delivery_id) = received.delivery {
        return transaction.query_optional(FIND_BY_ID, [delivery_id.0], decode);
    }
    let provider = received.provider.as_ref().map(ConfigName::as_str);
    let filter = params![received.receipt.reference, provider, received.sender];
    transaction.query_optional(FIND_BY_REFERENCE, filter, decode)
}

fn load_delivery(transaction: &mut WriteTransaction<'_>, id: DeliveryId) -> rusqlite::Result<LoadedDelivery> {
    let mut delivery = transaction.query_one(LOAD_DELIVERY, [id.0], |row| decode_loaded_delivery(row))?;
    if let Some(contacts) = delivery.contacts.take() {
        delivery.contacts = Some(active_contacts(transaction, &delivery.channel, contacts)?);
    }
    Ok(delivery)
}

/// Applies a late answer; see [`WorkStore::apply_late_acceptance`](crate::WorkStore::apply_late_acceptance).
pub fn apply_late_acceptance(
    transaction: &mut WriteTransaction<'_>,
    provider: &ConfigName,
    acceptance: &LateAcceptance,
    received_at: Timestamp,
) -> rusqlite::Result<ReceiptResult> {
    let attempt_key =
        params![acceptance.reference, acceptance.delivery.0, acceptance.round, provider.as_str()];
    let address = transaction.query_optional(SAVE_LATE_REFERENCE, attempt_key, |row| {
        Ok(row.optional_word("address")?.map(str::to_owned))
    })?;
    let Some(address) = address else {
        return Ok(ReceiptResult::Unmatched);
    };
    let copy = SentCopy { provider: provider.clone(), reference: acceptance.reference.clone(), address };
    settle_accepted(transaction, acceptance.delivery, &copy, acceptance.at, received_at)
}

/// Settles a delivery of which a copy was accepted after its round had ended, if it is not settled yet. Applies the
/// receipts that arrived before.
pub fn settle_accepted(
    transaction: &mut WriteTransaction<'_>,
    id: DeliveryId,
    copy: &SentCopy,
    at: Timestamp,
    received_at: Timestamp,
) -> rusqlite::Result<ReceiptResult> {
    let mut delivery = load_delivery(transaction, id)?;
    let previous_kind = delivery.state.kind();
    let mut is_changed = delivery.accept_late(copy, at, received_at);
    is_changed |= apply_kept(transaction, &mut delivery, copy)?;
    save_changes(transaction, &mut delivery)?;
    Ok(delivery.result(previous_kind, copy, is_changed))
}

/// Stores the changes of a delivery with their events, if it has changes.
fn save_changes(
    transaction: &mut WriteTransaction<'_>,
    delivery: &mut LoadedDelivery,
) -> rusqlite::Result<()> {
    let Some(change) = &delivery.change else {
        return Ok(());
    };
    let rollup_position = transaction.rollup_position()?;
    let columns = StateColumns::from_state(&delivery.state);
    let delivery_values = params![
        delivery.id.0,
        columns.state,
        columns.failure,
        columns.reason,
        columns.due_at,
        columns.ended_at,
        delivery.resends_left,
        delivery.avoided_provider(),
        delivery.opened_at.map(|at| at.timestamp_millis()),
        rollup_position,
        delivery.provider.as_ref().map(ConfigName::as_str),
        delivery.reference,
    ];
    transaction.execute(SAVE_DELIVERY, delivery_values)?;
    for event in &change.new_events {
        events::insert_event(transaction, event)?;
    }
    if let Some(invalidated_address) = delivery.invalidated_address() {
        deactivate_address(transaction, delivery.id, &invalidated_address)?;
    }
    delivery.change = None;
    Ok(())
}

/// Keeps a receipt until its round is recorded, if the receipt can wait and there is capacity. Deletes expired receipts
/// first.
fn save_unmatched(
    transaction: &mut WriteTransaction<'_>,
    received: &ReceivedReceipt,
    capacity: &mut UnmatchedCapacity,
) -> rusqlite::Result<ReceiptResult> {
    if !received.can_wait {
        return Ok(ReceiptResult::Dropped);
    }
    let received_at = received.received_at.timestamp_millis();
    transaction.execute(DELETE_EXPIRED, [received_at - UNMATCHED_KEPT_MS, EXPIRED_DELETED_MAX])?;
    if capacity.left(transaction)? == 0 {
        return Ok(ReceiptResult::Dropped);
    }
    let receipt = &received.receipt;
    let receipt_values = params![
        receipt.reference,
        received.provider.as_ref().map_or("", ConfigName::as_str),
        receipt.status.as_str(),
        receipt.status.reason(),
        receipt.at.timestamp_millis(),
        received_at,
        received.sender.as_deref().unwrap_or_default(),
    ];
    capacity.subtract(transaction.execute(INSERT_UNMATCHED, receipt_values)?);
    Ok(ReceiptResult::Unmatched)
}

/// Applies the receipts that arrived before their round was recorded. Returns the state after these receipts; none if
/// they change nothing.
pub fn apply_unmatched(
    transaction: &mut WriteTransaction<'_>,
    id: DeliveryId,
    copy: &SentCopy,
) -> rusqlite::Result<Option<DeliveryStateKind>> {
    let Some(reference) = &copy.reference else {
        return Ok(None);
    };
    let sent_copy = params![reference, copy.provider.as_str(), id.0, copy.address];
    let has_kept = transaction.query_optional(FIND_UNMATCHED, sent_copy, |_| Ok(()))?.is_some();
    if !has_kept {
        return Ok(None);
    }
    let mut delivery = load_delivery(transaction, id)?;
    let is_changed = apply_kept(transaction, &mut delivery, copy)?;
    save_changes(transaction, &mut delivery)?;
    Ok(is_changed.then(|| delivery.state.kind()))
}

/// Applies and deletes the kept receipts with the reference of a copy. Returns whether they changed the delivery.
fn apply_kept(
    transaction: &mut WriteTransaction<'_>,
    delivery: &mut LoadedDelivery,
    copy: &SentCopy,
) -> rusqlite::Result<bool> {
    let Some(reference) = &copy.reference else {
        return Ok(false);
    };
    let sent_copy = params![reference, copy.provider.as_str(), delivery.id.0, copy.address];
    let mut receipts =
        transaction.query_all(FIND_UNMATCHED, sent_copy, |row| decode_unmatched_receipt(row))?;
    if receipts.is_empty() {
        return Ok(false);
    }
    receipts.sort_by_key(|receipt| (receipt.at, receipt.received_at));
    let mut is_changed = false;
    for receipt in receipts {
        is_changed |= delivery.apply_status(&receipt.status, copy, receipt.at, receipt.received_at);
    }
    transaction.execute(DELETE_UNMATCHED, [reference.as_str(), copy.provider.as_str()])?;
    Ok(is_changed)
}
