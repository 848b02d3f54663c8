use super::*;
use crate::http_response::{BodyEnd, HttpCallResult, HttpResponse};
use crate::json_api::into_json_response;
use crate::outcome_kind::OutcomeKind::{Deferred, InvalidRecipient, Misconfigured, Rejected, Unavailable};
use crate::testing::code_table::expect_code_table;
use postrider_core::clock::from_millis;

#[test]
#[rustfmt::skip]
fn every_reason_has_its_outcome_and_description() {
    expect_code_table(APNS_REASON_CODES, &[
        ("BadDeviceToken", InvalidRecipient, "unknown device in this environment"),
        ("DeviceTokenNotForTopic", InvalidRecipient, "the token belongs to another app"),
        ("MissingDeviceToken", InvalidRecipient, "missing device token"),
        ("Unregistered", InvalidRecipient, "the app is no longer on the device"),
        ("ExpiredToken", InvalidRecipient, "the token is no longer valid"),
        ("PayloadEmpty", Rejected, "empty payload"),
        ("PayloadTooLarge", Rejected, "payload longer than 4096 bytes"),
        ("BadMessageId", Rejected, "invalid apns-id"),
        ("BadExpirationDate", Rejected, "invalid expiration"),
        ("BadPriority", Rejected, "invalid priority"),
        ("DuplicateHeaders", Rejected, "duplicate header"),
        ("BadCollapseId", Rejected, "invalid collapse id"),
        ("InvalidPushType", Rejected, "invalid push type"),
        ("BadTopic", Misconfigured, "invalid topic"),
        ("MissingTopic", Misconfigured, "missing topic"),
        ("TopicDisallowed", Misconfigured, "the topic is not allowed for this account"),
        ("BadCertificate", Misconfigured, "invalid certificate"),
        ("BadCertificateEnvironment", Misconfigured, "the certificate is for the other environment"),
        ("Forbidden", Misconfigured, "forbidden for this account"),
        ("InvalidProviderToken", Misconfigured, "key, key_id and team_id do not match"),
        ("MissingProviderToken", Misconfigured, "missing provider token"),
        ("ExpiredProviderToken", Misconfigured, "the provider token has expired, even a new one; check the clock of this machine"),
        ("TooManyProviderTokenUpdates", Unavailable, "the provider token was renewed too often"),
        ("BadPath", Unavailable, "invalid path; check base_url"),
        ("MethodNotAllowed", Unavailable, "invalid method; check base_url"),
        ("TooManyRequests", Deferred, "too many messages to this device"),
        ("IdleTimeout", Unavailable, "connection idle for too long"),
        ("InternalServerError", Unavailable, "internal error of APNs"),
        ("ServiceUnavailable", Unavailable, "APNs is overloaded"),
        ("Shutdown", Unavailable, "APNs server is shutting down"),
    ]);
}

#[test]
fn an_unregistered_device_counts_only_if_it_was_registered_before() {
    let call = HttpCallResult::Response(HttpResponse {
        status: 410,
        headers: reqwest::header::HeaderMap::new(),
        body: br#"{"reason":"Unregistered","timestamp":1784642585000}"#.to_vec(),
        body_end: BodyEnd::Complete,
    });
    let response = into_json_response(call).unwrap();
    for (registered_at, outcome) in [
        (None, "invalid_recipient"),
        (Some(1_784_642_584_000), "invalid_recipient"),
        (Some(1_784_642_586_000), "rejected"),
    ] {
        let result = send_result(&response, registered_at.map(from_millis), String::new);
        assert_eq!(result.outcome.as_str(), outcome, "{registered_at:?}");
    }
}
