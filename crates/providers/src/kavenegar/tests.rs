//! The adapter against a stand-in that answers as the reference says.

use std::time::Duration;

use crate::http_stub::{HttpStub, response};
use crate::sms::tests::{
    check_sms_provider, describe_incoming, expect_outcomes, form_callback, only_inbound_message,
    request_form, send_to_stub, settings_error, sms_provider,
};
use crate::{OutboundMessage, conformance};
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
async fn a_message_goes_out_as_the_reference_has_it() {
    let (answer, heard) = send_to_stub("kavenegar", ACCOUNT, 200, ACCEPTED_BODY).await;
    assert_eq!(
        format!("{:?}", answer.outcome),
        "Accepted { reference: Some(\"8792343\") }"
    );
    assert!(
        heard.starts_with("POST /v1/key-for-docs/sms/send.json HTTP/1.1\r\n"),
        "{heard}"
    );
    let form = request_form(&heard);
    let field = |name: &str| {
        form.iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(field("receptor"), Some("09122222222"));
    assert_eq!(
        (field("sender"), field("message")),
        (Some("10004346"), Some("Your code is 4711"))
    );
    assert!(field("localid").unwrap().parse::<i64>().unwrap() > 0);
}

#[tokio::test]
async fn a_message_keeps_our_id_in_every_round_and_no_other_has_it() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let blue = sms_provider(
        "kavenegar",
        &format!("{ACCOUNT}\nbase_url = \"http://{}\"", stub.address),
    );
    let first = conformance::sample_message();
    let again = OutboundMessage {
        round: 3,
        ..first.clone()
    };
    let other = OutboundMessage {
        delivery_id: postrider_core::id::DeliveryId::from_position(7, 2),
        ..first.clone()
    };
    for parcel in [first, again, other] {
        blue.send(&parcel).await;
    }
    let ids = stub
        .requests()
        .iter()
        .map(|heard| {
            request_form(heard)
                .into_iter()
                .find(|(name, _)| name == "localid")
                .unwrap()
                .1
        })
        .collect::<Vec<_>>();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn an_id_under_which_a_text_has_failed_gives_way_to_another_one() {
    let stub = HttpStub::start(vec![
        response(200, "", &accepted_body_with(11)),
        response(200, "", ACCEPTED_BODY),
    ])
    .await;
    let blue = sms_provider(
        "kavenegar",
        &format!("{ACCOUNT}\nbase_url = \"http://{}\"", stub.address),
    );
    assert_eq!(
        blue.send(&conformance::sample_message()).await.outcome.as_str(),
        "accepted"
    );
    assert_eq!(stub.requests().len(), 2);
    let first_round = OutboundMessage {
        round: 1,
        ..conformance::sample_message()
    };
    let fresh = HttpStub::start(vec![response(200, "", &accepted_body_with(14))]).await;
    let blue = sms_provider(
        "kavenegar",
        &format!("{ACCOUNT}\nbase_url = \"http://{}\"", fresh.address),
    );
    assert_eq!(blue.send(&first_round).await.outcome.as_str(), "rejected");
    assert_eq!(fresh.requests().len(), 1, "nothing was sent before");
}

#[tokio::test]
async fn a_code_goes_out_by_its_template() {
    let settings = format!("{ACCOUNT}\ntemplate = \"loginCode\"");
    let stub = HttpStub::start(vec![response(200, "", &accepted_body_with(5))]).await;
    let blue = sms_provider(
        "kavenegar",
        &format!("{settings}\nbase_url = \"http://{}\"", stub.address),
    );
    let code = OutboundMessage {
        body: "4711".to_owned(),
        ..conformance::sample_message()
    };
    assert_eq!(blue.send(&code).await.outcome.as_str(), "accepted");
    let heard = stub.requests().remove(0);
    assert!(
        heard.starts_with("POST /v1/key-for-docs/verify/lookup.json "),
        "{heard}"
    );
    assert!(
        heard.ends_with("receptor=09122222222&template=loginCode&token=4711"),
        "{heard}"
    );
    assert_eq!(
        blue.send(&conformance::sample_message()).await.outcome.as_str(),
        "rejected",
        "a sentence is no code"
    );
    assert_eq!(stub.requests().len(), 1);
}

#[tokio::test]
async fn answers_mean_what_the_reference_says() {
    let refused = |status: u32| format!(r#"{{"return":{{"status":{status},"message":"x"}},"entries":null}}"#);
    for (status, outcome) in [
        (400, "rejected"),
        (401, "misconfigured"),
        (402, "unavailable"),
        (403, "misconfigured"),
        (409, "unavailable"),
        (411, "invalid_recipient"),
        (412, "misconfigured"),
        (413, "rejected"),
        (416, "misconfigured"),
        (418, "misconfigured"),
        (422, "rejected"),
        (424, "misconfigured"),
        (429, "throttled"),
        (451, "throttled"),
        (501, "misconfigured"),
        (607, "misconfigured"),
        (999, "unavailable"),
    ] {
        // The same number as the status of HTTP, and HTTP 200 with the error in the body.
        for http in [200, 418] {
            expect_outcomes(
                "kavenegar",
                ACCOUNT,
                &[(http, &refused(status), outcome, &status.to_string())],
            )
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
}

#[tokio::test]
async fn each_time_a_rest_did_not_help_it_doubles() {
    let busy = r#"{"return":{"status":451}}"#;
    let stub = HttpStub::start(vec![
        response(200, "", busy),
        response(200, "", busy),
        response(200, "", ACCEPTED_BODY),
        response(200, "", busy),
    ])
    .await;
    let blue = sms_provider(
        "kavenegar",
        &format!("{ACCOUNT}\nbase_url = \"http://{}\"", stub.address),
    );
    let mut rests = Vec::new();
    for _ in 0..4 {
        if let Outcome::Throttled { retry_after } = blue.send(&conformance::sample_message()).await.outcome {
            rests.push(retry_after.unwrap());
        }
    }
    assert_eq!(rests, [60, 120, 60].map(Duration::from_secs));
}

#[test]
fn it_is_asked_for_iranian_mobile_numbers_only() {
    let blue = sms_provider("kavenegar", ACCOUNT);
    assert!(blue.can_send_to("+989122222222"));
    assert!(!blue.can_send_to("+4915112345678") && !blue.can_send_to("+982122222222"));
    assert!(sms_provider("kavenegar", &format!("{ACCOUNT}\ntemplate = \"t\"")).can_send_to("+4915112345678"));
}

#[test]
fn statuses_mean_what_the_reference_says() {
    let blue = sms_provider("kavenegar", ACCOUNT);
    let heard =
        |body: &str| describe_incoming(blue.parse_callback_sync(&form_callback(TOKEN_QUERY, &[], body)));
    for quiet in [1, 2, 4, 5, 100, 77] {
        assert!(
            heard(&format!("messageid=7&status={quiet}")).is_empty(),
            "{quiet}"
        );
    }
    assert_eq!(heard("messageid=7&status=10"), ["delivered 7"]);
    assert_eq!(heard(r#"{"messageid":7,"status":10}"#), ["delivered 7"]);
    assert_eq!(
        describe_incoming(blue.parse_callback_sync(&form_callback(
            &format!("messageid=7&status=10&{TOKEN_QUERY}"),
            &[],
            ""
        ))),
        ["delivered 7"]
    );
    assert_eq!(
        heard("messageid=7&status=11"),
        ["bounced 7: status 11: not delivered: off, away or full"]
    );
    assert_eq!(
        heard("messageid=7&status=14"),
        ["bounced 7: status 14: the subscriber refuses advertising"]
    );
    assert_eq!(heard("status=10"), ["unreadable: there is no messageid"]);
    assert_eq!(
        heard("messageid=7&status=ten"),
        ["unreadable: the status is no number"]
    );
}

#[test]
fn only_who_knows_the_token_is_heard() {
    let blue = sms_provider("kavenegar", ACCOUNT);
    for query in ["", "token=another-token-nobody-knows"] {
        assert_eq!(
            describe_incoming(blue.parse_callback_sync(&form_callback(query, &[], "messageid=7&status=10"))),
            ["forged"]
        );
    }
    let deaf = sms_provider("kavenegar", "api_key = \"k\"");
    assert_eq!(
        describe_incoming(deaf.parse_callback_sync(&form_callback(
            TOKEN_QUERY,
            &[],
            "messageid=7&status=10"
        ))),
        ["not expected"]
    );
}

#[test]
fn a_text_is_heard() {
    let blue = sms_provider("kavenegar", ACCOUNT);
    let query = format!("{TOKEN_QUERY}&from=09122222222&to=10004346&message=STOP&messageid=5");
    let text = only_inbound_message(blue.parse_callback_sync(&form_callback(&query, &[], "")));
    assert_eq!(
        (text.from.as_str(), text.to.as_str(), text.body.as_str()),
        ("09122222222", "10004346", "STOP")
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
    check_sms_provider("kavenegar", ACCOUNT, ACCEPTED_BODY).await;
    check_sms_provider("kavenegar", "api_key = \"k\"\ntemplate = \"t\"", ACCEPTED_BODY).await;
}

#[tokio::test]
async fn the_key_is_shown_nowhere() {
    let read = crate::ProviderSettings::read("kavenegar", ACCOUNT.parse().unwrap()).unwrap();
    assert!(!format!("{read:?}").contains("key-for-docs"), "{read:?}");
    let away = sms_provider(
        "kavenegar",
        &format!("{ACCOUNT}\nbase_url = \"http://127.0.0.1:1\""),
    );
    let answer = away.send(&conformance::sample_message()).await;
    assert_eq!(answer.outcome.as_str(), "unavailable");
    assert!(
        !format!("{answer:?} {:?}", away.endpoint()).contains("key-for-docs"),
        "{answer:?}"
    );
    let short = settings_error("kavenegar", "api_key = \"k\"\nreceipts_token = \"short\"");
    assert!(short.starts_with("receipts_token: "), "{short}");
}
