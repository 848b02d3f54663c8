//! The Messages API of Twilio: what SDKs send, and each answer of the reference.

use super::*;
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const MESSAGES: &str = "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json";
const TO: &str = "To=%2B989122222222";

async fn request(server: &TestServer, method: Method, path: &str, form: &str) -> TestResponse {
    request_as(server, method, path, form, &format!("{TWILIO_SID}:token")).await
}

async fn request_as(
    server: &TestServer,
    method: Method,
    path: &str,
    form: &str,
    credentials: &str,
) -> TestResponse {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Basic {}", STANDARD.encode(credentials)))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("i-twilio-idempotency-token", "t-".to_owned() + &STANDARD.encode(form).replace('=', ""));
    send(server, request.body(Body::from(form.to_owned())).unwrap()).await
}

async fn create(server: &TestServer, form: &str) -> Value {
    let response = request(server, Method::POST, MESSAGES, form).await;
    assert_eq!(response.status, 201, "{}", response.text());
    response.json()
}

fn message_path(message: &Value) -> String {
    message["uri"].as_str().unwrap().to_owned()
}

async fn server() -> TestServer {
    server_with(|config| config.keys = vec![ApiKey { is_shared: false, ..account(Scope::Admin) }]).await
}

#[tokio::test]
async fn a_created_message_is_on_disk_and_can_be_fetched() {
    let server = server().await;
    let message = create(&server, &format!("{TO}&From=%2B15005550006&Body=hi+there")).await;
    let sid = message["sid"].as_str().unwrap();
    assert!(sid.starts_with("SM") && sid.len() == 34, "{sid}");
    assert_eq!(message["date_sent"], Value::Null);
    for (key, value) in [
        ("status", "queued"),
        ("to", "+989122222222"),
        ("from", "+15005550006"),
        ("body", "hi there"),
        ("num_segments", "1"),
        ("num_media", "0"),
        ("direction", "outbound-api"),
        ("account_sid", TWILIO_SID),
    ] {
        assert_eq!(message[key], value, "{key}");
    }
    assert!(message["date_created"].as_str().unwrap().ends_with(" +0000"));
    let fetched = request(&server, Method::GET, &message_path(&message), "").await.json();
    assert_eq!(fetched, message);
    server.deliver_all().await;
    let sent = request(&server, Method::GET, &message_path(&message), "").await.json();
    assert_eq!(sent["status"], "sent");
    assert!(sent["date_sent"].is_string());
}

#[tokio::test]
async fn a_repeated_token_gets_the_same_message() {
    let server = server().await;
    let form = format!("{TO}&From=Acme&Body=hi");
    let first = create(&server, &form).await;
    assert_eq!(create(&server, &form).await["sid"], first["sid"]);
    assert_eq!(server.message_count().await, 1);
}

#[tokio::test]
async fn errors_have_the_codes_of_the_reference() {
    let server = server_with(|config| {
        config.keys[0].account.senders = vec!["Acme".to_owned()];
        config.keys[0].account.prefixes = vec!["+98".to_owned()];
    })
    .await;
    let long = "a".repeat(1_601);
    for (form, status, code) in [
        ("From=Acme&Body=hi", 400, 21604),
        ("To=abc&From=Acme&Body=hi", 400, 21211),
        ("To=%2B491711234567&From=Acme&Body=hi", 400, 21408),
        (&format!("{TO}&From=Acme"), 400, 21602),
        (&format!("{TO}&From=Acme&Body={long}"), 400, 21617),
        (&format!("{TO}&From=Other&Body=hi"), 400, 21606),
        (&format!("{TO}&From=Far+too+long+a+name&Body=hi"), 400, 21212),
        (&format!("{TO}&From=Acme&Body=hi&StatusCallback=ftp%3A%2F%2Fh"), 400, 21609),
        (&format!("{TO}&From=Acme&Body=hi&ValidityPeriod=0"), 400, 21624),
        (&format!("{TO}&From=Acme&MediaUrl=https%3A%2F%2Fexample.com%2Fa.png"), 400, 21620),
        (&format!("{TO}&Body=hi&ScheduleType=soon"), 400, 35126),
        (&format!("{TO}&Body=hi&ScheduleType=fixed"), 400, 35118),
        (&format!("{TO}&Body=hi&ScheduleType=fixed&MessagingServiceSid=MG1"), 400, 35111),
    ] {
        let response = request(&server, Method::POST, MESSAGES, form).await;
        assert_eq!(response.status, status, "{form}: {}", response.text());
        let error = response.json();
        assert_eq!((&error["code"], &error["status"]), (&json!(code), &json!(status)), "{form}");
        assert!(
            error["message"].is_string() && error["more_info"].is_string() && error.get("type").is_none()
        );
    }
    assert_eq!(server.message_count().await, 0);
}

#[tokio::test]
async fn only_the_account_of_the_path_is_authorized() {
    let server = server().await;
    for (path, credentials, status, code) in [
        (MESSAGES, format!("{TWILIO_SID}:wrong"), 401, 20003),
        (MESSAGES, "AC00:token".to_owned(), 401, 20003),
        (MESSAGES, "u:p".to_owned(), 401, 20003),
        (&MESSAGES.replace("AC01", "AC02"), format!("{TWILIO_SID}:token"), 404, 20404),
        ("/2010-04-01/Other.json", format!("{TWILIO_SID}:token"), 404, 20404),
    ] {
        let response = request_as(&server, Method::GET, path, "", &credentials).await;
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.json()["code"], code, "{path}");
    }
}

