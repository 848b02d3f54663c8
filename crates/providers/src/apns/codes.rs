//! The reasons with which APNs refuses a message, and the result of a response.
//!
//! APNs accepts a message with status 200 and an empty body; a 200 with a body comes from a proxy.

use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Timestamp;

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::parse_reference;

/// The reason with which APNs refuses a provider token that is too old.
const EXPIRED_PROVIDER_TOKEN: &str = "ExpiredProviderToken";

/// Reasons of refusals and their outcomes.
#[rustfmt::skip]
const APNS_REASON_CODES: &[OutcomeCode] = &[
    outcome_code("BadDeviceToken", OutcomeKind::InvalidRecipient, "unknown device in this environment"),
    outcome_code("DeviceTokenNotForTopic", OutcomeKind::InvalidRecipient, "the token belongs to another app"),
    outcome_code("MissingDeviceToken", OutcomeKind::InvalidRecipient, "missing device token"),
    outcome_code("Unregistered", OutcomeKind::InvalidRecipient, "the app is no longer on the device"),
    outcome_code("ExpiredToken", OutcomeKind::InvalidRecipient, "the token is no longer valid"),
    outcome_code("PayloadEmpty", OutcomeKind::Rejected, "empty payload"),
    outcome_code("PayloadTooLarge", OutcomeKind::Rejected, "payload longer than 4096 bytes"),
    outcome_code("BadMessageId", OutcomeKind::Rejected, "invalid apns-id"),
    outcome_code("BadExpirationDate", OutcomeKind::Rejected, "invalid expiration"),
    outcome_code("BadPriority", OutcomeKind::Rejected, "invalid priority"),
    outcome_code("DuplicateHeaders", OutcomeKind::Rejected, "duplicate header"),
    outcome_code("BadCollapseId", OutcomeKind::Rejected, "invalid collapse id"),
    outcome_code("InvalidPushType", OutcomeKind::Rejected, "invalid push type"),
    outcome_code("BadTopic", OutcomeKind::Misconfigured, "invalid topic"),
    outcome_code("MissingTopic", OutcomeKind::Misconfigured, "missing topic"),
    outcome_code("TopicDisallowed", OutcomeKind::Misconfigured, "the topic is not allowed for this account"),
    outcome_code("BadCertificate", OutcomeKind::Misconfigured, "invalid certificate"),
    outcome_code("BadCertificateEnvironment", OutcomeKind::Misconfigured, "the certificate is for the other environment"),
    outcome_code("Forbidden", OutcomeKind::Misconfigured, "forbidden for this account"),
    outcome_code("InvalidProviderToken", OutcomeKind::Misconfigured, "key, key_id and team_id do not match"),
    outcome_code("MissingProviderToken", OutcomeKind::Misconfigured, "missing provider token"),
    outcome_code(EXPIRED_PROVIDER_TOKEN, OutcomeKind::Misconfigured, "the provider token has expired, even a new one; check the clock of this machine"),
    outcome_code("TooManyProviderTokenUpdates", OutcomeKind::Unavailable, "the provider token was renewed too often"),
    outcome_code("BadPath", OutcomeKind::Unavailable, "invalid path; check base_url"),
    outcome_code("MethodNotAllowed", OutcomeKind::Unavailable, "invalid method; check base_url"),
    // This code concerns one device, so the provider gets no cooldown.
    outcome_code("TooManyRequests", OutcomeKind::Deferred, "too many messages to this device"),
    outcome_code("IdleTimeout", OutcomeKind::Unavailable, "connection idle for too long"),
    outcome_code("InternalServerError", OutcomeKind::Unavailable, "internal error of APNs"),
    outcome_code("ServiceUnavailable", OutcomeKind::Unavailable, "APNs is overloaded"),
    outcome_code("Shutdown", OutcomeKind::Unavailable, "APNs server is shutting down"),
];

/// Returns whether the provider token had expired, in which case APNs did not process the message.
pub(super) fn is_token_expired(response: &JsonResponse) -> bool {
    response.str_at("/reason") == Some(EXPIRED_PROVIDER_TOKEN)
}

/// Returns whether the device may belong to the other environment or to another app.
pub(super) fn is_environment_or_topic_mismatch(result: &SendResult) -> bool {
    matches!(result.code.as_deref(), Some("BadDeviceToken" | "DeviceTokenNotForTopic"))
}

/// Returns whether the app registered the device again after APNs had found it unregistered. The response is then
/// outdated.
fn is_registered_again(response: &JsonResponse, registered_at: Option<Timestamp>) -> bool {
    let invalid_since = response.json["timestamp"].as_i64().filter(|_| response.status == 410);
    invalid_since.zip(registered_at).is_some_and(|(since, registered)| since < registered.timestamp_millis())
}

/// Returns the result of a response to a message for a device. `registered_at` is the time at which the app last
/// registered the device. `message_id` returns the id of the request; it is the reference if the response has none.
pub(super) fn send_result(
    response: &JsonResponse,
    registered_at: Option<Timestamp>,
    message_id: impl FnOnce() -> String,
) -> SendResult {
    if response.status == 200 && response.is_empty() {
        let apns_id = response.headers.get("apns-id").and_then(|id| parse_reference(id.to_str().ok()?));
        return Outcome::Accepted { reference: Some(apns_id.unwrap_or_else(message_id)) }.into();
    }
    let reason = response.str_at("/reason");
    let apns_code = reason.map_or_else(|| response.http_status_text(), str::to_owned);
    let retry_after = response.retry_after();
    let known_code_line = reason.and_then(|reason| OutcomeCode::find(APNS_REASON_CODES, reason)).copied();
    let code_line = known_code_line.unwrap_or_else(|| response.status_outcome());
    if is_registered_again(response, registered_at) {
        let description = "unregistered before the app registered the device again";
        return outcome_code("", OutcomeKind::Rejected, description).send_result(apns_code, None, None);
    }
    if code_line.outcome == OutcomeKind::Unavailable && retry_after.is_some() {
        return outcome_code("", OutcomeKind::Throttled, "asks for a pause").send_result(
            apns_code,
            None,
            retry_after,
        );
    }
    code_line.send_result(apns_code, reason.filter(|_| known_code_line.is_none()), retry_after)
}

#[cfg(test)]
mod tests;
