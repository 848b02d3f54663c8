//! An open circuit with a first open period of 30 s.

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn open_at_0(open_duration: u64, backoff_factor: u32) -> CircuitBreaker {
    let open_duration = Duration::from_secs(open_duration);
    let mut breaker = CircuitBreaker::new(5, open_duration);
    let until = saturating_add(at(0), open_duration * backoff_factor);
    breaker.load_shared(&CircuitState::Open { until, backoff_factor });
    breaker
}

#[test]
fn an_open_circuit_is_probed_early_but_not_at_once() {
    for (open_duration, backoff_factor, earliest) in [(30, 1, 5), (30, 8, 5), (2, 4, 2)] {
        let mut breaker = open_at_0(open_duration, backoff_factor);
        assert!(!breaker.admit_early(at(earliest - 1)), "{open_duration} {backoff_factor}");
        assert!(breaker.admit_early(at(earliest)), "{open_duration} {backoff_factor}");
        assert!(breaker.is_half_open());
        assert!(!breaker.admit_early(at(earliest)), "one probe at a time");
    }
}

#[test]
fn a_closed_circuit_needs_no_early_probe() {
    assert!(!CircuitBreaker::new(5, Duration::from_secs(30)).is_early_probe_allowed(at(100)));
}
