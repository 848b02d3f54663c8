use super::*;
use postrider_core::clock::from_millis;

#[test]
fn a_provider_with_calls_in_flight_and_no_response_is_unresponsive() {
    let clock = Clock::manual(from_millis(0));
    let times = ResponseTimes::default();
    assert!(!times.is_unresponsive(), "no call");
    let first = times.start_call(&clock);
    clock.advance(UNRESPONSIVE_AFTER / 2);
    let second = times.start_call(&clock);
    clock.advance(UNRESPONSIVE_AFTER / 2);
    assert!(times.is_unresponsive());
    drop(first);
    assert!(times.is_unresponsive(), "an aborted call is no response");
    times.record_response(&clock);
    assert!(!times.is_unresponsive());
    clock.advance(UNRESPONSIVE_AFTER);
    assert!(times.is_unresponsive());
    drop(second);
    assert!(!times.is_unresponsive(), "no call in flight");
    let _third = times.start_call(&clock);
    assert!(!times.is_unresponsive(), "the call has just started");
}
