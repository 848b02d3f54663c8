//! Expectations for reads, the report, pruning, events and broadcasts.

use super::expectations::{ids, numbers, repeated, texts, uuid_bytes};
use super::{BATCH, NOW, PlanChecker, expect_plan, message_count};
use crate::postgres::pool::bind;
use postrider_core::id::DeliveryId;

pub async fn expect_reads(checker: &PlanChecker) {
    let newest = (11 << 36) + message_count();
    let (first, page) = (0_i64, BATCH);
    let number = numbers()[50];
    let id = DeliveryId::from_position(number, 0).0;
    let name = [&[0; 8], number.to_be_bytes().as_slice()].concat();
    let (none, since) = (None::<&str>, None::<i64>);
    expect_plan!(checker, 1, "read/find_message_number", bind![name]);
    expect_plan!(checker, BATCH, "read/load_message", bind![numbers()]);
    expect_plan!(checker, BATCH, "read/load_deliveries", bind![numbers()]);
    expect_plan!(checker, 1, "read/load_attempts", bind![id, id + 63]);
    expect_plan!(checker, 1, "recipients/read_recipient", bind!["sms", "+985"]);
    expect_plan!(checker, BATCH, "read/search_messages", bind![first, newest, since, none, page]);
    expect_plan!(
        checker,
        BATCH,
        "read/search_by_address",
        bind![first, newest, since, page, "+9877", none, none]
    );
    expect_plan!(checker, BATCH, "read/find_last_attempt", bind![ids()]);
    let waiting = message_count() / 10;
    expect_plan!(checker, waiting, "read/search_waiting", bind![first, newest, since, page, none]);
    let near = bind![first, newest, since, page, 20_000_i64, none];
    expect_plan!(checker, 500, "read/search_recent_waiting", near);
    expect_plan!(
        checker,
        BATCH,
        "read/search_by_state",
        bind![first, newest, since, page, Some("failed"), none]
    );
    let (from, to) = (0_i64, i64::MAX);
    expect_plan!(checker, BATCH, "read/list_usage", bind![first, newest, from, to, none, page]);
    let values = bind![first, newest, from, to, page, "user 9", none];
    expect_plan!(checker, BATCH, "read/list_user_usage", values);
    let offset = 0_i64;
    let counted = bind![first, newest, from, to, page, page, offset, none];
    expect_plan!(checker, BATCH, "read/count_usage", counted);
    let counted = bind![first, newest, from, to, page, page, offset, "user 9", none];
    expect_plan!(checker, BATCH, "read/count_user_usage", counted);
    let owned = bind![first, newest, from, to, "shop", page];
    expect_plan!(checker, BATCH, "read/list_owner_usage", owned);
    let owned = bind![first, newest, from, to, page, page, offset, "shop"];
    expect_plan!(checker, BATCH, "read/count_owner_usage", owned);
    let owned = bind![first, newest, since, page, Some("sent"), "shop"];
    expect_plan!(checker, BATCH, "read/search_owner_by_state", owned);
    expect_plan!(checker, BATCH, "read/select_failed", bind![first, since, none, page]);
    expect_plan!(checker, waiting, "read/select_waiting", bind![first, since, none, page, NOW, "waiting"]);
    expect_plan!(checker, 1, "read/find_first_number", bind![472_300_i64]);
    expect_plan!(checker, waiting, "read/count_backlog", bind![NOW]);
}

pub async fn expect_report(checker: &PlanChecker) {
    let position = ((11 << 36) + message_count() / 20 * 9) << 6;
    let horizon = i64::MAX;
    expect_plan!(checker, BATCH, "report/select_changed", bind![position, BATCH]);
    expect_plan!(checker, BATCH, "report/select_new", bind![position, BATCH, horizon]);
    expect_plan!(checker, BATCH, "report/select_attempts", bind![ids()]);
    expect_plan!(checker, BATCH, "report/mark_counted", bind![ids(), repeated(&1_i64)]);
    expect_plan!(checker, 1, "report/read_rollup_position", &[]);
    expect_plan!(checker, 1, "report/save_rollup_position", bind![position]);
    expect_plan!(checker, BATCH, "report/add_address_count", bind![texts(BATCH, "+98"), repeated(&1_i64)]);
    expect_plan!(checker, 10, "report/select_top_addresses", &[]);
}

