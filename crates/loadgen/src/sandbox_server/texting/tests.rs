use super::*;
use crate::{sandbox_server::api::SandboxApi, sandbox_server::call_result::SandboxReceiptStatus};

#[test]
fn requests_of_system_c_are_parsed() {
    let call = br#"{"to_number":"1231233211","message":"Hello World","callback_url":"http://a/messages/delivery_status"}"#;
    let message = parse_message(call).unwrap();
    assert_eq!(message.number, "1231233211");
    assert_eq!(message.callback_url.as_deref(), Some("http://a/messages/delivery_status"));
    for call in ["", "{}", r#"{"to_number":"1231233211"}"#, r#"{"to_number":1,"message":"x"}"#] {
        assert_eq!(parse_message(call.as_bytes()).unwrap_err().status, 400, "{call}");
    }
}

#[test]
fn a_success_response_contains_only_the_id() {
    assert_eq!(response(CallResult::Accepted(None), "id-1").unwrap().body, r#"{"message_id":"id-1"}"#);
    assert_eq!(response(CallResult::ServerError, "").unwrap().status, 500);
    assert_eq!(response(CallResult::InvalidNumber, "").unwrap().status, 400);
}

#[test]
fn a_receipt_has_one_of_the_three_statuses_of_system_c() {
    for (status_kind, word) in [
        (SandboxReceiptStatus::Delivered, "delivered"),
        (SandboxReceiptStatus::Failed, "failed"),
        (SandboxReceiptStatus::Invalid, "invalid"),
    ] {
        let receipt = SandboxReceipt {
            api: SandboxApi::Texting,
            id: "id-1".to_owned(),
            status: status_kind,
            url: String::new(),
            message: SubmittedMessage::default(),
        };
        let expected = json!({"status": word, "message_id": "id-1"}).to_string();
        assert_eq!(encode_receipt(&receipt).body, expected);
    }
}
