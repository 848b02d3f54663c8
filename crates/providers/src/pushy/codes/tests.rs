use super::*;
use crate::outcome_kind::OutcomeKind::{InvalidRecipient, Misconfigured, Rejected, Throttled, Unavailable};
use crate::testing::code_table::expect_code_table;

#[test]
#[rustfmt::skip]
fn every_code_has_its_outcome_and_reason() {
    expect_code_table(PUSHY_CODES, &[
        ("NO_RECIPIENTS", InvalidRecipient, "unknown device"),
        ("INVALID_PARAM", Rejected, "invalid message"),
        ("PAYLOAD_LIMIT_EXCEEDED", Rejected, "message longer than 4 kB"),
        ("NO_APNS_AUTH", Unavailable, "the app has no APNs credentials"),
        ("INVALID_API_KEY", Misconfigured, "api_key is not valid"),
        ("AUTH_LIMIT_EXCEEDED", Misconfigured, "the plan allows no more devices"),
        ("ACCOUNT_SUSPENDED", Misconfigured, "the account is suspended"),
        ("RATE_LIMIT_EXCEEDED", Throttled, "too many requests"),
        ("INTERNAL_SERVER_ERROR", Unavailable, "internal error of Pushy"),
        ("INTERNAL_ERROR", Unavailable, "internal error of Pushy"),
    ]);
}
