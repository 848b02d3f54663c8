//! Conformance tests of operator actions, searches, the backlog, snapshots and the store secret.

use super::fixtures::*;
use crate::{
    Backlog, Cancelled, DeliverySelection, MessageList, MessageQuery, ReportSnapshot, SelectableStatus,
};
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, Failure};
use postrider_core::recipient::{self, Recipient};
use postrider_core::{
    attempt::Outcome, capacity::Capacity, id::DeliveryId, priority::Priority, queue_entry::QueueEntry,
};

pub async fn a_message_with_waiting_deliveries_can_be_cancelled(open: OpenStore<'_>) {
    let store = open();
    let mut new_message = sms(1);
    new_message.deliveries.push(new_delivery("email", "a@example.org"));
    new_message.deliveries.push(new_delivery("push", "token"));
    let first_delivery_id = accepted(&*store, new_message).await;
    claim_and_send(&*store, first_delivery_id, "blue", "b-1", at(1)).await;
    assert_eq!(
        store.cancel_message(id(1), at(2)).await.unwrap(),
        Cancelled::Done(vec![name("email"), name("push")])
    );
    let deliveries: Vec<_> = find_message(&*store, 1).await.deliveries;
    assert_eq!(deliveries[0].state, sent_state("blue", "b-1", at(1)));
    for delivery in &deliveries[1..] {
        let DeliveryState::Failed { failure, at: failed_at, .. } = delivery.state else {
            panic!("{delivery:?}");
        };
        assert_eq!((failure, failed_at), (Failure::Cancelled, at(2)));
    }
    assert_eq!(store.cancel_message(id(1), at(3)).await.unwrap(), Cancelled::TooLate);
    assert!(store.due(at(9), &Capacity::total(9)).await.unwrap().is_empty());
}

pub async fn a_claimed_delivery_cannot_be_cancelled(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let claim = claimed(&*store, delivery_id, at(1)).await;
    assert_eq!(store.cancel_message(id(1), at(2)).await.unwrap(), Cancelled::TooLate);
    record(&*store, finished_round(&claim, vec![], waiting_state(at(50), "down"), at(3))).await;
    assert_eq!(store.cancel_message(id(1), at(4)).await.unwrap(), Cancelled::Done(vec![name("sms")]));
}

pub async fn an_unknown_message_cannot_be_cancelled(open: OpenStore<'_>) {
    assert_eq!(open().cancel_message(id(1), at(2)).await.unwrap(), Cancelled::NotFound);
}

fn ids_of(page: &MessageList) -> Vec<String> {
    page.messages.iter().map(|message| message.id.to_string()).collect()
}

fn id_strings(numbers: &[u64]) -> Vec<String> {
    numbers.iter().map(|number| id(*number).to_string()).collect()
}

pub async fn search_pages_go_back_in_time(open: OpenStore<'_>) {
    let store = open();
    store.accept((1..=5).map(sms).collect()).await.unwrap();
    let query = |before| MessageQuery { before, limit: 2, ..MessageQuery::default() };
    let first_page = store.search(query(None)).await.unwrap();
    assert_eq!(ids_of(&first_page), id_strings(&[5, 4]));
    let second_page = store.search(query(first_page.next)).await.unwrap();
    assert_eq!(ids_of(&second_page), id_strings(&[3, 2]));
    let third_page = store.search(query(second_page.next)).await.unwrap();
    assert_eq!(ids_of(&third_page), id_strings(&[1]));
    assert_eq!(third_page.next, None);
    assert_eq!(third_page.messages[0].deliveries.len(), 1);
}

