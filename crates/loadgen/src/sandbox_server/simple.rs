//! The API of system A's providers: `GET /sms/send/?number=…&body=…`, any 2xx is a success.
//!
//! The API of system A has neither ids nor receipts. The sandbox server adds an id to the response, and sends a receipt
//! for a query with `callback_url`: a form with `id` and `status`.

use serde_json::{Value, json};

use super::api::{
    FORM_CONTENT_TYPE, ReceiptRequest, SandboxReceipt, SandboxResponse, SubmittedMessage, fields, non_empty,
};
use super::call_result::CallResult;

/// Parses a query, or returns an error response.
pub(super) fn parse_message(query: &[u8]) -> Result<SubmittedMessage, SandboxResponse> {
    let [number, body, callback] = fields(query, ["number", "body", "callback_url"]);
    if number.trim().is_empty() {
        return Err(error_response(400, "wrong number"));
    }
    if body.is_empty() {
        return Err(error_response(400, "there must be a body"));
    }
    Ok(SubmittedMessage { number, callback_url: non_empty(callback), ..SubmittedMessage::default() })
}

/// Returns the response; none when the result has no response in this format.
pub(super) fn response(result: CallResult, id: &str) -> Option<SandboxResponse> {
    Some(match result {
        CallResult::Accepted(_) => SandboxResponse::new(200, &json!({"Data": [{"id": id}], "Message": ""})),
        CallResult::InvalidNumber => error_response(400, "wrong number"),
        CallResult::ServerError => error_response(500, "the provider fails"),
        CallResult::Throttled { retry_after_seconds } => {
            error_response(429, "too many requests").with_retry_after(retry_after_seconds)
        }
        CallResult::NoResponse | CallResult::Garbage | CallResult::Reset | CallResult::InvalidRequest => {
            return None;
        }
    })
}

fn error_response(status: u16, reason: &str) -> SandboxResponse {
    let no_data: [Value; 0] = [];
    SandboxResponse::new(status, &json!({"Data": no_data, "Message": [reason]}))
}

/// Returns a receipt as a form.
pub(super) fn encode_receipt(receipt: &SandboxReceipt) -> ReceiptRequest {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("id", &receipt.id)
        .append_pair("status", receipt.status.as_str())
        .finish();
    ReceiptRequest { content_type: FORM_CONTENT_TYPE, signature_header: None, body }
}

#[cfg(test)]
mod tests;
