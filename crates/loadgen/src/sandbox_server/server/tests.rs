use super::*;

#[test]
fn receipt_shares_are_drawn_in_order_and_the_rest_gets_no_receipt() {
    let shares = SandboxReceiptShares { delivered: 0.5, failed: 0.2, invalid: 0.1 };
    for (random, expected) in [
        (0.0, Some(SandboxReceiptStatus::Delivered)),
        (0.49, Some(SandboxReceiptStatus::Delivered)),
        (0.6, Some(SandboxReceiptStatus::Failed)),
        (0.75, Some(SandboxReceiptStatus::Invalid)),
        (0.9, None),
    ] {
        assert_eq!(draw_receipt(&shares, random), expected, "{random}");
    }
}
