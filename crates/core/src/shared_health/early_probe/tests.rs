//! Early probes of several processes.

use super::*;
use crate::name::ConfigName;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

#[test]
fn one_process_makes_an_early_probe() {
    let provider: ConfigName = "red".parse().unwrap();
    let open = SharedHealth {
        provider,
        circuit: CircuitState::Open { until: at(240), backoff_factor: 8 },
        cooldown_until: None,
        since: at(0),
        version: 1,
    };
    let probe_timeout = Duration::from_secs(60);
    let probe = |health: &SharedHealth, urgency, seconds| {
        health.with_urgent_probe_started(urgency, probe_timeout, at(seconds))
    };
    assert_eq!(probe(&open, ProbeUrgency::AfterOpenPeriod, 10), None);
    let probing = probe(&open, ProbeUrgency::BeforeExpiry, 10).unwrap();
    assert_eq!(probing.circuit, CircuitState::HalfOpen { since: at(10), backoff_factor: 8 });
    assert_eq!(probe(&probing, ProbeUrgency::BeforeExpiry, 11), None, "another process probes");
    assert!(probe(&open, ProbeUrgency::AfterOpenPeriod, 240).is_some());
}
