//! The statements with their parameters and the number of rows that they are about.

use super::other_expectations::{
    expect_broadcasts, expect_events, expect_inbound, expect_prune, expect_reads, expect_report,
};
use super::{BATCH, NOW, PlanChecker, expect_plan, message_count};
use crate::postgres::pool::bind;
use postrider_core::id::DeliveryId;

pub async fn expect_all(checker: &PlanChecker) {
    expect_accept(checker).await;
    expect_rounds(checker).await;
    expect_receipts(checker).await;
    expect_recipients(checker).await;
    expect_reads(checker).await;
    expect_report(checker).await;
    expect_prune(checker).await;
    expect_events(checker).await;
    expect_inbound(checker).await;
    expect_broadcasts(checker).await;
}

/// The statements of a round, on the deliveries of `unanalyzed.sql`.
pub async fn expect_first_rounds(checker: &PlanChecker) {
    let numbers = (1..=BATCH).collect::<Vec<_>>();
    let ids = numbers.iter().map(|number| number << 6).collect::<Vec<_>>();
    let (ones, nows, sent, none) =
        (repeated(&1_i64), repeated(&NOW), repeated(&"sent"), repeated(&None::<&str>));
    expect_plan!(checker, BATCH, "claim/acquire_lease", bind![ids, nows, nows]);
    expect_plan!(checker, BATCH, "claim/load_claimed_deliveries", bind![ids, ones, nows, numbers]);
    let never = repeated(&None::<i64>);
    expect_plan!(
        checker,
        BATCH,
        "claim/record_round",
        bind![ids, ones, sent, none, none, never, nows, repeated(&"blue"), none, ones, nows]
    );
}

/// Numbers of messages spread over the last month, and one of an older month.
pub(super) fn numbers() -> Vec<i64> {
    let last = (0..BATCH - 1).map(|number| (11 << 36) + 1 + number * (message_count() / 2 / BATCH));
    std::iter::once((3 << 36) + 5).chain(last).collect()
}

pub(super) fn ids() -> Vec<i64> {
    let ids = numbers().into_iter().map(|number| DeliveryId::from_position(number, 0).0);
    ids.collect()
}

pub(super) fn texts(count: i64, text: &str) -> Vec<String> {
    (0..count).map(|number| format!("{text}{number}")).collect()
}

pub(super) fn repeated<T: Clone>(value: &T) -> Vec<T> {
    vec![value.clone(); usize::try_from(BATCH).unwrap()]
}

async fn expect_accept(checker: &PlanChecker) {
    let keys = (0..BATCH).map(|number| vec![u8::try_from(number).unwrap(); 32]);
    let keys = keys.collect::<Vec<_>>();
    expect_plan!(checker, BATCH, "accept/find_idempotency_key", bind![keys, NOW]);
    let sms = repeated(&"sms");
    expect_plan!(checker, BATCH, "accept/find_suppressed_recipients", bind![sms, texts(BATCH, "+98")]);
    let new = (0..BATCH).map(|number| (11 << 36) + message_count() + number);
    let new = new.collect::<Vec<_>>();
    let names = new.iter().map(|number| uuid_bytes(*number)).collect::<Vec<_>>();
    let none = repeated(&None::<&str>);
    let (zeros, never) = (repeated(&0_i64), repeated(&None::<i64>));
    expect_plan!(
        checker,
        BATCH,
        "accept/insert_message",
        bind![
            new,
            names,
            texts(BATCH, "body"),
            none,
            repeated(&NOW),
            none,
            none,
            repeated(&"shop"),
            zeros,
            never,
            none
        ]
    );
    let (requests, nows) = (repeated(&vec![7_u8; 32]), repeated(&NOW));
    expect_plan!(
        checker,
        BATCH,
        "accept/insert_idempotency_key",
        bind![keys, requests, new, names, nows, NOW]
    );
    let new = new.iter().map(|number| DeliveryId::from_position(*number, 0).0);
    let waiting = repeated(&"waiting");
    let (addresses, ones) = (texts(BATCH, "+98"), repeated(&1_i64));
    let (nows, never) = (repeated(&NOW), repeated(&None::<i64>));
    expect_plan!(checker, BATCH, "accept/delete_idempotency_keys", bind![keys]);
    expect_plan!(checker, 1, "accept/save_hour", bind![vec![472_222_i64], vec![1_i64]]);
    expect_plan!(
        checker,
        BATCH,
        "accept/insert_delivery",
        bind![
            new.collect::<Vec<_>>(),
            sms,
            addresses,
            addresses,
            ones,
            ones,
            waiting,
            none,
            none,
            ones,
            nows,
            nows,
            never,
            none
        ]
    );
}

/// Returns a message id that the store does not contain.
pub(super) fn uuid_bytes(number: i64) -> Vec<u8> {
    [&[9; 8], number.to_be_bytes().as_slice()].concat()
}

