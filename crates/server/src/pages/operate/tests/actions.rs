//! Changing deliveries: confirmation and result.

use super::{FORM_URLENCODED, form_token};
use crate::tests::TestServer;
use postrider_core::delivery::DeliveryStateKind;

/// Sends this many messages.
async fn accept_messages(server: &TestServer, count: usize) {
    for _ in 0..count {
        let response = server.get("/sms/send?number=09122222222&body=hello").await;
        assert_eq!(response.status, 200);
    }
}

async fn delivery_states(server: &TestServer) -> Vec<DeliveryStateKind> {
    let query = postrider_store::MessageQuery { limit: 100, ..postrider_store::MessageQuery::default() };
    let page = server.gateway.store.search(query).await.unwrap();
    let deliveries = page.messages.iter().flat_map(|message| &message.deliveries);
    deliveries.map(|delivery| delivery.state.kind()).collect()
}

#[tokio::test]
async fn selected_deliveries_are_cancelled_after_a_confirmation() {
    let server = TestServer::new().await;
    accept_messages(&server, 3).await;
    let list = server.get("/operate/messages?q=state%3Awaiting").await;
    let text = list.text();
    let ids: Vec<&str> =
        text.split("name=\"id\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids.len(), 3, "{text}");
    let form = format!(
        "token={}&q=state%3Awaiting&id={}&id={}&action=cancel%3Aselected",
        form_token(&list),
        ids[0],
        ids[1]
    );
    let confirm = server.post("/operate/confirm", FORM_URLENCODED, form).await;
    assert!(confirm.text().contains("Cancel 2 deliveries?"), "{}", confirm.text());
    assert_eq!(confirm.text().matches("<li>").count(), 2, "both are shown");
    assert_eq!(delivery_states(&server).await, [DeliveryStateKind::Waiting; 3], "nothing is changed before");
    let form =
        format!("token={}&q=state%3Awaiting&ids={},{}&action=cancel", form_token(&confirm), ids[0], ids[1]);
    let done = server.post("/operate/apply", FORM_URLENCODED, form).await;
    let page = server.get(done.header("location").unwrap()).await.text();
    assert!(page.contains("<strong>2</strong> were cancelled"), "{page}");
    let failed =
        delivery_states(&server).await.into_iter().filter(|state| *state == DeliveryStateKind::Failed);
    assert_eq!(failed.count(), 2);
    let form = format!("token={}&q=&id={}&action=cancel%3Aselected", form_token(&list), ids[0]);
    let repeated = server.post("/operate/confirm", FORM_URLENCODED, form).await;
    assert!(
        repeated.header("location").unwrap().contains("done=nothing&"),
        "ended deliveries are not counted"
    );
}

#[tokio::test]
async fn a_scheduled_delivery_is_sent_now_and_counted_once() {
    let server = TestServer::new().await;
    accept_messages(&server, 1).await;
    postrider_engine::sync_report::sync(&server.gateway, |_| {}).await.unwrap();
    accept_messages(&server, 1).await;
    let scheduled = serde_json::json!({"to": "09122222222", "body": "x", "send_at": "2099-01-01T00:00:00Z"});
    assert_eq!(server.post_json("/v1/messages", &scheduled).await.status, 201);
    let list = server.get("/operate/messages?q=state%3Awaiting").await.text();
    assert!(list.contains(">Send now</button>") && !list.contains("Send again:"), "{list}");
    // Both numbers are as new as each other, although the report was made before.
    let page = server.get("/operate").await.text();
    for number in ["data-live=\"counter-waiting\">3<", "data-live=\"waiting\">3<"] {
        assert!(page.contains(number), "{number} {page}");
    }
}

#[tokio::test]
async fn all_found_deliveries_are_changed_and_no_others() {
    let server = TestServer::new().await;
    accept_messages(&server, 30).await;
    server.get("/sms/send?number=09123333333&body=other").await;
    let list = server.get("/operate/messages?q=to%3A09122222222").await;
    let form = format!("token={}&q=to%3A09122222222&action=cancel%3Aall", form_token(&list));
    let confirm = server.post("/operate/confirm", FORM_URLENCODED, form).await;
    let text = confirm.text();
    assert!(text.contains("Cancel 30 deliveries?"), "{text}");
    assert!(text.contains("Found for <bdi>to:09122222222</bdi>"), "{text}");
    let (_, rest) = text.split_once("name=\"ids\" value=\"").unwrap();
    let ids = rest.split('"').next().unwrap();
    let form = format!("token={}&q=&ids={ids}&action=cancel", form_token(&confirm));
    let done = server.post("/operate/apply", FORM_URLENCODED, form).await;
    assert!(done.header("location").unwrap().ends_with("done=cancel&changed=30&of=30"));
    let waiting =
        delivery_states(&server).await.into_iter().filter(|state| *state == DeliveryStateKind::Waiting);
    assert_eq!(waiting.count(), 1);
}

#[tokio::test]
async fn an_unreadable_search_is_not_treated_as_an_empty_one() {
    let server = TestServer::new().await;
    accept_messages(&server, 3).await;
    let list = server.get("/operate/messages?q=%25ZZ%").await;
    assert_eq!(list.status, 400);
    assert!(!list.text().contains("name=\"id\""), "{}", list.text());
    let token = form_token(&server.get("/operate").await);
    for form in ["action=cancel%3Aall", "q=%ZZ&action=cancel%3Aall", "q=state%3Alost&action=cancel%3Aall"] {
        let form = format!("token={token}&{form}");
        assert_eq!(server.post("/operate/confirm", FORM_URLENCODED, form).await.status, 400);
    }
}
