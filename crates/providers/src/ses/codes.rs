//! What the service's errors mean.
//!
//! The name of the error counts, then its words, then the HTTP status; the name is found as the service's own clients
//! find it.

use std::time::Duration;

use serde_json::Value;

use crate::http_client::{BodyEnd, HttpResponse};
use crate::settings_reader::{parse_reference, sanitize_text};
use postrider_core::attempt::{Outcome, SendResult};

/// How long to wait when mails go out faster than the account may send them.
const RATE_LIMIT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long to wait when the account's mails of the day are used up: the service advises ten minutes.
const DAILY_QUOTA_RETRY_AFTER: Duration = Duration::from_secs(10 * 60);

/// What an error means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SesErrorClass {
    Throttled,
    /// The account as a whole may send no more for a while.
    QuotaExceeded,
    Unavailable,
    Rejected,
    Misconfigured,
}

use SesErrorClass::{Misconfigured, QuotaExceeded, Rejected, Throttled, Unavailable};

/// The errors' names.
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

/// What a send came to.
pub(super) fn send_result(answered: &HttpResponse, to: &str) -> SendResult {
    let json: Option<Value> = serde_json::from_slice(&answered.body).ok();
    if answered.status == 200 {
        let id = json.as_ref().and_then(|json| json["MessageId"].as_str());
        return match (id.and_then(parse_reference), &answered.body_end) {
            (None, BodyEnd::Interrupted) => Outcome::Unknown {
                reason: "the answer broke off".to_owned(),
            }
            .into(),
            (reference, _) => Outcome::Accepted { reference }.into(),
        };
    }
    let name = error_name(answered, json.as_ref());
    let said = error_message(json.as_ref(), &answered.body);
    let code = name
        .clone()
        .unwrap_or_else(|| format!("HTTP {}", answered.status));
    SendResult {
        outcome: outcome_of_error(name.as_deref(), answered.status, said, to),
        code: Some(code),
    }
}

/// The error's name, without what stands around it: `namespace#Name:http://…`.
fn error_name(answered: &HttpResponse, json: Option<&Value>) -> Option<String> {
    let header = answered
        .headers
        .get("x-amzn-errortype")
        .and_then(|value| value.to_str().ok());
    let field = |key: &str| json.and_then(|json| json[key].as_str());
    let text = header.or_else(|| field("code")).or_else(|| field("__type"))?;
    let text = text.split(':').next().unwrap_or_default();
    let text = text.rsplit('#').next().unwrap_or_default();
    Some(sanitize_text(text)).filter(|name| !name.is_empty())
}

/// Its words.
pub(super) fn error_message(json: Option<&Value>, body: &[u8]) -> String {
    let field = |key: &str| json.and_then(|json| json[key].as_str());
    let text = field("message").or_else(|| field("Message")).map(sanitize_text);
    text.unwrap_or_else(|| sanitize_text(&String::from_utf8_lossy(body)))
}

fn outcome_of_error(name: Option<&str>, status: u16, reason: String, to: &str) -> Outcome {
    let says = |text: &str| reason.to_ascii_lowercase().contains(text);
    let known = name.and_then(|name| ERROR_CLASSES.iter().find(|(known, _)| *known == name));
    let class = known.map_or(class_of_status(status), |(_, class)| *class);
    match class {
        Throttled if says("daily") || says("quota") => Outcome::Throttled {
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
        // In the sandbox, or before the sender's address is verified, every message comes to this.
        Rejected if says("not verified") => Outcome::Misconfigured { reason },
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
