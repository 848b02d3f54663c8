//! Inbound messages: a provider's callback is stored before it is answered, forwarded to the target of its route, and
//! replied to once.

use std::net::Ipv4Addr;

use super::test_gateway::{TestGateway, wait_until};
use postrider_providers::testing::http_stub::{HttpStub, response};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Starts a server that is the provider Kavenegar and the application with the `get_url`.
fn start_stub() -> HttpStub {
    HttpStub::in_background(Ipv4Addr::LOCALHOST.into(), |number, request| {
        let first_line = request.lines().next().unwrap_or_default();
        if first_line.starts_with("GET /in?") {
            // The first call fails, so that the event is tried again.
            return response(
                if number.is_multiple_of(2) { 500 } else { 200 },
                "content-type: text/plain\r\n",
                "Thanks for 17",
            );
        }
        let answer = format!(
            "{{\"return\":{{\"status\":200,\"message\":\"ok\"}},\"entries\":[{{\"messageid\":{number},\"status\":1}}]}}"
        );
        response(200, "content-type: application/json\r\n", &answer)
    })
}

fn config(stub: &HttpStub) -> String {
    let address = stub.address;
    format!(
        "[providers.line]\nkind = \"kavenegar\"\napi_key = \"0123456789\"\nbase_url = \"http://{address}\"\n\
         receipts_token = \"{TOKEN}\"\n[channels.sms]\nproviders = [\"line\"]\n\
         [events]\nnetworks = [\"127.0.0.1\"]\nretry_schedule = [\"50ms\", \"50ms\", \"50ms\"]\n\
         [[inbound]]\nname = \"orders\"\nkeyword = [\"order\"]\nget_url = \"http://{address}/in?f=%p&r=%r\"\n"
    )
}

fn receive(gateway: &TestGateway, reference: &str, text: &str) {
    let fields = format!("messageid={reference}&from=09122222222&to=10004346&message={text}");
    let response = gateway.get(&format!("/v1/receipts/line?token={TOKEN}&{fields}")).expect("a response");
    assert_eq!(response.status, 200, "{response:?}");
}

fn inbound_messages(gateway: &TestGateway) -> Vec<serde_json::Value> {
    let page = gateway.get("/v1/inbound").expect("a response").json();
    page["messages"].as_array().unwrap().clone()
}

#[test]
fn a_text_is_stored_once_forwarded_and_replied_to() {
    let stub = start_stub();
    let gateway = TestGateway::new(&config(&stub));
    let process = gateway.start_serve(&[]);
    let sent = gateway.send("09122222222", "Order now");
    gateway.wait_for_state(&sent, &["sent"]);
    receive(&gateway, "mo-1", "Order+17");
    receive(&gateway, "mo-1", "Order+17");
    // Stored when the callback is answered, whatever becomes of the process.
    receive(&gateway, "mo-2", "hello");
    process.kill();
    let process = gateway.start_serve(&[]);
    wait_until("the text is forwarded", || inbound_messages(&gateway)[1]["state"] == "forwarded");
    let messages = inbound_messages(&gateway);
    assert_eq!(messages.len(), 2, "{messages:?}");
    for (message, body, state) in [(&messages[0], "hello", "kept"), (&messages[1], "Order 17", "forwarded")] {
        assert_eq!((&message["body"], &message["state"]), (&body.into(), &state.into()), "{message}");
        assert_eq!(
            (&message["from"], &message["in_reply_to"]),
            (&"+989122222222".into(), &sent.clone().into())
        );
    }
    assert_eq!(gateway.query_number("SELECT count(*) FROM messages WHERE body = 'Thanks for 17'"), 1);
    let calls = stub.requests();
    let call = calls.iter().find(|request| request.starts_with("GET /in?")).unwrap();
    assert!(call.starts_with("GET /in?f=%2B989122222222&r=17 HTTP/1.1\r\n"), "{call}");
    let listed = gateway.run_ok(&["inbound", "--from", "09122222222"]);
    assert!(listed.contains("+98912***2222 -> 10004346") && listed.contains("Order 17"), "{listed}");
    let json = gateway.run_ok(&["inbound", "-o", "json", "--limit", "1"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["body"], "hello");
    assert!(!gateway.log().contains("Order 17"), "the log has no texts");
    process.terminate();
}
