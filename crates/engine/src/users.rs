//! Users register: what is said of them is checked and stored. Registering again changes what is given, nothing else.
//!
//! Nobody is written to.

use crate::gateway::Gateway;
use postrider_core::address::{AddressError, AddressKind, PhoneRules, parse_address};
use postrider_core::broadcast::{NewUser, USER_CHARS_MAX, UserRegistration};
use postrider_core::clock::Timestamp;
use postrider_core::contact::{self, Contact};
use postrider_core::error::Result;

/// Why somebody cannot register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidUser {
    /// The id is empty, too long, or has a control character or a blank at an end.
    Id,
    /// So has the name.
    Name,
    /// One of the contacts is not what it is said to be.
    Contact {
        /// What it is said to be.
        kind: AddressKind,
        /// What is wrong with it.
        cause: AddressError,
    },
}

/// Somebody who wants to register, checked. Contacts that are not given stay as they are.
pub fn validate(
    rules: &PhoneRules,
    id: String,
    name: Option<String>,
    contacts: Option<Vec<(AddressKind, String)>>,
    now: Timestamp,
) -> std::result::Result<NewUser, InvalidUser> {
    if !is_valid_name(&id) {
        return Err(InvalidUser::Id);
    }
    if name.as_deref().is_some_and(|name| !is_valid_name(name)) {
        return Err(InvalidUser::Name);
    }
    let contact = |(kind, typed): (AddressKind, String)| match parse_address(kind, &typed, rules) {
        Ok(address) => Ok(Contact {
            kind,
            address,
            // As it will be read back, so that the same again changes nothing.
            spelling: contact::replace_control_chars(&typed),
        }),
        Err(why) => Err(InvalidUser::Contact { kind, cause: why }),
    };
    let contacts = contacts.map(|contacts| contacts.into_iter().map(contact).collect());
    Ok(NewUser {
        id,
        name,
        contacts: contacts.transpose()?,
        created_at: now,
    })
}

fn is_valid_name(text: &str) -> bool {
    let is_clean = text.trim() == text && !text.contains(char::is_control);
    is_clean && !text.is_empty() && text.chars().count() <= USER_CHARS_MAX
}

/// Registers users in one transaction, or changes those who are there.
pub async fn register(gateway: &Gateway, users: Vec<NewUser>) -> Result<Vec<UserRegistration>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    gateway.store.register_users(users).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::clock::from_millis;

    fn checked(
        id: &str,
        name: Option<&str>,
        contacts: &[(AddressKind, &str)],
    ) -> std::result::Result<NewUser, InvalidUser> {
        let contacts = contacts.iter().map(|(kind, typed)| (*kind, (*typed).to_owned()));
        validate(
            &PhoneRules::default(),
            id.to_owned(),
            name.map(str::to_owned),
            Some(contacts.collect()),
            from_millis(0),
        )
    }

    #[test]
    fn ids_and_names_are_one_clean_line_that_is_not_too_long() {
        let longest = "ü".repeat(USER_CHARS_MAX);
        for good in ["a", "ana/7 ö", &longest] {
            assert!(checked(good, Some(good), &[]).is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a\nb", "\0", &format!("{longest}x")] {
            assert_eq!(checked(bad, None, &[]), Err(InvalidUser::Id), "{bad:?}");
            assert_eq!(checked("a", Some(bad), &[]), Err(InvalidUser::Name), "{bad:?}");
        }
    }

    #[test]
    fn contacts_are_kept_as_they_were_written_and_as_they_are_used() {
        let user = checked("a", None, &[(AddressKind::Phone, "0912 222 2222")]).unwrap();
        let contact = &user.contacts.unwrap()[0];
        assert_eq!(
            (contact.address.as_str(), contact.spelling.as_str()),
            ("+989122222222", "0912 222 2222")
        );
        let wrong = checked("a", None, &[(AddressKind::Email, "nobody")]);
        assert!(
            matches!(
                wrong,
                Err(InvalidUser::Contact {
                    kind: AddressKind::Email,
                    ..
                })
            ),
            "{wrong:?}"
        );
    }
}
