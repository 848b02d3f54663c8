//! Whether an address may be written to: what is known of it, who said so and why, and an operator's own word.
//!
//! Messages that were refused in the meantime are not sent by a change.

use crate::domain::channel::Name;
use crate::domain::recipient::{self, BadAddress, Recipient, Standing};
use crate::error::{Error, Result};
use crate::gateway::Gateway;

/// The longest reason or name of who says so, in characters.
pub const REASON_CHARS_MAX: usize = 500;

/// Whoever changes something without saying who he is.
pub const OPERATOR: &str = "operator";

/// The reason of somebody who gives none.
pub const BY_HAND: &str = "changed by hand";

/// An address as its channel reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// On which channel.
    pub channel: Name,
    /// In the one form it is kept in.
    pub normalised: String,
}

/// Why there is no such recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nobody {
    /// The configuration has no channel of that name.
    NoChannel,
    /// It is no address of the channel.
    BadAddress(BadAddress),
}

/// Reads an address in any spelling that its channel takes.
pub fn address(gateway: &Gateway, channel: &str, typed: &str) -> std::result::Result<Address, Nobody> {
    let route = gateway.route(channel).ok_or(Nobody::NoChannel)?;
    let read = recipient::read_as_one_of(route.kinds(), typed, &gateway.config.phone);
    let (_, normalised) = read.map_err(Nobody::BadAddress)?;
    Ok(Address {
        channel: route.channel.name.clone(),
        normalised,
    })
}

/// What is known of an address; none when nothing was ever said of it, which means active.
pub async fn look(gateway: &Gateway, address: &Address) -> Result<Option<Recipient>> {
    gateway
        .store
        .recipient(&address.channel, &address.normalised)
        .await
}

/// Somebody's word on an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Whether it may be written to.
    pub standing: Standing,
    /// Why; empty stands for [`BY_HAND`].
    pub reason: String,
    /// Who says so; empty stands for [`OPERATOR`].
    pub by: String,
}

/// Keeps a word; what was known before gives way.
pub async fn change(gateway: &Gateway, address: &Address, word: Word) -> Result<Recipient> {
    let changed = Recipient {
        channel: address.channel.clone(),
        address: address.normalised.clone(),
        standing: word.standing,
        reason: said(&word.reason, "the reason", BY_HAND)?,
        changed_by: said(&word.by, "the name", OPERATOR)?,
        changed_at: gateway.clock.now(),
    };
    gateway.store.set_recipient(changed.clone()).await?;
    Ok(changed)
}

fn said(text: &str, what: &str, otherwise: &str) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > REASON_CHARS_MAX || text.contains(char::is_control) {
        return Err(Error::usage(format!(
            "{what} must be at most {REASON_CHARS_MAX} characters on one line"
        )));
    }
    Ok(if text.is_empty() { otherwise } else { text }.to_owned())
}
