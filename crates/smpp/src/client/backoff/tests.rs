//! Tests of the reconnect delays.

use super::*;

#[test]
fn delays_grow_to_their_maximum_and_a_stable_session_resets_them() {
    let mut backoff = ReconnectBackoff::new(Duration::from_secs(1));
    let assert_near = |delay: Duration, seconds: f64| {
        let ratio = delay.as_secs_f64() / seconds;
        assert!((0.79..1.21).contains(&ratio), "{delay:?} is not about {seconds} s");
    };
    for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        assert_near(backoff.after_loss(), seconds);
    }
    let lost = SessionEnd::Lost("cut".to_owned());
    assert_near(backoff.after_session(&lost, Duration::from_secs(2)), 60.0);
    assert_near(backoff.after_session(&SessionEnd::Unbound, STABLE_SESSION_MIN), 5.0);
    assert_near(backoff.after_loss(), 1.0);
    assert_near(backoff.after_refusal(0x08, false), 5.0);
    assert_near(backoff.after_refusal(0x08, false), 10.0);
    assert_near(backoff.after_refusal(0x05, false), 30.0);
    assert_near(backoff.after_refusal(0x0E, true), 300.0);
}
