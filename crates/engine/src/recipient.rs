//! Whether an address may be written to: what is known of it, who said so and why, and an operator's own word.
//!
//! Messages that were refused in the meantime are not sent by a change.

use crate::gateway::Gateway;
use postrider_core::address::{AddressError, parse_address_of_kinds};
use postrider_core::error::{Error, Result};
use postrider_core::name::ConfigName;
use postrider_core::recipient::{Recipient, RecipientStatus};

/// The longest reason or name of who says so, in characters.
pub const REASON_CHARS_MAX: usize = 500;

/// Whoever changes something without saying who he is.
pub const DEFAULT_CHANGED_BY: &str = "operator";

/// The reason of somebody who gives none.
pub const DEFAULT_REASON: &str = "changed by hand";

/// An address as its channel reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientAddress {
    /// On which channel.
    pub channel: ConfigName,
    /// In the one form it is kept in.
    pub address: String,
}

/// Why there is no such recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientError {
    /// The configuration has no channel of that name.
    UnknownChannel,
    /// It is no address of the channel.
    InvalidAddress(AddressError),
}

/// Reads an address in any spelling that its channel takes.
pub fn parse_recipient(
    gateway: &Gateway,
    channel: &str,
    typed: &str,
) -> std::result::Result<RecipientAddress, RecipientError> {
    let route = gateway.route(channel).ok_or(RecipientError::UnknownChannel)?;
    let read = parse_address_of_kinds(route.address_kinds(), typed, &gateway.config.phone);
    let (_, normalised) = read.map_err(RecipientError::InvalidAddress)?;
    Ok(RecipientAddress {
        channel: route.channel.name.clone(),
        address: normalised,
    })
}

/// What is known of an address; none when nothing was ever said of it, which means active.
pub async fn find_recipient(gateway: &Gateway, address: &RecipientAddress) -> Result<Option<Recipient>> {
    gateway.store.recipient(&address.channel, &address.address).await
}

/// Somebody's word on an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientStatusChange {
    /// Whether it may be written to.
    pub status: RecipientStatus,
    /// Why; empty stands for [`BY_HAND`].
    pub reason: String,
    /// Who says so; empty stands for [`OPERATOR`].
    pub changed_by: String,
}

/// Keeps a word; what was known before gives way.
pub async fn set_status(
    gateway: &Gateway,
    address: &RecipientAddress,
    word: RecipientStatusChange,
) -> Result<Recipient> {
    let changed = Recipient {
        channel: address.channel.clone(),
        address: address.address.clone(),
        status: word.status,
        reason: validate_line(&word.reason, "the reason", DEFAULT_REASON)?,
        changed_by: validate_line(&word.changed_by, "the name", DEFAULT_CHANGED_BY)?,
        changed_at: gateway.clock.now(),
    };
    gateway.store.set_recipient(changed.clone()).await?;
    Ok(changed)
}

fn validate_line(text: &str, what: &str, otherwise: &str) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > REASON_CHARS_MAX || text.contains(char::is_control) {
        return Err(Error::usage(format!(
            "{what} must be at most {REASON_CHARS_MAX} characters on one line"
        )));
    }
    Ok(if text.is_empty() { otherwise } else { text }.to_owned())
}