pub async fn expect_events(checker: &PlanChecker) {
    let (ids, ones, nows, none) = (ids(), repeated(&1_i64), repeated(&NOW), repeated(&None::<&str>));
    let (host, sent) = (repeated(&"host-7"), repeated(&"sent"));
    expect_plan!(
        checker,
        BATCH,
        "events/insert_event",
        bind![ids, ones, host, host, sent, none, none, none, nows, nows, numbers()]
    );
    expect_plan!(checker, BATCH, "events/list_waiting_endpoints", bind!["host-3", 20_i64]);
    expect_plan!(
        checker,
        BATCH,
        "events/claim_events",
        bind![texts(10, "host-"), vec![10_i64; 10], NOW, NOW]
    );
    let delivered = repeated(&"delivered");
    expect_plan!(
        checker,
        BATCH,
        "events/record_result",
        bind![ids, ones, ones, delivered, nows, ones, texts(BATCH, "200")]
    );
    expect_plan!(checker, BATCH, "events/postpone_later_events", bind![ids, ones, nows]);
    expect_plan!(checker, BATCH, "events/mark_dead", bind!["host-5", None::<&str>, NOW, NOW, "gone", BATCH]);
    expect_plan!(checker, BATCH, "events/replay_event", bind![ids, ones, NOW]);
    let (first, any) = (ids[0], None::<&str>);
    expect_plan!(checker, BATCH, "events/list_events", bind![0_i64, any, BATCH]);
    expect_plan!(checker, BATCH, "events/list_dead_letters", bind![0_i64, BATCH]);
    expect_plan!(checker, 1, "events/list_message_events", bind![first, first + 63, 0_i64, any, BATCH]);
    expect_plan!(checker, BATCH, "maintenance/delete_old_events", bind![NOW, BATCH]);
}

pub async fn expect_inbound(checker: &PlanChecker) {
    let id = |number: u8| [vec![0_u8; 15], vec![number]].concat();
    let (first, end, any) = (vec![0_u8; 16], vec![0xFF_u8; 16], None::<&str>);
    let person = "+987";
    expect_plan!(
        checker,
        1,
        "inbound/insert_message",
        bind![
            end,
            "blue",
            "new",
            "sms",
            person,
            "983000",
            "text",
            0_i64,
            NOW,
            NOW,
            "none",
            None::<Vec<u8>>,
            "shop",
            "orders",
            "smpp"
        ]
    );
    expect_plan!(checker, 1, "inbound/find_repeated", bind!["blue", "mo-7"]);
    expect_plan!(checker, 1, "inbound/mark_changed_status", bind![id(7)]);
    expect_plan!(checker, 1, "inbound/mark_forwarded", bind![NOW, id(7)]);
    let key = -64_i64;
    expect_plan!(
        checker,
        1,
        "inbound/insert_event",
        bind![key, id(7), "inbound orders", "inbound orders", "sms", person, "blue", NOW]
    );
    expect_plan!(checker, 1, "inbound/find_message", bind![id(7)]);
    expect_plan!(checker, BATCH, "inbound/list_messages", bind![first, end, any, any, BATCH]);
    expect_plan!(checker, BATCH, "inbound/list_of_account", bind!["shop", first, end, any, any, BATCH]);
    expect_plan!(checker, BATCH, "inbound/list_of_sender", bind![person, first, end, any, any, any, BATCH]);
    expect_plan!(checker, BATCH, "inbound/list_waiting", bind!["smpp", "shop", BATCH]);
    expect_plan!(checker, BATCH, "maintenance/delete_old_inbound_messages", bind![end, BATCH]);
}