async fn expect_rounds(checker: &PlanChecker) {
    let (channels, capacities) = (texts(3, "channel"), vec![BATCH; 4]);
    let channels = [channels, vec!["sms".to_owned()]].concat();
    // Deliveries with a lease are skipped and read as well.
    expect_plan!(checker, 2 * BATCH + 200, "claim/select_due", bind![NOW, channels, capacities, i64::MIN]);
    expect_plan!(checker, 2, "claim/list_waiting_channels", &[]);
    expect_plan!(checker, BATCH, "copy/count_open_rounds", &[]);
    let (ids, numbers, nows) = (ids(), numbers(), repeated(&NOW));
    expect_plan!(checker, BATCH, "claim/acquire_lease", bind![ids, nows, nows]);
    let ones = repeated(&1_i64);
    expect_plan!(checker, BATCH, "claim/load_claimed_deliveries", bind![ids, ones, nows, numbers]);
    expect_plan!(checker, BATCH, "claim/release_lease", bind![ids]);
    expect_plan!(checker, 1, "claim/extend_lease", bind![1_i64, 1_i64, NOW]);
    let (rounds, waiting, none) = (repeated(&1_i64), repeated(&"waiting"), repeated(&None::<&str>));
    let never = repeated(&None::<i64>);
    expect_plan!(
        checker,
        BATCH,
        "claim/record_round",
        bind![ids, rounds, waiting, none, none, nows, never, none, none, rounds, nows]
    );
    let (first, last) = (ids[0], ids[ids.len() - 1]);
    expect_plan!(
        checker,
        BATCH,
        "claim/insert_attempt",
        bind![ids, rounds, rounds, none, waiting, none, none, nows, nows, none, none, first, last]
    );
    let new = ids.iter().map(|id| id + 63).collect::<Vec<_>>();
    expect_plan!(
        checker,
        BATCH,
        "claim/insert_first_attempt",
        bind![new, rounds, rounds, none, waiting, none, none, nows, nows, none, none]
    );
    expect_plan!(checker, BATCH, "claim/mark_superseded_round", bind![ids]);
    expect_plan!(checker, BATCH, "claim/check_recorded_round", bind![ids, rounds]);
    expect_plan!(checker, BATCH, "claim/finish_settled_round", bind![ids, rounds, rounds]);
    expect_plan!(
        checker,
        2 * BATCH + 200,
        "claim/close_lost_rounds",
        bind![NOW, BATCH, "the worker stopped during the call"]
    );
    let (references, blue) = (texts(BATCH, "early-"), repeated(&"blue"));
    expect_plan!(checker, BATCH, "receipts/select_unmatched_receipts", bind![ids, references, blue, none]);
    expect_plan!(checker, BATCH, "receipts/delete_unmatched_receipts", bind![references, blue]);
    expect_plan!(checker, BATCH, "claim/block_claims", bind![ids]);
    expect_plan!(checker, BATCH, "claim/unblock_claims", bind![ids]);
    expect_plan!(checker, BATCH, "claim/load_for_change", bind![ids]);
    expect_plan!(checker, BATCH, "claim/apply_change", bind![ids, waiting, none, none, nows, never, NOW]);
}

async fn expect_receipts(checker: &PlanChecker) {
    expect_plan!(checker, BATCH, "receipts/count_unmatched_receipts", bind![BATCH]);
    let (indexes, ids, nows) = (repeated(&0_i64), ids(), repeated(&NOW));
    let references = numbers().iter().map(|number| format!("ref-{number}")).collect::<Vec<_>>();
    let (blue, none, never) = (repeated(&Some("blue")), repeated(&None::<&str>), repeated(&None::<i64>));
    expect_plan!(checker, BATCH, "receipts/find_by_reference", bind![indexes, references, blue, none]);
    expect_plan!(
        checker,
        BATCH,
        "receipts/find_by_reference",
        bind![indexes, texts(BATCH, "unknown"), none, none]
    );
    expect_plan!(checker, BATCH, "receipts/load_delivery", bind![ids]);
    let (failed, bounced, delivered) = (repeated(&"failed"), repeated(&"bounced"), repeated(&"delivered"));
    expect_plan!(
        checker,
        BATCH,
        "receipts/apply_receipt",
        bind![ids, failed, bounced, bounced, never, nows, indexes, none, never, repeated(&"blue"), none]
    );
    let new = texts(BATCH, "early-new");
    expect_plan!(
        checker,
        BATCH,
        "receipts/insert_unmatched_receipt",
        bind![new, repeated(&"blue"), delivered, none, nows, nows, repeated(&"")]
    );
    expect_plan!(
        checker,
        BATCH,
        "recipients/deactivate_recipient",
        bind![ids, new, repeated(&"blue"), nows, repeated(&None::<&str>)]
    );
    expect_plan!(checker, 1, "receipts/save_late_reference", bind!["late-1", ids[0], 1_i64, "blue"]);
}

async fn expect_recipients(checker: &PlanChecker) {
    let (channel, address, provider) = ("sms", "+985", "blue");
    expect_plan!(
        checker,
        1,
        "recipients/save_recipient",
        bind![channel, address, "inactive", "test", provider, NOW]
    );
    expect_plan!(checker, 1, "recipients/opt_out_recipient", bind![channel, address, "test", provider, NOW]);
    expect_plan!(checker, 1, "recipients/opt_in_recipient", bind![channel, address, "test", provider, NOW]);
    expect_plan!(checker, 1, "recipients/insert_opt_message", bind![provider, "ref", channel, address, NOW]);
    expect_plan!(checker, BATCH, "recipients/select_waiting_deliveries", bind![address, channel]);
}
