//! The adapter against a stand-in that answers as the reference says.

use crate::http_stub::{HttpStub, response};
use crate::sms::tests::{
    check_sms_provider, describe_incoming, expect_outcomes, form_callback, only_inbound_message,
    request_form, send_to_stub, settings_error, sms_provider,
};
use crate::{CallbackMode, OutboundMessage, conformance};

const ACCOUNT: &str = "api_key = \"abcd1234\"
api_secret = \"abcdef0123456789\"
from = \"AcmeInc\"
receipts_token = \"a-token-nobody-guesses\"";

const ACCEPTED_BODY: &str =
    r#"{"message-count":"1","messages":[{"to":"98912","message-id":"0A1","status":"0"}]}"#;

const TOKEN_QUERY: &str = "token=a-token-nobody-guesses";

#[tokio::test]
async fn a_message_goes_out_as_the_reference_has_it() {
    let (answer, heard) = send_to_stub("vonage", ACCOUNT, 200, ACCEPTED_BODY).await;
    assert_eq!(
        (answer.outcome.as_str(), answer.code.as_deref()),
        ("accepted", Some("0"))
    );
    assert!(heard.starts_with("POST /sms/json HTTP/1.1\r\n"), "{heard}");
    let mut form = request_form(&heard);
    let callback = form.pop().unwrap();
    assert_eq!(
        callback,
        (
            "callback".to_owned(),
            format!("https://gw.example.org/v1/receipts/blue?{TOKEN_QUERY}")
        )
    );
    let (name, ttl) = form.pop().unwrap();
    assert_eq!(name, "ttl");
    assert!((7_000_000..=7_200_000).contains(&ttl.parse().unwrap()), "{ttl}");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        form,
        [
            pair("api_key", "abcd1234"),
            pair("api_secret", "abcdef0123456789"),
            pair("from", "AcmeInc"),
            pair("to", "989122222222"),
            pair("type", "text"),
            pair("text", "Your code is 4711"),
            pair("client-ref", "449-2"),
        ]
    );
}

#[tokio::test]
async fn what_is_outside_the_gsm_alphabet_goes_out_as_unicode() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let blue = sms_provider(
        "vonage",
        &format!("{ACCOUNT}\nbase_url = \"http://{}\"", stub.address),
    );
    blue.send(&OutboundMessage {
        body: "کد شما: 4711".to_owned(),
        ..conformance::sample_message()
    })
    .await;
    let form = request_form(&stub.requests()[0]);
    assert!(
        form.contains(&("type".to_owned(), "unicode".to_owned())),
        "{form:?}"
    );
    assert!(
        form.contains(&("text".to_owned(), "کد شما: 4711".to_owned())),
        "{form:?}"
    );
}

