use crate::testing::conformance;
use crate::testing::http_stub::{HttpStub, response};
use crate::testing::sms::{
    check_sms_provider, describe_items, expect_outcomes, expect_status_table, form_callback,
    only_inbound_message, request_form, send_to_stub, settings_error, sms_message, sms_provider,
    sms_provider_at,
};
use crate::{CallbackMode, OutboundMessage};
use postrider_core::inbound::{CallbackItem, UnreadableKind};

const ACCOUNT: &str = "api_key = \"abcd1234\"
api_secret = \"abcdef0123456789\"
from = \"AcmeInc\"
receipts_token = \"a-token-nobody-guesses\"";

const ACCEPTED_BODY: &str =
    r#"{"message-count":"1","messages":[{"to":"98912","message-id":"0A1","status":"0"}]}"#;

const TOKEN_QUERY: &str = "token=a-token-nobody-guesses";

#[tokio::test]
async fn a_message_is_sent_as_in_the_reference() {
    let (result, request) = send_to_stub("vonage", ACCOUNT, 200, ACCEPTED_BODY).await;
    assert_eq!((result.outcome.as_str(), result.code.as_deref()), ("accepted", Some("0")));
    assert!(request.starts_with("POST /sms/json HTTP/1.1\r\n"), "{request}");
    let mut form = request_form(&request);
    let callback = form.pop().unwrap();
    assert_eq!(
        callback,
        ("callback".to_owned(), format!("https://gw.example.org/v1/receipts/blue?{TOKEN_QUERY}"))
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
async fn text_outside_the_gsm_alphabet_is_sent_as_unicode() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let blue = sms_provider_at(&stub, "vonage", ACCOUNT);
    blue.send(&OutboundMessage { body: "کد شما: 4711".to_owned(), ..conformance::sample_message() }).await;
    let form = request_form(&stub.requests()[0]);
    assert!(form.contains(&("type".to_owned(), "unicode".to_owned())), "{form:?}");
    assert!(form.contains(&("text".to_owned(), "کد شما: 4711".to_owned())), "{form:?}");
}

#[tokio::test]
async fn responses_have_the_outcomes_of_the_reference() {
    let refused = |code: &str, text: &str| {
        format!(r#"{{"message-count":"1","messages":[{{"status":"{code}","error-text":"{text}"}}]}}"#)
    };
    for (code, text, outcome) in [
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
        ("29", "x", "unavailable"),
        ("33", "x", "invalid_recipient"),
        ("77", "x", "unavailable"),
    ] {
        expect_outcomes("vonage", ACCOUNT, &[(200, &refused(code, text), outcome, code)]).await;
    }
    expect_outcomes(
        "vonage",
        ACCOUNT,
        &[
            (200, "{}", "unknown", "HTTP 200"),
            (200, r#"{"messages":[{"status":"0"}]}"#, "unknown", "0"),
            (401, "", "misconfigured", "HTTP 401"),
            (420, "", "throttled", "HTTP 420"),
            (429, "", "throttled", "HTTP 429"),
            (500, "", "unavailable", "HTTP 500"),
            (202, ACCEPTED_BODY, "unknown", "HTTP 202"),
        ],
    )
    .await;
    let (result, _) = send_to_stub("vonage", ACCOUNT, 200, &refused("4", "Bad Credentials")).await;
    assert_eq!(result.outcome.reason(), Some("wrong API key or secret: Bad Credentials"));
}

#[tokio::test]
async fn a_partly_accepted_message_is_rejected() {
    let mixed = r#"{"messages":[{"status":"0","message-id":"0A1"},{"status":"1","error-text":"Throttled"}]}"#;
    let (result, _) = send_to_stub("vonage", ACCOUNT, 200, mixed).await;
    assert_eq!(result.outcome.as_str(), "rejected");
    assert!(result.outcome.reason().unwrap().starts_with("only 1 of 2 parts were accepted"), "{result:?}");
}

#[tokio::test]
async fn the_last_segment_or_any_failed_one_decides_the_message() {
    let three = r#"{"messages":[{"status":"0","message-id":"s1"},{"status":"0","message-id":"s2"},{"status":"0","message-id":"s3"}]}"#;
    let stub = HttpStub::start(vec![response(200, "", three)]).await;
    let blue = sms_provider_at(&stub, "vonage", ACCOUNT);
    let result = blue.send(&conformance::sample_message()).await;
    assert_eq!(format!("{:?}", result.outcome), "Accepted { reference: Some(\"s3\") }");
    let items =
        async |body: &str| describe_items(blue.parse_callback(&form_callback(TOKEN_QUERY, &[], body)).await);
    assert!(items("messageId=s1&status=delivered&err-code=0").await.is_empty());
    assert_eq!(items("messageId=s2&status=failed&err-code=8").await, ["bounced s3: failed 8: network error"]);
    assert_eq!(items("messageId=s3&status=delivered&err-code=0").await, ["delivered s3"]);
}

#[tokio::test]
async fn statuses_have_the_receipts_of_the_reference() {
    let blue = sms_provider("vonage", ACCOUNT);
    let items = async |body: &str| {
        describe_items(
            blue.parse_callback(&form_callback(
                TOKEN_QUERY,
                &[],
                &format!("msisdn=989122222222&messageId=a&{body}"),
            ))
            .await,
        )
    };
    for body in ["status=accepted&err-code=7", "status=buffered", "status=unknown&err-code=1"] {
        assert!(items(body).await.is_empty(), "{body}");
    }
    assert_eq!(items("status=delivered&err-code=0").await, ["delivered a"]);
    assert_eq!(
        items("status=failed&err-code=2").await,
        ["bounced a: failed 2: the handset is off or out of coverage"]
    );
    assert_eq!(items("status=failed&err-code=0").await, ["bounced a: failed 0: delivered"]);
    assert_eq!(
        items("status=rejected&err-code=3").await,
        ["invalid a: rejected 3: the subscriber does not exist any more"]
    );
    assert_eq!(items("status=expired").await, ["bounced a: expired"]);
    assert_eq!(
        items("status=rejected&err-code=9").await,
        [
            "bounced a: rejected 9: the recipient sent STOP",
            "+989122222222 opted out: the recipient sent STOP (9)",
        ]
    );
    let query = format!("{TOKEN_QUERY}&messageId=a&status=delivered");
    assert_eq!(describe_items(blue.parse_callback(&form_callback(&query, &[], "")).await), ["delivered a"]);
    let json =
        r#"{"messageId":"a","status":"delivered","err-code":"0","message-timestamp":"2023-11-14 22:13:19"}"#;
    assert_eq!(
        describe_items(blue.parse_callback(&form_callback(TOKEN_QUERY, &[], json)).await),
        ["delivered a"]
    );
    assert_eq!(
        describe_items(blue.parse_callback(&form_callback(TOKEN_QUERY, &[], "status=delivered")).await),
        ["malformed: messageId is missing"]
    );
}

#[tokio::test]
async fn only_authenticated_callbacks_are_accepted() {
    let body = "messageId=a&status=delivered";
    let by_token = sms_provider("vonage", ACCOUNT);
    for query in ["", "token=", "token=another-token-nobody-knows"] {
        assert_eq!(
            describe_items(by_token.parse_callback(&form_callback(query, &[], body)).await),
            ["unauthenticated"],
            "{query}"
        );
    }
    let keys = ACCOUNT.lines().take(3).collect::<Vec<_>>().join("\n");
    let without_secrets = sms_provider("vonage", &keys);
    assert_eq!(
        describe_items(without_secrets.parse_callback(&form_callback("", &[], body)).await),
        ["not supported"]
    );
    let signed = sms_provider("vonage", &format!("{keys}\nsignature_secret = \"sigsecret-for-docs\""));
    assert_eq!(
        describe_items(signed.parse_callback(&form_callback("", &[], body)).await),
        ["unauthenticated"]
    );
    let callbacks = [&signed, &by_token, &without_secrets].map(|account| account.callback_mode());
    let authenticated = CallbackMode::Authenticated;
    assert_eq!(callbacks, [authenticated, authenticated, CallbackMode::Disabled]);
}

#[tokio::test]
async fn an_inbound_message_is_parsed() {
    let blue = sms_provider("vonage", ACCOUNT);
    let inbound = only_inbound_message(
        blue.parse_callback(&form_callback(
            TOKEN_QUERY,
            &[],
            "msisdn=14843472194&to=13239877404&messageId=02&text=STOP&type=text",
        ))
        .await,
    );
    assert_eq!(
        (inbound.from.as_str(), inbound.to.as_str(), inbound.body.as_str()),
        ("+14843472194", "13239877404", "STOP")
    );
    let binary = "msisdn=14843472194&to=13239877404&messageId=03&data=0102&udh=06050415811581&type=binary";
    let items = blue.parse_callback(&form_callback(TOKEN_QUERY, &[], binary)).await.unwrap();
    assert_eq!(items, [CallbackItem::Unreadable(UnreadableKind::InboundMessage)]);
    assert_eq!(blue.callback_response(&conformance::sample_callback()).unwrap().body, "");
}

#[tokio::test]
async fn conforms_to_the_suite() {
    check_sms_provider("vonage", ACCOUNT, ACCEPTED_BODY, &sms_message()).await;
    let signed = ACCOUNT.replace("receipts_token", "signature_secret");
    check_sms_provider("vonage", &signed, ACCEPTED_BODY, &sms_message()).await;
}

#[tokio::test]
async fn every_status_has_the_shared_outcome() {
    expect_status_table("vonage", ACCOUNT, &[]).await;
}

#[test]
fn wrong_settings_are_refused_and_secrets_not_shown() {
    let short = settings_error(
        "vonage",
        "api_key = \"a\"\napi_secret = \"b\"\nfrom = \"c\"\nreceipts_token = \"short\"",
    );
    assert!(short.starts_with("receipts_token: is too short"), "{short}");
    let method = settings_error("vonage", &format!("{ACCOUNT}\nsignature_method = \"crc\""));
    assert!(method.starts_with("signature_method: "), "{method}");
    let settings = crate::ProviderSettings::read("vonage", ACCOUNT.parse().unwrap()).unwrap();
    let shown = format!("{settings:?}");
    assert!(!shown.contains("abcdef0123456789") && !shown.contains("nobody-guesses"), "{shown}");
}
