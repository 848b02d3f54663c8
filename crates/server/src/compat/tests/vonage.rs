//! The SMS API of Vonage: each style of request, and each status.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const LOGIN: &str = "api_key=vkey&api_secret=vsecret";

async fn post_form(server: &TestServer, form: &str) -> Value {
    let response = post(server, "/sms/json", "application/x-www-form-urlencoded", form.to_owned()).await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

#[tokio::test]
async fn each_style_of_request_is_accepted() {
    let server = server_with(|_| {}).await;
    let query = get(&server, &format!("/sms/json?{LOGIN}&to=989122222222&from=Acme&text=hi")).await.json();
    let form = post_form(&server, &format!("{LOGIN}&to=989122222222&from=Acme&text=hi&client-ref=c-1")).await;
    let document = json!({ "to": "989122222222", "from": "Acme", "text": "hi", "status-report-req": true });
    let basic = Request::post("/sms/json")
        .header("authorization", format!("Basic {}", STANDARD.encode("vkey:vsecret")))
        .header("content-type", "application/json");
    let json = send(&server, basic.body(Body::from(document.to_string())).unwrap()).await.json();
    for answer in [&query, &form, &json] {
        assert_eq!(answer["message-count"], "1", "{answer}");
        let entry = &answer["messages"][0];
        assert_eq!((&entry["status"], &entry["to"]), (&json!("0"), &json!("989122222222")));
        let message = stored(&server, entry["message-id"].as_str().unwrap()).await;
        assert_eq!((message.sender.as_deref(), message.body.as_str()), (Some("Acme"), "hi"));
    }
    assert_eq!(form["messages"][0]["client-ref"], "c-1");
}

#[tokio::test]
async fn a_long_text_has_an_entry_for_each_part() {
    let server = server_with(|_| {}).await;
    let text = "a".repeat(200);
    let answer = post_form(&server, &format!("{LOGIN}&to=989122222222&from=Acme&text={text}")).await;
    assert_eq!(answer["message-count"], "2");
    assert_eq!(answer["messages"].as_array().unwrap().len(), 2);
    assert_eq!(server.message_count().await, 1);
}

#[tokio::test]
async fn each_refusal_has_its_status() {
    let server = server_with(|config| config.keys[0].account.senders = vec!["Acme".to_owned()]).await;
    for (fields, status) in [
        ("api_key=vkey&api_secret=wrong&to=989122222222&from=Acme&text=hi", "4"),
        ("to=989122222222&from=Acme&text=hi", "4"),
        (&format!("{LOGIN}&from=Acme&text=hi"), "2"),
        (&format!("{LOGIN}&to=989122222222&text=hi"), "2"),
        (&format!("{LOGIN}&to=989122222222&from=Acme"), "2"),
        (&format!("{LOGIN}&to=abc&from=Acme&text=hi"), "3"),
        (&format!("{LOGIN}&to=989122222222&from=Other&text=hi"), "15"),
        (&format!("{LOGIN}&to=989122222222&from=Acme&text=hi&ttl=5"), "3"),
        (&format!("{LOGIN}&to=989122222222&from=Acme&text=hi&type=binary"), "3"),
        (&format!("{LOGIN}&to=989122222222&from=Acme&text=hi&callback=ftp://h"), "3"),
    ] {
        let answer = post_form(&server, fields).await;
        assert_eq!(answer["messages"][0]["status"], status, "{fields}: {answer}");
        assert!(answer["messages"][0]["error-text"].is_string());
    }
    assert_eq!(server.message_count().await, 0);
}

#[tokio::test]
async fn the_balance_proves_the_login() {
    let server = server_with(|_| {}).await;
    let balance = get(&server, &format!("/account/get-balance?{LOGIN}")).await.json();
    assert_eq!(balance, json!({ "value": 0.0, "autoReload": false }));
    assert_eq!(get(&server, "/account/get-balance?api_key=vkey&api_secret=x").await.status, 401);
}