#[tokio::test]
async fn answers_mean_what_the_reference_says() {
    let refused = |code: &str, words: &str| {
        format!(r#"{{"message-count":"1","messages":[{{"status":"{code}","error-text":"{words}"}}]}}"#)
    };
    for (code, words, outcome) in [
        ("1", "Throttled", "throttled"),
        ("2", "Missing from", "rejected"),
        ("3", "Invalid value for parameter: from", "rejected"),
        ("3", "Invalid value for parameter: to", "invalid_recipient"),
        ("4", "Bad Credentials", "misconfigured"),
        ("5", "Internal Error", "unavailable"),
        ("6", "x", "invalid_recipient"),
        ("7", "x", "rejected"),
        ("8", "x", "misconfigured"),
        ("9", "x", "misconfigured"),
        ("10", "x", "throttled"),
        ("12", "x", "rejected"),
        ("15", "x", "unavailable"),
        ("29", "x", "misconfigured"),
        ("33", "x", "invalid_recipient"),
        ("77", "x", "unavailable"),
    ] {
        expect_outcomes("vonage", ACCOUNT, &[(200, &refused(code, words), outcome, code)]).await;
    }
    expect_outcomes(
        "vonage",
        ACCOUNT,
        &[
            (200, "{}", "unknown", "HTTP 200"),
            (200, r#"{"messages":[{"status":"0"}]}"#, "unknown", "0"),
            (401, "", "misconfigured", "HTTP 401"),
            (429, "", "throttled", "HTTP 429"),
            (500, "", "unavailable", "HTTP 500"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_message_of_which_only_a_part_was_taken_is_not_sent_again() {
    let mixed = r#"{"messages":[{"status":"0","message-id":"0A1"},{"status":"1","error-text":"Throttled"}]}"#;
    let (answer, _) = send_to_stub("vonage", ACCOUNT, 200, mixed).await;
    assert_eq!(answer.outcome.as_str(), "rejected");
    assert!(
        answer
            .outcome
            .reason()
            .unwrap()
            .starts_with("only 1 of 2 parts were taken"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn the_last_segment_speaks_for_the_message_and_any_lost_one_does() {
    let three = r#"{"messages":[{"status":"0","message-id":"s1"},{"status":"0","message-id":"s2"},{"status":"0","message-id":"s3"}]}"#;
    let stub = HttpStub::start(vec![response(200, "", three)]).await;
    let blue = sms_provider(
        "vonage",
        &format!("{ACCOUNT}\nbase_url = \"http://{}\"", stub.address),
    );
    let taken = blue.send(&conformance::sample_message()).await;
    assert_eq!(
        format!("{:?}", taken.outcome),
        "Accepted { reference: Some(\"s3\") }"
    );
    let heard = |body| describe_incoming(blue.parse_callback_sync(&form_callback(TOKEN_QUERY, &[], body)));
    assert!(heard("messageId=s1&status=delivered&err-code=0").is_empty());
    assert_eq!(
        heard("messageId=s2&status=failed&err-code=8"),
        ["bounced s3: failed 8: trouble in the network"]
    );
    assert_eq!(
        heard("messageId=s3&status=delivered&err-code=0"),
        ["delivered s3"]
    );
}

#[test]
fn receipts_mean_what_the_reference_says() {
    let blue = sms_provider("vonage", ACCOUNT);
    let heard = |body: &str| {
        describe_incoming(blue.parse_callback_sync(&form_callback(
            TOKEN_QUERY,
            &[],
            &format!("msisdn=989122222222&messageId=a&{body}"),
        )))
    };
    for quiet in [
        "status=accepted&err-code=7",
        "status=buffered",
        "status=unknown&err-code=1",
    ] {
        assert!(heard(quiet).is_empty(), "{quiet}");
    }
    assert_eq!(heard("status=delivered&err-code=0"), ["delivered a"]);
    assert_eq!(
        heard("status=failed&err-code=2"),
        ["bounced a: failed 2: the handset is off or away"]
    );
    assert_eq!(
        heard("status=failed&err-code=0"),
        ["bounced a: failed 0: delivered"]
    );
    assert_eq!(
        heard("status=rejected&err-code=3"),
        ["invalid a: rejected 3: the subscriber is gone"]
    );
    assert_eq!(heard("status=expired"), ["bounced a: expired"]);
    assert_eq!(
        heard("status=rejected&err-code=9"),
        [
            "bounced a: rejected 9: the person has sent STOP",
            "+989122222222 opted out: the person has sent STOP (9)",
        ]
    );
    let query = format!("{TOKEN_QUERY}&messageId=a&status=delivered");
    assert_eq!(
        describe_incoming(blue.parse_callback_sync(&form_callback(&query, &[], ""))),
        ["delivered a"]
    );
    let json =
        r#"{"messageId":"a","status":"delivered","err-code":"0","message-timestamp":"2023-11-14 22:13:19"}"#;
    assert_eq!(
        describe_incoming(blue.parse_callback_sync(&form_callback(TOKEN_QUERY, &[], json))),
        ["delivered a"]
    );
    assert_eq!(
        describe_incoming(blue.parse_callback_sync(&form_callback(TOKEN_QUERY, &[], "status=delivered"))),
        ["unreadable: there is no messageId"]
    );
}

#[test]
fn only_who_knows_the_secret_is_heard() {
    let body = "messageId=a&status=delivered";
    let by_token = sms_provider("vonage", ACCOUNT);
    for query in ["", "token=", "token=another-token-nobody-knows"] {
        assert_eq!(
            describe_incoming(by_token.parse_callback_sync(&form_callback(query, &[], body))),
            ["forged"],
            "{query}"
        );
    }
    let bare = ACCOUNT.lines().take(3).collect::<Vec<_>>().join("\n");
    let deaf = sms_provider("vonage", &bare);
    assert_eq!(
        describe_incoming(deaf.parse_callback_sync(&form_callback("", &[], body))),
        ["not expected"]
    );
    let signing = sms_provider(
        "vonage",
        &format!("{bare}\nsignature_secret = \"sigsecret-for-docs\""),
    );
    assert_eq!(
        describe_incoming(signing.parse_callback_sync(&form_callback("", &[], body))),
        ["forged"]
    );
    let callbacks = [&signing, &by_token, &deaf].map(|account| account.callback_mode());
    let proven = CallbackMode::Authenticated;
    assert_eq!(callbacks, [proven, proven, CallbackMode::Disabled]);
}

#[test]
fn a_text_is_heard() {
    let blue = sms_provider("vonage", ACCOUNT);
    let text = only_inbound_message(blue.parse_callback_sync(&form_callback(
        TOKEN_QUERY,
        &[],
        "msisdn=14843472194&to=13239877404&messageId=02&text=STOP&type=text",
    )));
    assert_eq!(
        (text.from.as_str(), text.to.as_str(), text.body.as_str()),
        ("+14843472194", "13239877404", "STOP")
    );
    assert_eq!(
        blue.callback_response(&conformance::sample_callback())
            .unwrap()
            .body,
        ""
    );
}

#[tokio::test]
async fn keeps_the_contract_of_every_provider() {
    check_sms_provider("vonage", ACCOUNT, ACCEPTED_BODY).await;
    let signing = ACCOUNT.replace("receipts_token", "signature_secret");
    check_sms_provider("vonage", &signing, ACCEPTED_BODY).await;
}

#[test]
fn wrong_settings_are_told_and_secrets_are_not() {
    let short = settings_error(
        "vonage",
        "api_key = \"a\"\napi_secret = \"b\"\nfrom = \"c\"\nreceipts_token = \"short\"",
    );
    assert!(short.starts_with("receipts_token: is too short"), "{short}");
    let method = settings_error("vonage", &format!("{ACCOUNT}\nsignature_method = \"crc\""));
    assert!(method.starts_with("signature_method: "), "{method}");
    let read = crate::ProviderSettings::read("vonage", ACCOUNT.parse().unwrap()).unwrap();
    let shown = format!("{read:?}");
    assert!(
        !shown.contains("abcdef0123456789") && !shown.contains("nobody-guesses"),
        "{shown}"
    );
}
