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

use super::turn::{Turn, Verdict};
use super::wire::{FORM, Letter, Order, Reply, Sheet, fields, optional};
use crate::clock::Clock;

/// The sandbox's only account.
pub(super) const ACCOUNT_SID: &str = "AC00000000000000000000000000000001";

/// Its auth token, with which requests log in and callbacks are signed. No secret: it opens nothing but this sandbox.
pub(super) const AUTH_TOKEN: &str = "sandboxsandboxsandboxsandbox0001";

/// Its sender.
pub(super) const FROM: &str = "+12025550199";

const API_VERSION: &str = "2010-04-01";

/// The longest text, in characters.
const BODY_CHARS_MAX: usize = 1_600;

/// What a number that cannot be reached for good comes to in a callback, and a message that is lost.
const INVALID_CODE: &str = "30006";
const FAILED_CODE: &str = "30008";

/// What a call asks for, or what is wrong with it.
pub(super) fn order(account: &str, headers: &HeaderMap, body: &[u8]) -> Result<Order, Reply> {
    if !is_logged_in(headers) {
        return Err(sorry(401, 20_003, "Authenticate"));
    }
    if account != ACCOUNT_SID {
        return Err(sorry(404, 20_404, "The requested resource was not found"));
    }
    let [number, from, service, text, callback] = fields(
        body,
        ["To", "From", "MessagingServiceSid", "Body", "StatusCallback"],
    );
    let callback = optional(callback);
    let wrong = if number.trim().is_empty() {
        Some((21_604, "A 'To' phone number is required."))
    } else if from.is_empty() && service.is_empty() {
        Some((21_603, "A 'From' phone number is required."))
    } else if text.is_empty() {
        Some((21_602, "Message body is required."))
    } else if text.chars().count() > BODY_CHARS_MAX {
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
        Some((code, message)) => Err(sorry(400, code, message)),
        None => Ok(Order {
            number,
            from: optional(from).unwrap_or(service),
            body: text,
            callback,
        }),
    }
}

fn is_logged_in(headers: &HeaderMap) -> bool {
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
pub(super) fn sid(luck: [u8; 16]) -> String {
    format!("SM{:032x}", u128::from_be_bytes(luck))
}

/// The answer.
pub(super) fn reply(turn: Turn, id: &str, order: &Order) -> Option<Reply> {
    Some(match turn {
        Turn::Taken(_) => Reply::of(201, &resource(id, order)),
        Turn::Refused => sorry(400, 21_211, "The 'To' number is not a valid phone number."),
        Turn::Failed => sorry(500, 20_500, "An internal server error has occurred"),
        Turn::Throttled { retry_after_seconds } => {
            sorry(429, 20_429, "Too Many Requests").after(retry_after_seconds)
        }
        Turn::Hung | Turn::Garbled | Turn::Reset | Turn::Unreadable => return None,
    })
}

fn sorry(status: u16, code: u32, message: &str) -> Reply {
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    Reply::of(
        status,
        &json!({"code": code, "message": message, "more_info": more, "status": status}),
    )
}

fn resource(id: &str, order: &Order) -> Value {
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
pub(super) fn sheet(letter: &Letter) -> Sheet {
    let (status, code) = match letter.verdict {
        Verdict::Delivered => ("delivered", None),
        Verdict::Failed => ("undelivered", Some(FAILED_CODE)),
        Verdict::Invalid => ("undelivered", Some(INVALID_CODE)),
    };
    let mut pairs = vec![
        ("AccountSid", ACCOUNT_SID),
        ("ApiVersion", API_VERSION),
        ("From", &letter.order.from),
        ("MessageSid", &letter.id),
        ("MessageStatus", status),
        ("SmsSid", &letter.id),
        ("SmsStatus", status),
        ("To", &letter.order.number),
    ];
    pairs.extend(code.map(|code| ("ErrorCode", code)));
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&pairs)
        .finish();
    Sheet {
        content_type: FORM,
        proof: signature(AUTH_TOKEN, &letter.url, pairs).map(|proof| ("x-twilio-signature", proof)),
        body,
    }
}

/// Base64 of HMAC-SHA1 over the URL and the fields in the order of their names, without anything between them.
fn signature(token: &str, url: &str, mut pairs: Vec<(&str, &str)>) -> Option<String> {
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
    use crate::sandbox::wire::Wire;

    fn headers(login: &str) -> HeaderMap {
        let value = format!("Basic {}", BASE64.encode(login));
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    fn ours() -> HeaderMap {
        headers(&format!("{ACCOUNT_SID}:{AUTH_TOKEN}"))
    }

    fn code(wrong: &Reply) -> (u16, u64) {
        let body: Value = serde_json::from_str(&wrong.body).unwrap();
        assert_eq!(body["status"], wrong.status);
        (wrong.status, body["code"].as_u64().unwrap())
    }

    const CALL: &str = "To=%2B989121234567&From=%2B12025550199&Body=Your+code+is+4711&StatusCallback=https%3A%2F%2Fgw.example.org%2Fv1%2Freceipts%2Fa";

    #[test]
    fn a_call_is_read_as_twilio_reads_it() {
        let read = order(ACCOUNT_SID, &ours(), CALL.as_bytes()).unwrap();
        assert_eq!(
            (read.number.as_str(), read.from.as_str()),
            ("+989121234567", FROM)
        );
        assert_eq!(
            read.callback.as_deref(),
            Some("https://gw.example.org/v1/receipts/a")
        );
        let service = CALL.replace("From=%2B12025550199", "MessagingServiceSid=MG1");
        let read = order(ACCOUNT_SID, &ours(), service.as_bytes()).unwrap();
        let taken: Value =
            serde_json::from_str(&reply(Turn::Taken(None), "SM1", &read).unwrap().body).unwrap();
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
            let wrong = order(ACCOUNT_SID, &ours(), call.as_bytes()).unwrap_err();
            assert_eq!(code(&wrong), (400, expected), "{call}");
        }
        let strange = order(ACCOUNT_SID, &headers("AC1:guess"), CALL.as_bytes()).unwrap_err();
        assert_eq!(code(&strange), (401, 20_003));
        let elsewhere = order("AC2", &ours(), CALL.as_bytes()).unwrap_err();
        assert_eq!(code(&elsewhere), (404, 20_404));
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
        let signed = signature("0123456789abcdef0123456789abcdef", url, pairs).unwrap();
        assert_eq!(signed, "x5K/Fb09YaDrE50WFVsRYdSBV2E=");
    }

    #[test]
    fn a_callback_says_what_became_of_the_message_with_a_code_where_it_is_lost() {
        for (verdict, told) in [
            (Verdict::Delivered, "MessageStatus=delivered"),
            (Verdict::Failed, "ErrorCode=30008"),
            (Verdict::Invalid, "ErrorCode=30006"),
        ] {
            let letter = Letter {
                wire: Wire::Twilio,
                id: sid([0xab; 16]),
                verdict,
                url: "http://127.0.0.1:8080/v1/receipts/sandbox_twilio".to_owned(),
                order: order(ACCOUNT_SID, &ours(), CALL.as_bytes()).unwrap(),
            };
            let sheet = sheet(&letter);
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
            assert_eq!(sheet.body.contains("ErrorCode"), verdict != Verdict::Delivered);
            assert_eq!(sheet.proof.unwrap().0, "x-twilio-signature");
        }
    }
}
