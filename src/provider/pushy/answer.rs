//! Pushy's answers to a send as outcomes: its code first, then the HTTP status.
//!
//! Pushy says yes (`success`) also when it knows no such device; that is in `info`.

use serde_json::Value;

use crate::domain::attempt::Answer;
use crate::provider::api::{Heard, Meaning, means};
use crate::provider::fate::Fate;
use crate::provider::reading::reference;

/// Pushy's codes.
const CODES: &[Meaning] = &[
    means("NO_RECIPIENTS", Fate::InvalidRecipient, "there is no such device"),
    means(
        "INVALID_PARAM",
        Fate::Rejected,
        "something in the message is wrong",
    ),
    means(
        "PAYLOAD_LIMIT_EXCEEDED",
        Fate::Rejected,
        "the message is longer than 4 kB",
    ),
    means(
        "NO_APNS_AUTH",
        Fate::Misconfigured,
        "the app has no credentials of Apple's",
    ),
    means(
        "INVALID_API_KEY",
        Fate::Misconfigured,
        "the key (api_key) is wrong",
    ),
    means(
        "AUTH_LIMIT_EXCEEDED",
        Fate::Misconfigured,
        "the plan allows no more devices",
    ),
    means(
        "ACCOUNT_SUSPENDED",
        Fate::Misconfigured,
        "the account is suspended",
    ),
    means("RATE_LIMIT_EXCEEDED", Fate::Throttled, "too many requests"),
    means(
        "INTERNAL_SERVER_ERROR",
        Fate::Unavailable,
        "Pushy has an error of its own",
    ),
    means(
        "INTERNAL_ERROR",
        Fate::Unavailable,
        "Pushy has an error of its own",
    ),
];

/// The code of an answer that says yes and knows no such device.
const NOBODY: &str = "devices 0";

/// The push's id, when the device was among those it goes to. Old answers say nothing of devices.
pub(super) fn taken(heard: &Heard, token: &str) -> Option<String> {
    let yes = heard.status == 200 && heard.json.pointer("/success") == Some(&Value::Bool(true));
    let id = heard.text("/id").and_then(reference);
    id.filter(|_| yes && !knows_no_device(heard, token))
}

fn knows_no_device(heard: &Heard, token: &str) -> bool {
    let failed = heard.json.pointer("/info/failed").and_then(Value::as_array);
    let is_failed = failed.is_some_and(|failed| failed.iter().any(|one| one.as_str() == Some(token)));
    is_failed || heard.json.pointer("/info/devices").and_then(Value::as_u64) == Some(0)
}

/// What an answer means that took nothing.
pub(super) fn answer(heard: &Heard, token: &str) -> Answer {
    if heard.status == 200 && knows_no_device(heard, token) {
        return means("", Fate::InvalidRecipient, "there is no such device").answer(
            NOBODY.to_owned(),
            None,
            None,
        );
    }
    let code = heard.text("/code");
    let theirs = heard.text("/error");
    let of_status = Meaning::of_status(heard.status);
    let meaning = code
        .and_then(|code| Meaning::find(CODES, code))
        .unwrap_or(&of_status);
    let names_token = theirs.is_some_and(|text| {
        let text = text.to_ascii_lowercase();
        text.contains("device token") || text.contains("'to'") || text.contains("\"to\"")
    });
    let meaning = match meaning.code {
        "INVALID_PARAM" if names_token => &means("", Fate::InvalidRecipient, "this is no token of a device"),
        _ => meaning,
    };
    let code = code.map_or_else(|| heard.status_code(), str::to_owned);
    meaning.answer(code, theirs, heard.retry_after())
}
