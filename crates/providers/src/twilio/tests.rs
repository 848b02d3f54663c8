//! The adapter against a stub, and its signature check against Twilio's own library.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::testing::conformance;
use crate::testing::http_stub::{HttpStub, response};
use crate::testing::sms::{
    PUBLIC_URL, check_sms_provider, describe_items, expect_outcomes, expect_status_table, form_callback,
    only_inbound_message, request_form, send_to_stub, settings_error, sms_message, sms_provider,
    sms_provider_at, sms_provider_with,
};
use crate::{AdapterContext, CallbackRequest};

const ACCOUNT: &str = "account_sid = \"AC00000000000000000000000000000001\"
auth_token = \"0123456789abcdef0123456789abcdef\"
from = \"+15005550006\"";

const ACCEPTED_BODY: &str = r#"{"sid":"SM1","status":"queued","error_code":null,"num_segments":"1"}"#;

#[tokio::test]
async fn a_message_is_sent_as_in_the_reference() {
    let (result, request) = send_to_stub("twilio", ACCOUNT, 201, ACCEPTED_BODY).await;
    assert_eq!(result.outcome.as_str(), "accepted");
    let head = "POST /2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json HTTP/1.1\r\n";
    assert!(request.starts_with(head), "{request}");
    assert!(request.contains("authorization: Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTowMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==\r\n"));
    let mut form = request_form(&request);
    let (name, seconds) = form.pop().unwrap();
    assert_eq!(name, "ValidityPeriod");
    assert!((7_000..=7_200).contains(&seconds.parse().unwrap()), "{seconds}");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        form,
        [
            pair("To", "+989122222222"),
            pair("From", "+15005550006"),
            pair("Body", "Your code is 4711"),
            pair("StatusCallback", "https://gw.example.org/v1/receipts/blue"),
        ]
    );
}

#[tokio::test]
async fn an_api_key_authenticates_and_a_service_selects_the_sender() {
    let settings = "account_sid = \"AC1\"\nauth_token = \"t\"\napi_key = \"SK1\"\napi_secret = \"s\"\nmessaging_service_sid = \"MG2\"";
    let (_, request) = send_to_stub("twilio", settings, 201, ACCEPTED_BODY).await;
    assert!(request.contains("authorization: Basic U0sxOnM=\r\n"), "{request}");
    assert!(request.contains("MessagingServiceSid=MG2") && !request.contains("From="));
}

#[tokio::test]
async fn a_gateway_that_is_not_public_requests_no_callbacks() {
    let stub = HttpStub::start(vec![response(201, "", ACCEPTED_BODY)]).await;
    let settings = format!("{ACCOUNT}\nbase_url = \"http://{}\"", stub.address);
    let context =
        AdapterContext { public_url: "http://127.0.0.1:8080".to_owned(), ..conformance::sample_context() };
    sms_provider_with("twilio", &settings, &context).send(&conformance::sample_message()).await;
    assert!(!stub.requests()[0].contains("StatusCallback"));
}

