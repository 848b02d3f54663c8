//! The wire of system C's providers: `POST /messages` with `to_number`, `message` and `callback_url`, and its callback.
//!
//! That wire knows 200 with an id, and 500. Its 400 for a number that does not exist is ours; the configuration that the
//! sandbox prints has a rule for it.

use serde::Deserialize;
use serde_json::json;

use super::api::{JSON_CONTENT_TYPE, ReceiptRequest, SandboxReceipt, SandboxResponse, SubmittedMessage};
use super::call_result::CallResult;

#[derive(Deserialize)]
struct TextingRequest {
    #[serde(default)]
    to_number: String,
    #[serde(default)]
    message: String,
    callback_url: Option<String>,
}

/// What a call asks for, or what is wrong with it.
pub(super) fn parse_message(body: &[u8]) -> Result<SubmittedMessage, SandboxResponse> {
    let call: TextingRequest = serde_json::from_slice(body).map_err(|_| {
        error_response(
            "unreadable",
            "the body must be JSON with to_number, message and callback_url",
        )
    })?;
    if call.to_number.trim().is_empty() || call.message.is_empty() {
        return Err(error_response(
            "unreadable",
            "there must be a to_number and a message",
        ));
    }
    Ok(SubmittedMessage {
        number: call.to_number,
        callback_url: call.callback_url.filter(|url| !url.is_empty()),
        ..SubmittedMessage::default()
    })
}

/// The answer.
pub(super) fn response(turn: CallResult, id: &str) -> Option<SandboxResponse> {
    Some(match turn {
        CallResult::Accepted(_) => SandboxResponse::new(200, &json!({"message_id": id})),
        CallResult::InvalidNumber => error_response("invalid", "there is no such number"),
        CallResult::ServerError => SandboxResponse::new(500, &json!({"error": "the provider fails"})),
        CallResult::Throttled { retry_after_seconds } => {
            SandboxResponse::new(429, &json!({"error": "too many requests"}))
                .with_retry_after(retry_after_seconds)
        }
        CallResult::NoResponse | CallResult::Garbage | CallResult::Reset | CallResult::InvalidRequest => {
            return None;
        }
    })
}

fn error_response(status: &str, why: &str) -> SandboxResponse {
    SandboxResponse::new(400, &json!({"status": status, "error": why}))
}

/// A receipt.
pub(super) fn encode_receipt(letter: &SandboxReceipt) -> ReceiptRequest {
    let body = json!({"status": letter.status.as_str(), "message_id": letter.id});
    ReceiptRequest {
        content_type: JSON_CONTENT_TYPE,
        signature_header: None,
        body: body.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox_server::api::SandboxApi;
    use crate::sandbox_server::call_result::SandboxReceiptStatus;

    #[test]
    fn a_call_is_read_as_system_c_writes_it() {
        let call = br#"{"to_number":"1231233211","message":"Hello World","callback_url":"http://a/messages/delivery_status"}"#;
        let read = parse_message(call).unwrap();
        assert_eq!(read.number, "1231233211");
        assert_eq!(
            read.callback_url.as_deref(),
            Some("http://a/messages/delivery_status")
        );
        for call in [
            "",
            "{}",
            r#"{"to_number":"1231233211"}"#,
            r#"{"to_number":1,"message":"x"}"#,
        ] {
            assert_eq!(parse_message(call.as_bytes()).unwrap_err().status, 400, "{call}");
        }
    }

    #[test]
    fn an_answer_has_the_id_and_nothing_else() {
        assert_eq!(
            response(CallResult::Accepted(None), "id-1").unwrap().body,
            r#"{"message_id":"id-1"}"#
        );
        assert_eq!(response(CallResult::ServerError, "").unwrap().status, 500);
        assert_eq!(response(CallResult::InvalidNumber, "").unwrap().status, 400);
    }

    #[test]
    fn a_receipt_has_one_of_the_callbacks_three_words() {
        for (verdict, word) in [
            (SandboxReceiptStatus::Delivered, "delivered"),
            (SandboxReceiptStatus::Failed, "failed"),
            (SandboxReceiptStatus::Invalid, "invalid"),
        ] {
            let letter = SandboxReceipt {
                api: SandboxApi::Texting,
                id: "id-1".to_owned(),
                status: verdict,
                url: String::new(),
                message: SubmittedMessage::default(),
            };
            let expected = json!({"status": word, "message_id": "id-1"}).to_string();
            assert_eq!(encode_receipt(&letter).body, expected);
        }
    }
}
