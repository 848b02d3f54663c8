//! Conformance tests of usage.

use super::fixtures::*;
use crate::{Store, UsageQuery};
use postrider_core::{clock::Timestamp, delivery::Failure, message::NewMessage, usage::UsageRow};

const DAY: i64 = 86_400;

/// Returns a message to a user, accepted at `now`.
fn message_to(user: Option<&str>, number: u64, now: Timestamp) -> NewMessage {
    let mut message = sms(number);
    message.user = user.map(str::to_owned);
    message.created_at = now;
    message
}

fn usage_of(user: &str) -> UsageQuery {
    UsageQuery { user: Some(user.to_owned()), limit: 100, ..UsageQuery::default() }
}

fn usage_of_all() -> UsageQuery {
    UsageQuery { limit: 100, ..UsageQuery::default() }
}

/// Returns the numbers of the found messages.
async fn found_messages(store: &dyn Store, query: UsageQuery) -> Vec<u64> {
    let message_list = store.usage(query).await.unwrap();
    assert_eq!(message_list.next, None);
    let message_number = |bytes: [u8; 16]| u64::from_be_bytes(bytes[8..].try_into().unwrap());
    message_list.messages.iter().map(|message| message_number(message.id.bytes())).collect()
}

pub async fn usage_lists_the_messages_of_a_user_newest_first(open: OpenStore<'_>) {
    let store = open();
    let odd_user = "0\u{0}\u{1A}; DROP";
    for (number, user) in [Some("ann"), None, Some("bob"), Some("ann"), Some(odd_user)].iter().enumerate() {
        let number = u64::try_from(number).unwrap();
        accepted(&*store, message_to(*user, number, at(number.cast_signed()))).await;
    }
    assert_eq!(found_messages(&*store, usage_of("ann")).await, [3, 0]);
    assert_eq!(found_messages(&*store, usage_of("bob")).await, [2]);
    assert_eq!(found_messages(&*store, usage_of(odd_user)).await, [4]);
    assert_eq!(found_messages(&*store, usage_of("ANN")).await, [0_u64; 0]);
    assert_eq!(found_messages(&*store, usage_of_all()).await, [4, 3, 2, 1, 0]);
    let message_list = store.usage(usage_of(odd_user)).await.unwrap();
    assert_eq!(message_list.messages[0].user.as_deref(), Some(odd_user));
    assert_eq!(message_list.messages[0].deliveries.len(), 1);
}

pub async fn usage_totals_are_grouped_by_the_days_of_a_time_zone(open: OpenStore<'_>) {
    let store = open();
    // 19:00 and 21:00 in UTC, which are two days in Tehran, at +03:30.
    for (number, hour) in [(1, -3), (2, -1)] {
        accepted(&*store, message_to(Some("ann"), number, at(hour * 3_600))).await;
    }
    for (day_offset_ms, query, days) in [
        (0, usage_of("ann"), 1),
        (12_600_000, usage_of("ann"), 2),
        (12_600_000, usage_of_all(), 2),
        (-72_000_000, usage_of_all(), 2),
    ] {
        let totals = store.usage_totals(UsageQuery { day_offset_ms, ..query }).await.unwrap();
        assert_eq!(totals.rows.len(), days, "{totals:?}");
    }
}

pub async fn usage_is_limited_to_a_time_range(open: OpenStore<'_>) {
    let store = open();
    // Every half hour, so that hours begin and end between them.
    for number in 0..8_u64 {
        accepted(&*store, message_to(Some("ann"), number, at(number.cast_signed() * 1_800))).await;
    }
    let query_between = |since: Option<i64>, until: Option<i64>, user: Option<&str>| UsageQuery {
        user: user.map(str::to_owned),
        since: since.map(at),
        until: until.map(at),
        ..usage_of_all()
    };
    for user in [Some("ann"), None] {
        for (since, until, expected_numbers) in [
            (Some(3_600), None, &[7, 6, 5, 4, 3, 2][..]),
            (Some(3_601), None, &[7, 6, 5, 4, 3]),
            (None, Some(3_600), &[1, 0]),
            (None, Some(3_601), &[2, 1, 0]),
            (Some(1_800), Some(5_400), &[2, 1]),
            (Some(5_400), Some(1_800), &[]),
            (Some(99 * DAY), None, &[]),
            (None, Some(-99 * DAY), &[]),
            (None, Some(99 * DAY), &[7, 6, 5, 4, 3, 2, 1, 0]),
        ] {
            let query = query_between(since, until, user);
            let totals = store.usage_totals(query.clone()).await.unwrap();
            let delivery_count = totals.rows.iter().map(|row| row.deliveries).sum::<u64>();
            assert_eq!(delivery_count, u64::try_from(expected_numbers.len()).unwrap(), "{query:?}");
            assert_eq!(found_messages(&*store, query.clone()).await, expected_numbers, "{query:?}");
        }
    }
}

