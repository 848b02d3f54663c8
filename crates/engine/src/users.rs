//! Registers users: validates and stores their names and contacts.
//!
//! Registering a user again changes the given fields only. Sends nothing.

use crate::gateway::{Gateway, Route};
use postrider_core::address::{AddressError, AddressKind, PhoneRules, parse_address};
use postrider_core::broadcast::{NewUser, USER_CHARS_MAX, User, UserRegistration};
use postrider_core::contact::{self, Contact};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{clock::Timestamp, error::Result};

/// The reason why a user cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidUser {
    /// The id is empty, too long, has a control character, or begins or ends with a blank.
    Id,
    /// The name has one of the faults of [`InvalidUser::Id`].
    Name,
    /// A contact is not valid for its kind.
    Contact {
        /// Address kind that the client stated.
        kind: AddressKind,
        /// Why the contact is invalid.
        cause: AddressError,
    },
}

/// Validates a registration. Contacts that are `None` stay unchanged.
pub fn validate(
    rules: &PhoneRules,
    owner: String,
    user_id: String,
    user_name: Option<String>,
    contacts: Option<Vec<(AddressKind, String)>>,
    now: Timestamp,
) -> std::result::Result<NewUser, InvalidUser> {
    if !is_valid_name(&user_id) {
        return Err(InvalidUser::Id);
    }
    if user_name.as_deref().is_some_and(|user_name| !is_valid_name(user_name)) {
        return Err(InvalidUser::Name);
    }
    let parse_contact = |(kind, text): (AddressKind, String)| {
        let address =
            parse_address(kind, &text, rules).map_err(|cause| InvalidUser::Contact { kind, cause })?;
        // The spelling that the store would return, so that registering the same contact again changes nothing.
        Ok(Contact { kind, address, spelling: contact::replace_control_chars(&text) })
    };
    let contacts = contacts.map(|contacts| contacts.into_iter().map(parse_contact).collect());
    Ok(NewUser { id: user_id, owner, name: user_name, contacts: contacts.transpose()?, created_at: now })
}

fn is_valid_name(user_name: &str) -> bool {
    let is_clean = user_name.trim() == user_name && !user_name.contains(char::is_control);
    is_clean && !user_name.is_empty() && user_name.chars().count() <= USER_CHARS_MAX
}

/// Registers or updates users in one transaction.
pub async fn register(gateway: &Gateway, users: Vec<NewUser>) -> Result<Vec<UserRegistration>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let tokens = push_tokens(&users);
    let registrations = gateway.store.register_users(users).await?;
    for token in tokens {
        activate_token(gateway, &token).await?;
    }
    Ok(registrations)
}

fn push_tokens(users: &[NewUser]) -> Vec<String> {
    let contacts = users.iter().filter_map(|user| user.contacts.as_ref()).flatten();
    let is_token = |contact: &&Contact| contact.kind == AddressKind::Push;
    contacts.filter(is_token).map(|contact| contact.address.clone()).collect()
}

/// Makes a registered push token active on every channel that takes push tokens, and notes the time: an app registers the
/// token that its device has now, so earlier reports about the token no longer count. An opt-out stays.
async fn activate_token(gateway: &Gateway, token: &str) -> Result<()> {
    let takes_tokens = |route: &&Route| route.address_kinds().contains(&AddressKind::Push);
    for route in gateway.all_routes().filter(takes_tokens) {
        let known = gateway.store.recipient(&route.channel.name, token).await?;
        if known.is_some_and(|recipient| recipient.status == RecipientStatus::OptedOut) {
            continue;
        }
        let recipient = Recipient {
            channel: route.channel.name.clone(),
            address: token.to_owned(),
            status: RecipientStatus::Active,
            reason: "registered by the app".to_owned(),
            changed_by: "registration".to_owned(),
            changed_at: gateway.clock.now(),
        };
        gateway.store.set_recipient(recipient).await?;
    }
    Ok(())
}

/// Returns the user that an API key means by an id: the user that the key registered. With `can_see_all` and no such
/// user, returns the one that was registered first.
pub async fn find(gateway: &Gateway, owner: &str, can_see_all: bool, id: &str) -> Result<Option<User>> {
    let mut users = gateway.store.users_with_id(id).await?;
    let own_position = users.iter().position(|user| user.owner == owner);
    let position = own_position.or_else(|| (can_see_all && !users.is_empty()).then_some(0));
    Ok(position.map(|position| users.swap_remove(position)))
}

#[cfg(test)]
mod tests;