pub async fn search_finds_by_address_state_and_time(open: OpenStore<'_>) {
    let store = open();
    for number in 1..=8 {
        let mut new_message = sms_to(number, if number % 2 == 0 { "+98even" } else { "+98odd" });
        new_message.created_at = at(i64::try_from(number).unwrap() * 1800);
        let delivery_id = accepted(&*store, new_message).await;
        match number {
            1..=2 => claim_and_send(&*store, delivery_id, "blue", "b", at(1)).await,
            3..=4 => claim_and_fail(&*store, delivery_id, Failure::Rejected, at(1)).await,
            _ => {}
        }
    }
    let search_ids = async |to: Option<&str>, state, since: Option<i64>| {
        let to = to.map(str::to_owned);
        let query = MessageQuery { to, state, since: since.map(at), owner: None, before: None, limit: 9 };
        ids_of(&store.search(query).await.unwrap())
    };
    assert_eq!(search_ids(Some("+98odd"), None, None).await, id_strings(&[7, 5, 3, 1]));
    assert_eq!(search_ids(Some("+98odd"), Some(DeliveryStateKind::Failed), None).await, id_strings(&[3]));
    assert_eq!(search_ids(None, Some(DeliveryStateKind::Sent), None).await, id_strings(&[2, 1]));
    assert_eq!(search_ids(None, Some(DeliveryStateKind::Waiting), None).await, id_strings(&[8, 7, 6, 5]));
    assert_eq!(search_ids(None, Some(DeliveryStateKind::Delivered), None).await, id_strings(&[]));
    assert_eq!(search_ids(None, None, Some(1800 * 7)).await, id_strings(&[8, 7]));
    assert_eq!(
        search_ids(None, Some(DeliveryStateKind::Waiting), Some(1800 * 7 + 1)).await,
        id_strings(&[8])
    );
    assert_eq!(search_ids(None, Some(DeliveryStateKind::Failed), Some(1800 * 4)).await, id_strings(&[4]));
    assert_eq!(search_ids(Some("+98even"), None, Some(1800 * 6)).await, id_strings(&[8, 6]));
    assert_eq!(search_ids(None, None, Some(999_999)).await, id_strings(&[]));
    assert_eq!(search_ids(Some("nobody"), None, None).await, id_strings(&[]));
}

pub async fn a_search_counts_a_message_once(open: OpenStore<'_>) {
    let store = open();
    for number in 1..=3 {
        let mut new_message = sms(number);
        new_message.deliveries =
            vec![new_delivery("sms", "+981"), new_delivery("voice", "+981"), new_delivery("fax", "+981")];
        accepted(&*store, new_message).await;
    }
    for (to, state) in [(Some("+981"), None), (None, Some(DeliveryStateKind::Waiting))] {
        let query = MessageQuery { to: to.map(str::to_owned), state, limit: 2, ..MessageQuery::default() };
        let first_page = store.search(query.clone()).await.unwrap();
        assert_eq!(ids_of(&first_page), id_strings(&[3, 2]));
        let last_page = store.search(MessageQuery { before: first_page.next, ..query }).await.unwrap();
        assert_eq!((ids_of(&last_page), last_page.next), (id_strings(&[1]), None));
    }
}

pub async fn operators_select_failed_and_waiting_deliveries(open: OpenStore<'_>) {
    let store = open();
    let mut delivery_ids = Vec::new();
    for number in 1..=6 {
        let mut new_message = sms(number);
        new_message.created_at = at(i64::try_from(number).unwrap() * 1800);
        delivery_ids.push(accepted(&*store, new_message).await);
    }
    claim_and_fail(&*store, delivery_ids[0], Failure::Exhausted, at(1)).await;
    claim_and_fail(&*store, delivery_ids[1], Failure::Rejected, at(1)).await;
    store.cancel_message(id(3), at(1)).await.unwrap();
    let claim = claimed(&*store, delivery_ids[3], at(1)).await;
    let attempts =
        vec![attempt("red", unavailable_outcome(), at(1)), attempt("blue", unavailable_outcome(), at(2))];
    record(&*store, finished_round(&claim, attempts, waiting_state(at(99_999), "down"), at(3))).await;
    let select = async |select, provider: Option<&str>, since: Option<i64>, limit| {
        let provider = provider.map(name);
        let selection =
            DeliverySelection { status: select, now: at(99_998), provider, since: since.map(at), limit };
        store.select_deliveries(selection).await.unwrap()
    };
    assert_eq!(select(SelectableStatus::Failed, None, None, 9).await, delivery_ids[..2]);
    assert_eq!(select(SelectableStatus::Failed, None, None, 1).await, delivery_ids[..1]);
    assert_eq!(select(SelectableStatus::Failed, None, Some(3600), 9).await, delivery_ids[1..2]);
    assert_eq!(select(SelectableStatus::Failed, Some("red"), None, 9).await, delivery_ids[..2]);
    assert_eq!(select(SelectableStatus::Failed, Some("blue"), None, 9).await, []);
    assert_eq!(select(SelectableStatus::Waiting, None, None, 9).await, delivery_ids[3..]);
    assert_eq!(select(SelectableStatus::Waiting, Some("blue"), None, 9).await, delivery_ids[3..4]);
    assert_eq!(select(SelectableStatus::Waiting, Some("red"), None, 9).await, []);
}

