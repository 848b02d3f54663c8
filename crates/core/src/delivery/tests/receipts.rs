//! Every receipt in every state.

use super::*;
use crate::receipt::ReceiptStatus;

fn all_receipt_statuses() -> [ReceiptStatus; 4] {
    [
        ReceiptStatus::Delivered,
        ReceiptStatus::Opened,
        ReceiptStatus::Bounced { reason: reason() },
        ReceiptStatus::Invalid { reason: reason() },
    ]
}

/// The context of a receipt for the copy that the state is about.
fn context(provider: &ConfigName) -> ReceiptContext<'_> {
    ReceiptContext {
        provider,
        reference: Some("r-1"),
        is_current_attempt: true,
        is_opened: false,
        resends_left: 0,
        other_addresses_left: 0,
    }
}

/// Returns the state after a late answer and after each receipt status at second 50, `-` where it stays.
fn after_each(state: &DeliveryState, context: ReceiptContext<'_>) -> [String; 5] {
    let [delivered, opened, bounced, invalid] =
        all_receipt_statuses().map(|status| state.apply_receipt(&status, at(50), context));
    let late = state.accept_late(at(50), context);
    [late, delivered, opened, bounced, invalid]
        .map(|next| next.map_or("-".to_owned(), |next| state_summary(&next)))
}

#[test]
fn a_receipt_ends_a_sent_delivery() {
    let (sent, red) = (&states()[1], red());
    let after = |resends_left, other_addresses_left| {
        after_each(sent, ReceiptContext { resends_left, other_addresses_left, ..context(&red) })
    };
    let [delivered, bounced, invalid] = ["delivered", "failed bounced", "failed invalid_recipient"];
    assert_eq!(after(0, 0), ["-", delivered, delivered, bounced, invalid]);
    assert_eq!(after(1, 0), ["-", delivered, delivered, "waiting 50", invalid]);
    assert_eq!(after(0, 1), ["-", delivered, delivered, bounced, "waiting 50"]);
}

#[test]
fn a_failure_of_another_copy_does_not_end_a_sent_delivery() {
    let red = red();
    let other = ReceiptContext { is_current_attempt: false, resends_left: 1, ..context(&red) };
    assert_eq!(after_each(&states()[1], other), ["-", "delivered", "delivered", "-", "-"]);
}

#[test]
fn a_receipt_for_an_earlier_copy_stops_a_delivery_that_waits_for_its_retry() {
    let (waiting, red) = (&states()[0], red());
    let earlier = ReceiptContext { is_current_attempt: false, ..context(&red) };
    let [delivered, invalid] = ["delivered", "failed invalid_recipient"];
    assert_eq!(after_each(waiting, earlier), ["sent red r-1", delivered, delivered, "-", invalid]);
    let with_addresses = ReceiptContext { other_addresses_left: 1, ..earlier };
    assert_eq!(after_each(waiting, with_addresses), ["sent red r-1", delivered, delivered, "-", "-"]);
}

#[test]
fn a_failure_corrects_a_delivery_unless_it_is_older_or_the_message_was_opened() {
    let red = red();
    let after =
        |delivered_at, context| after_each(&DeliveryState::Delivered { at: at(delivered_at) }, context);
    let bounced = "failed bounced";
    assert_eq!(after(50, context(&red)), ["-", "-", "-", bounced, bounced]);
    assert_eq!(
        after(50, ReceiptContext { resends_left: 1, ..context(&red) })[3],
        bounced,
        "never sent again"
    );
    let nothing = ["-"; 5];
    assert_eq!(after(51, context(&red)), nothing);
    assert_eq!(after(50, ReceiptContext { is_opened: true, ..context(&red) }), nothing);
    assert_eq!(after(50, ReceiptContext { is_current_attempt: false, ..context(&red) }), nothing);
}

#[test]
fn a_delivery_corrects_every_failure_but_a_newer_receipt() {
    let red = red();
    for failure in Failure::ALL {
        let after =
            |failed_at| after_each(&DeliveryState::failed(failure, "no", at(failed_at)), context(&red));
        let is_sent_late = matches!(failure, Failure::Unknown | Failure::Expired | Failure::Exhausted);
        let sent = if is_sent_late { "sent red r-1" } else { "-" };
        assert_eq!(after(50), [sent, "delivered", "delivered", "-", "-"], "{failure:?}");
        let is_reported = matches!(failure, Failure::Bounced | Failure::InvalidRecipient);
        let later = if is_reported { "-" } else { "delivered" };
        assert_eq!(after(51), [sent, later, later, "-", "-"], "{failure:?}");
    }
}
