//! Who may be written to: asked when a message comes in, when it is claimed, and when a receipt calls an address dead.
//!
//! No row means that nothing was ever said, so that it may. Changes nothing.

use std::collections::HashSet;

use super::errors::PgError;
use super::pool::{PgTransaction, bind};
use super::rows;
use postrider_core::channel::ConfigName;
use postrider_core::contact::Contact;
use postrider_core::message::NewDelivery;

static FIND_SUPPRESSED: &str = sql!("postgres/accept/find_suppressed_recipients");

/// Those who must not be written to.
#[derive(Default)]
pub struct SuppressedAddresses(HashSet<(String, String)>);

impl SuppressedAddresses {
    /// Looks these channels and addresses up.
    pub async fn load(transaction: &PgTransaction, asked: Vec<(&str, &str)>) -> Result<Self, PgError> {
        if asked.is_empty() {
            return Ok(Self::default());
        }
        let (channels, addresses): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let found = transaction
            .query(FIND_SUPPRESSED, bind![channels, addresses])
            .await?;
        let read = |row| Ok((rows::get(row, 0)?, rows::get(row, 1)?));
        found.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Looks all addresses of these deliveries up.
    pub async fn load_for_deliveries(
        transaction: &PgTransaction,
        deliveries: impl Iterator<Item = &NewDelivery>,
    ) -> Result<Self, PgError> {
        let mut asked = Vec::new();
        for delivery in deliveries {
            let channel = delivery.channel.as_str();
            asked.push((channel, delivery.address.as_str()));
            asked.extend(
                delivery
                    .contacts
                    .iter()
                    .map(|contact| (channel, contact.address.as_str())),
            );
        }
        Self::load(transaction, asked).await
    }

    /// Whether none of the delivery's addresses may be written to.
    pub fn suppress_all_of(&self, delivery: &NewDelivery) -> bool {
        let mut contacts = delivery.contacts.iter();
        if delivery.contacts.is_empty() {
            self.contains(&delivery.channel, &delivery.address)
        } else {
            contacts.all(|contact| self.contains(&delivery.channel, &contact.address))
        }
    }

    /// Whether that address must not be written to.
    pub fn contains(&self, channel: &ConfigName, address: &str) -> bool {
        !self.0.is_empty()
            && self
                .0
                .contains(&(channel.as_str().to_owned(), address.to_owned()))
    }
}

/// The contacts that may still be written to.
pub async fn active_contacts(
    transaction: &PgTransaction,
    channel: &ConfigName,
    contacts: Vec<Contact>,
) -> Result<Vec<Contact>, PgError> {
    let asked = contacts
        .iter()
        .map(|contact| (channel.as_str(), contact.address.as_str()));
    let suppressed = SuppressedAddresses::load(transaction, asked.collect()).await?;
    let left = contacts
        .into_iter()
        .filter(|contact| !suppressed.contains(channel, &contact.address));
    Ok(left.collect())
}
