//! Faults on demand: one at a time, for every wire or for one, until so many calls, until a time, or until it is taken back.
//!
//! Says what a call is to suffer; how that is done is the sandbox's matter.

use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::SandboxApi;
use postrider_core::clock::{Clock, Stopwatch};

/// The ranges of a fault's numbers.
const CALLS_RANGE: RangeInclusive<u32> = 1..=1_000_000;
const SECONDS_RANGE: RangeInclusive<u32> = 1..=86_400;
const RETRY_AFTER_SECONDS_RANGE: RangeInclusive<u32> = 0..=3_600;

/// What a throttled call is told when nothing else was asked for, in seconds.
const DEFAULT_RETRY_AFTER_SECONDS: u32 = 5;

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FaultKind {
    /// No answer ever.
    Hang,
    /// 200 with something that is not in the wire's format.
    Garbage,
    /// The usual answer, byte by byte.
    Slow,
    /// The connection is reset before an answer.
    Reset,
    /// 429 with Retry-After.
    Throttle,
}

/// A fault as it is asked for, with whatever was written for its numbers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultRequest {
    fault: FaultKind,
    api: Option<SandboxApi>,
    calls: Option<Value>,
    seconds: Option<Value>,
    retry_after: Option<Value>,
}

/// What one call suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InjectedFault {
    /// Which kind.
    pub kind: FaultKind,
    /// What it is told if it is throttled.
    pub retry_after_seconds: u32,
}

/// The fault of the moment.
pub(super) struct FaultInjector {
    clock: Clock,
    active: Mutex<Option<ActiveFault>>,
}

struct ActiveFault {
    kind: FaultKind,
    /// Only there; on every wire when left out.
    api: Option<SandboxApi>,
    /// For so many calls more.
    calls_left: Option<u32>,
    /// For so long.
    seconds: Option<u32>,
    /// What throttled calls are told.
    retry_after_seconds: u32,
    since: Stopwatch,
}

impl FaultInjector {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            active: Mutex::default(),
        }
    }

    /// Begins a fault in the place of the one before; an error says what to write.
    pub fn set(&self, body: &[u8]) -> Result<(), String> {
        let wish: FaultRequest = serde_json::from_slice(body)
            .map_err(|wrong| format!("write JSON such as {{\"fault\":\"hang\",\"calls\":5}}: {wrong}"))?;
        let retry_after = parse_in_range(
            "retry_after",
            wish.retry_after.as_ref(),
            &RETRY_AFTER_SECONDS_RANGE,
        )?;
        let active = ActiveFault {
            kind: wish.fault,
            api: wish.api,
            calls_left: parse_in_range("calls", wish.calls.as_ref(), &CALLS_RANGE)?,
            seconds: parse_in_range("seconds", wish.seconds.as_ref(), &SECONDS_RANGE)?,
            retry_after_seconds: retry_after.unwrap_or(DEFAULT_RETRY_AFTER_SECONDS),
            since: self.clock.stopwatch(),
        };
        *self.active_fault() = Some(active);
        Ok(())
    }

    /// Takes the fault back.
    pub fn clear(&self) {
        *self.active_fault() = None;
    }

    /// What the next call on that wire suffers; counts it.
    pub fn apply_next(&self, wire: SandboxApi) -> Option<InjectedFault> {
        let mut current = self.active_fault();
        let active = current.as_mut()?;
        if active.api.is_some_and(|only| only != wire) {
            return None;
        }
        if let Some(left) = &mut active.calls_left {
            *left = left.saturating_sub(1);
        }
        let fault = InjectedFault {
            kind: active.kind,
            retry_after_seconds: active.retry_after_seconds,
        };
        if active.calls_left == Some(0) {
            *current = None;
        }
        Some(fault)
    }

    /// The fault of the moment, and what is left of it.
    pub fn to_json(&self) -> Value {
        let current = self.active_fault();
        let Some(active) = current.as_ref() else {
            return json!({"fault": null});
        };
        let seconds = active.seconds.map(|seconds| {
            let limit = Duration::from_secs(seconds.into());
            limit.saturating_sub(active.since.elapsed()).as_secs()
        });
        json!({
            "fault": active.kind,
            "wire": active.api,
            "calls_left": active.calls_left,
            "seconds_left": seconds,
            "retry_after": active.retry_after_seconds,
        })
    }

    /// The fault of the moment, gone if its time is over.
    fn active_fault(&self) -> std::sync::MutexGuard<'_, Option<ActiveFault>> {
        let mut current = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |active: &ActiveFault| {
            let seconds = active.seconds;
            seconds.is_some_and(|seconds| active.since.elapsed() >= Duration::from_secs(seconds.into()))
        };
        if current.as_ref().is_some_and(over) {
            *current = None;
        }
        current
    }
}

