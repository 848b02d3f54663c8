//! The adapter against a stand-in that answers as the reference says.

use std::time::Duration;

use crate::domain::attempt::Outcome;
use crate::provider::sms::tests::{
    account, call, complaint, expect_outcomes, form_of, keeps_the_contract, sent, text_of, words_of,
};
use crate::provider::stub::{Stub, answer};
use crate::provider::{Parcel, contract};

const ACCOUNT: &str = "api_key = \"key-for-docs\"
sender = \"10004346\"
receipts_token = \"a-token-nobody-guesses\"";

const TOKEN: &str = "token=a-token-nobody-guesses";

const TAKEN: &str = r#"{"return":{"status":200,"message":"ok"},"entries":[{"messageid":8792343,"status":1,"statustext":"waits"}]}"#;

fn entry(status: u32) -> String {
    TAKEN.replace("\"status\":1", &format!("\"status\":{status}"))
}

#[tokio::test]
async fn a_message_goes_out_as_the_reference_has_it() {
    let (answer, heard) = sent("kavenegar", ACCOUNT, 200, TAKEN).await;
    assert_eq!(
        format!("{:?}", answer.outcome),
        "Accepted { reference: Some(\"8792343\") }"
    );
    assert!(
        heard.starts_with("POST /v1/key-for-docs/sms/send.json HTTP/1.1\r\n"),
        "{heard}"
    );
    let form = form_of(&heard);
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
    let stub = Stub::start(vec![answer(200, "", TAKEN)]).await;
    let blue = account(
        "kavenegar",
        &format!("{ACCOUNT}\nbase_url = \"http://{}\"", stub.address),
    );
    let first = contract::parcel();
    let again = Parcel {
        round: 3,
        ..first.clone()
    };
    let other = Parcel {
        delivery: crate::domain::id::DeliveryId::of(7, 2),
        ..first.clone()
    };
    for parcel in [first, again, other] {
        blue.send(&parcel).await;
    }
    let ids = stub
        .heard()
        .iter()
        .map(|heard| {
            form_of(heard)
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
    let stub = Stub::start(vec![answer(200, "", &entry(11)), answer(200, "", TAKEN)]).await;
    let blue = account(
        "kavenegar",
        &format!("{ACCOUNT}\nbase_url = \"http://{}\"", stub.address),
    );
    assert_eq!(blue.send(&contract::parcel()).await.outcome.word(), "accepted");
    assert_eq!(stub.heard().len(), 2);
    let first_round = Parcel {
        round: 1,
        ..contract::parcel()
    };
    let fresh = Stub::start(vec![answer(200, "", &entry(14))]).await;
    let blue = account(
        "kavenegar",
        &format!("{ACCOUNT}\nbase_url = \"http://{}\"", fresh.address),
    );
    assert_eq!(blue.send(&first_round).await.outcome.word(), "rejected");
    assert_eq!(fresh.heard().len(), 1, "nothing was sent before");
}

#[tokio::test]
async fn a_code_goes_out_by_its_template() {
    let settings = format!("{ACCOUNT}\ntemplate = \"loginCode\"");
    let stub = Stub::start(vec![answer(200, "", &entry(5))]).await;
    let blue = account(
        "kavenegar",
        &format!("{settings}\nbase_url = \"http://{}\"", stub.address),
    );
    let code = Parcel {
        body: "4711".to_owned(),
        ..contract::parcel()
    };
    assert_eq!(blue.send(&code).await.outcome.word(), "accepted");
    let heard = stub.heard().remove(0);
    assert!(
        heard.starts_with("POST /v1/key-for-docs/verify/lookup.json "),
        "{heard}"
    );
    assert!(
        heard.ends_with("receptor=09122222222&template=loginCode&token=4711"),
        "{heard}"
    );
    assert_eq!(
        blue.send(&contract::parcel()).await.outcome.word(),
        "rejected",
        "a sentence is no code"
    );
    assert_eq!(stub.heard().len(), 1);
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
            (200, &entry(5), "accepted", "5"),
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
    let stub = Stub::start(vec![
        answer(200, "", busy),
        answer(200, "", busy),
        answer(200, "", TAKEN),
        answer(200, "", busy),
    ])
    .await;
    let blue = account(
        "kavenegar",
        &format!("{ACCOUNT}\nbase_url = \"http://{}\"", stub.address),
    );
    let mut rests = Vec::new();
    for _ in 0..4 {
        if let Outcome::Throttled { retry_after } = blue.send(&contract::parcel()).await.outcome {
            rests.push(retry_after.unwrap());
        }
    }
    assert_eq!(rests, [60, 120, 60].map(Duration::from_secs));
}

#[test]
fn it_is_asked_for_iranian_mobile_numbers_only() {
    let blue = account("kavenegar", ACCOUNT);
    assert!(blue.carries("+989122222222"));
    assert!(!blue.carries("+4915112345678") && !blue.carries("+982122222222"));
    assert!(account("kavenegar", &format!("{ACCOUNT}\ntemplate = \"t\"")).carries("+4915112345678"));
}

#[test]
fn statuses_mean_what_the_reference_says() {
    let blue = account("kavenegar", ACCOUNT);
    let heard = |body: &str| words_of(blue.receipts(&call(TOKEN, &[], body)));
    for quiet in [1, 2, 4, 5, 100, 77] {
        assert!(
            heard(&format!("messageid=7&status={quiet}")).is_empty(),
            "{quiet}"
        );
    }
    assert_eq!(heard("messageid=7&status=10"), ["delivered 7"]);
    assert_eq!(heard(r#"{"messageid":7,"status":10}"#), ["delivered 7"]);
    assert_eq!(
        words_of(blue.receipts(&call(&format!("messageid=7&status=10&{TOKEN}"), &[], ""))),
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
    let blue = account("kavenegar", ACCOUNT);
    for query in ["", "token=another-token-nobody-knows"] {
        assert_eq!(
            words_of(blue.receipts(&call(query, &[], "messageid=7&status=10"))),
            ["forged"]
        );
    }
    let deaf = account("kavenegar", "api_key = \"k\"");
    assert_eq!(
        words_of(deaf.receipts(&call(TOKEN, &[], "messageid=7&status=10"))),
        ["not expected"]
    );
}

#[test]
fn a_text_is_heard() {
    let blue = account("kavenegar", ACCOUNT);
    let query = format!("{TOKEN}&from=09122222222&to=10004346&message=STOP&messageid=5");
    let text = text_of(blue.receipts(&call(&query, &[], "")));
    assert_eq!(
        (text.from.as_str(), text.to.as_str(), text.body.as_str()),
        ("09122222222", "10004346", "STOP")
    );
    assert_eq!(blue.acknowledgement(&contract::call()).unwrap().body, "");
}

#[tokio::test]
async fn keeps_the_contract_of_every_provider() {
    keeps_the_contract("kavenegar", ACCOUNT, TAKEN).await;
    keeps_the_contract("kavenegar", "api_key = \"k\"\ntemplate = \"t\"", TAKEN).await;
}

#[tokio::test]
async fn the_key_is_shown_nowhere() {
    let read = crate::provider::Settings::read("kavenegar", ACCOUNT.parse().unwrap()).unwrap();
    assert!(!format!("{read:?}").contains("key-for-docs"), "{read:?}");
    let away = account(
        "kavenegar",
        &format!("{ACCOUNT}\nbase_url = \"http://127.0.0.1:1\""),
    );
    let answer = away.send(&contract::parcel()).await;
    assert_eq!(answer.outcome.word(), "unavailable");
    assert!(
        !format!("{answer:?} {:?}", away.place()).contains("key-for-docs"),
        "{answer:?}"
    );
    let short = complaint("kavenegar", "api_key = \"k\"\nreceipts_token = \"short\"");
    assert!(short.starts_with("receipts_token: "), "{short}");
}
