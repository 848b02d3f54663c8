//! Jasmin's APIs: each row of the tables of answers.

use super::*;
use postrider_core::event::EventTarget;
use serde_json::json;

const CREDENTIALS: &str = "username=u&password=p";

async fn send_by_query(server: &TestServer, query: &str) -> TestResponse {
    get(server, &format!("/send?{CREDENTIALS}&{query}")).await
}

fn id_of(response: &TestResponse) -> String {
    assert_eq!(response.status, 200, "{}", response.text());
    let text = response.text();
    text.strip_prefix("Success \"").unwrap().strip_suffix('"').unwrap().to_owned()
}

/// Sends a request to the REST API as user `u`.
async fn rest(
    server: &TestServer,
    path: &str,
    password: &str,
    body: Option<&serde_json::Value>,
) -> TestResponse {
    use base64::Engine as _;
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("u:{password}"));
    let request = match body {
        Some(_) => Request::post(path),
        None => Request::get(path),
    };
    let request = request.header("authorization", format!("Basic {credentials}"));
    let body = body.map(ToString::to_string).unwrap_or_default();
    send(server, request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn a_message_is_on_disk_when_its_id_is_returned() {
    let server = server_with(|_| {}).await;
    let by_query = send_by_query(&server, "to=09122222222&from=Acme&content=h%C3%BC&priority=2").await;
    assert_eq!(by_query.header("content-type"), Some("text/plain"));
    let message = stored(&server, &id_of(&by_query)).await;
    assert_eq!((message.body.as_str(), message.sender.as_deref()), ("hü", Some("Acme")));
    let form = format!("{CREDENTIALS}&to=09122222222&hex-content=20AC&coding=8");
    let by_form = post(&server, "/send", "application/x-www-form-urlencoded", form).await;
    assert_eq!(stored(&server, &id_of(&by_form)).await.body, "€");
    let object = json!({"username": "u", "password": "p", "to": "09122222222", "content": "json"});
    let by_json = post(&server, "/send", "application/json", object.to_string()).await;
    assert_eq!(stored(&server, &id_of(&by_json)).await.body, "json");
}

#[tokio::test]
async fn each_row_of_the_errors_is_as_in_jasmin() {
    let server = server_with(|config| {
        config.keys[0].account.senders = vec!["Acme".to_owned()];
        config.keys[0].account.prefixes = vec!["+98".to_owned()];
        config.limits.message_parts_max = 2;
    })
    .await;
    let number = "to=09122222222";
    let long = format!("{number}&content={}", "a".repeat(400));
    for (query, status, text) in [
        (format!("{number}&x=1&content=hi"), 400, "Argument [x] is unknown."),
        ("content=hi".to_owned(), 400, "Mandatory argument [to] is not found."),
        ("to=1x&content=hi".to_owned(), 400, "Argument [to] has an invalid value: [1x]."),
        ("to=1&content=hi".to_owned(), 400, "Argument [to] has an invalid value: [1]."),
        (number.to_owned(), 400, "content or hex-content not present."),
        (format!("{number}&content="), 400, "content or hex-content not present."),
        (
            format!("{number}&content=a&hex-content=00"),
            400,
            "content and hex-content cannot be used both in same request.",
        ),
        (format!("{number}&hex-content=0g"), 400, "Invalid hex-content data: '0g'"),
        (
            format!("{number}&hex-content=01FF02&coding=4"),
            400,
            "Authorization failed for user [u] (Setting hex content not authorized).",
        ),
        (long, 400, "Authorization failed for user [u] (Long content not authorized)."),
        (
            format!("{number}&content=hi&from=Other"),
            400,
            "Authorization failed for user [u] (Setting source address not authorized).",
        ),
        (
            "to=15005550001&content=hi".to_owned(),
            400,
            "Value filter failed for user [u] (destination_address filter mismatch).",
        ),
        (
            format!("{number}&content=hi&dlr-url=http://10.0.0.1/"),
            400,
            "Argument [dlr-url] has an invalid value: [http://10.0.0.1/].",
        ),
        (
            format!("{number}&content=hi&sdt=261301080000000%2B"),
            400,
            "Argument [sdt] has an invalid value: [261301080000000+].",
        ),
    ] {
        send_by_query(&server, &query).await.assert_response(status, &format!("Error \"{text}\""));
    }
    let no_arguments = "Error \"Mandatory arguments not found, please refer to the HTTPAPI specifications.\"";
    get(&server, "/send").await.assert_response(400, no_arguments);
    let wrong_password = get(&server, &format!("/send?username=u&password=x&{number}&content=hi")).await;
    wrong_password.assert_response(403, "Error \"Authentication failure for username:u\"");
    assert_eq!(server.message_count().await, 0);
}

#[tokio::test]
async fn limits_routes_scopes_and_a_broken_store_have_their_texts() {
    let hi = "to=09122222222&content=hi";
    let slow = server_with(|config| config.keys[0].limits.per_minute = Some(1)).await;
    id_of(&send_by_query(&slow, hi).await);
    send_by_query(&slow, hi).await.assert_response(403, "Error \"User throughput exceeded\"");
    let poor = server_with(|config| config.keys[0].limits.per_day = Some(1)).await;
    id_of(&send_by_query(&poor, hi).await);
    let text = "Error \"Cannot charge submit_sm, check RouterPB log file for details\"";
    send_by_query(&poor, hi).await.assert_response(403, text);
    let unrouted = server_with(|config| config.keys[0].account.channel = Some("gone".to_owned())).await;
    send_by_query(&unrouted, hi).await.assert_response(412, "Error \"No route found\"");
    let reader = server_with(|config| config.keys = vec![account(Scope::Read)]).await;
    let text = "Error \"Authorization failed for user [u] (Cannot send MT messages).\"";
    send_by_query(&reader, hi).await.assert_response(400, text);
    let locked = server_with(|_| {}).await;
    let _lock = locked.lock_store();
    let text = "Error \"Cannot send submit_sm, check SMPPClientManagerPB log file for details\"";
    send_by_query(&locked, hi).await.assert_response(500, text);
}

#[tokio::test]
async fn rate_balance_and_ping_answer_json_and_text() {
    let server = server_with(|_| {}).await;
    get(&server, "/ping").await.assert_response(200, "Jasmin/PONG");
    let rate = get(&server, &format!("/rate?{CREDENTIALS}&to=09122222222&content={}", "a".repeat(161))).await;
    rate.assert_response(200, "{\"unit_rate\": 0.0, \"submit_sm_count\": 2}");
    assert_eq!(rate.header("content-type"), Some("application/json"));
    let without_content = get(&server, &format!("/rate?{CREDENTIALS}&to=09122222222")).await;
    without_content.assert_response(200, "{\"unit_rate\": 0.0, \"submit_sm_count\": 1}");
    let balance = get(&server, &format!("/balance?{CREDENTIALS}")).await;
    balance.assert_response(200, "{\"balance\": \"ND\", \"sms_count\": \"ND\"}");
    let wrong = get(&server, "/balance?username=u&password=x").await;
    wrong.assert_response(403, "\"Authentication failure for username:u\"");
    get(&server, "/balance?username=u")
        .await
        .assert_response(400, "\"Mandatory argument [password] is not found.\"");
    let unrouted = server_with(|config| config.keys[0].account.channel = Some("gone".to_owned())).await;
    get(&unrouted, &format!("/rate?{CREDENTIALS}&to=0912")).await.assert_response(412, "\"No route found\"");
}

#[tokio::test]
async fn the_rest_api_wraps_the_same_texts() {
    let server = server_with(|_| {}).await;
    let message =
        json!({"to": "09122222222", "content": "hi", "dlr_level": 2, "dlr_url": "http://127.0.0.1:9/"});
    let sent = rest(&server, "/secure/send", "p", Some(&message)).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let id = sent.json()["data"].as_str().unwrap().strip_prefix("Success \"").unwrap().to_owned();
    sent.assert_response(200, &format!("{{\"data\": \"Success \\\"{id}\"}}"));
    assert_eq!(stored(&server, &id).await.body, "hi");
    let refused = rest(&server, "/secure/send", "p", Some(&json!({"to": "x", "content": "hi"}))).await;
    refused.assert_response(400, "{\"message\": \"Error \\\"Argument [to] has an invalid value: [x].\"}");
    let wrong = rest(&server, "/secure/send", "x", Some(&message)).await;
    wrong.assert_response(403, "{\"message\": \"Error \\\"Authentication failure for username:u\"}");
    let balance = rest(&server, "/secure/balance", "p", None).await;
    balance.assert_response(200, "{\"data\": {\"balance\": \"ND\", \"sms_count\": \"ND\"}}");
    let rate = rest(&server, "/secure/rate?to=09122222222&content=hi", "p", None).await;
    rate.assert_response(200, "{\"data\": {\"unit_rate\": 0.0, \"submit_sm_count\": 1}}");
    let without_header = get(&server, "/secure/balance").await;
    assert_eq!(
        (without_header.status.as_u16(), without_header.json()["title"].as_str()),
        (401, Some("Authentication required"))
    );
    let no_object = rest(&server, "/secure/send", "p", Some(&json!(7))).await;
    assert_eq!(
        (no_object.status.as_u16(), no_object.json()["title"].as_str()),
        (412, Some("Cannot parse JSON data"))
    );
}

#[tokio::test]
async fn a_batch_is_stored_before_it_is_answered() {
    let server = server_with(|_| {}).await;
    let batch = json!({
        "globals": {"from": "Acme", "content": "hi"},
        "messages": [{"to": ["09122222222", "09122222223"]}, {"to": "09122222224", "content": "ho"}, {"content": "x"}],
    });
    let response = rest(&server, "/secure/sendbatch", "p", Some(&batch)).await;
    assert_eq!(response.json()["data"]["messageCount"], 3, "{}", response.text());
    assert_eq!(server.message_count().await, 3);
    let mut scheduled = batch.clone();
    scheduled["batch_config"] = json!({"schedule_at": "86400s"});
    let response = rest(&server, "/secure/sendbatch", "p", Some(&scheduled)).await;
    assert_eq!(response.json()["data"]["scheduled"], "86400s");
    scheduled["batch_config"] = json!({"schedule_at": "2001-01-01 00:00:00"});
    let past = rest(&server, "/secure/sendbatch", "p", Some(&scheduled)).await;
    assert_eq!(
        (past.status.as_u16(), past.json()["title"].as_str()),
        (412, Some("Cannot schedule batch in past date"))
    );
    let wrong = rest(&server, "/secure/sendbatch", "x", Some(&batch)).await;
    assert_eq!((wrong.status.as_u16(), wrong.json()["title"].as_str()), (412, Some("Authentication failed")));
    assert_eq!(server.message_count().await, 6);
}

#[tokio::test]
async fn receipts_are_asked_for_by_url_level_and_method() {
    let server = server_with(|_| {}).await;
    let url = "dlr-url=http%3A%2F%2F127.0.0.1%3A9%2Fdlr";
    for (arguments, expected) in [
        (url.to_owned(), Some("jasmin:1:POST")),
        (format!("{url}&dlr=yes&dlr-level=3&dlr-method=get"), Some("jasmin:3:GET")),
        ("dlr=yes".to_owned(), None),
    ] {
        let response = send_by_query(&server, &format!("to=09122222222&content=hi&{arguments}")).await;
        let id = id_of(&response);
        server.deliver_all().await;
        let query = postrider_store::EventQuery {
            message: Some(id.parse().unwrap()),
            limit: 9,
            ..postrider_store::EventQuery::default()
        };
        let events = server.gateway.store.events(query).await.unwrap();
        let formats: Vec<_> = events
            .iter()
            .map(|event| match &event.target {
                EventTarget::Callback(callback) => callback.format.to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(formats.first().map(String::as_str), expected, "{arguments}");
    }
}
