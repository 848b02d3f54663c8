//! SIGTERM: stops taking, finishes what is in flight, exits 0; nothing is sent twice.

use super::stub::{Mood, Stub};
use super::world::{World, until};

#[test]
fn a_stop_finishes_what_is_in_flight_and_sends_nothing_twice() {
    let stub = Stub::new(Mood::Slow(700));
    let world = World::new(&format!(
        "{}\n[channels.sms]\nproviders = [\"red\"]\n",
        stub.texting("red")
    ));
    let console = world.serve(&["--workers", "4"]);
    let ids: Vec<String> = (0..10)
        .map(|n| world.send("09122222222", &format!("message {n}")))
        .collect();
    until("calls are in flight", || !stub.calls().is_empty());
    let status = console.stop();
    assert_eq!(status.code(), Some(0), "{}", world.log());
    stub.turn(Mood::Accept);
    let console = world.serve(&[]);
    for id in &ids {
        world.until_state(id, &["sent"]);
        assert_eq!(world.attempts(id), ["red: accepted"]);
    }
    assert_eq!(stub.calls().len(), ids.len());
    assert_eq!(console.stop().code(), Some(0));
}
