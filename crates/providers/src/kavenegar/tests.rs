use std::time::Duration;

use crate::OutboundMessage;
use crate::testing::conformance;
use crate::testing::http_stub::{HttpStub, response};
use crate::testing::sms::{
    check_sms_provider, describe_items, expect_outcomes, expect_status_table, form_callback,
    only_inbound_message, request_form, send_to_stub, settings_error, sms_message, sms_provider,
    sms_provider_at,
};
use postrider_core::attempt::Outcome;

const ACCOUNT: &str = "api_key = \"key-for-docs\"
sender = \"10004346\"
receipts_token = \"a-token-nobody-guesses\"";

const TOKEN_QUERY: &str = "token=a-token-nobody-guesses";

const ACCEPTED_BODY: &str = r#"{"return":{"status":200,"message":"ok"},"entries":[{"messageid":8792343,"status":1,"statustext":"waits"}]}"#;

fn accepted_body_with(status: u32) -> String {
    ACCEPTED_BODY.replace("\"status\":1", &format!("\"status\":{status}"))
}

#[tokio::test]
async fn a_message_is_sent_as_in_the_reference() {
    let (result, request) = send_to_stub("kavenegar", ACCOUNT, 200, ACCEPTED_BODY).await;
    assert_eq!(format!("{:?}", result.outcome), "Accepted { reference: Some(\"8792343\") }");
    assert!(request.starts_with("POST /v1/key-for-docs/sms/send.json HTTP/1.1\r\n"), "{request}");
    let form = request_form(&request);
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(field("receptor"), Some("09122222222"));
    assert_eq!((field("sender"), field("message")), (Some("10004346"), Some("Your code is 4711")));
    assert!(field("localid").unwrap().parse::<i64>().unwrap() > 0);
}

#[tokio::test]
async fn a_message_has_the_same_id_in_every_round_and_no_other_message_has_it() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let blue = sms_provider_at(&stub, "kavenegar", ACCOUNT);
    let first = conformance::sample_message();
    let again = OutboundMessage { round: 3, ..first.clone() };
    let other =
        OutboundMessage { delivery_id: postrider_core::id::DeliveryId::from_position(7, 2), ..first.clone() };
    for message in [first, again, other] {
        blue.send(&message).await;
    }
    let ids = stub
        .requests()
        .iter()
        .map(|request| request_form(request).into_iter().find(|(name, _)| name == "localid").unwrap().1)
        .collect::<Vec<_>>();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn a_retry_of_a_failed_text_uses_another_id() {
    let stub =
        HttpStub::start(vec![response(200, "", &accepted_body_with(11)), response(200, "", ACCEPTED_BODY)])
            .await;
    let blue = sms_provider_at(&stub, "kavenegar", ACCOUNT);
    assert_eq!(blue.send(&conformance::sample_message()).await.outcome.as_str(), "accepted");
    assert_eq!(stub.requests().len(), 2);
    let first_round = OutboundMessage { round: 1, ..conformance::sample_message() };
    let fresh = HttpStub::start(vec![response(200, "", &accepted_body_with(14))]).await;
    let blue = sms_provider_at(&fresh, "kavenegar", ACCOUNT);
    assert_eq!(blue.send(&first_round).await.outcome.as_str(), "rejected");
    assert_eq!(fresh.requests().len(), 1, "a first round has no earlier text");
}

#[tokio::test]
async fn a_code_is_sent_by_its_template() {
    let settings = format!("{ACCOUNT}\ntemplate = \"loginCode\"");
    let stub = HttpStub::start(vec![response(200, "", &accepted_body_with(5))]).await;
    let blue = sms_provider_at(&stub, "kavenegar", &settings);
    let code = OutboundMessage { body: "4711".to_owned(), ..conformance::sample_message() };
    assert_eq!(blue.send(&code).await.outcome.as_str(), "accepted");
    let request = stub.requests().remove(0);
    assert!(request.starts_with("POST /v1/key-for-docs/verify/lookup.json "), "{request}");
    assert!(request.ends_with("receptor=09122222222&template=loginCode&token=4711"), "{request}");
    assert_eq!(
        blue.send(&conformance::sample_message()).await.outcome.as_str(),
        "rejected",
        "a sentence is not a code"
    );
    assert_eq!(stub.requests().len(), 1);
}