#[tokio::test]
async fn responses_have_the_outcomes_of_the_reference() {
    let refused = |code: u32| format!(r#"{{"code":{code},"message":"words","status":400}}"#);
    let codes = [
        (400, 21211, "invalid_recipient"),
        (400, 21614, "invalid_recipient"),
        (400, 21610, "rejected"),
        (400, 21617, "rejected"),
        (400, 21612, "unavailable"),
        (400, 21408, "unavailable"),
        (400, 21606, "unavailable"),
        (400, 21603, "misconfigured"),
        (401, 20003, "misconfigured"),
        (404, 20404, "misconfigured"),
        (429, 20429, "throttled"),
        (400, 21611, "throttled"),
        (500, 20500, "unavailable"),
        (503, 20503, "unavailable"),
        (400, 30450, "unavailable"),
        (400, 21999, "rejected"),
        (403, 20999, "misconfigured"),
    ];
    for (status, code, outcome) in codes {
        expect_outcomes("twilio", ACCOUNT, &[(status, &refused(code), outcome, &code.to_string())]).await;
    }
    expect_outcomes(
        "twilio",
        ACCOUNT,
        &[
            (201, ACCEPTED_BODY, "accepted", "HTTP 201"),
            (201, "{}", "unknown", "HTTP 201"),
            (201, "<html>", "unknown", "HTTP 201"),
            (201, r#"{"sid":"SM1","status":"failed","error_code":30034}"#, "unavailable", "30034"),
            (401, "", "misconfigured", "HTTP 401"),
            (429, "<html>", "throttled", "HTTP 429"),
            (502, "<html>", "unavailable", "HTTP 502"),
            (400, "", "rejected", "HTTP 400"),
            (303, "", "unknown", "HTTP 303"),
            (404, "", "unavailable", "HTTP 404"),
        ],
    )
    .await;
    let (result, _) = send_to_stub("twilio", ACCOUNT, 400, &refused(21211)).await;
    assert_eq!(result.outcome.reason(), Some("invalid phone number: words"));
}

#[tokio::test]
async fn a_refusal_because_of_stop_is_an_opt_out() {
    let stub = HttpStub::start(vec![response(400, "", r#"{"code":21610,"message":"unsubscribed"}"#)]).await;
    let blue = sms_provider_at(&stub, "twilio", ACCOUNT);
    blue.send(&conformance::sample_message()).await;
    let items = describe_items(Ok(blue.receive().await));
    assert_eq!(items, ["+989122222222 opted out: the recipient sent STOP (21610)"]);
}

/// Signs these callbacks with Twilio's own library.
fn sign_with_twilio_library(token: &str, callbacks: &mut [CallbackRequest]) {
    let python = postrider_core::testing::workspace_root().join("target/peers/python/bin/python");
    let program = "
import json, sys
from twilio.request_validator import RequestValidator
class Form(dict):
    getlist = dict.get
token, callbacks = json.load(sys.stdin)
sign = RequestValidator(token).compute_signature
print(json.dumps([sign(url, Form(form)) for url, form in callbacks]))
";
    let forms = callbacks.iter().map(|callback| {
        let mut form = serde_json::Map::new();
        for (name, value) in form_urlencoded::parse(&callback.body) {
            let values = form.entry(name).or_insert_with(|| json!([]));
            values.as_array_mut().unwrap().push(json!(value));
        }
        json!([callback.url, form])
    });
    let input = json!([token, forms.collect::<Vec<_>>()]).to_string();
    let mut child = Command::new(python)
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("python: {error}; run ./start.sh test"));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "twilio's library is missing: run ./start.sh test");
    let signatures: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    for (callback, signature) in callbacks.iter_mut().zip(signatures) {
        callback.headers.insert("x-twilio-signature".to_owned(), signature);
    }
}

fn status_callback(body: &str) -> CallbackRequest {
    form_callback("", &[], &format!("AccountSid=AC1&From=%2B15005550006&To=%2B989122222222&{body}"))
}

#[tokio::test]
async fn callbacks_that_twilios_library_signed_are_authenticated_and_no_others() {
    let blue = sms_provider("twilio", ACCOUNT);
    let mut callbacks = [
        status_callback("MessageSid=SM1&MessageStatus=delivered"),
        status_callback(
            "MessageSid=SM1&MessageStatus=delivered&Empty=&%D9%86%D8%A7%D9%85=%F0%9F%98%80+a%26b%3Dc",
        ),
        status_callback("MessageSid=SM1&MessageStatus=delivered&Zeta=2&Zeta=1&Zeta=1&alpha=x&Alpha=y"),
        form_callback("m=01J9ZC5T&n=a%20b", &[], "MessageSid=SM1&MessageStatus=delivered"),
        CallbackRequest {
            url: format!("{PUBLIC_URL}:443/v1/receipts/blue"),
            ..status_callback("MessageSid=SM1&MessageStatus=delivered")
        },
    ];
    sign_with_twilio_library("0123456789abcdef0123456789abcdef", &mut callbacks);
    for callback in callbacks {
        assert_eq!(describe_items(blue.parse_callback(&callback).await), ["delivered SM1"], "{callback:?}");
        let mut forged = vec![
            CallbackRequest { body: [&callback.body[..], b"&x=1"].concat(), ..callback.clone() },
            CallbackRequest { body: callback.body[..callback.body.len() - 3].to_vec(), ..callback.clone() },
            CallbackRequest { url: format!("{}x", callback.url), ..callback.clone() },
            CallbackRequest { url: callback.url.replace("gw.", "other."), ..callback.clone() },
            CallbackRequest { headers: Default::default(), ..callback.clone() },
            CallbackRequest {
                body: String::from_utf8(callback.body.clone()).unwrap().replace("SM1", "SM2").into(),
                ..callback.clone()
            },
        ];
        let mut signature = callback.headers["x-twilio-signature"].clone();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        signature.replace_range(..1, first);
        forged.push(CallbackRequest {
            headers: [("x-twilio-signature".to_owned(), signature)].into(),
            ..callback.clone()
        });
        for callback in forged {
            assert_eq!(
                describe_items(blue.parse_callback(&callback).await),
                ["unauthenticated"],
                "{callback:?}"
            );
        }
    }
}

#[tokio::test]
async fn callbacks_signed_with_another_token_are_rejected() {
    let mut callbacks = [status_callback("MessageSid=SM1&MessageStatus=delivered")];
    sign_with_twilio_library("another token", &mut callbacks);
    assert_eq!(
        describe_items(sms_provider("twilio", ACCOUNT).parse_callback(&callbacks[0]).await),
        ["unauthenticated"]
    );
}

#[tokio::test]
async fn statuses_have_the_receipts_of_the_reference() {
    let blue = sms_provider("twilio", ACCOUNT);
    let cases = [
        ("MessageStatus=queued", vec![]),
        ("MessageStatus=sent", vec![]),
        ("MessageStatus=of+the+future", vec![]),
        ("MessageStatus=delivered&RawDlrDoneDate=2607211403", vec!["delivered SM1"]),
        ("MessageStatus=read", vec!["opened SM1"]),
        ("MessageStatus=canceled", vec!["bounced SM1: canceled"]),
        (
            "MessageStatus=undelivered&ErrorCode=30003",
            vec!["bounced SM1: undelivered 30003: the handset is unreachable"],
        ),
        (
            "MessageStatus=undelivered&ErrorCode=30005",
            vec!["bounced SM1: undelivered 30005: the handset is unknown or switched off"],
        ),
        (
            "MessageStatus=undelivered&ErrorCode=30006",
            vec!["invalid SM1: undelivered 30006: landline number or unreachable carrier"],
        ),
        ("MessageStatus=failed&ErrorCode=77777", vec!["bounced SM1: failed 77777"]),
        (
            "MessageStatus=failed&ErrorCode=21610",
            vec![
                "bounced SM1: failed 21610: the recipient sent STOP",
                "+989122222222 opted out: the recipient sent STOP (21610)",
            ],
        ),
    ];
    let mut callbacks = cases.clone().map(|(body, _)| status_callback(&format!("MessageSid=SM1&{body}")));
    sign_with_twilio_library("0123456789abcdef0123456789abcdef", &mut callbacks);
    for (callback, (body, expected)) in callbacks.iter().zip(cases) {
        assert_eq!(describe_items(blue.parse_callback(callback).await), expected, "{body}");
    }
}

#[tokio::test]
async fn an_inbound_message_is_parsed_and_gets_an_empty_response() {
    let blue = sms_provider("twilio", ACCOUNT);
    let mut callbacks = [form_callback(
        "",
        &[],
        "MessageSid=SM9&SmsStatus=received&From=%2B989122222222&To=%2B15005550006&Body=Stop%20",
    )];
    sign_with_twilio_library("0123456789abcdef0123456789abcdef", &mut callbacks);
    let inbound = only_inbound_message(blue.parse_callback(&callbacks[0]).await);
    assert_eq!(
        (inbound.from.as_str(), inbound.to.as_str(), inbound.body.as_str()),
        ("+989122222222", "+15005550006", "Stop ")
    );
    assert_eq!(inbound.reference.as_deref(), Some("SM9"));
    assert_eq!(blue.callback_response(&callbacks[0]).unwrap().body, "<Response/>");
}

#[tokio::test]
async fn conforms_to_the_suite() {
    check_sms_provider("twilio", ACCOUNT, ACCEPTED_BODY, &sms_message()).await;
}

#[tokio::test]
async fn every_status_has_the_shared_outcome() {
    expect_status_table("twilio", ACCOUNT, &[]).await;
}

#[test]
fn wrong_settings_are_refused_and_secrets_not_shown() {
    let sender = settings_error("twilio", "account_sid = \"AC1\"\nauth_token = \"t\"");
    assert!(sender.starts_with("from: is missing"), "{sender}");
    let incomplete = settings_error("twilio", &format!("{ACCOUNT}\napi_key = \"SK\""));
    assert!(incomplete.contains("api_secret"), "{incomplete}");
    let base = settings_error("twilio", &format!("{ACCOUNT}\nbase_url = \"api.twilio.com\""));
    assert!(base.starts_with("base_url: "), "{base}");
    let settings = crate::ProviderSettings::read("twilio", ACCOUNT.parse().unwrap()).unwrap();
    assert!(!format!("{settings:?}").contains("0123456789abcdef"), "{settings:?}");
}
