//! What the fleet knows, as both dialects keep it in columns: standings of providers, and times finer than a
//! millisecond.
//!
//! A row that no standing has is none, never a guess.

use chrono::DateTime;

use postrider_core::circuit_breaker::CircuitState;
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::shared_health::SharedHealth;

/// The columns of what a provider's health is told as.
pub struct HealthColumns<'a> {
    pub state: &'static str,
    pub open_until: Option<i64>,
    pub backoff_factor: Option<i64>,
    pub reason: Option<&'a str>,
}

impl<'a> HealthColumns<'a> {
    /// The columns of what is known.
    pub fn from_health(known: &'a SharedHealth) -> Self {
        let mut columns = Self {
            state: "closed",
            open_until: None,
            backoff_factor: None,
            reason: None,
        };
        match &known.circuit {
            CircuitState::Closed => {}
            CircuitState::Open {
                until,
                backoff_factor: times,
            } => {
                columns.state = "open";
                columns.open_until = Some(until.timestamp_millis());
                columns.backoff_factor = Some(i64::from(*times));
            }
            CircuitState::HalfOpen {
                backoff_factor: times,
                ..
            } => {
                columns.state = "half_open";
                columns.backoff_factor = Some(i64::from(*times));
            }
            CircuitState::Misconfigured { reason } => {
                columns.state = "misconfigured";
                columns.reason = Some(reason);
            }
        }
        columns
    }
}

/// Back from the columns; `since` is when it began.
pub fn decode_circuit(
    standing: &str,
    till: Option<i64>,
    times: Option<i64>,
    reason: Option<String>,
    since: Timestamp,
) -> Option<CircuitState> {
    let times = || u32::try_from(times?).ok();
    match standing {
        "closed" => Some(CircuitState::Closed),
        "open" => Some(CircuitState::Open {
            until: from_millis(till?),
            backoff_factor: times()?,
        }),
        "half_open" => Some(CircuitState::HalfOpen {
            since,
            backoff_factor: times()?,
        }),
        "misconfigured" => Some(CircuitState::Misconfigured { reason: reason? }),
        _ => None,
    }
}

/// The moment so many microseconds after 1970.
pub fn from_micros(micros: i64) -> Timestamp {
    DateTime::from_timestamp_micros(micros).unwrap_or(Timestamp::MAX_UTC)
}
