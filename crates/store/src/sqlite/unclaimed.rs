//! State changes of deliveries that no worker holds.

use rusqlite::params;

use super::{events, write_transaction::WriteTransaction};
use crate::rows::deliveries::{StateColumns, decode_unclaimed_delivery};
use crate::{admin::UnclaimedDelivery, rows::SqlRow};
use postrider_core::{
    clock::Timestamp, delivery::DeliveryState, name::ConfigName, recipient::RecipientStatus,
};

static LOAD_UNCLAIMED: &str = sql!("sqlite/claim/load_for_change");
static SAVE_STATE: &str = sql!("sqlite/claim/apply_change");
static WAITING_FOR_ADDRESS: &str = sql!("common/recipients/select_waiting_deliveries");

/// Loads the deliveries with ids from `first_id` to `last_id` that no worker holds.
pub fn load_unclaimed(
    transaction: &mut WriteTransaction<'_>,
    first_id: i64,
    last_id: i64,
) -> rusqlite::Result<Vec<UnclaimedDelivery>> {
    let deliveries =
        transaction.query_all(LOAD_UNCLAIMED, [first_id, last_id], |row| decode_unclaimed_delivery(row))?;
    Ok(deliveries.into_iter().flatten().collect())
}

/// Changes the state of a delivery. The expiry of a failed delivery becomes `expires_at`, unless it is later already.
pub fn save_state(
    transaction: &mut WriteTransaction<'_>,
    delivery: &UnclaimedDelivery,
    new_state: &DeliveryState,
    now: Timestamp,
    expires_at: Timestamp,
) -> rusqlite::Result<()> {
    let rollup_position = transaction.rollup_position()?;
    let columns = StateColumns::from_state(new_state);
    let state_values = params![
        delivery.id.0,
        columns.state,
        columns.failure,
        columns.reason,
        columns.due_at,
        columns.ended_at,
        expires_at.timestamp_millis(),
        rollup_position,
    ];
    transaction.execute(SAVE_STATE, state_values)?;
    if let Some(event) = delivery.change_event(new_state, now) {
        events::insert_event(transaction, &event)?;
    }
    Ok(())
}

/// Cancels the waiting deliveries to an address that is no longer active, except deliveries that a worker holds.
pub fn suppress_waiting(
    transaction: &mut WriteTransaction<'_>,
    channel: &ConfigName,
    address: &str,
    status: RecipientStatus,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let address_and_channel = [address, channel.as_str()];
    for id in transaction.query_all(WAITING_FOR_ADDRESS, address_and_channel, |row| row.integer("id"))? {
        for delivery in load_unclaimed(transaction, id, id)? {
            if let Some(suppressed_state) = delivery.state.suppress(status, now) {
                save_state(transaction, &delivery, &suppressed_state, now, now)?;
            }
        }
    }
    Ok(())
}
