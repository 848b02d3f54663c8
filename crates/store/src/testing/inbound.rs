//! Conformance tests of inbound messages: stored once with the changes they ask for, listed, and forwarded.

use super::fixtures::*;
use crate::{EventQuery, InboundQuery, Store};
use postrider_core::event::{Event, EventTarget, EventType};
use postrider_core::id::MessageId;
use postrider_core::inbound::{OptAction, OptChange};
use postrider_core::inbound_record::{
    InboundAction, InboundRecord, InboundTarget, NewInbound, StoredInbound,
};
use postrider_core::recipient::RecipientStatus;

const PERSON: &str = "+989121111111";

fn inbound_id(number: u8) -> MessageId {
    MessageId::new(at(i64::from(number)), [number; 10])
}

/// Returns an inbound message that is received at `at(number)`.
fn record(number: u8) -> InboundRecord {
    InboundRecord {
        id: inbound_id(number),
        provider: name("blue"),
        reference: Some(format!("mo-{number}")),
        channel: Some(name("sms")),
        from: PERSON.to_owned(),
        to: "983000".to_owned(),
        body: format!("text {number} \u{1F600}\0<&>"),
        is_incomplete: number.is_multiple_of(2),
        sent_at: at(i64::from(number) - 1),
        received_at: at(i64::from(number)),
        action: InboundAction::None,
        in_reply_to: Some(id(7)),
        account: "shop".to_owned(),
        route: Some("orders".to_owned()),
        target: Some(InboundTarget::Webhook),
        forwarded_at: None,
    }
}

fn plain(record: InboundRecord) -> NewInbound {
    NewInbound { record, changes: vec![], event_target: None }
}

fn opt_out(record: InboundRecord) -> NewInbound {
    let change = OptChange {
        channel: name("sms"),
        address: PERSON.to_owned(),
        action: OptAction::OptOut,
        reason: "sent \"STOP\"".to_owned(),
        provider: record.provider.clone(),
        reference: record.reference.clone(),
        at: record.sent_at,
    };
    let record = InboundRecord { action: InboundAction::OptOut, ..record };
    NewInbound { record, changes: vec![change], event_target: None }
}

async fn stored(store: &dyn Store, message: NewInbound) -> StoredInbound {
    store.store_inbound(vec![message]).await.unwrap().remove(0)
}

async fn list(store: &dyn Store, query: InboundQuery) -> Vec<MessageId> {
    let query = InboundQuery { limit: 100, ..query };
    store.inbound_messages(query).await.unwrap().into_iter().map(|record| record.id).collect()
}

async fn events_of(store: &dyn Store, message: MessageId) -> Vec<Event> {
    let query = EventQuery { message: Some(message), limit: 100, ..EventQuery::default() };
    store.events(query).await.unwrap()
}

pub async fn an_inbound_message_is_found_as_it_was_stored(open: OpenStore<'_>) {
    let store = open();
    let bare = InboundRecord {
        reference: None,
        channel: None,
        in_reply_to: None,
        account: String::new(),
        route: None,
        target: None,
        ..record(2)
    };
    for record in [record(1), bare] {
        let result = stored(&*store, plain(record.clone())).await;
        assert_eq!((result.id, result.is_new, result.has_changed_status), (record.id, true, false));
        assert_eq!(open().find_inbound(record.id).await.unwrap(), Some(record));
    }
    assert_eq!(store.find_inbound(inbound_id(9)).await.unwrap(), None);
}

pub async fn a_repeated_inbound_message_is_stored_once(open: OpenStore<'_>) {
    let store = open();
    let first = stored(&*store, opt_out(record(1))).await;
    assert_eq!((first.has_changed_status, first.is_applied), (true, vec![true]));
    let repeated = InboundRecord { reference: record(1).reference, ..record(2) };
    let second = stored(&*store, opt_out(repeated)).await;
    assert_eq!((second.id, second.is_new), (inbound_id(1), false));
    assert_eq!((second.has_changed_status, second.is_applied), (true, vec![false]));
    let of_other_provider =
        InboundRecord { provider: name("red"), reference: record(1).reference, ..record(3) };
    assert!(stored(&*store, plain(of_other_provider)).await.is_new, "references belong to one provider");
    for number in [4, 5] {
        let without_reference = InboundRecord { reference: None, ..record(number) };
        assert!(stored(&*store, plain(without_reference)).await.is_new);
    }
    assert_eq!(list(&*store, InboundQuery::default()).await, [5, 4, 3, 1].map(inbound_id));
}

pub async fn an_opt_out_and_its_inbound_message_are_stored_together(open: OpenStore<'_>) {
    let store = open();
    let result = stored(&*store, opt_out(record(1))).await;
    assert!(result.has_changed_status);
    let recipient = store.recipient(&name("sms"), PERSON).await.unwrap().unwrap();
    assert_eq!(recipient.status, RecipientStatus::OptedOut);
    let again = stored(&*store, opt_out(record(2))).await;
    assert_eq!((again.is_new, again.has_changed_status), (true, false));
}

