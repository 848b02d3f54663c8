use super::*;
use crate::{sandbox_server::api::SandboxApi, sandbox_server::call_result::SandboxReceiptStatus};

#[test]
fn queries_of_system_a_are_parsed() {
    let message = parse_message(b"number=09122222222&body=hi+there").unwrap();
    assert_eq!((message.number.as_str(), message.callback_url), ("09122222222", None));
    assert_eq!(parse_message(b"number=%2B12025550100&body=x").unwrap().number, "+12025550100");
    for (query, body) in [
        ("", r#"{"Data":[],"Message":["wrong number"]}"#),
        ("number=09122222222", r#"{"Data":[],"Message":["there must be a body"]}"#),
    ] {
        let error = parse_message(query.as_bytes()).unwrap_err();
        assert_eq!((error.status, error.body.as_str()), (400, body), "{query}");
    }
}

#[test]
fn results_have_the_statuses_of_system_a() {
    let accepted = response(CallResult::Accepted(None), "id-1").unwrap();
    assert_eq!((accepted.status, accepted.body.as_str()), (200, r#"{"Data":[{"id":"id-1"}],"Message":""}"#));
    assert_eq!(response(CallResult::ServerError, "").unwrap().status, 500);
    let throttled = response(CallResult::Throttled { retry_after_seconds: 7 }, "").unwrap();
    assert_eq!((throttled.status, throttled.retry_after), (429, Some(7)));
}

#[test]
fn a_receipt_is_a_form_with_id_and_status() {
    let message = parse_message(b"number=09122222222&body=hi&callback_url=http%3A%2F%2Fa%2Fb").unwrap();
    assert_eq!(message.callback_url.as_deref(), Some("http://a/b"));
    let receipt = SandboxReceipt {
        api: SandboxApi::Simple,
        id: "id-1".to_owned(),
        status: SandboxReceiptStatus::Failed,
        url: String::new(),
        message,
    };
    assert_eq!(encode_receipt(&receipt).body, "id=id-1&status=failed");
}
