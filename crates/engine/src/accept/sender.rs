//! Chooses and checks the sender of a message.

use super::request::{AcceptError, AcceptRequest};
use crate::gateway::Gateway;
use postrider_core::address::{AddressKind, parse_address};

/// Longest number that a phone network takes as a sender, in digits (E.164).
const NUMBER_DIGITS_MAX: usize = 15;

/// Longest name that a phone network takes as a sender, in characters (GSM 03.40).
const NAME_CHARS_MAX: usize = 11;

/// Returns the sender that the client named, or the default sender of its account; none leaves it to the provider.
///
/// # Errors
/// The text is no sender, or the account may not use it.
pub(super) fn choose_sender(
    gateway: &Gateway,
    request: &AcceptRequest,
) -> Result<Option<String>, AcceptError> {
    let account = gateway.api_key(&request.api_key_name);
    let account = account.as_ref().map(|key| &key.account);
    let default_sender = || account.and_then(|account| account.default_sender.clone());
    let Some(sender) = request.sender.clone().or_else(default_sender) else {
        return Ok(None);
    };
    if !is_phone_sender(&sender) && parse_address(AddressKind::Email, &sender, &gateway.config.phone).is_err()
    {
        return Err(AcceptError::InvalidSender);
    }
    if account.is_some_and(|account| !account.allows_sender(&sender)) {
        return Err(AcceptError::SenderNotAllowed);
    }
    Ok(Some(sender))
}

/// Returns whether the text is a number, with or without `+`, or a name of letters, digits, blanks and `._-&`.
fn is_phone_sender(sender: &str) -> bool {
    let digits = sender.strip_prefix('+').unwrap_or(sender);
    let is_number = (1..=NUMBER_DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|character| character.is_ascii_digit());
    let is_name_character =
        |character: char| character.is_ascii_alphanumeric() || " ._-&".contains(character);
    let is_name = (1..=NAME_CHARS_MAX).contains(&sender.len())
        && sender.trim() == sender
        && sender.chars().all(is_name_character);
    is_number || is_name
}

#[cfg(test)]
mod tests;
