//! Kannel's `sendsms`: each row of the table of answers.

use super::*;
use postrider_core::event::EventTarget;
use postrider_core::provider_control::{ControlAction, ProviderControl};

const CREDENTIALS: &str = "user=u&pass=p";
const ACCEPTED: &str = "0: Accepted for delivery";

async fn sendsms(server: &TestServer, query: &str) -> TestResponse {
    get(server, &format!("/cgi-bin/sendsms?{CREDENTIALS}&{query}")).await
}

fn id_of(response: &TestResponse) -> String {
    assert_eq!(response.status, 202, "{}", response.text());
    response.header("x-postrider-message-id").unwrap().to_owned()
}

#[tokio::test]
async fn a_message_is_on_disk_when_it_is_accepted() {
    let server = server_with(|_| {}).await;
    let response = sendsms(&server, "from=Acme&to=09122222222&text=hi+there&priority=3").await;
    response.assert_response(202, ACCEPTED);
    let message = stored(&server, &id_of(&response)).await;
    assert_eq!((message.body.as_str(), message.sender.as_deref()), ("hi there", Some("Acme")));
    assert_eq!(message.deliveries[0].address, "+989122222222");
    for (name, value) in
        [("content-type", "text/html"), ("pragma", "no-cache"), ("cache-control", "no-cache")]
    {
        assert_eq!(response.header(name), Some(value));
    }
    let head = Request::head(format!("/cgi-bin/sendsms?{CREDENTIALS}&to=09122222222&text=hi"));
    let head = send(&server, head.body(Body::empty()).unwrap()).await;
    assert_eq!((head.status.as_u16(), head.text().as_str()), (202, ""));
    stored(&server, &id_of(&head)).await;
}

#[tokio::test]
async fn each_row_of_the_answers_is_as_in_kannel() {
    let server = server_with(|config| config.keys[0].account.senders = vec!["Acme".to_owned()]).await;
    let number = "to=09122222222";
    for (query, status, body) in [
        ("to=&text=hi", 400, "Empty receiver number not allowed, rejected"),
        ("text=hi", 400, "Missing receiver number, rejected"),
        (&format!("{number}&udh=%05%00"), 400, "UDH field misformed, rejected"),
        ("to=abc&text=hi", 400, "Number(s) has/have been denied by white- and/or black-lists."),
        ("to=1&text=hi", 400, "Number(s) has/have been denied by white- and/or black-lists."),
        (&format!("{number}&from=Other&text=hi"), 400, "Sender missing and no global set, rejected"),
        (&format!("{number}&account=a/b"), 400, "Account field misformed or too long, rejected"),
        (&format!("{number}&dlr-url=h"), 400, "DLR-URL field misformed, rejected"),
        (&format!("{number}&dlr-mask=31&dlr-url=http://10.0.0.1/"), 400, "DLR-URL field misformed, rejected"),
        (&format!("{number}&dlr-mask=99"), 400, "DLR-Mask field misformed, rejected"),
        (&format!("{number}&mclass=9"), 400, "MClass field misformed, rejected"),
        (&format!("{number}&coding=1&text=%00%01"), 400, "Coding field misformed, rejected"),
        (&format!("{number}&text=%FF"), 400, "Charset or body misformed, rejected"),
        (&format!("{number}&text=a%00b"), 400, "Charset or body misformed, rejected"),
        (&format!("{number}&validity=0&deferred=5&text=x"), 400, "Validity field misformed, rejected"),
    ] {
        sendsms(&server, query).await.assert_response(status, body);
    }
    assert_eq!(server.message_count().await, 0);
    for query in ["user=u&pass=x", "user=x&pass=p", "", "username=u"] {
        let path = format!("/cgi-bin/sendsms?{query}&{number}&text=hi");
        get(&server, &path).await.assert_response(403, "Authorization failed for sendsms");
    }
    for path in ["/cgi-bin/sendota", "/cgi-bin/other", "/cgi-bin/"] {
        let response = get(&server, path).await;
        assert_eq!(response.status, 404);
    }
    get(&server, "/cgi-bin/sendota").await.assert_response(404, "Unknown request.");
}

#[tokio::test]
async fn an_account_without_the_scope_or_with_used_up_limits_is_refused() {
    let reader = server_with(|config| config.keys = vec![account(Scope::Read)]).await;
    sendsms(&reader, "to=09122222222&text=hi").await.assert_response(403, "Authorization failed for sendsms");
    let limited = server_with(|config| config.keys[0].limits.per_day = Some(1)).await;
    assert_eq!(sendsms(&limited, "to=09122222222&text=hi").await.status, 202);
    sendsms(&limited, "to=09122222222&text=hi").await.assert_response(403, "Not routable. Do not try again.");
    let slow = server_with(|config| config.keys[0].limits.per_minute = Some(1)).await;
    assert_eq!(sendsms(&slow, "to=09122222222&text=hi").await.status, 202);
    let refused = sendsms(&slow, "to=09122222222&text=hi").await;
    refused.assert_response(503, "Temporal failure, try again later.");
}

#[tokio::test]
async fn a_message_is_not_accepted_while_the_store_cannot_write() {
    let server = server_with(|_| {}).await;
    let lock = server.lock_store();
    let response = sendsms(&server, "to=09122222222&text=hi").await;
    response.assert_response(503, "Temporal failure, try again later.");
    drop(lock);
    assert_eq!(server.message_count().await, 0);
    assert_eq!(sendsms(&server, "to=09122222222&text=hi").await.status, 202);
}

