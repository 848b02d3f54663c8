//! Reads which recipients are not active, and makes recipients with invalid addresses inactive.
//!
//! A recipient without a row is active. The status is read when a message is accepted, when a delivery is claimed, and
//! when a receipt calls an address invalid.

use std::collections::HashSet;

use tokio_postgres::Row;

use super::pool::{PgTransaction, bind, column};
use super::{errors::PgError, escape::escape_text};
use crate::rows::SqlRow;
use postrider_core::{
    contact::Contact, id::DeliveryId, message::NewDelivery, name::ConfigName, round::InvalidatedAddress,
};

static FIND_SUPPRESSED: &str = sql!("postgres/accept/find_suppressed_recipients");
static DEACTIVATE: &str = sql!("postgres/recipients/deactivate_recipient");

/// The recipients, as channel and address, that are not active.
#[derive(Default)]
pub struct SuppressedAddresses(HashSet<(String, String)>);

impl SuppressedAddresses {
    /// Reads the status of these recipients.
    pub async fn load(transaction: &PgTransaction, recipients: Vec<(&str, &str)>) -> Result<Self, PgError> {
        if recipients.is_empty() {
            return Ok(Self::default());
        }
        let (channels, addresses): (Vec<_>, Vec<_>) = recipients.into_iter().unzip();
        let decode = |row: &Row| Ok((row.word("channel")?.to_owned(), row.word("address")?.to_owned()));
        transaction.query_all(FIND_SUPPRESSED, bind![channels, addresses], decode).await.map(Self)
    }

    /// Reads the status of all addresses of these deliveries.
    pub async fn load_for_deliveries(
        transaction: &PgTransaction,
        deliveries: impl Iterator<Item = &NewDelivery>,
    ) -> Result<Self, PgError> {
        let mut recipients = Vec::new();
        for delivery in deliveries {
            let channel = delivery.channel.as_str();
            recipients.push((channel, delivery.address.as_str()));
            let contacts = delivery.contacts.iter();
            recipients.extend(contacts.map(|contact| (channel, contact.address.as_str())));
        }
        Self::load(transaction, recipients).await
    }

    /// Returns whether no address of the delivery is active.
    pub fn contains_all_of(&self, delivery: &NewDelivery) -> bool {
        if delivery.contacts.is_empty() {
            return self.contains(&delivery.channel, &delivery.address);
        }
        let mut contacts = delivery.contacts.iter();
        contacts.all(|contact| self.contains(&delivery.channel, &contact.address))
    }

    /// Returns whether this address is not active.
    pub fn contains(&self, channel: &ConfigName, address: &str) -> bool {
        let recipient = || (channel.as_str().to_owned(), address.to_owned());
        !self.0.is_empty() && self.0.contains(&recipient())
    }
}

/// Returns only the active contacts.
pub async fn active_contacts(
    transaction: &PgTransaction,
    channel: &ConfigName,
    contacts: Vec<Contact>,
) -> Result<Vec<Contact>, PgError> {
    let recipients = contacts.iter().map(|contact| (channel.as_str(), contact.address.as_str()));
    let suppressed = SuppressedAddresses::load(transaction, recipients.collect()).await?;
    let active = contacts.into_iter().filter(|contact| !suppressed.contains(channel, &contact.address));
    Ok(active.collect())
}

/// Makes the addresses of deliveries inactive.
pub async fn deactivate_addresses(
    transaction: &PgTransaction,
    invalidated: &[(DeliveryId, InvalidatedAddress<'_>)],
) -> Result<(), PgError> {
    if invalidated.is_empty() {
        return Ok(());
    }
    let values = bind![
        column(invalidated, |(id, _)| id.0),
        column(invalidated, |(_, address)| escape_text(address.reason)),
        column(invalidated, |(_, address)| address.provider.as_str()),
        column(invalidated, |(_, address)| address.at.timestamp_millis()),
        column(invalidated, |(_, address)| address.address),
    ];
    transaction.execute(DEACTIVATE, values).await
}
