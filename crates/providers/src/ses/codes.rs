//! The names of SES errors, and the result of a response.
//!
//! The error name decides first, then the error message, then the HTTP status.

use std::time::Duration;

use postrider_core::attempt::{Outcome, SendResult};

use crate::json_api::JsonResponse;
use crate::mail_status::names_policy;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::{parse_reference, sanitize_text};

/// Cooldown when the sending rate of the account is exceeded.
const RATE_LIMIT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Cooldown when a quota of the account is used up: ten minutes, as AWS advises.
const QUOTA_RETRY_AFTER: Duration = Duration::from_secs(10 * 60);

/// The error name for a used-up quota.
const LIMIT_EXCEEDED: &str = "LimitExceededException";

/// The error name for an invalid request.
const BAD_REQUEST: &str = "BadRequestException";

/// Error names.
#[rustfmt::skip]
const SES_ERROR_CODES: &[OutcomeCode] = &[
    outcome_code("MessageRejected", OutcomeKind::Rejected, "invalid message"),
    outcome_code(BAD_REQUEST, OutcomeKind::Rejected, "invalid request"),
    outcome_code("MailFromDomainNotVerifiedException", OutcomeKind::Misconfigured, "the sender's domain is not verified"),
    outcome_code("AccountSuspendedException", OutcomeKind::Misconfigured, "the account is suspended"),
    outcome_code("SendingPausedException", OutcomeKind::Misconfigured, "sending is paused for this account"),
    outcome_code("NotFoundException", OutcomeKind::Misconfigured, "the configuration set does not exist"),
    outcome_code(LIMIT_EXCEEDED, OutcomeKind::Throttled, "a quota of the account is used up"),
    outcome_code("TooManyRequestsException", OutcomeKind::Throttled, "too many requests"),
    outcome_code("ThrottlingException", OutcomeKind::Throttled, "too many requests"),
    outcome_code("Throttling", OutcomeKind::Throttled, "too many requests"),
    outcome_code("RequestLimitExceeded", OutcomeKind::Throttled, "too many requests"),
    outcome_code("SlowDown", OutcomeKind::Throttled, "too many requests"),
    outcome_code("InternalServiceErrorException", OutcomeKind::Unavailable, "internal error of SES"),
    outcome_code("InternalFailure", OutcomeKind::Unavailable, "internal error of SES"),
    outcome_code("ServiceUnavailable", OutcomeKind::Unavailable, "SES is unavailable"),
    outcome_code("ServiceUnavailableException", OutcomeKind::Unavailable, "SES is unavailable"),
    outcome_code("ConcurrentModificationException", OutcomeKind::Unavailable, "the account is being changed"),
    outcome_code("ConflictException", OutcomeKind::Unavailable, "the account is being changed"),
    outcome_code("AccessDeniedException", OutcomeKind::Misconfigured, "the access key lacks a permission"),
    outcome_code("AccessDenied", OutcomeKind::Misconfigured, "the access key lacks a permission"),
    outcome_code("UnrecognizedClientException", OutcomeKind::Misconfigured, "the access key does not exist"),
    outcome_code("InvalidClientTokenId", OutcomeKind::Misconfigured, "the access key does not exist"),
    outcome_code("SignatureDoesNotMatch", OutcomeKind::Misconfigured, "wrong secret_access_key"),
    outcome_code("IncompleteSignature", OutcomeKind::Misconfigured, "the signature is incomplete"),
    outcome_code("MissingAuthenticationToken", OutcomeKind::Misconfigured, "the access key is missing"),
    outcome_code("OptInRequired", OutcomeKind::Misconfigured, "the account is not subscribed to SES"),
    outcome_code("ExpiredTokenException", OutcomeKind::Misconfigured, "the session token has expired"),
    outcome_code("RequestExpired", OutcomeKind::Misconfigured, "the request is too old; check the clock of this machine"),
];

/// Returns the result of a send to `to`.
pub(super) fn send_result(response: &JsonResponse, to: &str) -> SendResult {
    if response.status == 200 {
        return match response.str_at("/MessageId").and_then(parse_reference) {
            None => response.unconfirmed_outcome().into(),
            reference => Outcome::Accepted { reference }.into(),
        };
    }
    let error_name = error_name(response);
    let message = error_message(response);
    let mentions = |text: &str| message.to_lowercase().contains(&text.to_lowercase());
    let known_code_line =
        error_name.as_deref().and_then(|name| OutcomeCode::find(SES_ERROR_CODES, name)).copied();
    let code_line = match known_code_line.unwrap_or_else(|| response.status_outcome()) {
        code_line if code_line.outcome == OutcomeKind::Rejected && mentions("not verified") => {
            let description = "the sender is not verified, or the account is in the sandbox";
            outcome_code("", OutcomeKind::Misconfigured, description)
        }
        code_line
            if code_line.code == BAD_REQUEST && !to.is_empty() && mentions(to) && !names_policy(&message) =>
        {
            outcome_code("", OutcomeKind::InvalidRecipient, "invalid email address")
        }
        code_line => code_line,
    };
    let is_quota = code_line.code == LIMIT_EXCEEDED || mentions("daily") || mentions("quota");
    let default_retry_after = if is_quota { QUOTA_RETRY_AFTER } else { RATE_LIMIT_RETRY_AFTER };
    let retry_after = response.retry_after().unwrap_or(default_retry_after);
    let code = error_name.unwrap_or_else(|| response.http_status_text());
    code_line.send_result(code, Some(&message), Some(retry_after))
}

/// Returns the error name out of `namespace#Name:http://…`, from the header or the body as AWS clients do.
fn error_name(response: &JsonResponse) -> Option<String> {
    let header = response.headers.get("x-amzn-errortype");
    let qualified_name = header
        .and_then(|header| header.to_str().ok())
        .or_else(|| response.str_at("/code"))
        .or_else(|| response.str_at("/__type"))?;
    let without_url = qualified_name.split(':').next().unwrap_or_default();
    let name = without_url.rsplit('#').next().unwrap_or_default();
    Some(sanitize_text(name)).filter(|name| !name.is_empty())
}

/// Returns the error message, or the body when the response has no message.
pub(super) fn error_message(response: &JsonResponse) -> String {
    let message = response.str_at("/message").or_else(|| response.str_at("/Message"));
    message.map_or_else(|| sanitize_text(&String::from_utf8_lossy(&response.body)), sanitize_text)
}

#[cfg(test)]
mod tests;
