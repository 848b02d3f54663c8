//! The texting face, word for word.

use serde_json::json;

use super::{Reply, World};

const FORM: &str = "application/x-www-form-urlencoded";

#[track_caller]
fn expect_sorry(reply: &Reply, sentence: &str) {
    reply.expect(200, &format!(r#"{{"status":"error","message":"{sentence}"}}"#));
}

/// A message that its provider has, and the provider's name for it.
async fn sent(world: &World) -> String {
    let body = json!({"phone_number": "1231233211", "message_body": "Hello World"});
    let reply = world.post_json("/messages", &body).await;
    let id = reply.json()["message_id"].as_str().unwrap().parse().unwrap();
    world.deliver_all().await;
    let message = world.gateway.store.find(id).await.unwrap().unwrap();
    message.deliveries[0].reference.clone().unwrap()
}

#[tokio::test]
async fn json_form_and_query_are_taken() {
    let world = World::new().await;
    let body = json!({"phone_number": "1231233211", "message_body": "Hello World"});
    let replies = [
        world.post_json("/messages", &body).await,
        world
            .post_json(
                "/messages",
                &json!({"phone_number": 1_231_233_211, "message_body": "x"}),
            )
            .await,
        world
            .post(
                "/messages",
                FORM,
                "phone_number=1231233211&message_body=Hello+World",
            )
            .await,
        world
            .post("/messages?phone_number=1231233211&message_body=Hello", "", "")
            .await,
    ];
    for reply in &replies {
        let id = reply.json()["message_id"].as_str().unwrap().to_owned();
        reply.expect(200, &format!(r#"{{"status":"ok","message_id":"{id}"}}"#));
    }
    assert_eq!(world.messages().await, 4);
}

#[tokio::test]
async fn what_cannot_be_taken_is_told_in_a_sentence_with_200() {
    let world = World::new().await;
    let ask = async |body: serde_json::Value| world.post_json("/messages", &body).await;
    expect_sorry(&ask(json!({})).await, "There must be a phone_number");
    expect_sorry(
        &ask(json!({"phone_number": "1231233211"})).await,
        "There must be a message_body",
    );
    expect_sorry(
        &ask(json!({"phone_number": []})).await,
        "The field phone_number must be a text",
    );
    for (content_type, body) in [
        ("application/json", &b"{broken"[..]),
        ("application/json", b"[]"),
        ("application/json", b"{\"phone_number\":\"\xff\"}"),
        ("text/xml", b"<a/>"),
        (FORM, b"phone_number=%zz"),
        (FORM, b"phone_number=1231233211&message_body=%FF"),
        (FORM, b"phone_number=abc&message_body=hi"),
    ] {
        let reply = world.post("/messages", content_type, body.to_vec()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["status"]),
            (200, &json!("error"))
        );
    }
    let reply = world
        .post("/messages", "application/json", vec![b'x'; 100_000])
        .await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json()["status"]),
        (413, &json!("error"))
    );
    assert_eq!(world.messages().await, 0);
}

#[tokio::test]
async fn a_receipt_answers_with_the_clients_own_spelling() {
    let world = World::new().await;
    let reference = sent(&world).await;
    let body = json!({"status": "delivered", "message_id": reference});
    world.post_json("/messages/delivery_status", &body).await.expect(
        200,
        r#"{"status":"ok","message":{"phone_number":"1231233211","body":"Hello World"}}"#,
    );
    let again = world.post_json("/messages/delivery_status", &body).await;
    expect_sorry(&again, "This message is finished already; nothing was changed");
}

#[tokio::test]
async fn the_status_is_checked_before_the_id() {
    let world = World::new().await;
    for body in [
        "status=lost&message_id=x",
        "message_id=x",
        "status=&message_id=",
        "",
    ] {
        let reply = world.post("/messages/delivery_status", FORM, body).await;
        expect_sorry(&reply, "Invalid status");
    }
    let reply = world
        .post("/messages/delivery_status", FORM, "status=failed")
        .await;
    expect_sorry(&reply, "There must be a message_id of at most 255 characters");
}

#[tokio::test]
async fn a_receipt_that_comes_too_early_is_kept() {
    let world = World::new().await;
    let reply = world
        .post(
            "/messages/delivery_status",
            FORM,
            "status=delivered&message_id=ref-64",
        )
        .await;
    expect_sorry(
        &reply,
        "This message is not known yet; its status is kept until it is",
    );
}

#[tokio::test]
async fn an_invalid_number_is_inactive_from_then_on() {
    let world = World::new().await;
    let reference = sent(&world).await;
    let body = json!({"status": "invalid", "message_id": reference});
    let reply = world.post_json("/messages/delivery_status", &body).await;
    assert_eq!(reply.json()["status"], "ok");
    let body = json!({"phone_number": "1231233211", "message_body": "once more"});
    expect_sorry(
        &world.post_json("/messages", &body).await,
        "Phone number is inactive",
    );
    assert_eq!(world.messages().await, 1);
}

#[tokio::test]
async fn nobody_gets_around_a_providers_signature() {
    let world = World::signing().await;
    let reference = sent(&world).await;
    let body = json!({"status": "invalid", "message_id": reference});
    let reply = world.post_json("/messages/delivery_status", &body).await;
    expect_sorry(
        &reply,
        "Every provider here signs its statuses, so none is taken without a signature",
    );
    let body = json!({"phone_number": "1231233211", "message_body": "once more"});
    let reply = world.post_json("/messages", &body).await;
    assert_eq!(reply.json()["status"], "ok", "the number stays active");
}

#[tokio::test]
async fn another_method_is_405_in_the_same_envelope() {
    let world = World::new().await;
    let reply = world.get("/messages").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("allow")),
        (405, Some("POST"))
    );
    assert_eq!(reply.json()["status"], "error");
}

#[tokio::test]
async fn a_store_out_of_reach_is_503() {
    let world = World::new().await;
    let _lock = world.lock_store();
    let body = json!({"phone_number": "1231233211", "message_body": "hi"});
    let reply = world.post_json("/messages", &body).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("retry-after")),
        (503, Some("2"))
    );
    assert_eq!(reply.json()["status"], "error");
}