pub async fn expect_prune(checker: &PlanChecker) {
    let (addresses, ones) = (texts(BATCH, "+98"), repeated(&1_i64));
    expect_plan!(checker, BATCH, "maintenance/add_pruned_address_count", bind![addresses, ones]);
    expect_plan!(checker, BATCH, "maintenance/correct_address_count", bind![addresses, ones]);
    let broadcasts = vec![7_i64];
    expect_plan!(checker, BATCH, "maintenance/delete_broadcast_users", bind![broadcasts]);
    expect_plan!(checker, 1, "maintenance/delete_broadcast_messages", bind![broadcasts]);
    expect_plan!(checker, 1, "maintenance/delete_broadcasts", bind![broadcasts]);
    let (first, next) = (3_i64 << 36, 4_i64 << 36);
    expect_plan!(checker, BATCH, "maintenance/select_old_messages", bind![first, next, i64::MAX, BATCH]);
    let numbers = (1..=BATCH).map(|number| first + number).collect::<Vec<_>>();
    let ids = numbers.iter().map(|number| number << 6).collect::<Vec<_>>();
    expect_plan!(
        checker,
        BATCH,
        "maintenance/select_counted_deliveries",
        bind![numbers, ids[0], ids[99] + 63]
    );
    expect_plan!(checker, BATCH, "maintenance/delete_leases", bind![ids]);
    expect_plan!(checker, BATCH, "maintenance/delete_attempts", bind![ids]);
    expect_plan!(checker, BATCH, "maintenance/delete_deliveries", bind![ids]);
    expect_plan!(checker, BATCH, "maintenance/delete_messages", bind![numbers]);
    expect_plan!(checker, BATCH, "maintenance/delete_expired_idempotency_keys", bind![NOW, BATCH]);
    expect_plan!(checker, BATCH, "maintenance/delete_old_unmatched_receipts", bind![NOW, BATCH]);
    expect_plan!(checker, 1, "maintenance/check_partition_waiting", bind![first << 6, next << 6]);
}

pub async fn expect_broadcasts(checker: &PlanChecker) {
    let (users, none, zeros) = (texts(BATCH, "user "), repeated(&None::<&str>), repeated(&0_i64));
    let owner = vec![""];
    expect_plan!(checker, BATCH, "broadcasts/count_users", bind!["shop"]);
    expect_plan!(checker, 1, "broadcasts/list_users_with_id", bind!["user 9"]);
    expect_plan!(checker, BATCH, "broadcasts/read_users", bind![users, owner]);
    expect_plan!(checker, 1, "broadcasts/read_last_user_number", &[]);
    let (owners, registered) = (repeated(&""), (1..=BATCH).collect::<Vec<_>>());
    let new_users = texts(BATCH, "stranger ");
    let new_numbers = (1..=BATCH).map(|number| message_count() + number).collect::<Vec<_>>();
    expect_plan!(
        checker,
        BATCH,
        "broadcasts/insert_user",
        bind![new_users, owners, new_numbers, none, none, zeros]
    );
    expect_plan!(checker, BATCH, "broadcasts/update_user", bind![registered, none, none]);
    expect_plan!(checker, 1, "broadcasts/find_unfinished", bind![0_i64]);
    expect_plan!(checker, BATCH, "broadcasts/list_all_users", bind![7_i64, message_count(), "", BATCH]);
    expect_plan!(checker, BATCH, "broadcasts/list_named_users", bind![7_i64, 0_i64, BATCH]);
    expect_plan!(checker, BATCH, "broadcasts/count_deliveries", bind![7_i64]);
    expect_plan!(checker, BATCH, "broadcasts/find_by_message", bind![numbers()]);
    expect_plan!(checker, BATCH, "broadcasts/list_broadcasts", bind![i64::MAX, None::<&str>, BATCH]);
    expect_plan!(checker, BATCH, "read/list_user_inbox", bind!["user 9", i64::MAX >> 6, BATCH, None::<&str>]);
    expect_plan!(checker, BATCH, "receipts/check_accepted_delivery", bind![numbers(), ids()]);
    expect_plan!(checker, BATCH, "maintenance/select_old_broadcasts", bind![NOW, BATCH]);
    expect_plan!(checker, 1, "broadcasts/advance_fan_out", bind![7_i64, 0_i64, 1_i64, 0_i64, 0_i64]);
    expect_plan!(checker, 1, "broadcasts/add_counts", bind![7_i64, 1_i64, 0_i64]);
    expect_plan!(checker, 1, "broadcasts/read_broadcast", bind![uuid_bytes(7)]);
    expect_plan!(checker, 1, "broadcasts/allocate_number", &[]);
    expect_plan!(checker, 1, "broadcasts/insert_message_range", bind![vec![1_i64], vec![2_i64], 7_i64]);
    expect_plan!(checker, BATCH, "broadcasts/insert_named_user", bind![7_i64, new_numbers]);
}