pub async fn usage_is_paged(open: OpenStore<'_>) {
    let store = open();
    for number in 0..5 {
        accepted(&*store, message_to(Some("ann"), number, at(0))).await;
        accepted(&*store, message_to(None, 10 + number, at(0))).await;
    }
    let mut query = UsageQuery { limit: 2, ..usage_of("ann") };
    let mut page_sizes = Vec::new();
    loop {
        let page = store.usage(query.clone()).await.unwrap();
        page_sizes.push(page.messages.len());
        assert!(page.messages.iter().all(|message| message.user.is_some()));
        match page.next {
            Some(next_before) => query.before = Some(next_before),
            None => break,
        }
    }
    assert_eq!(page_sizes, [2, 2, 1]);
}

pub async fn usage_totals_are_by_day_user_and_channel(open: OpenStore<'_>) {
    let store = open();
    let midnight = at(0).date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    let mut message_on_both_channels = message_to(Some("ann"), 1, midnight);
    message_on_both_channels.deliveries.push(new_delivery("email", "a@example.org"));
    let first_delivery_id = accepted(&*store, message_on_both_channels).await;
    claim_and_send(&*store, first_delivery_id, "blue", "b-1", at(1)).await;
    let second_delivery_id = accepted(&*store, message_to(Some("ann"), 2, midnight)).await;
    claim_and_fail(&*store, second_delivery_id, Failure::Rejected, at(1)).await;
    let before_midnight = midnight - chrono::TimeDelta::milliseconds(1);
    accepted(&*store, message_to(Some("ann"), 3, before_midnight)).await;
    accepted(&*store, message_to(None, 4, midnight)).await;
    let usage_row = |user: Option<&str>, channel: &str, day: Timestamp, counts: [u64; 4], tries| UsageRow {
        user: user.map(str::to_owned),
        channel: name(channel),
        day: day.date_naive(),
        deliveries: counts.iter().sum(),
        waiting: counts[0],
        sent: counts[1],
        delivered: counts[2],
        failed: counts[3],
        opened: 0,
        parts: 2 * counts.iter().sum::<u64>(),
        tries,
    };
    let rows_of_ann = [
        usage_row(Some("ann"), "email", midnight, [1, 0, 0, 0], 0),
        usage_row(Some("ann"), "sms", midnight, [0, 1, 0, 1], 2),
        usage_row(Some("ann"), "sms", before_midnight, [1, 0, 0, 0], 0),
    ];
    let totals = store.usage_totals(usage_of("ann")).await.unwrap();
    assert_eq!((totals.rows.as_slice(), totals.is_complete), (&rows_of_ann[..], true));
    let mut rows_of_all = vec![usage_row(None, "sms", midnight, [1, 0, 0, 0], 0)];
    rows_of_all.extend(rows_of_ann);
    let totals = store.usage_totals(usage_of_all()).await.unwrap();
    assert_eq!((totals.rows, totals.is_complete), (rows_of_all, true));
}

pub async fn usage_totals_report_when_they_are_incomplete(open: OpenStore<'_>) {
    let store = open();
    let user_count = 10_001_u64;
    let mut batch = (0..user_count)
        .map(|number| message_to(Some(&format!("user {number}")), number, at(0)))
        .collect::<Vec<_>>();
    while !batch.is_empty() {
        let remaining_messages = batch.split_off(batch.len().min(1_000));
        store.accept(std::mem::replace(&mut batch, remaining_messages)).await.unwrap();
    }
    let totals = store.usage_totals(usage_of_all()).await.unwrap();
    assert_eq!((totals.rows.len(), totals.is_complete), (10_000, false));
    let totals = store.usage_totals(usage_of("user 7")).await.unwrap();
    assert_eq!((totals.rows.len(), totals.is_complete), (1, true));
}
