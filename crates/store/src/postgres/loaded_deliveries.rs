//! Loads deliveries that receipts change, and saves the changes.

use std::collections::BTreeMap;

use super::pool::{PgTransaction, bind, column};
use super::suppressed::{active_contacts, deactivate_addresses};
use super::{errors::PgError, escape::escape_text, event_outbox::insert_events};
use crate::receipts::LoadedDelivery;
use crate::rows::deliveries::{StateColumns, decode_loaded_delivery};
use postrider_core::{id::DeliveryId, name::ConfigName};

static LOAD: &str = sql!("postgres/receipts/load_delivery");
static SAVE: &str = sql!("postgres/receipts/apply_receipt");

/// Returns the deliveries, locked until the transaction ends.
pub async fn load_deliveries(
    transaction: &PgTransaction,
    ids: impl Iterator<Item = DeliveryId>,
) -> Result<BTreeMap<DeliveryId, LoadedDelivery>, PgError> {
    let ids = ids.map(|id| id.0).collect::<Vec<_>>();
    let mut loaded = BTreeMap::new();
    for row in &transaction.query(LOAD, bind![ids]).await? {
        let mut delivery = decode_loaded_delivery(row)?;
        if let Some(contacts) = delivery.contacts.take() {
            delivery.contacts = Some(active_contacts(transaction, &delivery.channel, contacts).await?);
        }
        loaded.insert(delivery.id, delivery);
    }
    Ok(loaded)
}

/// Saves the deliveries that receipts have changed, with their events and invalid addresses.
pub async fn save_deliveries(
    transaction: &PgTransaction,
    deliveries: impl Iterator<Item = LoadedDelivery>,
) -> Result<(), PgError> {
    let changed = deliveries.filter(|delivery| delivery.change.is_some()).collect::<Vec<_>>();
    if changed.is_empty() {
        return Ok(());
    }
    let state_columns = column(&changed, |delivery| StateColumns::from_state(&delivery.state));
    let values = bind![
        column(&changed, |delivery| delivery.id.0),
        column(&state_columns, |state| state.state),
        column(&state_columns, |state| state.failure),
        column(&state_columns, |state| state.reason.map(escape_text)),
        column(&state_columns, |state| state.due_at),
        column(&state_columns, |state| state.ended_at),
        column(&changed, |delivery| i64::from(delivery.resends_left)),
        column(&changed, LoadedDelivery::avoided_provider),
        column(&changed, |delivery| delivery.opened_at.map(|at| at.timestamp_millis())),
        column(&changed, |delivery| delivery.provider.as_ref().map(ConfigName::as_str)),
        column(&changed, |delivery| delivery.reference.as_deref().map(escape_text)),
    ];
    transaction.execute(SAVE, values).await?;
    let changes = changed.iter().filter_map(|delivery| delivery.change.as_ref());
    insert_events(transaction, changes.flat_map(|change| &change.new_events)).await?;
    let invalidated =
        changed.iter().filter_map(|delivery| Some((delivery.id, delivery.invalidated_address()?)));
    deactivate_addresses(transaction, &invalidated.collect::<Vec<_>>()).await
}
