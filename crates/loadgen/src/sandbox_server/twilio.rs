//! The API of Twilio: the Messages resource with its errors, and status callbacks signed with the account's auth token.
//!
//! Has one public account. The signature is implemented here and not shared with the adapter, so that tests find errors in
//! either.

use axum::{http::HeaderMap, http::header::AUTHORIZATION};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use super::api::{
    FORM_CONTENT_TYPE, ReceiptRequest, SandboxReceipt, SandboxResponse, SubmittedMessage, fields, non_empty,
};
use super::call_result::{CallResult, SandboxReceiptStatus};
use postrider_core::clock::Clock;

/// SID of the only account.
pub(super) const ACCOUNT_SID: &str = "AC00000000000000000000000000000001";

/// Auth token of the account, for requests and callback signatures. Not a secret: it is valid for the sandbox server only.
pub(super) const AUTH_TOKEN: &str = "sandboxsandboxsandboxsandbox0001";

/// Sender number of the account.
pub(super) const FROM: &str = "+12025550199";

const API_VERSION: &str = "2010-04-01";

/// Maximum length of a message body, in characters.
const MESSAGE_CHARS_MAX: usize = 1_600;

/// Error codes in callbacks, for a number that does not exist and for a message that was not delivered.
const UNKNOWN_DESTINATION_CODE: &str = "30006";
const UNKNOWN_ERROR_CODE: &str = "30008";

/// Parses a request, or returns an error response with Twilio's code.
pub(super) fn parse_message(
    account: &str,
    headers: &HeaderMap,
    twilio_body: &[u8],
) -> Result<SubmittedMessage, SandboxResponse> {
    if !is_authenticated(headers) {
        return Err(error_response(401, 20_003, "Authenticate"));
    }
    if account != ACCOUNT_SID {
        return Err(error_response(404, 20_404, "The requested resource was not found"));
    }
    let [number, from, service, text, callback] =
        fields(twilio_body, ["To", "From", "MessagingServiceSid", "Body", "StatusCallback"]);
    let callback = non_empty(callback);
    let request_error = if number.trim().is_empty() {
        Some((21_604, "A 'To' phone number is required."))
    } else if from.is_empty() && service.is_empty() {
        Some((21_603, "A 'From' phone number is required."))
    } else if text.is_empty() {
        Some((21_602, "Message body is required."))
    } else if text.chars().count() > MESSAGE_CHARS_MAX {
        Some((21_617, "The concatenated message body exceeds the 1600 character limit."))
    } else if !is_e164(&number) {
        Some((21_211, "The 'To' number is not a valid phone number."))
    } else if callback.as_deref().is_some_and(|url| !is_url(url)) {
        Some((21_609, "The StatusCallback URL is not a valid URL."))
    } else {
        None
    };
    match request_error {
        Some((code, message)) => Err(error_response(400, code, message)),
        None => Ok(SubmittedMessage {
            number,
            from: non_empty(from).unwrap_or(service),
            body: text,
            callback_url: callback,
        }),
    }
}

fn is_authenticated(headers: &HeaderMap) -> bool {
    let expected = format!("Basic {}", BASE64.encode(format!("{ACCOUNT_SID}:{AUTH_TOKEN}")));
    headers.get(AUTHORIZATION).is_some_and(|authorization| authorization == expected.as_str())
}

fn is_e164(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Returns a message SID.
pub(super) fn message_sid(random: [u8; 16]) -> String {
    format!("SM{:032x}", u128::from_be_bytes(random))
}

/// Returns the response; none when the result has no response in this format.
pub(super) fn response(result: CallResult, id: &str, message: &SubmittedMessage) -> Option<SandboxResponse> {
    Some(match result {
        CallResult::Accepted(_) => SandboxResponse::new(201, &message_resource(id, message)),
        CallResult::InvalidNumber => {
            error_response(400, 21_211, "The 'To' number is not a valid phone number.")
        }
        CallResult::ServerError => error_response(500, 20_500, "An internal server error has occurred"),
        CallResult::Throttled { retry_after_seconds } => {
            error_response(429, 20_429, "Too Many Requests").with_retry_after(retry_after_seconds)
        }
        CallResult::NoResponse | CallResult::Garbage | CallResult::Reset | CallResult::InvalidRequest => {
            return None;
        }
    })
}

fn error_response(status: u16, code: u32, message: &str) -> SandboxResponse {
    let more_info = format!("https://www.twilio.com/docs/errors/{code}");
    SandboxResponse::new(
        status,
        &json!({"code": code, "message": message, "more_info": more_info, "status": status}),
    )
}

fn message_resource(message_id: &str, message: &SubmittedMessage) -> Value {
    let now = Clock::System.now().to_rfc2822();
    let is_service = message.from.starts_with("MG");
    json!({
        "sid": message_id,
        "account_sid": ACCOUNT_SID,
        "api_version": API_VERSION,
        "messaging_service_sid": is_service.then_some(&message.from),
        "from": (!is_service).then_some(&message.from),
        "to": message.number,
        "body": message.body,
        "status": if is_service { "accepted" } else { "queued" },
        "direction": "outbound-api",
        "num_segments": "1",
        "num_media": "0",
        "price": null,
        "price_unit": "USD",
        "error_code": null,
        "error_message": null,
        "date_created": now,
        "date_updated": now,
        "date_sent": null,
        "uri": format!("/{API_VERSION}/Accounts/{ACCOUNT_SID}/Messages/{message_id}.json"),
    })
}

/// Returns a status callback as a signed form.
pub(super) fn encode_receipt(receipt: &SandboxReceipt) -> ReceiptRequest {
    let (status, code) = match receipt.status {
        SandboxReceiptStatus::Delivered => ("delivered", None),
        SandboxReceiptStatus::Failed => ("undelivered", Some(UNKNOWN_ERROR_CODE)),
        SandboxReceiptStatus::Invalid => ("undelivered", Some(UNKNOWN_DESTINATION_CODE)),
    };
    let mut receipt_fields = vec![
        ("AccountSid", ACCOUNT_SID),
        ("ApiVersion", API_VERSION),
        ("From", &receipt.message.from),
        ("MessageSid", &receipt.id),
        ("MessageStatus", status),
        ("SmsSid", &receipt.id),
        ("SmsStatus", status),
        ("To", &receipt.message.number),
    ];
    receipt_fields.extend(code.map(|code| ("ErrorCode", code)));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&receipt_fields).finish();
    ReceiptRequest {
        content_type: FORM_CONTENT_TYPE,
        signature_header: sign_callback(AUTH_TOKEN, &receipt.url, receipt_fields)
            .map(|signature| ("x-twilio-signature", signature)),
        body,
    }
}

/// Returns Base64 of HMAC-SHA1 over the URL and the names and values of the fields, sorted by name, without separators.
fn sign_callback(token: &str, url: &str, mut callback_fields: Vec<(&str, &str)>) -> Option<String> {
    callback_fields.sort_unstable();
    let mut callback_hmac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).ok()?;
    callback_hmac.update(url.as_bytes());
    for (field_name, field_value) in callback_fields {
        callback_hmac.update(field_name.as_bytes());
        callback_hmac.update(field_value.as_bytes());
    }
    Some(BASE64.encode(callback_hmac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests;
