//! What was sent to whom, in JSON, in CSV and as a page.

use serde_json::{Value, json};

use super::{TestResponse, TestServer};

async fn submit(world: &TestServer, user: Option<&str>, body: &str) {
    let message = json!({"to": "09122222222", "body": body, "user_id": user});
    let reply = world.post_json("/v1/messages", &message).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

/// Two messages to Ann, of which one has left, and one to somebody without a name.
async fn world() -> TestServer {
    let world = TestServer::with_manual_clock(|_| {}).await;
    submit(&world, Some("ann"), "hello").await;
    world.deliver_all().await;
    submit(&world, Some("ann"), "=1+1 <b>").await;
    submit(&world, None, "nobody").await;
    world
}

fn bodies(reply: &TestResponse) -> Vec<Value> {
    let json = reply.json();
    let lines = json["lines"].as_array().unwrap().iter();
    lines.map(|line| line["body"].clone()).collect()
}

#[tokio::test]
async fn a_line_says_what_when_to_whom_and_what_became_of_it() {
    let world = world().await;
    let reply = world.get("/v1/usage?user_id=ann").await;
    assert_eq!(reply.status, 200);
    let mut page = reply.json();
    assert!(page["lines"][1]["message"].take().is_string());
    assert_eq!(
        page["lines"][1],
        json!({"created_at": "2023-11-14T22:13:20.000Z", "user_id": "ann", "message": null, "delivery": 64,
            "channel": "sms", "recipient": "+989122222222", "provider": "mock-blue", "reference": "ref-64",
            "state": "sent", "failure": null, "ended_at": "2023-11-14T22:13:20.000Z", "opened_at": null, "tries": 1,
            "parts": 1, "subject": null, "body": "hello"})
    );
    assert_eq!(page["next"], Value::Null);
    assert_eq!(
        page["totals"],
        json!({"complete": true, "lines": [{"day": "2023-11-14", "user_id": "ann", "channel": "sms", "deliveries": 2,
            "waiting": 1, "sent": 1, "delivered": 0, "failed": 0, "opened": 0, "parts": 2, "tries": 1}]})
    );
    let alone = world.get("/v1/usage/totals?user_id=ann").await.json();
    assert_eq!(alone, page["totals"]);
}

#[tokio::test]
async fn a_page_leads_to_the_next_one() {
    let world = world().await;
    let first = world.get("/v1/usage?limit=2").await;
    assert_eq!(bodies(&first), ["nobody", "=1+1 <b>"]);
    let next = first.json()["next"].as_str().unwrap().to_owned();
    let second = world.get(&format!("/v1/usage?limit=2&cursor={next}")).await;
    assert_eq!(bodies(&second), ["hello"]);
    assert_eq!(second.json()["next"], Value::Null);
    assert_eq!(second.json()["totals"], Value::Null, "counted on the first page");
    let csv = world.get("/v1/usage?limit=2&format=csv").await;
    let link = format!("</v1/usage?limit=2&format=csv&cursor={next}>; rel=\"next\"");
    assert_eq!(csv.header("link"), Some(link.as_str()));
}

#[tokio::test]
async fn times_are_moments_or_whole_days() {
    let world = world().await;
    for (query, lines) in [
        ("since=2023-11-14&until=2023-11-14", 3),
        ("since=2023-11-14T22:13:20Z", 3),
        ("since=2023-11-14T22:13:20.001Z", 0),
        ("until=2023-11-14T22:13:20Z", 0),
        ("until=2023-11-13", 0),
        ("user_id=ann&since=2023-11-14", 2),
        ("user_id=Ann", 0),
    ] {
        let reply = world.get(&format!("/v1/usage?{query}")).await;
        assert_eq!(bodies(&reply).len(), lines, "{query}");
    }
}

#[tokio::test]
async fn a_spreadsheet_gets_no_formula() {
    let world = world().await;
    let reply = world.get("/v1/usage?user_id=ann&format=csv").await;
    assert_eq!(
        reply.header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    assert_eq!(
        reply.header("content-disposition"),
        Some("attachment; filename=\"usage.csv\"")
    );
    let text = reply.text();
    let rows = text.split("\r\n").collect::<Vec<_>>();
    assert!(rows[0].ends_with(",subject,body"), "{text}");
    assert!(rows[1].ends_with(",waiting,,,,0,1,,'=1+1 <b>"), "{text}");
    assert!(
        rows[2].contains(",sms,+989122222222,mock-blue,ref-64,sent,"),
        "{text}"
    );
    let totals = world.get("/v1/usage/totals?format=csv").await.text();
    assert!(
        totals.ends_with("2023-11-14,ann,sms,2,1,1,0,0,0,2,1\r\n"),
        "{totals}"
    );
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let world = TestServer::new().await;
    for path in ["/v1/usage", "/v1/usage/totals"] {
        let reply = world.get(&format!("{path}?since=soon&format=xml&who=ann")).await;
        assert_eq!(reply.status, 400);
        let json = reply.json();
        let fields = json["violations"].as_array().unwrap().iter();
        let fields = fields
            .map(|violation| violation["field"].clone())
            .collect::<Vec<_>>();
        assert_eq!(fields, ["since", "format", "who"]);
    }
}

#[tokio::test]
async fn a_store_that_is_broken_costs_the_answer_and_tells_nothing_of_it() {
    let world = world().await;
    world.break_store();
    for path in ["/v1/usage", "/v1/usage/totals"] {
        let reply = world.get(path).await;
        assert_eq!(reply.status, 500);
        assert!(!reply.text().contains("SELECT"), "{}", reply.text());
    }
}

#[tokio::test]
async fn the_page_shows_totals_and_lines_and_runs_nothing() {
    let world = world().await;
    let page = world.get("/usage?user_id=ann&since=2023-11-14&until=").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self'"),
        "{policy}"
    );
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
    assert!(!html.contains("nobody") && !html.contains("<script"), "{html}");
    let wrong = world.get("/usage?since=soon").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("since must be a time"), "{}", wrong.text());
    for number in 0..30 {
        submit(&world, Some("bob"), &format!("message {number}")).await;
    }
    let html = world.get("/usage?user_id=bob").await.text();
    let older = html
        .split("href=\"")
        .find(|part| part.contains("rel=\"next\""))
        .unwrap();
    let older = older
        .split('"')
        .next()
        .unwrap()
        .replace("&amp;", "&")
        .replace("&#38;", "&");
    let html = world.get(&older).await.text();
    assert!(
        html.contains("message 4<") && !html.contains("message 5<"),
        "{html}"
    );
}
