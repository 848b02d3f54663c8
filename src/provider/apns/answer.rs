//! Apple's answers as outcomes: the reason's name first, then the HTTP status.
//!
//! An acceptance is 200 with an empty body; a page of somebody in between is none.

use crate::domain::attempt::{Answer, Outcome};
use crate::provider::api::{Heard, Meaning, means};
use crate::provider::fate::Fate;
use crate::provider::reading::reference;

/// The token of ours that is too old.
const TOO_OLD: &str = "ExpiredProviderToken";

/// Apple's reasons.
const REASONS: &[Meaning] = &[
    means(
        "BadDeviceToken",
        Fate::InvalidRecipient,
        "there is no such device in this environment",
    ),
    means(
        "DeviceTokenNotForTopic",
        Fate::InvalidRecipient,
        "the token belongs to another app",
    ),
    means("MissingDeviceToken", Fate::InvalidRecipient, "there is no token"),
    means(
        "Unregistered",
        Fate::InvalidRecipient,
        "the app is no longer on the device",
    ),
    means(
        "ExpiredToken",
        Fate::InvalidRecipient,
        "the token is no longer valid",
    ),
    means("PayloadEmpty", Fate::Rejected, "there is no message"),
    means(
        "PayloadTooLarge",
        Fate::Rejected,
        "the message is longer than 4096 bytes",
    ),
    means("BadMessageId", Fate::Rejected, "the id is wrong"),
    means("BadExpirationDate", Fate::Rejected, "the time of expiry is wrong"),
    means("BadPriority", Fate::Rejected, "the priority is wrong"),
    means("DuplicateHeaders", Fate::Rejected, "a header came twice"),
    means("BadCollapseId", Fate::Rejected, "the collapse id is wrong"),
    means("InvalidPushType", Fate::Rejected, "the push type is wrong"),
    means("BadTopic", Fate::Misconfigured, "the topic is wrong"),
    means("MissingTopic", Fate::Misconfigured, "there is no topic"),
    means(
        "TopicDisallowed",
        Fate::Misconfigured,
        "the topic is not allowed for this account",
    ),
    means("BadCertificate", Fate::Misconfigured, "the certificate is wrong"),
    means(
        "BadCertificateEnvironment",
        Fate::Misconfigured,
        "the certificate is for the other environment",
    ),
    means("Forbidden", Fate::Misconfigured, "this account may not"),
    means(
        "InvalidProviderToken",
        Fate::Misconfigured,
        "key, key_id and team_id do not fit together",
    ),
    means(
        "MissingProviderToken",
        Fate::Misconfigured,
        "there is no token of ours",
    ),
    means(
        TOO_OLD,
        Fate::Misconfigured,
        "our token is too old, also a new one: look at this machine's clock",
    ),
    means(
        "TooManyProviderTokenUpdates",
        Fate::Misconfigured,
        "our token was signed anew too often",
    ),
    means("BadPath", Fate::Misconfigured, "the path is wrong; see base_url"),
    means(
        "MethodNotAllowed",
        Fate::Misconfigured,
        "the method is wrong; see base_url",
    ),
    // It speaks of one device, so the provider need not be left alone.
    means(
        "TooManyRequests",
        Fate::Deferred,
        "too many messages to this device",
    ),
    means(
        "IdleTimeout",
        Fate::Unavailable,
        "the connection was idle too long",
    ),
    means(
        "InternalServerError",
        Fate::Unavailable,
        "Apple has an error of its own",
    ),
    means("ServiceUnavailable", Fate::Unavailable, "Apple is overloaded"),
    means("Shutdown", Fate::Unavailable, "Apple's server is shutting down"),
];

/// Whether our token was refused for its age, so that nothing of the message was looked at.
pub(super) fn refuses_age(heard: &Heard) -> bool {
    heard.text("/reason") == Some(TOO_OLD)
}

/// Whether the device may be known in the other environment, or to another app.
pub(super) fn may_belong_elsewhere(answer: &Answer) -> bool {
    matches!(
        answer.code.as_deref(),
        Some("BadDeviceToken" | "DeviceTokenNotForTopic")
    )
}

/// What an answer means. `own_id` is the id that the request named.
pub(super) fn answer(heard: &Heard, own_id: impl FnOnce() -> String) -> Answer {
    if heard.status == 200 && heard.is_empty {
        let theirs = heard
            .headers
            .get("apns-id")
            .and_then(|id| reference(id.to_str().ok()?));
        let reference = Some(theirs.unwrap_or_else(own_id));
        return Outcome::Accepted { reference }.into();
    }
    let reason = heard.text("/reason");
    let of_status = Meaning::of_status(heard.status);
    let meaning = reason
        .and_then(|reason| Meaning::find(REASONS, reason))
        .unwrap_or(&of_status);
    let code = reason.map_or_else(|| heard.status_code(), str::to_owned);
    let wait = heard.retry_after();
    let meaning = match (meaning.fate, wait) {
        (Fate::Unavailable, Some(_)) => &means("", Fate::Throttled, "asks to be left alone"),
        _ => meaning,
    };
    let theirs = of_status.words == meaning.words;
    meaning.answer(code, reason.filter(|_| theirs), wait)
}