#[tokio::test]
async fn a_message_of_another_account_is_unknown() {
    let server = server_with(|config| {
        let other = Account {
            twilio: Some(TwilioLogin { sid: TWILIO_SID.replace("AC01", "AC02"), token: "other".to_owned() }),
            ..Account::default()
        };
        let own = ApiKey { is_shared: false, scopes: vec![Scope::Send, Scope::Read], ..account(Scope::Send) };
        let other = ApiKey { account: other, name: "bank".to_owned(), sha256: None, ..own.clone() };
        config.keys = vec![own, other];
    })
    .await;
    let message = create(&server, &format!("{TO}&From=Acme&Body=hi")).await;
    let other = format!("{}:other", TWILIO_SID.replace("AC01", "AC02"));
    let path = message_path(&message).replace("AC01", "AC02");
    assert_eq!(request_as(&server, Method::GET, &path, "", &other).await.json()["code"], 20404);
    let list = request_as(&server, Method::GET, &MESSAGES.replace("AC01", "AC02"), "", &other).await.json();
    assert_eq!(list["messages"], json!([]));
}

#[tokio::test]
async fn a_scheduled_message_is_cancelled() {
    let server = server().await;
    let send_at = server.gateway.clock.now() + chrono::TimeDelta::hours(1);
    let send_at = send_at.format("%Y-%m-%dT%H:%M:%SZ");
    let form =
        format!("{TO}&Body=later&MessagingServiceSid=MG1&ScheduleType=fixed&SendAt={send_at}&From=Acme");
    let message = create(&server, &form).await;
    assert_eq!((&message["status"], &message["num_segments"]), (&json!("scheduled"), &json!("0")));
    let path = message_path(&message);
    let refused = request(&server, Method::POST, &path, "Body=").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (400, &json!(20001)));
    let cancelled = request(&server, Method::POST, &path, "Status=canceled").await.json();
    assert_eq!(cancelled["status"], "canceled");
    let again = request(&server, Method::POST, &path, "Status=canceled").await;
    assert_eq!((again.status.as_u16(), &again.json()["code"]), (400, &json!(30409)));
}

#[tokio::test]
async fn pages_have_only_the_keys_that_sdks_know() {
    let server = server().await;
    for body in ["one", "two", "three"] {
        create(&server, &format!("{TO}&From=Acme&Body={body}")).await;
    }
    let mut path = format!("{MESSAGES}?PageSize=2&To=%2B989122222222");
    let mut bodies = Vec::new();
    loop {
        let page = request(&server, Method::GET, &path, "").await.json();
        let mut keys: Vec<_> = page.as_object().unwrap().keys().cloned().collect();
        keys.retain(|key| key != "messages");
        let known = [
            "end",
            "first_page_uri",
            "next_page_uri",
            "page",
            "page_size",
            "previous_page_uri",
            "start",
            "uri",
        ];
        assert_eq!(keys, known);
        let messages = page["messages"].as_array().unwrap().iter();
        bodies.extend(messages.map(|message| message["body"].as_str().unwrap().to_owned()));
        match page["next_page_uri"].as_str() {
            Some(next) => next.clone_into(&mut path),
            None => break,
        }
    }
    assert_eq!(bodies, ["three", "two", "one"]);
}

#[tokio::test]
async fn account_and_balance_prove_the_login() {
    let server = server().await;
    let account = format!("/2010-04-01/Accounts/{TWILIO_SID}");
    let balance = request(&server, Method::GET, &format!("{account}/Balance.json"), "").await.json();
    assert_eq!(balance["currency"], "USD");
    let resource = request(&server, Method::GET, &format!("{account}.json"), "").await.json();
    assert_eq!(resource["status"], "active");
    let laml = request(&server, Method::GET, &format!("/api/laml{account}/Balance.json"), "").await;
    assert_eq!(laml.status, 200);
    let deleted = request(&server, Method::DELETE, &format!("{account}.json"), "").await;
    assert_eq!((deleted.status.as_u16(), &deleted.json()["code"]), (405, &json!(20004)));
}

#[tokio::test]
async fn a_page_of_another_site_cannot_send_with_the_credentials_of_a_browser() {
    let server = server().await;
    let basic = format!("Basic {}", STANDARD.encode(format!("{TWILIO_SID}:token")));
    for (path, basic, refused) in [
        (MESSAGES, basic.as_str(), "20403"),
        ("/sms/json?to=989122222222&from=Acme&text=hi", "Basic dmtleTp2c2VjcmV0", "\"8\""),
        ("/secure/send", "Basic dTpw", "requests from other sites are refused"),
    ] {
        let request = Request::post(path)
            .header("authorization", basic)
            .header("sec-fetch-site", "cross-site")
            .header("content-type", "application/x-www-form-urlencoded");
        let form = Body::from(format!("{TO}&From=Acme&Body=hi"));
        let response = send(&server, request.body(form).unwrap()).await;
        assert!(response.text().contains(refused), "{path}: {}", response.text());
    }
    assert_eq!(server.message_count().await, 0);
}
