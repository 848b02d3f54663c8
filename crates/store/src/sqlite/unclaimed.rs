//! State changes of deliveries that no worker holds.

use rusqlite::params;

use super::events;
use super::write_transaction::WriteTransaction;
use crate::admin::UnclaimedDelivery;
use crate::rows::SqlRow;
use crate::rows::deliveries::{StateColumns, decode_unclaimed_delivery};
use postrider_core::channel::ConfigName;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;

static LOAD: &str = sql!("sqlite/claim/load_for_change");
static SAVE_STATE: &str = sql!("sqlite/claim/apply_change");
static WAITING_FOR_ADDRESS: &str = sql!("sqlite/recipients/select_waiting_deliveries");

/// Loads the deliveries with ids from `first` to `last` that no worker holds.
pub fn load_unclaimed(
    transaction: &mut WriteTransaction<'_>,
    first: i64,
    last: i64,
) -> rusqlite::Result<Vec<UnclaimedDelivery>> {
    transaction
        .statement(LOAD)?
        .query_map([first, last], |row| decode_unclaimed_delivery(row))?
        .filter_map(rusqlite::Result::transpose)
        .collect()
}

/// Changes the state of a delivery; one that had failed expires at `expires_at` at the earliest.
pub fn save_state(
    transaction: &mut WriteTransaction<'_>,
    delivery: &UnclaimedDelivery,
    next: &DeliveryState,
    now: Timestamp,
    expires_at: Timestamp,
) -> rusqlite::Result<()> {
    let rollup_position = transaction.rollup_position()?;
    let columns = StateColumns::from_state(next);
    transaction.statement(SAVE_STATE)?.execute(params![
        delivery.id.0,
        columns.state,
        columns.failure,
        columns.reason,
        columns.due_at,
        columns.ended_at,
        expires_at.timestamp_millis(),
        rollup_position,
    ])?;
    if let Some(event) = delivery.change_event(next, now) {
        events::insert_event(transaction, &event)?;
    }
    Ok(())
}

/// Cancels the waiting deliveries to an address that is no longer active, except those that a worker holds.
pub fn suppress_waiting(
    transaction: &mut WriteTransaction<'_>,
    channel: &ConfigName,
    address: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let waiting = transaction
        .statement(WAITING_FOR_ADDRESS)?
        .query_map([address, channel.as_str()], |row| row.integer("id"))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for id in waiting {
        for delivery in load_unclaimed(transaction, id, id)? {
            if let Some(suppressed) = delivery.state.suppress(now) {
                save_state(transaction, &delivery, &suppressed, now, now)?;
            }
        }
    }
    Ok(())
}
