//! The adapter against a stand-in that answers as the reference says, and against Twilio's own library.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::http_stub::{HttpStub, response};
use crate::sms::tests::{
    PUBLIC_URL, check_sms_provider, describe_incoming, expect_outcomes, form_callback, only_inbound_message,
    request_form, send_to_stub, settings_error, sms_provider, sms_provider_at,
};
use crate::{CallbackRequest, conformance};

const ACCOUNT: &str = "account_sid = \"AC00000000000000000000000000000001\"
auth_token = \"0123456789abcdef0123456789abcdef\"
from = \"+15005550006\"";

const ACCEPTED_BODY: &str = r#"{"sid":"SM1","status":"queued","error_code":null,"num_segments":"1"}"#;

#[tokio::test]
async fn a_message_goes_out_as_the_reference_has_it() {
    let (answer, heard) = send_to_stub("twilio", ACCOUNT, 201, ACCEPTED_BODY).await;
    assert_eq!(answer.outcome.as_str(), "accepted");
    let head = "POST /2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json HTTP/1.1\r\n";
    assert!(heard.starts_with(head), "{heard}");
    assert!(heard.contains("authorization: Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTowMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==\r\n"));
    let mut form = request_form(&heard);
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
async fn an_api_key_sends_and_a_service_picks_the_sender() {
    let settings = "account_sid = \"AC1\"\nauth_token = \"t\"\napi_key = \"SK1\"\napi_secret = \"s\"\nmessaging_service_sid = \"MG2\"";
    let (_, heard) = send_to_stub("twilio", settings, 201, ACCEPTED_BODY).await;
    assert!(heard.contains("authorization: Basic U0sxOnM=\r\n"), "{heard}");
    assert!(heard.contains("MessagingServiceSid=MG2") && !heard.contains("From="));
}

#[tokio::test]
async fn a_gateway_nobody_can_call_asks_for_no_receipts() {
    let stub = HttpStub::start(vec![response(201, "", ACCEPTED_BODY)]).await;
    let settings = format!("{ACCOUNT}\nbase_url = \"http://{}\"", stub.address);
    sms_provider_at("http://127.0.0.1:8080", "twilio", &settings)
        .send(&conformance::sample_message())
        .await;
    assert!(!stub.requests()[0].contains("StatusCallback"));
}

#[tokio::test]
async fn answers_mean_what_the_reference_says() {
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
        expect_outcomes(
            "twilio",
            ACCOUNT,
            &[(status, &refused(code), outcome, &code.to_string())],
        )
        .await;
    }
    expect_outcomes(
        "twilio",
        ACCOUNT,
        &[
            (201, ACCEPTED_BODY, "accepted", "HTTP 201"),
            (201, "{}", "unknown", "HTTP 201"),
            (201, "<html>", "unknown", "HTTP 201"),
            (
                201,
                r#"{"sid":"SM1","status":"failed","error_code":30034}"#,
                "misconfigured",
                "30034",
            ),
            (401, "", "misconfigured", "HTTP 401"),
            (429, "<html>", "throttled", "HTTP 429"),
            (502, "<html>", "unavailable", "HTTP 502"),
            (400, "", "rejected", "HTTP 400"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_refusal_because_of_stop_is_told_as_an_opt_out() {
    let stub = HttpStub::start(vec![response(
        400,
        "",
        r#"{"code":21610,"message":"unsubscribed"}"#,
    )])
    .await;
    let blue = sms_provider(
        "twilio",
        &format!("{ACCOUNT}\nbase_url = \"http://{}\"", stub.address),
    );
    blue.send(&conformance::sample_message()).await;
    let told = describe_incoming(Ok(blue.receive().await));
    assert_eq!(
        told,
        ["+989122222222 opted out: the person has sent STOP (21610)"]
    );
}

/// Twilio's own library signs these calls.
fn sign_with_twilio_library(token: &str, calls: &mut [CallbackRequest]) {
    let python = postrider_core::testing::workspace_root().join("target/peers/python/bin/python");
    let program = "
import json, sys
from twilio.request_validator import RequestValidator
class Form(dict):
    getlist = dict.get
token, calls = json.load(sys.stdin)
sign = RequestValidator(token).compute_signature
print(json.dumps([sign(url, Form(form)) for url, form in calls]))
";
    let forms = calls.iter().map(|call| {
        let mut form = serde_json::Map::new();
        for (name, value) in form_urlencoded::parse(&call.body) {
            let values = form.entry(name).or_insert_with(|| json!([]));
            values.as_array_mut().unwrap().push(json!(value));
        }
        json!([call.url, form])
    });
    let task = json!([token, forms.collect::<Vec<_>>()]).to_string();
    let mut child = Command::new(python)
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|trouble| panic!("python: {trouble}; run ./start.sh test"));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), task.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(
        done.status.success(),
        "twilio's library is missing: run ./start.sh test"
    );
    let signatures: Vec<String> = serde_json::from_slice(&done.stdout).unwrap();
    for (call, signature) in calls.iter_mut().zip(signatures) {
        call.headers.insert("x-twilio-signature".to_owned(), signature);
    }
}

fn status_callback(body: &str) -> CallbackRequest {
    form_callback(
        "",
        &[],
        &format!("AccountSid=AC1&From=%2B15005550006&To=%2B989122222222&{body}"),
    )
}

#[test]
fn what_twilios_own_library_signs_is_accepted_and_nothing_else() {
    let blue = sms_provider("twilio", ACCOUNT);
    let mut calls = [
        status_callback("MessageSid=SM1&MessageStatus=delivered"),
        status_callback(
            "MessageSid=SM1&MessageStatus=delivered&Empty=&%D9%86%D8%A7%D9%85=%F0%9F%98%80+a%26b%3Dc",
        ),
        status_callback("MessageSid=SM1&MessageStatus=delivered&Zeta=2&Zeta=1&Zeta=1&alpha=x&Alpha=y"),
        form_callback(
            "m=01J9ZC5T&n=a%20b",
            &[],
            "MessageSid=SM1&MessageStatus=delivered",
        ),
        CallbackRequest {
            url: format!("{PUBLIC_URL}:443/v1/receipts/blue"),
            ..status_callback("MessageSid=SM1&MessageStatus=delivered")
        },
    ];
    sign_with_twilio_library("0123456789abcdef0123456789abcdef", &mut calls);
    for call in calls {
        assert_eq!(
            describe_incoming(blue.parse_callback_sync(&call)),
            ["delivered SM1"],
            "{call:?}"
        );
        let mut forged = vec![
            CallbackRequest {
                body: [&call.body[..], b"&x=1"].concat(),
                ..call.clone()
            },
            CallbackRequest {
                body: call.body[..call.body.len() - 3].to_vec(),
                ..call.clone()
            },
            CallbackRequest {
                url: format!("{}x", call.url),
                ..call.clone()
            },
            CallbackRequest {
                url: call.url.replace("gw.", "other."),
                ..call.clone()
            },
            CallbackRequest {
                headers: Default::default(),
                ..call.clone()
            },
            CallbackRequest {
                body: String::from_utf8(call.body.clone())
                    .unwrap()
                    .replace("SM1", "SM2")
                    .into(),
                ..call.clone()
            },
        ];
        let mut signature = call.headers["x-twilio-signature"].clone();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        signature.replace_range(..1, first);
        forged.push(CallbackRequest {
            headers: [("x-twilio-signature".to_owned(), signature)].into(),
            ..call.clone()
        });
        for call in forged {
            assert_eq!(
                describe_incoming(blue.parse_callback_sync(&call)),
                ["forged"],
                "{call:?}"
            );
        }
    }
}

#[test]
fn what_another_token_signs_is_refused() {
    let mut calls = [status_callback("MessageSid=SM1&MessageStatus=delivered")];
    sign_with_twilio_library("another token", &mut calls);
    assert_eq!(
        describe_incoming(sms_provider("twilio", ACCOUNT).parse_callback_sync(&calls[0])),
        ["forged"]
    );
}

#[test]
fn statuses_mean_what_the_reference_says() {
    let blue = sms_provider("twilio", ACCOUNT);
    let cases = [
        ("MessageStatus=queued", vec![]),
        ("MessageStatus=sent", vec![]),
        ("MessageStatus=of+the+future", vec![]),
        (
            "MessageStatus=delivered&RawDlrDoneDate=2607211403",
            vec!["delivered SM1"],
        ),
        ("MessageStatus=read", vec!["opened SM1"]),
        ("MessageStatus=canceled", vec!["bounced SM1: canceled"]),
        (
            "MessageStatus=undelivered&ErrorCode=30003",
            vec!["bounced SM1: undelivered 30003: the handset cannot be reached"],
        ),
        (
            "MessageStatus=undelivered&ErrorCode=30005",
            vec!["bounced SM1: undelivered 30005: the handset is unknown, or switched off"],
        ),
        (
            "MessageStatus=undelivered&ErrorCode=30006",
            vec!["invalid SM1: undelivered 30006: this is a landline, or its carrier cannot be reached"],
        ),
        (
            "MessageStatus=failed&ErrorCode=77777",
            vec!["bounced SM1: failed 77777"],
        ),
        (
            "MessageStatus=failed&ErrorCode=21610",
            vec![
                "bounced SM1: failed 21610: the person has sent STOP",
                "+989122222222 opted out: the person has sent STOP (21610)",
            ],
        ),
    ];
    let mut calls = cases
        .clone()
        .map(|(body, _)| status_callback(&format!("MessageSid=SM1&{body}")));
    sign_with_twilio_library("0123456789abcdef0123456789abcdef", &mut calls);
    for (call, (body, expected)) in calls.iter().zip(cases) {
        assert_eq!(
            describe_incoming(blue.parse_callback_sync(call)),
            expected,
            "{body}"
        );
    }
}

#[test]
fn a_text_is_heard_and_answered_without_an_order() {
    let blue = sms_provider("twilio", ACCOUNT);
    let mut calls = [form_callback(
        "",
        &[],
        "MessageSid=SM9&SmsStatus=received&From=%2B989122222222&To=%2B15005550006&Body=Stop%20",
    )];
    sign_with_twilio_library("0123456789abcdef0123456789abcdef", &mut calls);
    let text = only_inbound_message(blue.parse_callback_sync(&calls[0]));
    assert_eq!(
        (text.from.as_str(), text.to.as_str(), text.body.as_str()),
        ("+989122222222", "+15005550006", "Stop ")
    );
    assert_eq!(text.reference.as_deref(), Some("SM9"));
    assert_eq!(blue.callback_response(&calls[0]).unwrap().body, "<Response/>");
}

#[tokio::test]
async fn keeps_the_contract_of_every_provider() {
    check_sms_provider("twilio", ACCOUNT, ACCEPTED_BODY).await;
}

#[test]
fn wrong_settings_are_told_and_secrets_are_not() {
    let sender = settings_error("twilio", "account_sid = \"AC1\"\nauth_token = \"t\"");
    assert!(sender.starts_with("from: is missing"), "{sender}");
    let half = settings_error("twilio", &format!("{ACCOUNT}\napi_key = \"SK\""));
    assert!(half.contains("api_secret"), "{half}");
    let base = settings_error("twilio", &format!("{ACCOUNT}\nbase_url = \"api.twilio.com\""));
    assert!(base.starts_with("base_url: "), "{base}");
    let read = crate::ProviderSettings::read("twilio", ACCOUNT.parse().unwrap()).unwrap();
    assert!(!format!("{read:?}").contains("0123456789abcdef"), "{read:?}");
}
