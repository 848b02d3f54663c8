//! Reads which recipients are not active, and makes recipients with invalid addresses inactive.
//!
//! A recipient without a row is active. The status is read when a message is accepted, when a delivery is claimed, and
//! when a receipt calls an address invalid.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::pool::{PgTransaction, bind, column};
use super::{errors::PgError, escape::escape_text};
use crate::{accept::refuses, rows::SqlRow};
use postrider_core::{
    contact::Contact, id::DeliveryId, message::NewDelivery, name::ConfigName, recipient::RecipientStatus,
    round::InvalidatedAddress,
};

static FIND_SUPPRESSED: &str = sql!("postgres/accept/find_suppressed_recipients");
static DEACTIVATE: &str = sql!("postgres/recipients/deactivate_recipient");

/// The recipients, as channel and address, that are not active, with their status.
#[derive(Default)]
pub struct SuppressedAddresses(HashMap<(String, String), RecipientStatus>);

impl SuppressedAddresses {
    /// Reads the status of these recipients.
    pub async fn load(transaction: &PgTransaction, recipients: Vec<(&str, &str)>) -> Result<Self, PgError> {
        if recipients.is_empty() {
            return Ok(Self::default());
        }
        let (channels, addresses): (Vec<_>, Vec<_>) = recipients.into_iter().unzip();
        let decode = |row: &Row| {
            let recipient = (row.word("channel")?.to_owned(), row.word("address")?.to_owned());
            Ok((recipient, row.parsed("status", RecipientStatus::parse)?))
        };
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

    /// Returns why no address of the delivery is active; none if one is, or if the delivery is rejected anyway.
    pub fn status_of(&self, delivery: &NewDelivery) -> Option<RecipientStatus> {
        if self.0.is_empty() || delivery.rejection_reason.is_some() {
            return None;
        }
        self.status_of_addresses(delivery).filter(|status| refuses(*status, delivery))
    }

    fn status_of_addresses(&self, delivery: &NewDelivery) -> Option<RecipientStatus> {
        if delivery.contacts.is_empty() {
            return self.find(&delivery.channel, &delivery.address);
        }
        let statuses = delivery.contacts.iter().map(|contact| self.find(&delivery.channel, &contact.address));
        statuses.reduce(|all, status| Some(all?.or_opted_out(status?))).flatten()
    }

    /// Returns the status of an address that is not active.
    fn find(&self, channel: &ConfigName, address: &str) -> Option<RecipientStatus> {
        self.0.get(&(channel.as_str().to_owned(), address.to_owned())).copied()
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
    let active = contacts.into_iter().filter(|contact| suppressed.find(channel, &contact.address).is_none());
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