#[tokio::test]
async fn a_message_for_a_channel_without_an_available_provider_is_queued() {
    let server = server_with(|_| {}).await;
    for provider in server.gateway.providers() {
        provider.apply_control(&ProviderControl {
            provider: provider.name.clone(),
            action: ControlAction::Pause,
            requested_by: "test".to_owned(),
            at: server.gateway.clock.now(),
        });
    }
    let response = sendsms(&server, "to=09122222222&text=hi").await;
    response.assert_response(202, "3: Queued for later delivery");
    stored(&server, &id_of(&response)).await;
}

#[tokio::test]
async fn several_receivers_are_one_message_and_bad_numbers_do_not_stop_the_others() {
    let server = server_with(|_| {}).await;
    let response = sendsms(&server, "to=09122222222++15005550001+12&text=hi").await;
    response.assert_response(202, ACCEPTED);
    let message = stored(&server, &id_of(&response)).await;
    let addresses: Vec<_> = message.deliveries.iter().map(|delivery| delivery.address.as_str()).collect();
    assert_eq!(addresses, ["+989122222222", "+15005550001", ""]);
}

#[tokio::test]
async fn a_number_without_a_plus_is_international_when_the_region_has_none_like_it() {
    let server = server_with(|_| {}).await;
    for (written, address) in
        [("15005550001", "+15005550001"), ("989122222222", "+989122222222"), ("9122222222", "+989122222222")]
    {
        let response = sendsms(&server, &format!("to={written}&text=hi")).await;
        assert_eq!(stored(&server, &id_of(&response)).await.deliveries[0].address, address);
    }
}

#[tokio::test]
async fn a_long_text_is_split_and_an_empty_one_is_sent() {
    let server = server_with(|_| {}).await;
    let response = sendsms(&server, &format!("to=09122222222&text={}", "a".repeat(400))).await;
    let message = stored(&server, &id_of(&response)).await;
    assert_eq!((message.body.len(), message.deliveries[0].parts), (400, 3));
    let empty = sendsms(&server, "to=09122222222").await;
    assert_eq!(stored(&server, &id_of(&empty)).await.body, " ");
}

#[tokio::test]
async fn messages_are_posted_as_text_xml_and_form() {
    let server = server_with(|_| {}).await;
    let xml = "<?xml version='1.0'?><message><submit><from><username>u</username><password>p</password></from>\
        <da><number>09122222222</number></da><ud>6869</ud></submit></message>";
    let from_xml = post(&server, "/cgi-bin/sendsms", "text/xml", xml).await;
    assert_eq!(stored(&server, &id_of(&from_xml)).await.body, "hi");
    let form = format!("{CREDENTIALS}&to=09122222222&text=a%2Bb");
    let from_form = post(&server, "/cgi-bin/sendsms", "application/x-www-form-urlencoded", form).await;
    assert_eq!(stored(&server, &id_of(&from_form)).await.body, "a+b");
    let text = Request::post("/cgi-bin/sendsms")
        .header("content-type", "text/plain")
        .header("X-Kannel-Username", "u")
        .header("X-Kannel-Password", "p")
        .header("X-Kannel-To", "09122222222")
        .body(Body::from("hello"))
        .unwrap();
    assert_eq!(stored(&server, &id_of(&send(&server, text).await)).await.body, "hello");
    let unsupported = post(&server, "/cgi-bin/sendsms", "image/png", "x").await;
    unsupported.assert_response(415, "Unsupported content-type, rejected");
    let empty_xml = post(&server, "/cgi-bin/sendsms", "text/xml", "<message><submit/></message>").await;
    empty_xml.assert_response(400, "Missing receiver(s) number(s), rejected");
}

#[tokio::test]
async fn deferred_validity_priority_and_reports_are_kept() {
    let server = server_with(|_| {}).await;
    let url = "http%3A%2F%2F127.0.0.1%3A9%2Fdlr%3Fd%3D%25d%26p%3D%25p";
    let query = format!("to=09122222222&from=Acme&text=hi&deferred=10&validity=20&dlr-mask=31&dlr-url={url}");
    let response = sendsms(&server, &query).await;
    let message = stored(&server, &id_of(&response)).await;
    let delivery = &message.deliveries[0];
    // The minutes count from the request, which is a moment before the time of acceptance.
    let seconds = (delivery.expires_at - message.created_at).as_seconds_f64();
    assert_eq!(seconds.round(), 1_200.0);
    server.deliver_all().await;
    assert_eq!(stored(&server, &id_of(&response)).await.deliveries[0].round, 0);
    let immediate = sendsms(&server, &query.replace("deferred=10&", "")).await;
    server.deliver_all().await;
    let events =
        server.gateway.store.events(postrider_store::EventQuery { limit: 9, ..Default::default() }).await;
    let events = events.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].message.to_string(), id_of(&immediate));
    let EventTarget::Callback(callback) = &events[0].target else { panic!("{:?}", events[0].target) };
    assert_eq!(callback.url, "http://127.0.0.1:9/dlr?d=%d&p=%p");
    assert_eq!(callback.format.to_string(), "kannel:31");
    assert_eq!((callback.field("P"), callback.field("n")), (Some("Acme"), Some("u")));
}