pub async fn scheduled_deliveries_are_selected_apart_from_retries(open: OpenStore<'_>) {
    let store = open();
    let due_id = accepted(&*store, sms(1)).await;
    let retrying_id = accepted(&*store, sms(2)).await;
    let claim = claimed(&*store, retrying_id, at(1)).await;
    record(&*store, finished_round(&claim, vec![], waiting_state(at(500), "down"), at(2))).await;
    let mut scheduled = sms(3);
    scheduled.deliveries[0].due_at = at(500);
    let scheduled_id = accepted(&*store, scheduled).await;
    let select = async |status, now| {
        let selection = DeliverySelection { status, now: at(now), provider: None, since: None, limit: 9 };
        store.select_deliveries(selection).await.unwrap()
    };
    assert_eq!(select(SelectableStatus::Waiting, 10).await, [due_id, retrying_id, scheduled_id]);
    assert_eq!(select(SelectableStatus::Retrying, 10).await, [retrying_id]);
    assert_eq!(select(SelectableStatus::Scheduled, 10).await, [scheduled_id]);
    assert_eq!(select(SelectableStatus::Scheduled, 500).await, []);
}

pub async fn requeued_deliveries_have_all_their_tries(open: OpenStore<'_>) {
    let store = open();
    let failed_id = accepted(&*store, sms(1)).await;
    let sent_id = accepted(&*store, sms(2)).await;
    claim_and_fail(&*store, failed_id, Failure::Exhausted, at(1)).await;
    claim_and_send(&*store, sent_id, "blue", "b-1", at(1)).await;
    let requeued_ids = vec![failed_id, sent_id, DeliveryId(9_999)];
    let entries = store.requeue(requeued_ids, at(5), at(99_999)).await.unwrap();
    let expected_entry =
        QueueEntry { id: failed_id, channel: name("sms"), due_at: at(5), priority: Priority::Normal };
    assert_eq!(entries, [expected_entry]);
    let claim = claimed(&*store, failed_id, at(5)).await;
    assert_eq!((claim.round, claim.tries, claim.unrecorded_claims), (2, 0, 0));
    assert_eq!(claim.expires_at, at(99_999));
    assert_eq!(first_delivery(&*store, 2).await.state, sent_state("blue", "b-1", at(1)));
}

pub async fn requeuing_makes_waiting_deliveries_due(open: OpenStore<'_>) {
    let store = open();
    let mut delivery_ids = Vec::new();
    for number in 1..=3 {
        let mut new_message = sms(number);
        new_message.deliveries[0].due_at = at(500);
        delivery_ids.push(accepted(&*store, new_message).await);
    }
    claimed(&*store, delivery_ids[1], at(500)).await;
    let entries = store.requeue(delivery_ids[..2].to_vec(), at(5), at(0)).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].id, entries[0].due_at), (delivery_ids[0], at(5)));
    assert_eq!(store.due(at(5), &Capacity::total(9)).await.unwrap(), entries);
    assert_eq!(claimed(&*store, delivery_ids[0], at(5)).await.expires_at, at(86_400));
}

pub async fn a_cancelled_delivery_cannot_be_requeued(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    store.cancel_message(id(1), at(1)).await.unwrap();
    assert_eq!(store.requeue(vec![delivery_id], at(5), at(9)).await.unwrap(), []);
    assert!(is_not_claimable(&*store, delivery_id, at(9)).await);
}

pub async fn the_status_of_a_recipient_is_kept(open: OpenStore<'_>) {
    let store = open();
    assert_eq!(store.recipient(&name("sms"), "+981").await.unwrap(), None);
    let mut stored_recipient = Recipient {
        channel: name("sms"),
        address: "+981".to_owned(),
        status: recipient::RecipientStatus::OptedOut,
        reason: "said stop".to_owned(),
        changed_by: "operator".to_owned(),
        changed_at: at(3),
    };
    for status in recipient::RecipientStatus::ALL {
        stored_recipient.status = status;
        store.set_recipient(stored_recipient.clone()).await.unwrap();
        assert_eq!(store.recipient(&name("sms"), "+981").await.unwrap(), Some(stored_recipient.clone()));
    }
    assert_eq!(store.recipient(&name("email"), "+981").await.unwrap(), None);
}

pub async fn the_store_secret_is_the_same_for_all_processes(open: OpenStore<'_>) {
    let secret = open().store_secret().await.unwrap();
    assert_ne!(secret, [0; 32]);
    assert_eq!(open().store_secret().await.unwrap(), secret);
}

