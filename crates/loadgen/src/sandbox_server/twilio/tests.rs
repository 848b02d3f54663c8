use super::*;
use crate::sandbox_server::api::SandboxApi;

fn basic_auth_headers(login: &str) -> HeaderMap {
    let value = format!("Basic {}", BASE64.encode(login));
    HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
}

fn valid_headers() -> HeaderMap {
    basic_auth_headers(&format!("{ACCOUNT_SID}:{AUTH_TOKEN}"))
}

fn error_code(response: &SandboxResponse) -> (u16, u64) {
    let body: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(body["status"], response.status);
    (response.status, body["code"].as_u64().unwrap())
}

const CALL: &str = "To=%2B989121234567&From=%2B12025550199&Body=Your+code+is+4711&StatusCallback=https%3A%2F%2Fgw.example.org%2Fv1%2Freceipts%2Fa";

#[test]
fn requests_of_twilio_clients_are_parsed() {
    let message = parse_message(ACCOUNT_SID, &valid_headers(), CALL.as_bytes()).unwrap();
    assert_eq!((message.number.as_str(), message.from.as_str()), ("+989121234567", FROM));
    assert_eq!(message.callback_url.as_deref(), Some("https://gw.example.org/v1/receipts/a"));
    let service = CALL.replace("From=%2B12025550199", "MessagingServiceSid=MG1");
    let message = parse_message(ACCOUNT_SID, &valid_headers(), service.as_bytes()).unwrap();
    let accepted: Value =
        serde_json::from_str(&response(CallResult::Accepted(None), "SM1", &message).unwrap().body).unwrap();
    assert_eq!((&accepted["sid"], &accepted["status"]), (&json!("SM1"), &json!("accepted")));
}

#[test]
fn errors_have_the_codes_of_the_reference() {
    let long = CALL.replace("Your+code", &"x".repeat(1_601));
    for (call, expected) in [
        ("", 21_604),
        ("To=%2B1&Body=x", 21_603),
        ("To=%2B12025550100&From=a", 21_602),
        (long.as_str(), 21_617),
        ("To=12025550100&From=a&Body=x", 21_211),
        ("To=%2B12025550100&From=a&Body=x&StatusCallback=nowhere", 21_609),
    ] {
        let error = parse_message(ACCOUNT_SID, &valid_headers(), call.as_bytes()).unwrap_err();
        assert_eq!(error_code(&error), (400, expected), "{call}");
    }
    let unauthenticated =
        parse_message(ACCOUNT_SID, &basic_auth_headers("AC1:guess"), CALL.as_bytes()).unwrap_err();
    assert_eq!(error_code(&unauthenticated), (401, 20_003));
    let other_account = parse_message("AC2", &valid_headers(), CALL.as_bytes()).unwrap_err();
    assert_eq!(error_code(&other_account), (404, 20_404));
}

#[test]
fn the_signature_matches_the_example_of_the_reference() {
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
fn a_callback_has_a_status_and_an_error_code_for_undelivered_messages() {
    for (receipt_status, expected) in [
        (SandboxReceiptStatus::Delivered, "MessageStatus=delivered"),
        (SandboxReceiptStatus::Failed, "ErrorCode=30008"),
        (SandboxReceiptStatus::Invalid, "ErrorCode=30006"),
    ] {
        let receipt = SandboxReceipt {
            api: SandboxApi::Twilio,
            id: message_sid([0xab; 16]),
            status: receipt_status,
            url: "http://127.0.0.1:8080/v1/receipts/sandbox_twilio".to_owned(),
            message: parse_message(ACCOUNT_SID, &valid_headers(), CALL.as_bytes()).unwrap(),
        };
        let encoded = encode_receipt(&receipt);
        assert!(
            encoded.body.contains(expected) && encoded.body.contains("To=%2B989121234567"),
            "{}",
            encoded.body
        );
        assert!(encoded.body.contains("MessageSid=SMabababababababababababababababab"), "{}", encoded.body);
        assert_eq!(encoded.body.contains("ErrorCode"), receipt_status != SandboxReceiptStatus::Delivered);
        assert_eq!(encoded.signature_header.unwrap().0, "x-twilio-signature");
    }
}
