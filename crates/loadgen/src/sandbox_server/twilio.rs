//! A wire like Twilio's: the Messages resource with its errors, and status callbacks signed with the account's auth token.
//!
//! Has one account, which everybody may know. What it signs is made here anew and not taken from the adapter, so that the
//! two can disagree.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
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

/// The sandbox's only account.
pub(super) const ACCOUNT_SID: &str = "AC00000000000000000000000000000001";

/// Its auth token, with which requests log in and callbacks are signed. No secret: it opens nothing but this sandbox.
pub(super) const AUTH_TOKEN: &str = "sandboxsandboxsandboxsandbox0001";

/// Its sender.
pub(super) const FROM: &str = "+12025550199";

const API_VERSION: &str = "2010-04-01";

/// The longest text, in characters.
const MESSAGE_CHARS_MAX: usize = 1_600;

/// What a number that cannot be reached for good comes to in a callback, and a message that is lost.
const UNKNOWN_DESTINATION_CODE: &str = "30006";
const UNKNOWN_ERROR_CODE: &str = "30008";

/// What a call asks for, or what is wrong with it.
pub(super) fn parse_message(
    account: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<SubmittedMessage, SandboxResponse> {
    if !is_authenticated(headers) {
        return Err(error_response(401, 20_003, "Authenticate"));
    }
    if account != ACCOUNT_SID {
        return Err(error_response(
            404,
            20_404,
            "The requested resource was not found",
        ));
    }
    let [number, from, service, text, callback] = fields(
        body,
        ["To", "From", "MessagingServiceSid", "Body", "StatusCallback"],
    );
    let callback = non_empty(callback);
    let wrong = if number.trim().is_empty() {
        Some((21_604, "A 'To' phone number is required."))
    } else if from.is_empty() && service.is_empty() {
        Some((21_603, "A 'From' phone number is required."))
    } else if text.is_empty() {
        Some((21_602, "Message body is required."))
    } else if text.chars().count() > MESSAGE_CHARS_MAX {
        Some((
            21_617,
            "The concatenated message body exceeds the 1600 character limit.",
        ))
    } else if !is_e164(&number) {
        Some((21_211, "The 'To' number is not a valid phone number."))
    } else if callback.as_deref().is_some_and(|url| !is_url(url)) {
        Some((21_609, "The StatusCallback URL is not a valid URL."))
    } else {
        None
    };
    match wrong {
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
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let login = format!("Basic {}", BASE64.encode(format!("{ACCOUNT_SID}:{AUTH_TOKEN}")));
    shown == Some(login.as_str())
}

fn is_e164(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// An id as Twilio makes them.
pub(super) fn message_sid(luck: [u8; 16]) -> String {
    format!("SM{:032x}", u128::from_be_bytes(luck))
}

/// The answer.
pub(super) fn response(turn: CallResult, id: &str, order: &SubmittedMessage) -> Option<SandboxResponse> {
    Some(match turn {
        CallResult::Accepted(_) => SandboxResponse::new(201, &message_resource(id, order)),
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
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    SandboxResponse::new(
        status,
        &json!({"code": code, "message": message, "more_info": more, "status": status}),
    )
}

fn message_resource(id: &str, order: &SubmittedMessage) -> Value {
    let now = Clock::System.now().to_rfc2822();
    let service = order.from.starts_with("MG");
    json!({
        "sid": id,
        "account_sid": ACCOUNT_SID,
        "api_version": API_VERSION,
        "messaging_service_sid": service.then_some(&order.from),
        "from": (!service).then_some(&order.from),
        "to": order.number,
        "body": order.body,
        "status": if service { "accepted" } else { "queued" },
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
        "uri": format!("/{API_VERSION}/Accounts/{ACCOUNT_SID}/Messages/{id}.json"),
    })
}

/// A status callback, signed.
pub(super) fn encode_receipt(letter: &SandboxReceipt) -> ReceiptRequest {
    let (status, code) = match letter.status {
        SandboxReceiptStatus::Delivered => ("delivered", None),
        SandboxReceiptStatus::Failed => ("undelivered", Some(UNKNOWN_ERROR_CODE)),
        SandboxReceiptStatus::Invalid => ("undelivered", Some(UNKNOWN_DESTINATION_CODE)),
    };
    let mut pairs = vec![
        ("AccountSid", ACCOUNT_SID),
        ("ApiVersion", API_VERSION),
        ("From", &letter.message.from),
        ("MessageSid", &letter.id),
        ("MessageStatus", status),
        ("SmsSid", &letter.id),
        ("SmsStatus", status),
        ("To", &letter.message.number),
    ];
    pairs.extend(code.map(|code| ("ErrorCode", code)));
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&pairs)
        .finish();
    ReceiptRequest {
        content_type: FORM_CONTENT_TYPE,
        signature_header: sign_callback(AUTH_TOKEN, &letter.url, pairs)
            .map(|proof| ("x-twilio-signature", proof)),
        body,
    }
}

/// Base64 of HMAC-SHA1 over the URL and the fields in the order of their names, without anything between them.
fn sign_callback(token: &str, url: &str, mut pairs: Vec<(&str, &str)>) -> Option<String> {
    pairs.sort_unstable();
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).ok()?;
    mac.update(url.as_bytes());
    for (name, value) in pairs {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    Some(BASE64.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox_server::api::SandboxApi;

    fn basic_auth_headers(login: &str) -> HeaderMap {
        let value = format!("Basic {}", BASE64.encode(login));
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    fn valid_headers() -> HeaderMap {
        basic_auth_headers(&format!("{ACCOUNT_SID}:{AUTH_TOKEN}"))
    }

    fn error_code(wrong: &SandboxResponse) -> (u16, u64) {
        let body: Value = serde_json::from_str(&wrong.body).unwrap();
        assert_eq!(body["status"], wrong.status);
        (wrong.status, body["code"].as_u64().unwrap())
    }

    const CALL: &str = "To=%2B989121234567&From=%2B12025550199&Body=Your+code+is+4711&StatusCallback=https%3A%2F%2Fgw.example.org%2Fv1%2Freceipts%2Fa";

    #[test]
    fn a_call_is_read_as_twilio_reads_it() {
        let read = parse_message(ACCOUNT_SID, &valid_headers(), CALL.as_bytes()).unwrap();
        assert_eq!(
            (read.number.as_str(), read.from.as_str()),
            ("+989121234567", FROM)
        );
        assert_eq!(
            read.callback_url.as_deref(),
            Some("https://gw.example.org/v1/receipts/a")
        );
        let service = CALL.replace("From=%2B12025550199", "MessagingServiceSid=MG1");
        let read = parse_message(ACCOUNT_SID, &valid_headers(), service.as_bytes()).unwrap();
        let taken: Value =
            serde_json::from_str(&response(CallResult::Accepted(None), "SM1", &read).unwrap().body).unwrap();
        assert_eq!(
            (&taken["sid"], &taken["status"]),
            (&json!("SM1"), &json!("accepted"))
        );
    }

    #[test]
    fn what_is_wrong_has_the_code_of_the_reference() {
        let long = CALL.replace("Your+code", &"x".repeat(1_601));
        for (call, expected) in [
            ("", 21_604),
            ("To=%2B1&Body=x", 21_603),
            ("To=%2B12025550100&From=a", 21_602),
            (long.as_str(), 21_617),
            ("To=12025550100&From=a&Body=x", 21_211),
            ("To=%2B12025550100&From=a&Body=x&StatusCallback=nowhere", 21_609),
        ] {
            let wrong = parse_message(ACCOUNT_SID, &valid_headers(), call.as_bytes()).unwrap_err();
            assert_eq!(error_code(&wrong), (400, expected), "{call}");
        }
        let strange =
            parse_message(ACCOUNT_SID, &basic_auth_headers("AC1:guess"), CALL.as_bytes()).unwrap_err();
        assert_eq!(error_code(&strange), (401, 20_003));
        let elsewhere = parse_message("AC2", &valid_headers(), CALL.as_bytes()).unwrap_err();
        assert_eq!(error_code(&elsewhere), (404, 20_404));
    }

    #[test]
    fn the_signature_is_the_one_of_the_references_worked_example() {
        let pairs = vec![
            ("To", "+989121234567"),
            ("AccountSid", ACCOUNT_SID),
            ("ApiVersion", API_VERSION),
            ("From", "+15005550006"),
            ("MessageSid", "SM0123456789abcdef0123456789abcdef"),
            ("MessageStatus", "undelivered"),
            ("ErrorCode", "30005"),
            ("SmsSid", "SM0123456789abcdef0123456789abcdef"),
            ("SmsStatus", "undelivered"),
        ];
        let url = "https://gw.example.org/v1/callbacks/twilio?m=01J9ZC5T";
        let signed = sign_callback("0123456789abcdef0123456789abcdef", url, pairs).unwrap();
        assert_eq!(signed, "x5K/Fb09YaDrE50WFVsRYdSBV2E=");
    }

    #[test]
    fn a_callback_says_what_became_of_the_message_with_a_code_where_it_is_lost() {
        for (verdict, told) in [
            (SandboxReceiptStatus::Delivered, "MessageStatus=delivered"),
            (SandboxReceiptStatus::Failed, "ErrorCode=30008"),
            (SandboxReceiptStatus::Invalid, "ErrorCode=30006"),
        ] {
            let letter = SandboxReceipt {
                api: SandboxApi::Twilio,
                id: message_sid([0xab; 16]),
                status: verdict,
                url: "http://127.0.0.1:8080/v1/receipts/sandbox_twilio".to_owned(),
                message: parse_message(ACCOUNT_SID, &valid_headers(), CALL.as_bytes()).unwrap(),
            };
            let sheet = encode_receipt(&letter);
            assert!(
                sheet.body.contains(told) && sheet.body.contains("To=%2B989121234567"),
                "{}",
                sheet.body
            );
            assert!(
                sheet
                    .body
                    .contains("MessageSid=SMabababababababababababababababab"),
                "{}",
                sheet.body
            );
            assert_eq!(
                sheet.body.contains("ErrorCode"),
                verdict != SandboxReceiptStatus::Delivered
            );
            assert_eq!(sheet.signature_header.unwrap().0, "x-twilio-signature");
        }
    }
}
