//! Twilio's error codes, which send responses and status callbacks share, and the result of a response.
//!
//! A code that is not in the table is classified by its family and by the HTTP status. A code about one country, one sender
//! or one recipient is `Unavailable`: it is no verdict on the account.

use postrider_core::attempt::{Outcome, SendResult};

use crate::http_status::outcome_of_status;
use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::parse_reference;

/// The code of a recipient that opted out.
pub(super) const OPT_OUT_CODE: &str = "21610";

/// Codes about the country or the number that a message goes to: other destinations work.
pub(super) const DESTINATION_CODES: [&str; 5] = ["21408", "21606", "21612", "21703", "30450"];

/// Error codes of send responses and of status callbacks.
#[rustfmt::skip]
const TWILIO_CODES: &[OutcomeCode] = &[
    outcome_code("14107", OutcomeKind::Throttled, "too many messages between two numbers"),
    outcome_code("20003", OutcomeKind::Misconfigured, "wrong account SID, auth token or API key"),
    outcome_code("20004", OutcomeKind::Unavailable, "the HTTP method is not allowed"),
    outcome_code("20005", OutcomeKind::Misconfigured, "the account is not active"),
    outcome_code("20006", OutcomeKind::Misconfigured, "the account has no access"),
    outcome_code("20008", OutcomeKind::Misconfigured, "test credentials"),
    outcome_code("20010", OutcomeKind::Misconfigured, "the account lacks a permission"),
    outcome_code("20403", OutcomeKind::Misconfigured, "the account lacks a permission"),
    outcome_code("20404", OutcomeKind::Misconfigured, "the account does not exist"),
    outcome_code("20429", OutcomeKind::Throttled, "too many requests at once"),
    outcome_code("20500", OutcomeKind::Unavailable, "internal error of Twilio"),
    outcome_code("20503", OutcomeKind::Unavailable, "Twilio is unavailable"),
    outcome_code("21211", OutcomeKind::InvalidRecipient, "invalid phone number"),
    outcome_code("21212", OutcomeKind::Unavailable, "invalid sender"),
    outcome_code("21214", OutcomeKind::InvalidRecipient, "the phone number cannot be reached"),
    outcome_code("21217", OutcomeKind::InvalidRecipient, "the phone number looks invalid"),
    outcome_code("21219", OutcomeKind::Unavailable, "a trial account can send to verified numbers only"),
    outcome_code("21401", OutcomeKind::InvalidRecipient, "invalid phone number"),
    outcome_code("21407", OutcomeKind::InvalidRecipient, "this type of phone number cannot receive SMS"),
    outcome_code("21408", OutcomeKind::Unavailable, "the account is not enabled for this country"),
    outcome_code("21601", OutcomeKind::InvalidRecipient, "the phone number cannot receive SMS"),
    outcome_code("21602", OutcomeKind::Rejected, "the text is missing"),
    outcome_code("21603", OutcomeKind::Misconfigured, "the sender is missing"),
    outcome_code("21604", OutcomeKind::Rejected, "the phone number is missing"),
    outcome_code("21605", OutcomeKind::Unavailable, "the sender cannot send SMS"),
    outcome_code("21606", OutcomeKind::Unavailable, "the sender cannot send to this destination"),
    outcome_code("21607", OutcomeKind::Unavailable, "the sender does not belong to the account"),
    outcome_code("21608", OutcomeKind::Unavailable, "a trial account can send to verified numbers only"),
    outcome_code("21609", OutcomeKind::Misconfigured, "invalid callback URL; see public_url"),
    outcome_code("21610", OutcomeKind::Rejected, "the recipient sent STOP"),
    outcome_code("21611", OutcomeKind::Throttled, "the queue of this sender is full"),
    outcome_code("21612", OutcomeKind::Unavailable, "the phone number cannot be reached from this sender"),
    outcome_code("21614", OutcomeKind::InvalidRecipient, "not a mobile number"),
    outcome_code("21616", OutcomeKind::Unavailable, "the sender is ambiguous"),
    outcome_code("21617", OutcomeKind::Rejected, "the text is too long"),
    outcome_code("21618", OutcomeKind::Rejected, "the text cannot be sent"),
    outcome_code("21619", OutcomeKind::Rejected, "the text or medium is missing"),
    outcome_code("21620", OutcomeKind::Rejected, "invalid media URL"),
    outcome_code("21623", OutcomeKind::Rejected, "too many media"),
    outcome_code("21624", OutcomeKind::Rejected, "the validity period is out of range"),
    outcome_code("21635", OutcomeKind::InvalidRecipient, "landline number"),
    outcome_code("21654", OutcomeKind::Rejected, "the content template has a problem"),
    outcome_code("21655", OutcomeKind::Rejected, "the content template has a problem"),
    outcome_code("21656", OutcomeKind::Rejected, "the content template has a problem"),
    outcome_code("21701", OutcomeKind::Misconfigured, "the messaging service does not exist"),
    outcome_code("21702", OutcomeKind::Unavailable, "the messaging service is unavailable"),
    outcome_code(
        "21703",
        OutcomeKind::Unavailable,
        "the messaging service has no sender for this destination",
    ),
    outcome_code("21704", OutcomeKind::Misconfigured, "the messaging service has no sender"),
    outcome_code("21705", OutcomeKind::Misconfigured, "invalid messaging service"),
    outcome_code("30001", OutcomeKind::Throttled, "Twilio's queue is full"),
    outcome_code("30002", OutcomeKind::Misconfigured, "the account is suspended"),
    outcome_code("30003", OutcomeKind::Deferred, "the handset is unreachable"),
    outcome_code("30004", OutcomeKind::Rejected, "the message is blocked"),
    outcome_code("30005", OutcomeKind::Rejected, "the handset is unknown or switched off"),
    outcome_code("30006", OutcomeKind::InvalidRecipient, "landline number or unreachable carrier"),
    outcome_code("30007", OutcomeKind::Rejected, "the message was filtered"),
    outcome_code("30008", OutcomeKind::Unavailable, "unknown error of the carrier"),
    outcome_code("30010", OutcomeKind::Rejected, "the price exceeds the limit"),
    outcome_code("30011", OutcomeKind::Rejected, "the recipient cannot receive media"),
    outcome_code("30012", OutcomeKind::Rejected, "the validity period is out of range"),
    outcome_code("30013", OutcomeKind::Rejected, "the validity period is out of range"),
    outcome_code("30014", OutcomeKind::Rejected, "invalid destination attributes"),
    outcome_code("30015", OutcomeKind::Rejected, "invalid destination attributes"),
    outcome_code("30016", OutcomeKind::Rejected, "invalid destination attributes"),
    outcome_code("30017", OutcomeKind::Unavailable, "the carrier's network is congested"),
    outcome_code("30018", OutcomeKind::Unavailable, "the sender is not registered"),
    outcome_code("30019", OutcomeKind::Rejected, "the message is too large"),
    outcome_code("30020", OutcomeKind::Unavailable, "internal error of Twilio"),
    outcome_code("30021", OutcomeKind::Unavailable, "internal error of Twilio"),
    outcome_code("30022", OutcomeKind::Throttled, "the campaign's rate limit is exceeded"),
    outcome_code("30023", OutcomeKind::Throttled, "the campaign's daily limit is exceeded"),
    outcome_code("30024", OutcomeKind::Unavailable, "the sender is not registered"),
    outcome_code("30027", OutcomeKind::Throttled, "the carrier's daily limit is exceeded"),
    outcome_code("30032", OutcomeKind::Unavailable, "the toll-free sender is not verified"),
    outcome_code("30033", OutcomeKind::Unavailable, "the campaign is suspended"),
    outcome_code("30034", OutcomeKind::Unavailable, "the sender is not assigned to a campaign"),
    outcome_code("30035", OutcomeKind::Unavailable, "the sender's registration is incomplete"),
    outcome_code("30036", OutcomeKind::Rejected, "the validity period has expired"),
    outcome_code("30039", OutcomeKind::Rejected, "message loop detected"),
    outcome_code("30410", OutcomeKind::Unavailable, "the carrier timed out"),
    outcome_code("30450", OutcomeKind::Unavailable, "the destination is blocked for some minutes"),
    outcome_code("90007", OutcomeKind::Rejected, "the validity period is out of range"),
];

