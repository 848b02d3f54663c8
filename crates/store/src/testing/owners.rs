//! Conformance tests of owners: what one API key stored is separate from what another one stored.

use super::broadcasts::{broadcast_to, fan_out_step, user};
use super::fixtures::*;
use crate::{MessageList, MessageQuery, Store, UsageQuery};
use postrider_core::broadcast::{
    BroadcastAcceptance, BroadcastAudience, NewBroadcast, NewUser, UserRegistration,
};
use postrider_core::delivery::{DeliveryStateKind, Failure};
use postrider_core::{id::MessageId, message::NewMessage};

/// Two keys, and the messages that belong to no single key.
const OWNERS: [&str; 3] = ["shop", "bank \u{1A}", ""];

/// Returns an SMS to the user "ana" that belongs to an owner.
fn owned_by(owner: &str, number: u64) -> NewMessage {
    NewMessage { owner: owner.to_owned(), user: Some("ana".to_owned()), ..sms(number) }
}

fn user_of(owner: &str, id: &str) -> NewUser {
    NewUser { owner: owner.to_owned(), ..user(id) }
}

fn broadcast_of(owner: &str, number: u64, audience: BroadcastAudience) -> NewBroadcast {
    NewBroadcast { owner: owner.to_owned(), ..broadcast_to(number, audience) }
}

fn listed(user_id: &str) -> BroadcastAudience {
    BroadcastAudience::Listed(vec![user_id.to_owned()])
}

/// Returns the ids of the first page, and its cursor.
fn page_of(list: MessageList) -> (Vec<MessageId>, Option<i64>) {
    (list.messages.into_iter().map(|message| message.id).collect(), list.next)
}

/// Stores nine messages, each owner in turn; the second message of each owner fails and the third is sent.
async fn store_nine_messages(store: &dyn Store) {
    for number in 0..9_u64 {
        let owner = OWNERS[usize::try_from(number % 3).unwrap()];
        let delivery = accepted(store, owned_by(owner, number)).await;
        match number / 3 {
            0 => {}
            1 => claim_and_fail(store, delivery, Failure::Rejected, at(1)).await,
            _ => claim_and_send(store, delivery, "blue", &format!("ref {number}"), at(1)).await,
        }
    }
}

pub async fn a_search_finds_the_messages_of_one_owner(open: OpenStore<'_>) {
    let store = open();
    store_nine_messages(&*store).await;
    for (first, owner) in (0..).zip(OWNERS) {
        assert_eq!(find_message(&*store, first).await.owner, owner);
        let query = MessageQuery { owner: Some(owner.to_owned()), limit: 9, ..MessageQuery::default() };
        let to_address = MessageQuery { to: Some("+989121111111".to_owned()), ..query.clone() };
        for query in [query.clone(), to_address] {
            let found = page_of(store.search(query.clone()).await.unwrap());
            assert_eq!(found, (vec![id(first + 6), id(first + 3), id(first)], None), "{query:?}");
            for (state, number) in [
                (DeliveryStateKind::Waiting, first),
                (DeliveryStateKind::Failed, first + 3),
                (DeliveryStateKind::Sent, first + 6),
            ] {
                let query = MessageQuery { state: Some(state), ..query.clone() };
                assert_eq!(page_of(store.search(query.clone()).await.unwrap()), (vec![id(number)], None));
                let later = MessageQuery { since: Some(at(1)), ..query };
                assert_eq!(page_of(store.search(later).await.unwrap()), (vec![], None));
            }
        }
        let (ids, next) = page_of(store.search(MessageQuery { limit: 2, ..query.clone() }).await.unwrap());
        assert_eq!(ids, [id(first + 6), id(first + 3)]);
        let last_page = MessageQuery { before: next, ..query };
        assert_eq!(page_of(store.search(last_page).await.unwrap()), (vec![id(first)], None));
    }
    let unknown = MessageQuery { owner: Some("other".to_owned()), limit: 9, ..MessageQuery::default() };
    assert_eq!(page_of(store.search(unknown).await.unwrap()), (vec![], None));
}

