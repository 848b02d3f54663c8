//! Users register: what is said of them is checked and stored. Registering again changes what is given, nothing else.
//!
//! Nobody is written to.

use crate::clock::Timestamp;
use crate::domain::broadcast::{NewUser, Registered, USER_CHARS_MAX};
use crate::domain::contact::{self, AddressKind, Contact};
use crate::domain::recipient::{self, BadAddress, PhoneRules};
use crate::error::Result;
use crate::gateway::Gateway;

/// Why somebody cannot register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The id is empty, too long, or has a control character or a blank at an end.
    Id,
    /// So has the name.
    Name,
    /// One of the contacts is not what it is said to be.
    Contact {
        /// What it is said to be.
        kind: AddressKind,
        /// What is wrong with it.
        why: BadAddress,
    },
}

/// Somebody who wants to register, checked. Contacts that are not given stay as they are.
pub fn check(
    rules: &PhoneRules,
    id: String,
    name: Option<String>,
    contacts: Option<Vec<(AddressKind, String)>>,
    now: Timestamp,
) -> std::result::Result<NewUser, Unfit> {
    if !is_name(&id) {
        return Err(Unfit::Id);
    }
    if name.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(Unfit::Name);
    }
    let contact = |(kind, typed): (AddressKind, String)| match recipient::read(kind, &typed, rules) {
        Ok(address) => Ok(Contact {
            kind,
            address,
            // As it will be read back, so that the same again changes nothing.
            spelling: contact::one_line(&typed),
        }),
        Err(why) => Err(Unfit::Contact { kind, why }),
    };
    let contacts = contacts.map(|contacts| contacts.into_iter().map(contact).collect());
    Ok(NewUser {
        id,
        name,
        contacts: contacts.transpose()?,
        created_at: now,
    })
}

fn is_name(text: &str) -> bool {
    let is_clean = text.trim() == text && !text.contains(char::is_control);
    is_clean && !text.is_empty() && text.chars().count() <= USER_CHARS_MAX
}

/// Registers users in one transaction, or changes those who are there.
pub async fn register(gateway: &Gateway, users: Vec<NewUser>) -> Result<Vec<Registered>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    gateway.store.register(users).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    fn checked(
        id: &str,
        name: Option<&str>,
        contacts: &[(AddressKind, &str)],
    ) -> std::result::Result<NewUser, Unfit> {
        let contacts = contacts.iter().map(|(kind, typed)| (*kind, (*typed).to_owned()));
        check(
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
            assert_eq!(checked(bad, None, &[]), Err(Unfit::Id), "{bad:?}");
            assert_eq!(checked("a", Some(bad), &[]), Err(Unfit::Name), "{bad:?}");
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
                Err(Unfit::Contact {
                    kind: AddressKind::Email,
                    ..
                })
            ),
            "{wrong:?}"
        );
    }
}
