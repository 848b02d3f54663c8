//! SIGTERM: stops taking, finishes what is in flight, exits 0; nothing is sent twice.

use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::{TestGateway, wait_until};

#[test]
fn a_stop_finishes_calls_in_flight_and_sends_nothing_twice() {
    let stub = StubProvider::new(StubBehavior::AcceptAfterMs(700));
    let world = TestGateway::new(&format!(
        "{}\n[channels.sms]\nproviders = [\"red\"]\n",
        stub.texting_config("red")
    ));
    let console = world.start_serve(&["--concurrency", "4"]);
    let ids: Vec<String> = (0..10)
        .map(|n| world.send("09122222222", &format!("message {n}")))
        .collect();
    wait_until("calls are in flight", || !stub.calls().is_empty());
    let status = console.terminate();
    assert_eq!(status.code(), Some(0), "{}", world.log());
    stub.set_behavior(StubBehavior::Accept);
    let console = world.start_serve(&[]);
    for id in &ids {
        world.wait_for_state(id, &["sent"]);
        assert_eq!(world.attempts(id), ["red: accepted"]);
    }
    assert_eq!(stub.calls().len(), ids.len());
    assert_eq!(console.terminate().code(), Some(0));
}
