//! SIGTERM: the process accepts nothing more, finishes the calls in flight and exits with 0; nothing is sent twice.

use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::{TestGateway, wait_until};

#[test]
fn a_stop_finishes_calls_in_flight_and_sends_nothing_twice() {
    let stub = StubProvider::new(StubBehavior::AcceptAfterMs(700));
    let gateway =
        TestGateway::new(&format!("{}\n[channels.sms]\nproviders = [\"red\"]\n", stub.texting_config("red")));
    let console = gateway.start_serve(&["--concurrency", "4"]);
    let ids: Vec<String> = (0..10).map(|n| gateway.send("09122222222", &format!("message {n}"))).collect();
    wait_until("calls are in flight", || !stub.calls().is_empty());
    let status = console.terminate();
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
    stub.set_behavior(StubBehavior::Accept);
    let console = gateway.start_serve(&[]);
    for id in &ids {
        gateway.wait_for_state(id, &["sent"]);
        assert_eq!(gateway.attempts(id), ["red: accepted"]);
    }
    assert_eq!(stub.calls().len(), ids.len());
    assert_eq!(console.terminate().code(), Some(0));
}
