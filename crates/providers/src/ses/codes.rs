//! Maps SES responses to outcomes.
//!
//! The error name decides first, then its message, then the HTTP status.

use std::time::Duration;

use serde_json::Value;

use crate::http_client::{BodyEnd, HttpResponse};
use crate::settings_reader::{parse_reference, sanitize_text};
use postrider_core::attempt::{Outcome, SendResult};

/// Cooldown when the sending rate of the account is exceeded.
const RATE_LIMIT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Cooldown when the daily quota of the account is used up: ten minutes, as AWS advises.
const DAILY_QUOTA_RETRY_AFTER: Duration = Duration::from_secs(10 * 60);

/// Meaning of an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SesErrorClass {
    Throttled,
    /// A quota of the account is used up.
    QuotaExceeded,
    Unavailable,
    Rejected,
    Misconfigured,
}

use SesErrorClass::{Misconfigured, QuotaExceeded, Rejected, Throttled, Unavailable};

/// Class of each error name.
const ERROR_CLASSES: [(&str, SesErrorClass); 28] = [
    ("MessageRejected", Rejected),
    ("BadRequestException", Rejected),
    ("MailFromDomainNotVerifiedException", Misconfigured),
    ("AccountSuspendedException", Misconfigured),
    ("SendingPausedException", Misconfigured),
    ("NotFoundException", Misconfigured),
    ("LimitExceededException", QuotaExceeded),
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
pub(super) fn send_result(response: &HttpResponse, to: &str) -> SendResult {
    let json: Option<Value> = serde_json::from_slice(&response.body).ok();
    if response.status == 200 {
        let id = json.as_ref().and_then(|json| json["MessageId"].as_str());
        return match (id.and_then(parse_reference), &response.body_end) {
            (None, BodyEnd::Interrupted) => Outcome::Unknown {
                reason: "response body incomplete".to_owned(),
            }
            .into(),
            (reference, _) => Outcome::Accepted { reference }.into(),
        };
    }
    let name = error_name(response, json.as_ref());
    let message = error_message(json.as_ref(), &response.body);
    let code = name
        .clone()
        .unwrap_or_else(|| format!("HTTP {}", response.status));
    SendResult {
        outcome: outcome_of_error(name.as_deref(), response.status, message, to),
        code: Some(code),
    }
}

/// Returns the error name out of `namespace#Name:http://…`, from the header or the body as AWS clients do.
fn error_name(response: &HttpResponse, json: Option<&Value>) -> Option<String> {
    let header = response
        .headers
        .get("x-amzn-errortype")
        .and_then(|value| value.to_str().ok());
    let field = |key: &str| json.and_then(|json| json[key].as_str());
    let text = header.or_else(|| field("code")).or_else(|| field("__type"))?;
    let text = text.split(':').next().unwrap_or_default();
    let text = text.rsplit('#').next().unwrap_or_default();
    Some(sanitize_text(text)).filter(|name| !name.is_empty())
}

/// Returns the error message, or the body when it has none.
pub(super) fn error_message(json: Option<&Value>, body: &[u8]) -> String {
    let field = |key: &str| json.and_then(|json| json[key].as_str());
    let text = field("message").or_else(|| field("Message")).map(sanitize_text);
    text.unwrap_or_else(|| sanitize_text(&String::from_utf8_lossy(body)))
}

fn outcome_of_error(name: Option<&str>, status: u16, reason: String, to: &str) -> Outcome {
    let mentions = |text: &str| reason.to_ascii_lowercase().contains(text);
    let known = name.and_then(|name| ERROR_CLASSES.iter().find(|(known, _)| *known == name));
    let class = known.map_or(class_of_status(status), |(_, class)| *class);
    match class {
        Throttled if mentions("daily") || mentions("quota") => Outcome::Throttled {
            retry_after: Some(DAILY_QUOTA_RETRY_AFTER),
        },
        Throttled => Outcome::Throttled {
            retry_after: Some(RATE_LIMIT_RETRY_AFTER),
        },
        QuotaExceeded => Outcome::Throttled {
            retry_after: Some(DAILY_QUOTA_RETRY_AFTER),
        },
        Unavailable => Outcome::Unavailable { reason },
        Misconfigured => Outcome::Misconfigured { reason },
        // The sender is not verified, or the account is in the sandbox: this concerns every message.
        Rejected if mentions("not verified") => Outcome::Misconfigured { reason },
        Rejected if name == Some("BadRequestException") && names_recipient(&reason, to) => {
            Outcome::InvalidRecipient { reason }
        }
        Rejected => Outcome::Rejected { reason },
    }
}

fn names_recipient(reason: &str, to: &str) -> bool {
    !to.is_empty() && reason.to_lowercase().contains(&to.to_lowercase())
}

fn class_of_status(status: u16) -> SesErrorClass {
    match status {
        429 => Throttled,
        401 | 403 | 404 => Misconfigured,
        400..=499 => Rejected,
        _ => Unavailable,
    }
}

#[cfg(test)]
mod tests;
