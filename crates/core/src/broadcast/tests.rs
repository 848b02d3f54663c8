use super::*;

#[test]
fn ratios_have_two_decimals_and_are_none_for_a_division_by_zero() {
    for (part, whole, text) in [
        (8, 10, Some("0.80")),
        (4, 8, Some("0.50")),
        (0, 3, Some("0.00")),
        (3, 3, Some("1.00")),
        (2, 3, Some("0.67")),
        (1, 8, Some("0.13")),
        (u64::MAX, u64::MAX, Some("1.00")),
        (0, 0, None),
        (1, 0, None),
    ] {
        assert_eq!(format_ratio(part, whole).as_deref(), text, "{part}/{whole}");
    }
}

#[test]
fn ratios_refer_to_all_messages_and_to_delivered_ones() {
    let counts = BroadcastCounts {
        messages: 10,
        unconfirmed: 1,
        failed: 1,
        received: 8,
        opened: 4,
        ..BroadcastCounts::default()
    };
    assert_eq!(counts.received_ratio().as_deref(), Some("0.80"));
    assert_eq!(counts.opened_ratio().as_deref(), Some("0.50"));
    assert_eq!(BroadcastCounts::default().received_ratio(), None);
    assert_eq!(BroadcastCounts::default().opened_ratio(), None);
}