fn parse_in_range(
    name: &str,
    written: Option<&Value>,
    range: &RangeInclusive<u32>,
) -> Result<Option<u32>, String> {
    let Some(written) = written else {
        return Ok(None);
    };
    let number = written.as_u64().and_then(|number| u32::try_from(number).ok());
    match number.filter(|number| range.contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(format!(
            "{name} is a whole number from {} to {}",
            range.start(),
            range.end()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_injector() -> FaultInjector {
        FaultInjector::new(Clock::manual(postrider_core::clock::from_millis(0)))
    }

    fn next_kind(faults: &FaultInjector, wire: SandboxApi) -> Option<FaultKind> {
        faults.apply_next(wire).map(|fault| fault.kind)
    }

    #[test]
    fn a_fault_lasts_for_so_many_calls_of_its_wire() {
        let faults = new_injector();
        faults
            .set(br#"{"fault":"hang","calls":2,"wire":"twilio"}"#)
            .unwrap();
        assert_eq!(next_kind(&faults, SandboxApi::Simple), None);
        assert_eq!(next_kind(&faults, SandboxApi::Twilio), Some(FaultKind::Hang));
        assert_eq!(faults.to_json()["calls_left"], 1);
        assert_eq!(next_kind(&faults, SandboxApi::Twilio), Some(FaultKind::Hang));
        assert_eq!(next_kind(&faults, SandboxApi::Twilio), None);
        assert_eq!(faults.to_json(), json!({"fault": null}));
    }

    #[test]
    fn a_fault_lasts_for_so_long_or_until_it_is_taken_back() {
        let faults = new_injector();
        faults
            .set(br#"{"fault":"throttle","seconds":30,"retry_after":7}"#)
            .unwrap();
        let fault = faults.apply_next(SandboxApi::Texting).unwrap();
        assert_eq!((fault.kind, fault.retry_after_seconds), (FaultKind::Throttle, 7));
        faults.clock.advance(Duration::from_secs(29));
        assert_eq!(faults.to_json()["seconds_left"], 1);
        faults.clock.advance(Duration::from_secs(1));
        assert_eq!(next_kind(&faults, SandboxApi::Texting), None);
        faults.set(br#"{"fault":"slow"}"#).unwrap();
        assert_eq!(next_kind(&faults, SandboxApi::Texting), Some(FaultKind::Slow));
        faults.clear();
        assert_eq!(next_kind(&faults, SandboxApi::Texting), None);
    }

    #[test]
    fn what_is_no_fault_is_refused_and_the_one_before_stays() {
        let faults = new_injector();
        faults.set(br#"{"fault":"garbage"}"#).unwrap();
        for (body, told) in [
            ("", "\"fault\":\"hang\""),
            (r#"{"fault":"explode"}"#, "unknown variant `explode`"),
            (r#"{"fault":"hang","until":"noon"}"#, "unknown field `until`"),
            (r#"{"fault":"hang","wire":"smpp"}"#, "unknown variant `smpp`"),
            (r#"{"fault":"hang","calls":0}"#, "from 1 to 1000000"),
            (r#"{"fault":"hang","calls":-1}"#, "from 1 to 1000000"),
            (r#"{"fault":"hang","calls":1e30}"#, "from 1 to 1000000"),
            (r#"{"fault":"hang","seconds":0.5}"#, "from 1 to 86400"),
            (r#"{"fault":"hang","seconds":"5"}"#, "from 1 to 86400"),
            (r#"{"fault":"hang","seconds":90000}"#, "from 1 to 86400"),
            (r#"{"fault":"throttle","retry_after":9999}"#, "from 0 to 3600"),
        ] {
            let wrong = faults.set(body.as_bytes()).unwrap_err();
            assert!(wrong.contains(told), "{body}: {wrong}");
        }
        assert_eq!(next_kind(&faults, SandboxApi::Simple), Some(FaultKind::Garbage));
    }
}
