use super::*;
use crate::outcome_kind::OutcomeKind::{InvalidRecipient, Misconfigured, Rejected, Throttled, Unavailable};
use crate::testing::code_table::expect_code_table;

#[test]
#[rustfmt::skip]
fn every_error_code_has_its_outcome_and_reason() {
    expect_code_table(FCM_ERROR_CODES, &[
        ("UNREGISTERED", InvalidRecipient, "the token is no longer valid"),
        ("INVALID_ARGUMENT", Rejected, "invalid message"),
        ("SENDER_ID_MISMATCH", InvalidRecipient, "the token belongs to another project"),
        ("QUOTA_EXCEEDED", Throttled, "too many messages"),
        ("UNAVAILABLE", Unavailable, "FCM is overloaded"),
        ("INTERNAL", Unavailable, "internal error of FCM"),
        ("THIRD_PARTY_AUTH_ERROR", Unavailable, "the project lacks APNs or web push credentials"),
        ("APNS_AUTH_ERROR", Unavailable, "the project lacks APNs credentials"),
        ("UNSPECIFIED_ERROR", Unavailable, "unspecified error of FCM"),
    ]);
}

#[test]
#[rustfmt::skip]
fn every_google_status_has_its_outcome_and_reason() {
    expect_code_table(GOOGLE_STATUS_CODES, &[
        ("UNAUTHENTICATED", Misconfigured, "refuses the access token, even a new one"),
        ("PERMISSION_DENIED", Misconfigured, "the service account lacks the permission, or the project the API"),
        ("NOT_FOUND", Unavailable, "unknown project or device"),
        ("INVALID_ARGUMENT", Rejected, "invalid message"),
        ("RESOURCE_EXHAUSTED", Throttled, "too many messages"),
        ("UNAVAILABLE", Unavailable, "FCM is overloaded"),
        ("INTERNAL", Unavailable, "internal error of FCM"),
    ]);
}