/// Returns the line of a code. `http_status` is None for a code in a callback or in a success.
pub(super) fn twilio_code(code: &str, http_status: Option<u16>) -> OutcomeCode {
    let unlisted_outcome = match (code.as_bytes(), http_status) {
        // An unlisted code 20xxx concerns the account only if the HTTP status does. A 404 may concern another resource.
        ([b'2', b'0', ..], Some(401 | 403)) => OutcomeKind::Misconfigured,
        ([b'2', b'0', ..] | [b'3', b'0', ..], _) | (_, None) => OutcomeKind::Unavailable,
        (_, Some(status)) => outcome_of_status(status, None),
    };
    OutcomeCode::find_or(TWILIO_CODES, code, unlisted_outcome, "")
}

/// Returns the result of a response.
pub(super) fn send_result(response: &JsonResponse) -> SendResult {
    if response.is_success() {
        return accepted_result(response);
    }
    let Some(error_code) = response.json["code"].as_u64().map(|code| code.to_string()) else {
        return response.status_result();
    };
    let body_reason = response.body_reason();
    let error_text = response.json["message"].as_str().unwrap_or(&body_reason);
    let code_line = twilio_code(&error_code, Some(response.status));
    code_line.send_result(error_code, Some(error_text), response.retry_after())
}

/// Returns the result of a success, which confirms the message when it has an id and no failed status.
fn accepted_result(response: &JsonResponse) -> SendResult {
    let error_code = response.json["error_code"].as_u64().map(|code| code.to_string());
    let result_code = error_code.clone().unwrap_or_else(|| response.http_status_text());
    let sid = response.json["sid"].as_str().and_then(parse_reference).filter(|_| response.is_complete());
    if sid.is_none() {
        return SendResult { outcome: response.unconfirmed_outcome(), code: Some(result_code) };
    }
    let message_status = response.json["status"].as_str().unwrap_or_default();
    if matches!(message_status, "failed" | "undelivered" | "canceled") {
        let error_text = response.json["error_message"].as_str().unwrap_or(message_status);
        return twilio_code(&error_code.unwrap_or_default(), None).send_result(
            result_code,
            Some(error_text),
            None,
        );
    }
    SendResult { outcome: Outcome::Accepted { reference: sid }, code: Some(result_code) }
}

#[cfg(test)]
mod tests;
