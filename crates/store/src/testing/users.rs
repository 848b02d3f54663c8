//! Conformance tests of users and their inboxes.

use super::broadcasts::{broadcast_to, fan_out_step, register_all, to_user, unfinished_broadcast, user};
use super::fixtures::*;
use postrider_core::broadcast::{BroadcastAudience, NewUser, UserRegistration};
use postrider_core::{address::AddressKind, contact::Contact, delivery::Failure};

fn phone(address: &str) -> Contact {
    Contact {
        kind: AddressKind::Phone,
        address: address.to_owned(),
        spelling: format!("as written {address}"),
    }
}

pub async fn a_user_registered_twice_exists_once(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana", "ben/1 \u{0}"]).await;
    let registrations = store.register_users(vec![user("ana"), user("cid"), user("cid")]).await;
    use UserRegistration::{Added, Unchanged};
    assert_eq!(registrations.unwrap(), [Unchanged, Added, Unchanged]);
    let user_ids = ["ana", "ben/1 \u{0}", "cid"];
    for (id, number) in user_ids.into_iter().zip(1..) {
        assert_eq!(store.users_with_id(id).await.unwrap()[0].number, number, "{id}");
    }
    assert_eq!(store.users_with_id("dan").await.unwrap(), []);
}

pub async fn registering_again_changes_only_given_fields(open: OpenStore<'_>) {
    let store = open();
    let ana =
        NewUser { name: Some("Ana".to_owned()), contacts: Some(vec![phone("+989121111111")]), ..user("ana") };
    store.register_users(vec![ana.clone()]).await.unwrap();
    let renaming = NewUser { name: Some("Anna".to_owned()), created_at: at(9), ..user("ana") };
    assert_eq!(store.register_users(vec![renaming]).await.unwrap(), [UserRegistration::Changed]);
    let renamed_user = store.users_with_id("ana").await.unwrap().remove(0);
    assert_eq!(renamed_user.name.as_deref(), Some("Anna"));
    assert_eq!((renamed_user.contacts, renamed_user.created_at), (vec![phone("+989121111111")], at(0)));
    let without_contacts = NewUser { contacts: Some(vec![]), ..user("ana") };
    assert_eq!(store.register_users(vec![without_contacts]).await.unwrap(), [UserRegistration::Changed]);
    assert_eq!(store.users_with_id("ana").await.unwrap().remove(0).contacts, []);
}

pub async fn a_user_inbox_has_only_sent_messages(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana", "ben"]).await;
    let own_delivery = accepted(&*store, to_user(1, "ana")).await;
    store.create_broadcast(broadcast_to(9, BroadcastAudience::All)).await.unwrap();
    let broadcast = unfinished_broadcast(&*store).await;
    fan_out_step(&*store, &broadcast, 9, 2).await;
    let broadcast_delivery = first_delivery(&*store, 2).await.id;
    accepted(&*store, to_user(4, "ana")).await;
    let failed_delivery = accepted(&*store, to_user(5, "ana")).await;
    for (delivery_id, reference) in [(own_delivery, "own"), (broadcast_delivery, "news")] {
        claim_and_send(&*store, delivery_id, "blue", reference, at(1)).await;
    }
    claim_and_fail(&*store, failed_delivery, Failure::Rejected, at(1)).await;
    let inbox_page = store.user_inbox("ana", None, None, 9).await.unwrap();
    let listed_messages =
        inbox_page.messages.iter().map(|(message, broadcast_id)| (message.id, *broadcast_id));
    let expected_messages = [(id(2), Some(id(9))), (id(1), None)];
    assert_eq!(listed_messages.collect::<Vec<_>>(), expected_messages);
    assert_eq!(inbox_page.next, None);
    let first_page = store.user_inbox("ana", None, None, 1).await.unwrap();
    assert_eq!(first_page.messages[0].0.id, id(2));
    let second_page = store.user_inbox("ana", None, first_page.next, 1).await.unwrap();
    assert_eq!((second_page.messages[0].0.id, second_page.next), (id(1), None));
    assert_eq!(store.user_inbox("ben", None, None, 9).await.unwrap().messages, []);
}
