//! The wire of system A's providers: `GET /sms/send/?number=…&body=…`, any 2xx is a success.
//!
//! That wire knows neither ids nor receipts, and whoever asks as it has it gets none. An id stands in the answer all the
//! same, and a `callback_url` in the query is given receipts: a form with `id` and `status`.

use serde_json::{Value, json};

use super::api::{
    FORM_CONTENT_TYPE, ReceiptRequest, SandboxReceipt, SandboxResponse, SubmittedMessage, fields, non_empty,
};
use super::call_result::CallResult;

/// What a query asks for, or what is wrong with it.
pub(super) fn parse_message(query: &[u8]) -> Result<SubmittedMessage, SandboxResponse> {
    let [number, body, callback] = fields(query, ["number", "body", "callback_url"]);
    if number.trim().is_empty() {
        return Err(error_response(400, "wrong number"));
    }
    if body.is_empty() {
        return Err(error_response(400, "there must be a body"));
    }
    Ok(SubmittedMessage {
        number,
        callback_url: non_empty(callback),
        ..SubmittedMessage::default()
    })
}

/// The answer.
pub(super) fn response(turn: CallResult, id: &str) -> Option<SandboxResponse> {
    Some(match turn {
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

fn error_response(status: u16, why: &str) -> SandboxResponse {
    let nothing: [Value; 0] = [];
    SandboxResponse::new(status, &json!({"Data": nothing, "Message": [why]}))
}

/// A receipt.
pub(super) fn encode_receipt(letter: &SandboxReceipt) -> ReceiptRequest {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("id", &letter.id)
        .append_pair("status", letter.status.as_str())
        .finish();
    ReceiptRequest {
        content_type: FORM_CONTENT_TYPE,
        signature_header: None,
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox_server::api::SandboxApi;
    use crate::sandbox_server::call_result::SandboxReceiptStatus;

    #[test]
    fn a_query_is_read_as_system_a_has_it() {
        let read = parse_message(b"number=09122222222&body=hi+there").unwrap();
        assert_eq!((read.number.as_str(), read.callback_url), ("09122222222", None));
        assert_eq!(
            parse_message(b"number=%2B12025550100&body=x").unwrap().number,
            "+12025550100"
        );
        for (query, body) in [
            ("", r#"{"Data":[],"Message":["wrong number"]}"#),
            (
                "number=09122222222",
                r#"{"Data":[],"Message":["there must be a body"]}"#,
            ),
        ] {
            let wrong = parse_message(query.as_bytes()).unwrap_err();
            assert_eq!((wrong.status, wrong.body.as_str()), (400, body), "{query}");
        }
    }

    #[test]
    fn any_2xx_is_a_success_and_any_5xx_a_failure() {
        let taken = response(CallResult::Accepted(None), "id-1").unwrap();
        assert_eq!(
            (taken.status, taken.body.as_str()),
            (200, r#"{"Data":[{"id":"id-1"}],"Message":""}"#)
        );
        assert_eq!(response(CallResult::ServerError, "").unwrap().status, 500);
        let busy = response(
            CallResult::Throttled {
                retry_after_seconds: 7,
            },
            "",
        )
        .unwrap();
        assert_eq!((busy.status, busy.retry_after), (429, Some(7)));
    }

    #[test]
    fn a_receipt_goes_where_the_query_said() {
        let order = parse_message(b"number=09122222222&body=hi&callback_url=http%3A%2F%2Fa%2Fb").unwrap();
        assert_eq!(order.callback_url.as_deref(), Some("http://a/b"));
        let letter = SandboxReceipt {
            api: SandboxApi::Simple,
            id: "id-1".to_owned(),
            status: SandboxReceiptStatus::Failed,
            url: String::new(),
            message: order,
        };
        assert_eq!(encode_receipt(&letter).body, "id=id-1&status=failed");
    }
}
