//! Usage as JSON, as CSV and as a page.

use serde_json::{Value, json};

use super::{TestResponse, TestServer};

async fn submit(server: &TestServer, user: Option<&str>, body: &str) {
    let message = json!({"to": "09122222222", "body": body, "user_id": user});
    let response = server.post_json("/v1/messages", &message).await;
    assert_eq!(response.status, 201, "{}", response.text());
}

/// Two messages to Ann, of which one was sent, and one without a user id.
async fn server_with_messages() -> TestServer {
    let server = TestServer::with_manual_clock(|_| {}).await;
    submit(&server, Some("ann"), "hello").await;
    server.deliver_all().await;
    submit(&server, Some("ann"), "=1+1 <b>").await;
    submit(&server, None, "no user").await;
    server
}

fn bodies(response: &TestResponse) -> Vec<Value> {
    let json = response.json();
    let rows = json["rows"].as_array().unwrap().iter();
    rows.map(|row| row["body"].clone()).collect()
}

#[tokio::test]
async fn a_row_describes_a_delivery_and_its_message() {
    let server = server_with_messages().await;
    let response = server.get("/v1/usage?user_id=ann").await;
    assert_eq!(response.status, 200);
    let mut page = response.json();
    assert!(page["rows"][1]["message_id"].take().is_string());
    assert_eq!(
        page["rows"][1],
        json!({"created_at": "2023-11-14T22:13:20.000Z", "user_id": "ann", "message_id": null, "delivery_id": 64,
            "channel": "sms", "recipient": "+989122222222", "provider": "mock-blue", "reference": "ref-64",
            "state": "sent", "failure": null, "ended_at": "2023-11-14T22:13:20.000Z", "opened_at": null, "tries": 1,
            "parts": 1, "subject": null, "body": "hello"})
    );
    assert_eq!(page["next_cursor"], Value::Null);
    assert_eq!(
        page["totals"],
        json!({"complete": true, "rows": [{"day": "2023-11-14", "user_id": "ann", "channel": "sms", "deliveries": 2,
            "waiting": 1, "sent": 1, "delivered": 0, "failed": 0, "opened": 0, "parts": 2, "tries": 1}]})
    );
    let alone = server.get("/v1/usage/totals?user_id=ann").await.json();
    assert_eq!(alone, page["totals"]);
}

#[tokio::test]
async fn a_page_leads_to_the_next_one() {
    let server = server_with_messages().await;
    let first = server.get("/v1/usage?limit=2").await;
    assert_eq!(bodies(&first), ["no user", "=1+1 <b>"]);
    let next = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let second = server.get(&format!("/v1/usage?limit=2&cursor={next}")).await;
    assert_eq!(bodies(&second), ["hello"]);
    assert_eq!(second.json()["next_cursor"], Value::Null);
    assert_eq!(second.json()["totals"], Value::Null, "counted on the first page");
    let csv = server.get("/v1/usage?limit=2&format=csv").await;
    let link = format!("</v1/usage?limit=2&format=csv&cursor={next}>; rel=\"next\"");
    assert_eq!(csv.header("link"), Some(link.as_str()));
}

#[tokio::test]
async fn times_are_exact_or_whole_days() {
    let server = server_with_messages().await;
    for (query, count) in [
        ("since=2023-11-14&until=2023-11-14", 3),
        ("since=2023-11-14T22:13:20Z", 3),
        ("since=2023-11-14T22:13:20.001Z", 0),
        ("until=2023-11-14T22:13:20Z", 0),
        ("until=2023-11-13", 0),
        ("user_id=ann&since=2023-11-14", 2),
        ("user_id=Ann", 0),
    ] {
        let response = server.get(&format!("/v1/usage?{query}")).await;
        assert_eq!(bodies(&response).len(), count, "{query}");
    }
}

#[tokio::test]
async fn a_csv_contains_no_formula() {
    let server = server_with_messages().await;
    let response = server.get("/v1/usage?user_id=ann&format=csv").await;
    assert_eq!(response.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(response.header("content-disposition"), Some("attachment; filename=\"usage.csv\""));
    let csv = response.text();
    let rows = csv.split("\r\n").collect::<Vec<_>>();
    assert!(rows[0].ends_with(",subject,body"), "{csv}");
    assert!(rows[1].ends_with(",waiting,,,,0,1,,'=1+1 <b>"), "{csv}");
    assert!(rows[2].contains(",sms,+989122222222,mock-blue,ref-64,sent,"), "{csv}");
    let totals = server.get("/v1/usage/totals?format=csv").await.text();
    assert!(totals.ends_with("2023-11-14,ann,sms,2,1,1,0,0,0,2,1\r\n"), "{totals}");
}

#[tokio::test]
async fn all_invalid_parameters_are_reported_at_once() {
    let server = TestServer::new().await;
    for path in ["/v1/usage", "/v1/usage/totals"] {
        let response = server.get(&format!("{path}?since=soon&format=xml&name=ann")).await;
        assert_eq!(response.status, 400);
        let json = response.json();
        let fields = json["violations"].as_array().unwrap().iter();
        let fields = fields.map(|violation| violation["field"].clone()).collect::<Vec<_>>();
        assert_eq!(fields, ["since", "format", "name"]);
    }
}

#[tokio::test]
async fn a_broken_store_is_500_without_internals() {
    let server = server_with_messages().await;
    server.break_store();
    for path in ["/v1/usage", "/v1/usage/totals"] {
        let response = server.get(path).await;
        assert_eq!(response.status, 500);
        assert!(!response.text().contains("SELECT"), "{}", response.text());
    }
}

#[tokio::test]
async fn the_page_shows_totals_and_rows_without_scripts() {
    let server = server_with_messages().await;
    let page = server.get("/usage?user_id=ann&since=2023-11-14&until=").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
    let html = page.text();
    for part in [
        "+98912***2222",
        "mock-blue",
        "=1+1 &#60;b&#62;",
        "/v1/usage/totals?format=csv&amp;user_id=ann",
        "value=\"2023-11-14\"",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    assert!(!html.contains("no user") && !html.contains("<script"), "{html}");
    let wrong = server.get("/usage?since=soon").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("since must be a time"), "{}", wrong.text());
    for number in 0..30 {
        submit(&server, Some("bob"), &format!("message {number}")).await;
    }
    let html = server.get("/usage?user_id=bob").await.text();
    let older = html.split("href=\"").find(|part| part.contains("rel=\"next\"")).unwrap();
    let older = older.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
    let html = server.get(&older).await.text();
    assert!(html.contains("message 4<") && !html.contains("message 5<"), "{html}");
}