pub async fn usage_counts_the_messages_of_one_owner(open: OpenStore<'_>) {
    let store = open();
    store_nine_messages(&*store).await;
    for (first, owner) in (0..).zip(OWNERS) {
        for user in [None, Some("ana".to_owned())] {
            let query = UsageQuery { user, owner: Some(owner.to_owned()), limit: 9, ..UsageQuery::default() };
            let found = page_of(store.usage(query.clone()).await.unwrap());
            assert_eq!(found, (vec![id(first + 6), id(first + 3), id(first)], None), "{query:?}");
            let totals = store.usage_totals(query.clone()).await.unwrap();
            let counts = totals.rows.iter().map(|row| [row.deliveries, row.waiting, row.sent, row.failed]);
            assert_eq!(counts.collect::<Vec<_>>(), [[3, 1, 1, 1]], "{query:?}");
            let later = UsageQuery { since: Some(at(1)), ..query };
            assert_eq!(page_of(store.usage(later.clone()).await.unwrap()), (vec![], None));
            assert_eq!(store.usage_totals(later).await.unwrap().rows, []);
        }
        let inbox = store.user_inbox("ana", Some(owner), None, 9).await.unwrap();
        let inbox_ids = inbox.messages.iter().map(|(message, _)| message.id).collect::<Vec<_>>();
        assert_eq!(inbox_ids, [id(first + 6)]);
    }
    assert_eq!(store.user_inbox("ana", None, None, 9).await.unwrap().messages.len(), 3);
}

pub async fn each_owner_has_its_own_users(open: OpenStore<'_>) {
    let store = open();
    use UserRegistration::{Added, Changed, Unchanged};
    let named = |owner: &str, name: &str| NewUser { name: Some(name.to_owned()), ..user_of(owner, "ana") };
    let registrations = vec![named(OWNERS[0], "a"), named(OWNERS[1], "b"), named(OWNERS[2], "c")];
    assert_eq!(store.register_users(registrations).await.unwrap(), [Added; 3]);
    let registrations = vec![named(OWNERS[0], "a"), named(OWNERS[1], "changed")];
    assert_eq!(store.register_users(registrations).await.unwrap(), [Unchanged, Changed]);
    let users = store.users_with_id("ana").await.unwrap();
    let found = users.iter().map(|user| (user.owner.as_str(), user.name.as_deref().unwrap_or_default()));
    assert_eq!(found.collect::<Vec<_>>(), [(OWNERS[0], "a"), (OWNERS[1], "changed"), (OWNERS[2], "c")]);
}

pub async fn a_broadcast_goes_to_users_of_its_owner(open: OpenStore<'_>) {
    let store = open();
    let users = [("shop", "ana"), ("bank", "ben"), ("shop", "cid"), ("bank", "ana")];
    let registrations = users.iter().map(|(owner, id)| user_of(owner, id)).collect();
    store.register_users(registrations).await.unwrap();
    let to_all = broadcast_of("bank", 1, BroadcastAudience::All);
    let stored = store.create_broadcast(to_all).await.unwrap();
    assert_eq!(stored, BroadcastAcceptance::Stored { users: 2 });
    let broadcast = store.next_unfinished_broadcast(0).await.unwrap().unwrap();
    assert_eq!((broadcast.owner.as_str(), broadcast.users), ("bank", 2));
    let next_users = store.next_broadcast_users(&broadcast, 9).await.unwrap();
    let found = next_users.iter().map(|user| (user.owner.as_str(), user.id.as_str())).collect::<Vec<_>>();
    assert_eq!(found, [("bank", "ben"), ("bank", "ana")]);
    fan_out_step(&*store, &broadcast, 9, 10).await.unwrap();
    // A user of another owner is as unknown as one that does not exist.
    let to_foreign = store.create_broadcast(broadcast_of("bank", 2, listed("cid"))).await.unwrap();
    let unknown = BroadcastAcceptance::UnknownUsers { first: vec!["cid".to_owned()], count: 1 };
    assert_eq!(to_foreign, unknown);
    let to_own = store.create_broadcast(broadcast_of("bank", 3, listed("ana"))).await.unwrap();
    assert_eq!(to_own, BroadcastAcceptance::Stored { users: 1 });
    let broadcast = store.next_unfinished_broadcast(0).await.unwrap().unwrap();
    let next_users = store.next_broadcast_users(&broadcast, 9).await.unwrap();
    assert_eq!(next_users.iter().map(|user| user.number).collect::<Vec<_>>(), [4]);
    // An owner without users, even if others have some.
    let to_none = store.create_broadcast(broadcast_of("other", 4, BroadcastAudience::All)).await.unwrap();
    assert_eq!(to_none, BroadcastAcceptance::Stored { users: 0 });
    let numbers = async |owner: Option<&str>| {
        let broadcasts = store.broadcasts(owner, None, 9).await.unwrap();
        broadcasts.into_iter().map(|broadcast| broadcast.id).collect::<Vec<_>>()
    };
    assert_eq!(numbers(Some("bank")).await, [id(3), id(1)]);
    assert_eq!(numbers(Some("shop")).await, []);
    assert_eq!(numbers(None).await, [id(4), id(3), id(1)]);
}