pub async fn a_routed_inbound_message_has_an_event(open: OpenStore<'_>) {
    let store = open();
    let target = EventTarget::InboundRoute("orders".to_owned());
    for number in [1, 1, 2] {
        let message = NewInbound { event_target: Some(target.clone()), ..plain(record(number)) };
        stored(&*store, message).await;
    }
    stored(&*store, plain(record(3))).await;
    let events = events_of(&*store, inbound_id(1)).await;
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!((event.message, event.event_type), (inbound_id(1), EventType::Received));
    assert_eq!((&event.target, event.spelling.as_str()), (&target, PERSON));
    assert_eq!((event.provider.clone(), event.at), (Some(name("blue")), at(1)));
    assert_eq!(event.id().to_string().parse(), Ok(event.id()));
    assert_eq!(events_of(&*store, inbound_id(3)).await, []);
    let endpoints = vec![(target.queue_name(), 9)];
    let claims = store.claim_events(endpoints, at(10), LEASE).await.unwrap();
    assert_eq!(claims.len(), 2);
    assert_eq!(store.replay_events(vec![event.key], at(20)).await.unwrap(), 1);
}

pub async fn inbound_messages_are_listed_newest_first(open: OpenStore<'_>) {
    let store = open();
    let other_sender = InboundRecord { from: "+989120000000".to_owned(), ..record(2) };
    let other_account = InboundRecord { account: "news".to_owned(), ..record(3) };
    let other_receiver = InboundRecord { to: "Acme".to_owned(), provider: name("red"), ..record(4) };
    for record in [record(1), other_sender, other_account, other_receiver] {
        stored(&*store, plain(record)).await;
    }
    let all = InboundQuery::default();
    let from = InboundQuery { from: Some(PERSON.to_owned()), ..all.clone() };
    let account = InboundQuery { account: Some("shop".to_owned()), ..all.clone() };
    for (query, numbers) in [
        (all.clone(), vec![4, 3, 2, 1]),
        (InboundQuery { before: Some(inbound_id(3)), ..all.clone() }, vec![2, 1]),
        (InboundQuery { since: Some(at(2)), until: Some(at(4)), ..all.clone() }, vec![3, 2]),
        (InboundQuery { to: Some("Acme".to_owned()), ..all.clone() }, vec![4]),
        (InboundQuery { provider: Some(name("red")), ..all.clone() }, vec![4]),
        (from.clone(), vec![4, 3, 1]),
        (InboundQuery { account: Some("news".to_owned()), ..from.clone() }, vec![3]),
        (InboundQuery { since: Some(at(2)), ..from }, vec![4, 3]),
        (account.clone(), vec![4, 2, 1]),
        (InboundQuery { before: Some(inbound_id(2)), ..account }, vec![1]),
    ] {
        let ids = numbers.into_iter().map(inbound_id).collect::<Vec<_>>();
        assert_eq!(list(&*store, query.clone()).await, ids, "{query:?}");
    }
}

pub async fn an_inbound_message_waits_until_it_is_forwarded(open: OpenStore<'_>) {
    let store = open();
    let smpp = |number| InboundRecord { target: Some(InboundTarget::Smpp), ..record(number) };
    let without_target = InboundRecord { target: None, ..record(4) };
    for record in [smpp(1), smpp(2), record(3), without_target] {
        stored(&*store, plain(record)).await;
    }
    let waiting = async |account: &str| {
        let records = store.waiting_inbound(InboundTarget::Smpp, account, 9).await.unwrap();
        records.into_iter().map(|record| record.id).collect::<Vec<_>>()
    };
    assert_eq!(waiting("shop").await, [1, 2].map(inbound_id));
    assert_eq!(waiting("news").await, []);
    for now in [at(20), at(30)] {
        store.mark_forwarded(vec![inbound_id(1), inbound_id(4)], now).await.unwrap();
    }
    assert_eq!(waiting("shop").await, [inbound_id(2)]);
    let forwarded = store.find_inbound(inbound_id(1)).await.unwrap().unwrap();
    assert_eq!((forwarded.forwarded_at, forwarded.state()), (Some(at(20)), "forwarded"));
    assert_eq!(store.find_inbound(inbound_id(4)).await.unwrap().unwrap().state(), "kept");
}

pub async fn old_inbound_messages_are_deleted(open: OpenStore<'_>) {
    let store = open();
    for number in 1..=4 {
        stored(&*store, plain(record(number))).await;
    }
    assert_eq!(store.delete_expired(at(4), at(4), 2).await.unwrap(), 2);
    assert_eq!(list(&*store, InboundQuery::default()).await, [4, 3].map(inbound_id));
    store.delete_expired(at(4), at(4), 2).await.unwrap();
    assert_eq!(list(&*store, InboundQuery::default()).await, [inbound_id(4)]);
}

pub async fn the_confirmation_of_an_opt_out_is_stored(open: OpenStore<'_>) {
    let store = open();
    stored(&*store, opt_out(record(1))).await;
    let mut confirmation = sms(1);
    confirmation.deliveries[0].ignores_opt_out = true;
    let delivery = accepted(&*store, confirmation).await;
    claimed(&*store, delivery, at(1)).await;
    assert_eq!(
        store.accept(vec![sms(2)]).await.unwrap(),
        [postrider_core::message::Acceptance::Suppressed(RecipientStatus::OptedOut)]
    );
}