#[tokio::test]
async fn responses_have_the_outcomes_of_the_reference() {
    let refused = |status: u32| format!(r#"{{"return":{{"status":{status},"message":"x"}},"entries":null}}"#);
    for (status, outcome) in [
        (400, "rejected"),
        (401, "misconfigured"),
        (402, "unavailable"),
        (403, "misconfigured"),
        (409, "unavailable"),
        (411, "invalid_recipient"),
        (412, "unavailable"),
        (413, "rejected"),
        (416, "misconfigured"),
        (418, "misconfigured"),
        (422, "rejected"),
        (424, "misconfigured"),
        (429, "throttled"),
        (451, "throttled"),
        (501, "unavailable"),
        (607, "misconfigured"),
        (999, "unavailable"),
    ] {
        // Kavenegar sends errors with HTTP 200 or with another HTTP status.
        for http in [200, 418] {
            expect_outcomes("kavenegar", ACCOUNT, &[(http, &refused(status), outcome, &status.to_string())])
                .await;
        }
    }
    let object = r#"{"return":{"status":200},"entries":{"messageid":1,"status":4}}"#;
    expect_outcomes(
        "kavenegar",
        ACCOUNT,
        &[
            (200, &accepted_body_with(5), "accepted", "5"),
            (200, object, "accepted", "4"),
            (
                200,
                r#"{"return":{"status":411,"message":"x"}, "entries": { null }}"#,
                "invalid_recipient",
                "411",
            ),
            (200, r#"{"return":{"status":200},"entries":[]}"#, "unknown", "200"),
            (200, "<html>", "unknown", "HTTP 200"),
            (502, "<html>", "unavailable", "HTTP 502"),
        ],
    )
    .await;
    let (result, _) = send_to_stub("kavenegar", ACCOUNT, 200, &refused(418)).await;
    assert_eq!(result.outcome.reason(), Some("not enough credit: x"));
}

#[tokio::test]
async fn the_cooldown_doubles_with_each_throttled_call() {
    let busy = r#"{"return":{"status":451}}"#;
    let stub = HttpStub::start(vec![
        response(200, "", busy),
        response(200, "", busy),
        response(200, "", ACCEPTED_BODY),
        response(200, "", busy),
    ])
    .await;
    let blue = sms_provider_at(&stub, "kavenegar", ACCOUNT);
    let mut delays = Vec::new();
    for _ in 0..4 {
        if let Outcome::Throttled { retry_after } = blue.send(&conformance::sample_message()).await.outcome {
            delays.push(retry_after.unwrap());
        }
    }
    assert_eq!(delays, [60, 120, 60].map(Duration::from_secs));
}

#[test]
fn without_a_template_only_iranian_mobile_numbers_are_supported() {
    let blue = sms_provider("kavenegar", ACCOUNT);
    assert!(blue.can_send_to("+989122222222"));
    assert!(!blue.can_send_to("+4915112345678") && !blue.can_send_to("+982122222222"));
    assert!(sms_provider("kavenegar", &format!("{ACCOUNT}\ntemplate = \"t\"")).can_send_to("+4915112345678"));
}

#[tokio::test]
async fn statuses_have_the_receipts_of_the_reference() {
    let blue = sms_provider("kavenegar", ACCOUNT);
    let items =
        async |body: &str| describe_items(blue.parse_callback(&form_callback(TOKEN_QUERY, &[], body)).await);
    for status in [1, 2, 4, 5, 100, 77] {
        assert!(items(&format!("messageid=7&status={status}")).await.is_empty(), "{status}");
    }
    assert_eq!(items("messageid=7&status=10").await, ["delivered 7"]);
    assert_eq!(items(r#"{"messageid":7,"status":10}"#).await, ["delivered 7"]);
    assert_eq!(
        describe_items(
            blue.parse_callback(&form_callback(&format!("messageid=7&status=10&{TOKEN_QUERY}"), &[], ""))
                .await
        ),
        ["delivered 7"]
    );
    assert_eq!(
        items("messageid=7&status=11").await,
        ["bounced 7: status 11: not delivered: handset off, out of coverage or full"]
    );
    assert_eq!(
        items("messageid=7&status=14").await,
        ["bounced 7: status 14: the subscriber blocks advertising"]
    );
    assert_eq!(items("status=10").await, ["malformed: messageid is missing"]);
    assert_eq!(items("messageid=7&status=ten").await, ["malformed: status is not a number"]);
}

#[tokio::test]
async fn only_callbacks_with_the_token_are_accepted() {
    let blue = sms_provider("kavenegar", ACCOUNT);
    for query in ["", "token=another-token-nobody-knows"] {
        assert_eq!(
            describe_items(blue.parse_callback(&form_callback(query, &[], "messageid=7&status=10")).await),
            ["unauthenticated"]
        );
    }
    let without_token = sms_provider("kavenegar", "api_key = \"k\"");
    assert_eq!(
        describe_items(
            without_token.parse_callback(&form_callback(TOKEN_QUERY, &[], "messageid=7&status=10")).await
        ),
        ["not supported"]
    );
}

#[tokio::test]
async fn an_inbound_message_is_parsed() {
    let blue = sms_provider("kavenegar", ACCOUNT);
    let query = format!("{TOKEN_QUERY}&from=09122222222&to=10004346&message=STOP&messageid=5");
    let inbound = only_inbound_message(blue.parse_callback(&form_callback(&query, &[], "")).await);
    assert_eq!(
        (inbound.from.as_str(), inbound.to.as_str(), inbound.body.as_str()),
        ("09122222222", "10004346", "STOP")
    );
    assert_eq!(blue.callback_response(&conformance::sample_callback()).unwrap().body, "");
}

#[tokio::test]
async fn conforms_to_the_suite() {
    check_sms_provider("kavenegar", ACCOUNT, ACCEPTED_BODY, &sms_message()).await;
    let code = OutboundMessage { body: "4711".to_owned(), ..sms_message() };
    check_sms_provider("kavenegar", "api_key = \"k\"\ntemplate = \"t\"", ACCEPTED_BODY, &code).await;
}

#[tokio::test]
async fn every_status_without_kavenegars_own_has_the_shared_outcome() {
    expect_status_table("kavenegar", ACCOUNT, &[]).await;
}

#[tokio::test]
async fn the_api_key_is_never_shown() {
    let settings = crate::ProviderSettings::read("kavenegar", ACCOUNT.parse().unwrap()).unwrap();
    assert!(!format!("{settings:?}").contains("key-for-docs"), "{settings:?}");
    let unreachable = sms_provider("kavenegar", &format!("{ACCOUNT}\nbase_url = \"http://127.0.0.1:1\""));
    let result = unreachable.send(&conformance::sample_message()).await;
    assert_eq!(result.outcome.as_str(), "unavailable");
    assert!(!format!("{result:?} {:?}", unreachable.endpoint()).contains("key-for-docs"), "{result:?}");
    let short = settings_error("kavenegar", "api_key = \"k\"\nreceipts_token = \"short\"");
    assert!(short.starts_with("receipts_token: "), "{short}");
}