pub async fn the_backlog_counts_waiting_deliveries(open: OpenStore<'_>) {
    let store = open();
    assert_eq!(store.backlog(at(9)).await.unwrap(), Backlog::default());
    for (number, due) in [(1, 5), (2, 3), (3, 50), (4, 1)] {
        let mut new_message = sms(number);
        new_message.deliveries[0].due_at = at(due);
        new_message.created_at = at(i64::try_from(number).unwrap_or_default());
        let delivery_id = accepted(&*store, new_message).await;
        if number == 4 {
            claim_and_send(&*store, delivery_id, "blue", "b-1", at(1)).await;
        }
    }
    let backlog = |waiting, due, oldest_due, oldest_accepted| Backlog {
        waiting,
        due,
        oldest_due_at: Some(at(oldest_due)),
        oldest_accepted_at: Some(at(oldest_accepted)),
    };
    let sms_backlog = backlog(3, 2, 3, 1);
    assert_eq!(store.backlog(at(9)).await.unwrap(), sms_backlog);
    let mut email_message = sms(5);
    email_message.deliveries[0].channel = name("email");
    email_message.deliveries[0].due_at = at(2);
    email_message.created_at = at(5);
    accepted(&*store, email_message).await;
    let email_backlog = backlog(1, 1, 2, 5);
    let both_backlogs = vec![(name("email"), email_backlog), (name("sms"), sms_backlog)];
    assert_eq!(store.backlogs(at(9)).await.unwrap(), both_backlogs);
    let total_backlog = backlog(4, 3, 2, 1);
    assert_eq!(store.backlog(at(9)).await.unwrap(), total_backlog);
}

pub async fn the_newest_snapshot_is_returned(open: OpenStore<'_>) {
    let store = open();
    assert_eq!(store.snapshot().await.unwrap(), None);
    for generation in [1, 2, 3, 7, 8] {
        let content = vec![u8::try_from(generation).unwrap(); 9];
        let snapshot = ReportSnapshot { generation, as_of: at(generation), content };
        store.save_snapshot(snapshot.clone()).await.unwrap();
        assert_eq!(store.snapshot().await.unwrap(), Some(snapshot));
    }
}

pub async fn ping_writes_to_a_healthy_store(open: OpenStore<'_>) {
    let store = open();
    store.ping().await.unwrap();
    store.ping().await.unwrap();
}

pub async fn single_waiting_deliveries_can_be_cancelled(open: OpenStore<'_>) {
    let store = open();
    let mut new_message = sms(1);
    new_message.deliveries.push(new_delivery("email", "a@example.org"));
    let first_delivery_id = accepted(&*store, new_message).await;
    let claimed_id = accepted(&*store, sms(2)).await;
    let sent_id = accepted(&*store, sms(3)).await;
    claimed(&*store, claimed_id, at(1)).await;
    claim_and_send(&*store, sent_id, "blue", "b-1", at(1)).await;
    let delivery_ids = vec![first_delivery_id, claimed_id, sent_id, DeliveryId(9_999)];
    assert_eq!(store.cancel_deliveries(delivery_ids.clone(), at(2)).await.unwrap(), [name("sms")]);
    let deliveries: Vec<_> = find_message(&*store, 1).await.deliveries;
    assert!(matches!(deliveries[0].state, DeliveryState::Failed { failure: Failure::Cancelled, .. }));
    assert_eq!(deliveries[1].state.kind(), DeliveryStateKind::Waiting);
    assert_eq!(store.cancel_deliveries(delivery_ids, at(3)).await.unwrap(), []);
    assert_eq!(store.cancel_deliveries(vec![], at(3)).await.unwrap(), []);
}

pub async fn the_last_attempt_of_each_delivery_is_returned(open: OpenStore<'_>) {
    let store = open();
    let attempted_id = accepted(&*store, sms(1)).await;
    let unattempted_id = accepted(&*store, sms(2)).await;
    let unknown_id = accepted(&*store, sms(3)).await;
    let claim = claimed(&*store, attempted_id, at(1)).await;
    let attempts =
        vec![attempt("red", unavailable_outcome(), at(1)), attempt("blue", unavailable_outcome(), at(2))];
    record(&*store, finished_round(&claim, attempts, waiting_state(at(50), "down"), at(3))).await;
    let claim = claimed(&*store, unknown_id, at(1)).await;
    let reason = "no answer".to_owned();
    let attempts = vec![
        attempt("red", Outcome::Unknown { reason }, at(1)),
        attempt("blue", unavailable_outcome(), at(2)),
    ];
    record(&*store, finished_round(&claim, attempts, waiting_state(at(50), "down"), at(3))).await;
    let mut attempts = store.last_attempts(vec![attempted_id, unattempted_id, unknown_id]).await.unwrap();
    attempts.sort_by_key(|last_attempt| last_attempt.id);
    let attempt_summaries = attempts.iter().map(|last_attempt| {
        (last_attempt.id, last_attempt.provider.clone(), last_attempt.has_unknown_attempt)
    });
    assert_eq!(
        attempt_summaries.collect::<Vec<_>>(),
        [(attempted_id, Some(name("blue")), false), (unknown_id, Some(name("blue")), true)]
    );
    assert_eq!(store.last_attempts(vec![]).await.unwrap(), []);
}
