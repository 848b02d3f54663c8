//! Users in the native API.

use serde_json::json;

use super::TestServer;
use super::broadcasts::violation;

#[tokio::test]
async fn registering_a_user_again_changes_only_the_given_fields() {
    let server = TestServer::with_manual_clock(|_| {}).await;
    let ana = json!({"id": "ana", "name": "Ana", "contacts": {"phone": "0912 222 2222", "email": null}});
    let first = server.post_json("/v1/users", &ana).await;
    assert_eq!(first.status, 201);
    let registered = json!({"id": "ana", "name": "Ana", "contacts": {"phone": "+989122222222"},
        "registered_at": "2023-11-14T22:13:20.000Z"});
    assert_eq!(first.json(), registered);
    let again = server.post_json("/v1/users", &json!({"id": "ana", "name": null})).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, registered.clone()));
    assert_eq!(server.get("/v1/users/ana").await.json(), registered);
    let renamed = server.post_json("/v1/users", &json!({"id": "ana", "name": "Anna", "contacts": {}})).await;
    assert_eq!(renamed.status, 200);
    assert_eq!((&renamed.json()["name"], &renamed.json()["contacts"]), (&json!("Anna"), &json!({})));
    assert_eq!(server.get("/v1/users/nobody").await.status, 404);
    let odd = json!([{"id": "ana", "contacts": {"phone": "0912 222 2222\n"}}]);
    for changed in [1, 0] {
        let response = server.post_json("/v1/users", &odd).await;
        assert_eq!(response.json()["changed"], json!(changed), "{}", response.text());
    }
}

#[tokio::test]
async fn a_list_of_users_is_registered_completely_or_not_at_all() {
    let server = TestServer::with_manual_clock(|_| {}).await;
    let list = json!([{"id": "ana"}, {"id": "ben"}, {"id": "ana", "name": "Ana"}]);
    let first = server.post_json("/v1/users", &list).await;
    assert_eq!(
        (first.status.as_u16(), first.json()),
        (201, json!({"added": 2, "changed": 1, "unchanged": 0}))
    );
    let again = server.post_json("/v1/users", &list).await;
    assert_eq!(
        (again.status.as_u16(), again.json()),
        (200, json!({"added": 0, "changed": 0, "unchanged": 3}))
    );
    let partly_invalid = json!([{"id": "cid"}, {"id": "dan", "contacts": {"email": "nobody"}}]);
    let refused = violation(&server.post_json("/v1/users", &partly_invalid).await);
    assert!(refused.starts_with("1.contacts.email: "), "{refused}");
    assert_eq!(server.get("/v1/users/cid").await.status, 404);
}

#[tokio::test]
async fn an_invalid_field_of_a_user_is_reported() {
    let server = TestServer::with_manual_clock(|_| {}).await;
    for (user, expected) in [
        (json!({}), "id: is missing"),
        (json!({"id": 7}), "id: must be a string"),
        (json!({"id": ""}), "id: must be one line"),
        (json!({"id": "a".repeat(256)}), "id: must be one line"),
        (json!({"id": "a", "name": " "}), "name: must be one line"),
        (json!({"id": "a", "nick": "x"}), "nick: unknown field"),
        (json!({"id": "a", "contacts": "x"}), "contacts: must be an object"),
        (json!({"id": "a", "contacts": {"pigeon": "x"}}), "contacts.pigeon: must be phone"),
        (json!({"id": "a", "contacts": {"phone": 7}}), "contacts.phone: must be a string"),
        (json!([]), "body: must be a list of 1 to 1000 users"),
        (json!([7]), "0: must be an object"),
        (json!(7), "body: must be a user or a list"),
    ] {
        let reported = violation(&server.post_json("/v1/users", &user).await);
        assert!(reported.starts_with(expected), "{user}: {reported}");
    }
}
