//! Receipts in SQLite: applied to their delivery, or kept until a recorded round has their reference.

use rusqlite::{OptionalExtension, params};

use super::events;
use super::recipients::deactivate_address;
use super::suppressed::active_contacts;
use super::write_transaction::WriteTransaction;
use crate::receipts::{
    EXPIRED_DELETED_MAX, LoadedDelivery, ReceiptResult, ReceivedReceipt, UNMATCHED_KEPT_MS,
    UNMATCHED_RECEIPTS_MAX,
};
use crate::rows::deliveries::{StateColumns, decode_loaded_delivery, decode_unmatched_receipt};
use crate::rows::{SqlRow, limit_to_sql};
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;

static FIND_BY_REFERENCE: &str = sql!("sqlite/receipts/find_by_reference");
static FIND_BY_ID: &str = sql!("sqlite/receipts/check_accepted_delivery");
static LOAD: &str = sql!("sqlite/receipts/load_delivery");
static SAVE_DELIVERY: &str = sql!("sqlite/receipts/apply_receipt");
static DELETE_EXPIRED: &str = sql!("sqlite/maintenance/delete_old_unmatched_receipts");
static COUNT_UNMATCHED: &str = sql!("sqlite/receipts/count_unmatched_receipts");
static INSERT_UNMATCHED: &str = sql!("sqlite/receipts/insert_unmatched_receipt");
static FIND_UNMATCHED: &str = sql!("sqlite/receipts/select_unmatched_receipts");
static DELETE_UNMATCHED: &str = sql!("sqlite/receipts/delete_unmatched_receipts");

/// Applies receipts; see [`WorkStore::apply_receipts`](crate::WorkStore::apply_receipts).
pub fn apply_receipts(
    transaction: &mut WriteTransaction<'_>,
    receipts: &[ReceivedReceipt],
) -> rusqlite::Result<Vec<ReceiptResult>> {
    let mut capacity = UnmatchedCapacity::default();
    receipts.iter().map(|received| apply_receipt(transaction, received, &mut capacity)).collect()
}

/// Number of receipts that may still be kept; counted once, because only this transaction adds any.
#[derive(Default)]
struct UnmatchedCapacity(Option<usize>);

impl UnmatchedCapacity {
    fn left(&mut self, transaction: &mut WriteTransaction<'_>) -> rusqlite::Result<usize> {
        if let Some(room) = self.0 {
            return Ok(room);
        }
        let stored_count = transaction
            .statement(COUNT_UNMATCHED)?
            .query_row([limit_to_sql(UNMATCHED_RECEIPTS_MAX)], |row| row.count::<usize>("waiting"))?;
        let room = UNMATCHED_RECEIPTS_MAX.saturating_sub(stored_count);
        self.0 = Some(room);
        Ok(room)
    }

    fn subtract(&mut self, rows: usize) {
        self.0 = self.0.map(|room| room.saturating_sub(rows));
    }
}

fn apply_receipt(
    transaction: &mut WriteTransaction<'_>,
    received: &ReceivedReceipt,
    capacity: &mut UnmatchedCapacity,
) -> rusqlite::Result<ReceiptResult> {
    let Some(id) = find_delivery(transaction, received)? else {
        return if received.delivery.is_none() {
            save_unmatched(transaction, received, capacity)
        } else {
            Ok(ReceiptResult::Unmatched)
        };
    };
    let mut delivery = load_delivery(transaction, id)?;
    let result = delivery.apply_receipt(received);
    save_changes(transaction, &mut delivery)?;
    Ok(result)
}

fn find_delivery(
    transaction: &mut WriteTransaction<'_>,
    received: &ReceivedReceipt,
) -> rusqlite::Result<Option<DeliveryId>> {
    let provider = received.provider.as_ref().map(ConfigName::as_str);
    let decode = |row: &rusqlite::Row<'_>| row.delivery_id("id");
    let delivery_id = match received.delivery {
        Some(id) => transaction.statement(FIND_BY_ID)?.query_row([id.0], decode),
        None => transaction
            .statement(FIND_BY_REFERENCE)?
            .query_row(params![received.receipt.reference, provider], decode),
    };
    delivery_id.optional()
}

fn load_delivery(transaction: &mut WriteTransaction<'_>, id: DeliveryId) -> rusqlite::Result<LoadedDelivery> {
    let mut delivery = transaction.statement(LOAD)?.query_row([id.0], |row| decode_loaded_delivery(row))?;
    if let Some(others) = delivery.take_other_contacts() {
        delivery.other_addresses_left = active_contacts(transaction, &delivery.channel, others)?.len();
    }
    Ok(delivery)
}

/// Stores the changes of a delivery with their events; does nothing if there are none.
fn save_changes(
    transaction: &mut WriteTransaction<'_>,
    delivery: &mut LoadedDelivery,
) -> rusqlite::Result<()> {
    let Some(change) = &delivery.change else {
        return Ok(());
    };
    let rollup_position = transaction.rollup_position()?;
    let columns = StateColumns::from_state(&delivery.state);
    transaction.statement(SAVE_DELIVERY)?.execute(params![
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
    ])?;
    for event in &change.new_events {
        events::insert_event(transaction, event)?;
    }
    if let Some(invalidated) = delivery.invalidated_address() {
        deactivate_address(transaction, delivery.id, &invalidated)?;
    }
    delivery.change = None;
    Ok(())
}

/// Keeps a receipt until its round is recorded, if it can wait and there is capacity. Deletes expired ones first.
fn save_unmatched(
    transaction: &mut WriteTransaction<'_>,
    received: &ReceivedReceipt,
    capacity: &mut UnmatchedCapacity,
) -> rusqlite::Result<ReceiptResult> {
    if !received.can_wait {
        return Ok(ReceiptResult::Dropped);
    }
    let received_at = received.received_at.timestamp_millis();
    transaction.statement(DELETE_EXPIRED)?.execute([received_at - UNMATCHED_KEPT_MS, EXPIRED_DELETED_MAX])?;
    if capacity.left(transaction)? == 0 {
        return Ok(ReceiptResult::Dropped);
    }
    let receipt = &received.receipt;
    let added = transaction.statement(INSERT_UNMATCHED)?.execute(params![
        receipt.reference,
        received.provider.as_ref().map_or("", ConfigName::as_str),
        receipt.status.as_str(),
        receipt.status.reason(),
        receipt.at.timestamp_millis(),
        received_at,
    ])?;
    capacity.subtract(added);
    Ok(ReceiptResult::Unmatched)
}

/// Applies the receipts that arrived before their round was recorded, and returns the state after them; none if there
/// are no such receipts.
pub fn apply_unmatched(
    transaction: &mut WriteTransaction<'_>,
    id: DeliveryId,
    provider: &ConfigName,
    reference: &str,
) -> rusqlite::Result<Option<DeliveryStateKind>> {
    let mut receipts = transaction
        .statement(FIND_UNMATCHED)?
        .query_map([reference, provider.as_str()], |row| decode_unmatched_receipt(row))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    if receipts.is_empty() {
        return Ok(None);
    }
    receipts.sort_by_key(|receipt| (receipt.at, receipt.received_at));
    let mut delivery = load_delivery(transaction, id)?;
    for receipt in receipts {
        delivery.apply_status(&receipt.status, receipt.at, receipt.received_at);
    }
    save_changes(transaction, &mut delivery)?;
    transaction.statement(DELETE_UNMATCHED)?.execute([reference, provider.as_str()])?;
    Ok(Some(delivery.state.kind()))
}
