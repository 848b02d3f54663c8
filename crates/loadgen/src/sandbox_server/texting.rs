//! The API of system C's providers: `POST /messages` with `to_number`, `message` and `callback_url`, and its callback.
//!
//! The API of system C has the responses 200 with an id, and 500. The sandbox server adds 400 for a number that does not
//! exist; the printed configuration has a rule for this status.

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

/// Parses a request body, or returns an error response.
pub(super) fn parse_message(texting_body: &[u8]) -> Result<SubmittedMessage, SandboxResponse> {
    let request: TextingRequest = serde_json::from_slice(texting_body).map_err(|_| {
        error_response("malformed", "the body must be JSON with to_number, message and callback_url")
    })?;
    if request.to_number.trim().is_empty() || request.message.is_empty() {
        return Err(error_response("malformed", "there must be a to_number and a message"));
    }
    Ok(SubmittedMessage {
        number: request.to_number,
        callback_url: request.callback_url.filter(|url| !url.is_empty()),
        ..SubmittedMessage::default()
    })
}

/// Returns the response to a body that is not declared as JSON.
pub(super) fn not_json() -> SandboxResponse {
    SandboxResponse::new(415, &json!({"status": "malformed", "error": "send the body as application/json"}))
}

/// Returns the response; none when the result has no response in this format.
pub(super) fn response(result: CallResult, id: &str) -> Option<SandboxResponse> {
    Some(match result {
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

fn error_response(status: &str, reason: &str) -> SandboxResponse {
    SandboxResponse::new(400, &json!({"status": status, "error": reason}))
}

/// Returns a receipt as JSON.
pub(super) fn encode_receipt(receipt: &SandboxReceipt) -> ReceiptRequest {
    let body = json!({"status": receipt.status.as_str(), "message_id": receipt.id});
    ReceiptRequest { content_type: JSON_CONTENT_TYPE, signature_header: None, body: body.to_string() }
}

#[cfg(test)]
mod tests;
