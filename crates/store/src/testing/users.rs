//! Conformance tests of users and their inboxes.

use super::broadcasts::{broadcast_to, fan_out_step, register_all, to_user, unfinished_broadcast, user};
use super::fixtures::*;
use postrider_core::address::AddressKind;
use postrider_core::broadcast::{BroadcastAudience, NewUser, UserRegistration};
use postrider_core::contact::Contact;
use postrider_core::delivery::Failure;

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
    let again = store.register_users(vec![user("ana"), user("cid"), user("cid")]).await;
    use UserRegistration::{Added, Unchanged};
    assert_eq!(again.unwrap(), [Unchanged, Added, Unchanged]);
    let numbers = ["ana", "ben/1 \u{0}", "cid"];
    for (id, number) in numbers.into_iter().zip(1..) {
        assert_eq!(store.user(id).await.unwrap().unwrap().number, number, "{id}");
    }
    assert_eq!(store.user("dan").await.unwrap(), None);
}

pub async fn registering_again_changes_only_given_fields(open: OpenStore<'_>) {
    let store = open();
    let ana =
        NewUser { name: Some("Ana".to_owned()), contacts: Some(vec![phone("+989121111111")]), ..user("ana") };
    store.register_users(vec![ana.clone()]).await.unwrap();
    let renamed = NewUser { name: Some("Anna".to_owned()), created_at: at(9), ..user("ana") };
    assert_eq!(store.register_users(vec![renamed]).await.unwrap(), [UserRegistration::Changed]);
    let kept = store.user("ana").await.unwrap().unwrap();
    assert_eq!(kept.name.as_deref(), Some("Anna"));
    assert_eq!((kept.contacts, kept.created_at), (vec![phone("+989121111111")], at(0)));
    let without_contacts = NewUser { contacts: Some(vec![]), ..user("ana") };
    assert_eq!(store.register_users(vec![without_contacts]).await.unwrap(), [UserRegistration::Changed]);
    assert_eq!(store.user("ana").await.unwrap().unwrap().contacts, []);
}

pub async fn a_user_inbox_has_only_sent_messages(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana", "ben"]).await;
    let own = accepted(&*store, to_user(1, "ana")).await;
    store.create_broadcast(broadcast_to(9, BroadcastAudience::All)).await.unwrap();
    let broadcast = unfinished_broadcast(&*store).await;
    fan_out_step(&*store, &broadcast, 9, 2).await;
    let broadcast_delivery = first_delivery(&*store, 2).await.id;
    accepted(&*store, to_user(4, "ana")).await;
    let failed = accepted(&*store, to_user(5, "ana")).await;
    for (id, reference) in [(own, "own"), (broadcast_delivery, "news")] {
        claim_and_send(&*store, id, "blue", reference, at(1)).await;
    }
    claim_and_fail(&*store, failed, Failure::Rejected, at(1)).await;
    let inbox = store.user_inbox("ana", None, 9).await.unwrap();
    let listed = inbox.messages.iter().map(|(message, of)| (message.id, *of));
    let expected = [(id(2), Some(id(9))), (id(1), None)];
    assert_eq!(listed.collect::<Vec<_>>(), expected);
    assert_eq!(inbox.next, None);
    let first = store.user_inbox("ana", None, 1).await.unwrap();
    assert_eq!(first.messages[0].0.id, id(2));
    let second = store.user_inbox("ana", first.next, 1).await.unwrap();
    assert_eq!((second.messages[0].0.id, second.next), (id(1), None));
    assert_eq!(store.user_inbox("ben", None, 9).await.unwrap().messages, []);
}
