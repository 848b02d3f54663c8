//! Apple's answers as outcomes: the reason's name first, then the HTTP status.
//!
//! An acceptance is 200 with an empty body; a page of somebody in between is none.

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::parse_reference;
use postrider_core::attempt::{Outcome, SendResult};

/// The token of ours that is too old.
const EXPIRED_PROVIDER_TOKEN: &str = "ExpiredProviderToken";

/// Apple's reasons.
const REASON_CODES: &[OutcomeCode] = &[
    outcome_code(
        "BadDeviceToken",
        OutcomeKind::InvalidRecipient,
        "there is no such device in this environment",
    ),
    outcome_code(
        "DeviceTokenNotForTopic",
        OutcomeKind::InvalidRecipient,
        "the token belongs to another app",
    ),
    outcome_code(
        "MissingDeviceToken",
        OutcomeKind::InvalidRecipient,
        "there is no token",
    ),
    outcome_code(
        "Unregistered",
        OutcomeKind::InvalidRecipient,
        "the app is no longer on the device",
    ),
    outcome_code(
        "ExpiredToken",
        OutcomeKind::InvalidRecipient,
        "the token is no longer valid",
    ),
    outcome_code("PayloadEmpty", OutcomeKind::Rejected, "there is no message"),
    outcome_code(
        "PayloadTooLarge",
        OutcomeKind::Rejected,
        "the message is longer than 4096 bytes",
    ),
    outcome_code("BadMessageId", OutcomeKind::Rejected, "the id is wrong"),
    outcome_code(
        "BadExpirationDate",
        OutcomeKind::Rejected,
        "the time of expiry is wrong",
    ),
    outcome_code("BadPriority", OutcomeKind::Rejected, "the priority is wrong"),
    outcome_code("DuplicateHeaders", OutcomeKind::Rejected, "a header came twice"),
    outcome_code("BadCollapseId", OutcomeKind::Rejected, "the collapse id is wrong"),
    outcome_code("InvalidPushType", OutcomeKind::Rejected, "the push type is wrong"),
    outcome_code("BadTopic", OutcomeKind::Misconfigured, "the topic is wrong"),
    outcome_code("MissingTopic", OutcomeKind::Misconfigured, "there is no topic"),
    outcome_code(
        "TopicDisallowed",
        OutcomeKind::Misconfigured,
        "the topic is not allowed for this account",
    ),
    outcome_code(
        "BadCertificate",
        OutcomeKind::Misconfigured,
        "the certificate is wrong",
    ),
    outcome_code(
        "BadCertificateEnvironment",
        OutcomeKind::Misconfigured,
        "the certificate is for the other environment",
    ),
    outcome_code("Forbidden", OutcomeKind::Misconfigured, "this account may not"),
    outcome_code(
        "InvalidProviderToken",
        OutcomeKind::Misconfigured,
        "key, key_id and team_id do not fit together",
    ),
    outcome_code(
        "MissingProviderToken",
        OutcomeKind::Misconfigured,
        "there is no token of ours",
    ),
    outcome_code(
        EXPIRED_PROVIDER_TOKEN,
        OutcomeKind::Misconfigured,
        "our token is too old, also a new one: look at this machine's clock",
    ),
    outcome_code(
        "TooManyProviderTokenUpdates",
        OutcomeKind::Misconfigured,
        "our token was signed anew too often",
    ),
    outcome_code(
        "BadPath",
        OutcomeKind::Misconfigured,
        "the path is wrong; see base_url",
    ),
    outcome_code(
        "MethodNotAllowed",
        OutcomeKind::Misconfigured,
        "the method is wrong; see base_url",
    ),
    // It speaks of one device, so the provider need not be left alone.
    outcome_code(
        "TooManyRequests",
        OutcomeKind::Deferred,
        "too many messages to this device",
    ),
    outcome_code(
        "IdleTimeout",
        OutcomeKind::Unavailable,
        "the connection was idle too long",
    ),
    outcome_code(
        "InternalServerError",
        OutcomeKind::Unavailable,
        "Apple has an error of its own",
    ),
    outcome_code(
        "ServiceUnavailable",
        OutcomeKind::Unavailable,
        "Apple is overloaded",
    ),
    outcome_code(
        "Shutdown",
        OutcomeKind::Unavailable,
        "Apple's server is shutting down",
    ),
];

/// Whether our token was refused for its age, so that nothing of the message was looked at.
pub(super) fn is_token_expired(heard: &JsonResponse) -> bool {
    heard.str_at("/reason") == Some(EXPIRED_PROVIDER_TOKEN)
}

/// Whether the device may be known in the other environment, or to another app.
pub(super) fn is_environment_or_topic_mismatch(answer: &SendResult) -> bool {
    matches!(
        answer.code.as_deref(),
        Some("BadDeviceToken" | "DeviceTokenNotForTopic")
    )
}

/// What an answer means. `own_id` is the id that the request named.
pub(super) fn send_result(heard: &JsonResponse, own_id: impl FnOnce() -> String) -> SendResult {
    if heard.status == 200 && heard.is_empty() {
        let theirs = heard
            .headers
            .get("apns-id")
            .and_then(|id| parse_reference(id.to_str().ok()?));
        let reference = Some(theirs.unwrap_or_else(own_id));
        return Outcome::Accepted { reference }.into();
    }
    let reason = heard.str_at("/reason");
    let of_status = heard.status_outcome();
    let meaning = reason
        .and_then(|reason| OutcomeCode::find(REASON_CODES, reason))
        .unwrap_or(&of_status);
    let code = reason.map_or_else(|| heard.http_status_text(), str::to_owned);
    let wait = heard.retry_after();
    let meaning = match (meaning.outcome, wait) {
        (OutcomeKind::Unavailable, Some(_)) => {
            &outcome_code("", OutcomeKind::Throttled, "asks to be left alone")
        }
        _ => meaning,
    };
    let theirs = of_status.description == meaning.description;
    meaning.send_result(code, reason.filter(|_| theirs), wait)
}
