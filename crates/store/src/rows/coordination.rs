//! Rows of rate limiters, provider health, provider controls and job locks.

use chrono::DateTime;

use super::SqlRow;
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::{
    circuit_breaker::CircuitState, clock::Timestamp, job::JobLockOwner, rate_limit::RateLimiterState,
    shared_health::SharedHealth,
};

/// The columns of a provider's circuit breaker.
pub struct CircuitColumns<'a> {
    pub circuit: &'static str,
    pub open_until: Option<i64>,
    pub backoff_factor: Option<i64>,
    pub reason: Option<&'a str>,
}

impl<'a> CircuitColumns<'a> {
    /// Returns the columns of a circuit state.
    pub fn from_circuit(circuit: &'a CircuitState) -> Self {
        let (circuit, open_until, backoff_factor, reason) = match circuit {
            CircuitState::Closed => ("closed", None, None, None),
            CircuitState::Open { until, backoff_factor } => {
                ("open", Some(until.timestamp_millis()), Some(*backoff_factor), None)
            }
            CircuitState::HalfOpen { backoff_factor, .. } => ("half_open", None, Some(*backoff_factor), None),
            CircuitState::Misconfigured { reason, until, backoff_factor } => {
                let open_until = Some(until.timestamp_millis());
                ("misconfigured", open_until, Some(*backoff_factor), Some(reason.as_str()))
            }
        };
        Self { circuit, open_until, backoff_factor: backoff_factor.map(i64::from), reason }
    }
}

/// Decodes a row of `provider_health`.
pub fn decode_health<R: SqlRow>(row: &R) -> Result<SharedHealth, R::Error> {
    let circuit_since = row.time("since")?;
    Ok(SharedHealth {
        provider: row.name("provider")?,
        circuit: decode_circuit(row, circuit_since)?,
        cooldown_until: row.optional_time("cooldown_until")?,
        since: circuit_since,
        version: row.integer("version")?,
    })
}

fn decode_circuit<R: SqlRow>(row: &R, since: Timestamp) -> Result<CircuitState, R::Error> {
    match row.word("circuit")? {
        "closed" => Ok(CircuitState::Closed),
        "open" => Ok(CircuitState::Open {
            until: row.time("open_until")?,
            backoff_factor: row.count("backoff_factor")?,
        }),
        "half_open" => Ok(CircuitState::HalfOpen { since, backoff_factor: row.count("backoff_factor")? }),
        "misconfigured" => Ok(CircuitState::Misconfigured {
            reason: row.text("reason")?,
            until: row.time("open_until")?,
            backoff_factor: row.count("backoff_factor")?,
        }),
        other => Err(row.invalid_value("circuit", other)),
    }
}

/// Decodes a row of `rate_limiters`.
pub fn decode_rate_limiter<R: SqlRow>(row: &R) -> Result<RateLimiterState, R::Error> {
    Ok(RateLimiterState {
        tokens_micros: row.integer("tokens_micros")?,
        counted_at: row.optional_time("counted_at")?,
        next_slot: row.optional_integer("next_slot_micros")?.map(from_micros),
        cooldown_until: row.optional_time("cooldown_until")?,
    })
}

/// Returns the time `micros` microseconds after 1970.
fn from_micros(micros: i64) -> Timestamp {
    DateTime::from_timestamp_micros(micros).unwrap_or(Timestamp::MAX_UTC)
}

/// Decodes a row of `provider_controls`.
pub fn decode_provider_control<R: SqlRow>(row: &R) -> Result<ProviderControl, R::Error> {
    Ok(ProviderControl {
        provider: row.name("provider")?,
        action: row.parsed("action", ControlAction::parse)?,
        requested_by: row.text("requested_by")?,
        at: row.time("requested_at")?,
    })
}

/// Decodes a row of `job_locks`.
pub fn decode_job_lock_owner<R: SqlRow>(row: &R) -> Result<JobLockOwner, R::Error> {
    Ok(JobLockOwner {
        process_name: row.word("process_name")?.to_owned(),
        acquired_at: row.time("acquired_at")?,
        expires_at: row.time("expires_at")?,
        is_done: row.bool("is_done")?,
    })
}
