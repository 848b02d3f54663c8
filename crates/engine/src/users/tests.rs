use super::*;
use crate::config::Config;
use crate::testing::{GatewayBuilder, open_store};
use postrider_core::channel::Addressing;
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

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn registering_a_token_again_makes_it_active_unless_its_owner_opted_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::test_mode();
    for channel in &mut config.channels {
        channel.addressing = Addressing::ByProviders(AddressKind::Push);
    }
    let gateway = GatewayBuilder::new(config).wire(&open_store(folder.path())).await;
    let takes_tokens = |route: &&Route| route.address_kinds().contains(&AddressKind::Push);
    let Some(route) = gateway.all_routes().find(takes_tokens) else { panic!("no channel takes push tokens") };
    let channel = route.channel.name.clone();
    for (status, expected) in [
        (RecipientStatus::Inactive, RecipientStatus::Active),
        (RecipientStatus::OptedOut, RecipientStatus::OptedOut),
    ] {
        let recipient = Recipient {
            channel: channel.clone(),
            address: TOKEN.to_owned(),
            status,
            reason: "test".to_owned(),
            changed_by: "test".to_owned(),
            changed_at: from_millis(0),
        };
        gateway.store.set_recipient(recipient).await.unwrap();
        let user = validated("ana", None, &[(AddressKind::Push, TOKEN)]).unwrap();
        register(&gateway, vec![user]).await.unwrap();
        let known = gateway.store.recipient(&channel, TOKEN).await.unwrap().unwrap();
        assert_eq!(known.status, expected);
    }
}
