//! Maps SES responses to outcomes.
//!
//! The error name decides first, then its message, then the HTTP status.

use std::time::Duration;

use crate::json_api::JsonResponse;
use crate::outcome_kind::OutcomeKind::{self, Misconfigured, Rejected, Throttled, Unavailable};
use crate::provider_text::{parse_reference, sanitize_text};
use postrider_core::attempt::{Outcome, SendResult};

#[cfg(test)]
mod tests;

/// Cooldown when the sending rate of the account is exceeded.
const RATE_LIMIT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Cooldown when a quota of the account is used up: ten minutes, as AWS advises.
const QUOTA_RETRY_AFTER: Duration = Duration::from_secs(10 * 60);

/// Error name for a used-up quota.
const LIMIT_EXCEEDED: &str = "LimitExceededException";

/// Outcome of each error name.
const ERROR_OUTCOMES: [(&str, OutcomeKind); 28] = [
    ("MessageRejected", Rejected),
    ("BadRequestException", Rejected),
    ("MailFromDomainNotVerifiedException", Misconfigured),
    ("AccountSuspendedException", Misconfigured),
    ("SendingPausedException", Misconfigured),
    ("NotFoundException", Misconfigured),
    (LIMIT_EXCEEDED, Throttled),
    ("TooManyRequestsException", Throttled),
    ("ThrottlingException", Throttled),
    ("Throttling", Throttled),
    ("RequestLimitExceeded", Throttled),
    ("SlowDown", Throttled),
    ("InternalServiceErrorException", Unavailable),
    ("InternalFailure", Unavailable),
    ("ServiceUnavailable", Unavailable),
    ("ServiceUnavailableException", Unavailable),
    ("ConcurrentModificationException", Unavailable),
    ("ConflictException", Unavailable),
    ("AccessDeniedException", Misconfigured),
    ("AccessDenied", Misconfigured),
    ("UnrecognizedClientException", Misconfigured),
    ("InvalidClientTokenId", Misconfigured),
    ("SignatureDoesNotMatch", Misconfigured),
    ("IncompleteSignature", Misconfigured),
    ("MissingAuthenticationToken", Misconfigured),
    ("OptInRequired", Misconfigured),
    ("ExpiredTokenException", Misconfigured),
    ("RequestExpired", Misconfigured),
];

/// Returns the result of a send to `to`.
pub(super) fn send_result(response: &JsonResponse, to: &str) -> SendResult {
    if response.status == 200 {
        return match response.str_at("/MessageId").and_then(parse_reference) {
            None => response.unconfirmed_outcome().into(),
            reference => Outcome::Accepted { reference }.into(),
        };
    }
    let name = error_name(response);
    SendResult {
        outcome: outcome_of_error(response, name.as_deref(), to),
        code: Some(name.unwrap_or_else(|| response.http_status_text())),
    }
}

/// Returns the error name out of `namespace#Name:http://…`, from the header or the body as AWS clients do.
fn error_name(response: &JsonResponse) -> Option<String> {
    let header = response.headers.get("x-amzn-errortype");
    let text = header
        .and_then(|value| value.to_str().ok())
        .or_else(|| response.str_at("/code"))
        .or_else(|| response.str_at("/__type"))?;
    let text = text.split(':').next().unwrap_or_default();
    let text = text.rsplit('#').next().unwrap_or_default();
    Some(sanitize_text(text)).filter(|name| !name.is_empty())
}

/// Returns the error message, or the body when it has none.
pub(super) fn error_message(response: &JsonResponse) -> String {
    let message = response.str_at("/message").or_else(|| response.str_at("/Message"));
    match message {
        Some(message) => sanitize_text(message),
        None => sanitize_text(&String::from_utf8_lossy(&response.body)),
    }
}

fn outcome_of_error(response: &JsonResponse, name: Option<&str>, to: &str) -> Outcome {
    let reason = error_message(response);
    let mentions = |text: &str| reason.to_ascii_lowercase().contains(text);
    let entry = name.and_then(|name| ERROR_OUTCOMES.iter().find(|(error_name, _)| *error_name == name));
    let kind = match entry.map_or_else(|| response.status_outcome().outcome, |(_, kind)| *kind) {
        // The sender is not verified, or the account is in the sandbox: this concerns every message.
        Rejected if mentions("not verified") => Misconfigured,
        Rejected if name == Some("BadRequestException") && names_recipient(&reason, to) => {
            OutcomeKind::InvalidRecipient
        }
        kind => kind,
    };
    let is_quota = name == Some(LIMIT_EXCEEDED) || mentions("daily") || mentions("quota");
    let default = if is_quota { QUOTA_RETRY_AFTER } else { RATE_LIMIT_RETRY_AFTER };
    let retry_after = response.retry_after().unwrap_or(default);
    kind.into_outcome(None, reason, (kind == Throttled).then_some(retry_after))
}

fn names_recipient(reason: &str, to: &str) -> bool {
    !to.is_empty() && reason.to_lowercase().contains(&to.to_lowercase())
}
