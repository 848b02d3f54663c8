//! Who may be written to: asked when a message comes in, when it is claimed, and when a receipt calls an address dead.
//!
//! No row means that nothing was ever said, so that it may. Changes nothing.

use std::collections::HashSet;

use super::fault::Trouble;
use super::link::{Desk, bind};
use super::rows;
use crate::domain::channel::Name;
use crate::domain::contact::Contact;
use crate::domain::message::NewDelivery;

static STANDING: &str = include_str!("../../../sql/postgres/accept_standing.sql");

/// Those who must not be written to.
#[derive(Default)]
pub struct Suppressed(HashSet<(String, String)>);

impl Suppressed {
    /// Looks these channels and addresses up.
    pub async fn among(desk: &Desk, asked: Vec<(&str, &str)>) -> Result<Self, Trouble> {
        if asked.is_empty() {
            return Ok(Self::default());
        }
        let (channels, addresses): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let found = desk.rows(STANDING, bind![channels, addresses]).await?;
        let read = |row| Ok((rows::get(row, 0)?, rows::get(row, 1)?));
        found.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Looks all addresses of these deliveries up.
    pub async fn of(desk: &Desk, deliveries: impl Iterator<Item = &NewDelivery>) -> Result<Self, Trouble> {
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
        Self::among(desk, asked).await
    }

    /// Whether none of the delivery's addresses may be written to.
    pub fn leave_nobody_of(&self, delivery: &NewDelivery) -> bool {
        let mut contacts = delivery.contacts.iter();
        if delivery.contacts.is_empty() {
            self.has(&delivery.channel, &delivery.address)
        } else {
            contacts.all(|contact| self.has(&delivery.channel, &contact.address))
        }
    }

    /// Whether that address must not be written to.
    pub fn has(&self, channel: &Name, address: &str) -> bool {
        !self.0.is_empty()
            && self
                .0
                .contains(&(channel.as_str().to_owned(), address.to_owned()))
    }
}

/// The contacts that may still be written to.
pub async fn those_left(
    desk: &Desk,
    channel: &Name,
    contacts: Vec<Contact>,
) -> Result<Vec<Contact>, Trouble> {
    let asked = contacts
        .iter()
        .map(|contact| (channel.as_str(), contact.address.as_str()));
    let suppressed = Suppressed::among(desk, asked.collect()).await?;
    let left = contacts
        .into_iter()
        .filter(|contact| !suppressed.has(channel, &contact.address));
    Ok(left.collect())
}
