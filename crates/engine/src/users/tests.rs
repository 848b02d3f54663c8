use super::*;
use postrider_core::clock::from_millis;

fn validated(
    id: &str,
    name: Option<&str>,
    contacts: &[(AddressKind, &str)],
) -> std::result::Result<NewUser, InvalidUser> {
    let contacts = contacts.iter().map(|(kind, text)| (*kind, (*text).to_owned()));
    validate(
        &PhoneRules::default(),
        String::new(),
        id.to_owned(),
        name.map(str::to_owned),
        Some(contacts.collect()),
        from_millis(0),
    )
}

#[test]
fn ids_and_names_are_one_line_without_control_characters_and_not_too_long() {
    let longest = "ü".repeat(USER_CHARS_MAX);
    for good in ["a", "ana/7 ö", &longest] {
        assert!(validated(good, Some(good), &[]).is_ok(), "{good}");
    }
    for bad in ["", " a", "a ", "a\nb", "\0", &format!("{longest}x")] {
        assert_eq!(validated(bad, None, &[]), Err(InvalidUser::Id), "{bad:?}");
        assert_eq!(validated("a", Some(bad), &[]), Err(InvalidUser::Name), "{bad:?}");
    }
}

#[test]
fn contacts_are_stored_as_written_and_normalised() {
    let user = validated("a", None, &[(AddressKind::Phone, "0912 222 2222")]).unwrap();
    let contact = &user.contacts.unwrap()[0];
    assert_eq!((contact.address.as_str(), contact.spelling.as_str()), ("+989122222222", "0912 222 2222"));
    let invalid = validated("a", None, &[(AddressKind::Email, "no-address")]);
    assert!(matches!(invalid, Err(InvalidUser::Contact { kind: AddressKind::Email, .. })), "{invalid:?}");
}
