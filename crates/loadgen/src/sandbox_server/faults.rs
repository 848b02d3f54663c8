//! Injected faults, one at a time. A fault applies to all provider APIs or to one, and ends after a number of calls,
//! after a time, or at `DELETE /faults`.
//!
//! This module returns the fault of a call; `server` and `http_response` produce its effect.

use std::{ops::RangeInclusive, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::SandboxApi;
use postrider_core::clock::{Clock, Stopwatch};

/// Ranges of a fault's numbers.
const FAULT_CALLS_RANGE: RangeInclusive<u32> = 1..=1_000_000;
const FAULT_SECONDS_RANGE: RangeInclusive<u32> = 1..=86_400;
const RETRY_AFTER_SECONDS_RANGE: RangeInclusive<u32> = 0..=3_600;

/// Default `Retry-After` of throttled calls, in seconds.
const DEFAULT_RETRY_AFTER_SECONDS: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FaultKind {
    /// No response.
    Hang,
    /// Status 200 with a body that is not in the API's format.
    Garbage,
    /// The normal response, sent byte by byte.
    Slow,
    /// The connection is reset before a response.
    Reset,
    /// Status 429 with `Retry-After`.
    Throttle,
}

/// Body of `PUT /faults`. Numbers are checked later, for a better error text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultRequest {
    fault: FaultKind,
    api: Option<SandboxApi>,
    calls: Option<Value>,
    seconds: Option<Value>,
    retry_after: Option<Value>,
}

/// The fault of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InjectedFault {
    pub kind: FaultKind,
    /// `Retry-After` of a throttled call.
    pub retry_after_seconds: u32,
}

/// Holds the active fault.
pub(super) struct FaultInjector {
    clock: Clock,
    active: Mutex<Option<ActiveFault>>,
}

struct ActiveFault {
    kind: FaultKind,
    /// The API that the fault is limited to; none for all APIs.
    api: Option<SandboxApi>,
    /// Number of calls that the fault still applies to; none if it is not limited.
    calls_left: Option<u32>,
    /// Duration of the fault; none if its time is not limited.
    duration: Option<Duration>,
    retry_after_seconds: u32,
    since: Stopwatch,
}

impl FaultInjector {
    /// Creates an injector without a fault.
    pub fn new(clock: Clock) -> Self {
        Self { clock, active: Mutex::default() }
    }

    /// Replaces the active fault. If the body is invalid, returns an error that names the problem and keeps the active
    /// fault.
    pub fn set(&self, body: &[u8]) -> Result<(), String> {
        let request: FaultRequest = serde_json::from_slice(body)
            .map_err(|cause| format!("expected JSON such as {{\"fault\":\"hang\",\"calls\":5}}: {cause}"))?;
        let retry_after =
            parse_in_range("retry_after", request.retry_after.as_ref(), &RETRY_AFTER_SECONDS_RANGE)?;
        let seconds = parse_in_range("seconds", request.seconds.as_ref(), &FAULT_SECONDS_RANGE)?;
        let fault = ActiveFault {
            kind: request.fault,
            api: request.api,
            calls_left: parse_in_range("calls", request.calls.as_ref(), &FAULT_CALLS_RANGE)?,
            duration: seconds.map(|seconds| Duration::from_secs(seconds.into())),
            retry_after_seconds: retry_after.unwrap_or(DEFAULT_RETRY_AFTER_SECONDS),
            since: self.clock.stopwatch(),
        };
        *self.active_fault() = Some(fault);
        Ok(())
    }

    /// Ends the active fault.
    pub fn clear(&self) {
        *self.active_fault() = None;
    }

    /// Returns the fault of the next call to `api` and counts the call.
    pub fn apply_next(&self, api: SandboxApi) -> Option<InjectedFault> {
        let mut active_fault = self.active_fault();
        let active = active_fault.as_mut()?;
        if active.api.is_some_and(|only| only != api) {
            return None;
        }
        if let Some(calls_left) = &mut active.calls_left {
            *calls_left = calls_left.saturating_sub(1);
        }
        let fault = InjectedFault { kind: active.kind, retry_after_seconds: active.retry_after_seconds };
        if active.calls_left == Some(0) {
            *active_fault = None;
        }
        Some(fault)
    }

    /// Returns the active fault and its remaining calls and seconds.
    pub fn to_json(&self) -> Value {
        let active_fault = self.active_fault();
        let Some(active) = active_fault.as_ref() else {
            return json!({"fault": null});
        };
        json!({
            "fault": active.kind,
            "api": active.api,
            "calls_left": active.calls_left,
            "seconds_left": active.time_left().map(|time_left| time_left.as_secs()),
            "retry_after": active.retry_after_seconds,
        })
    }

    /// Returns the active fault, after removing an expired one.
    fn active_fault(&self) -> MutexGuard<'_, Option<ActiveFault>> {
        let mut active_fault = self.active.lock();
        if active_fault.as_ref().and_then(ActiveFault::time_left) == Some(Duration::ZERO) {
            *active_fault = None;
        }
        active_fault
    }
}

impl ActiveFault {
    /// Returns the time until the fault ends; none if its time is not limited.
    fn time_left(&self) -> Option<Duration> {
        self.duration.map(|duration| duration.saturating_sub(self.since.elapsed()))
    }
}

/// Returns the number in a field of the body, or an error that names the range; none if the field is missing.
fn parse_in_range(
    field: &str,
    json: Option<&Value>,
    range: &RangeInclusive<u32>,
) -> Result<Option<u32>, String> {
    let Some(json) = json else {
        return Ok(None);
    };
    let fault_number = json.as_u64().and_then(|fault_number| u32::try_from(fault_number).ok());
    let fault_number = fault_number.filter(|fault_number| range.contains(fault_number));
    let invalid = || format!("{field}: expected a whole number from {} to {}", range.start(), range.end());
    fault_number.ok_or_else(invalid).map(Some)
}

#[cfg(test)]
mod tests;
