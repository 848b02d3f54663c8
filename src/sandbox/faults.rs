//! Faults on demand: one at a time, for every wire or for one, until so many calls, until a time, or until it is taken back.
//!
//! Says what a call is to suffer; how that is done is the sandbox's matter.

use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::Wire;
use crate::clock::{Clock, Stopwatch};

/// The ranges of a fault's numbers.
const CALLS: RangeInclusive<u32> = 1..=1_000_000;
const SECONDS: RangeInclusive<u32> = 1..=86_400;
const RETRY_AFTER_SECONDS_RANGE: RangeInclusive<u32> = 0..=3_600;

/// What a throttled call is told when nothing else was asked for, in seconds.
const RETRY_AFTER_SECONDS: u32 = 5;

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// No answer ever.
    Hang,
    /// 200 with something that is not in the wire's format.
    Garbage,
    /// The usual answer, byte by byte.
    Slow,
    /// The connection is reset before an answer.
    Refuse,
    /// 429 with Retry-After.
    Throttle,
}

/// A fault as it is asked for, with whatever was written for its numbers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    fault: Kind,
    wire: Option<Wire>,
    calls: Option<Value>,
    seconds: Option<Value>,
    retry_after: Option<Value>,
}

/// What one call suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Which kind.
    pub kind: Kind,
    /// What it is told if it is throttled.
    pub retry_after_seconds: u32,
}

/// The fault of the moment.
pub(super) struct Faults {
    clock: Clock,
    current: Mutex<Option<Active>>,
}

struct Active {
    kind: Kind,
    /// Only there; on every wire when left out.
    wire: Option<Wire>,
    /// For so many calls more.
    calls_left: Option<u32>,
    /// For so long.
    seconds: Option<u32>,
    /// What throttled calls are told.
    retry_after_seconds: u32,
    since: Stopwatch,
}

impl Faults {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            current: Mutex::default(),
        }
    }

    /// Begins a fault in the place of the one before; an error says what to write.
    pub fn set(&self, body: &[u8]) -> Result<(), String> {
        let wish: Wish = serde_json::from_slice(body)
            .map_err(|wrong| format!("write JSON such as {{\"fault\":\"hang\",\"calls\":5}}: {wrong}"))?;
        let retry_after = within(
            "retry_after",
            wish.retry_after.as_ref(),
            &RETRY_AFTER_SECONDS_RANGE,
        )?;
        let active = Active {
            kind: wish.fault,
            wire: wish.wire,
            calls_left: within("calls", wish.calls.as_ref(), &CALLS)?,
            seconds: within("seconds", wish.seconds.as_ref(), &SECONDS)?,
            retry_after_seconds: retry_after.unwrap_or(RETRY_AFTER_SECONDS),
            since: self.clock.stopwatch(),
        };
        *self.current() = Some(active);
        Ok(())
    }

    /// Takes the fault back.
    pub fn clear(&self) {
        *self.current() = None;
    }

    /// What the next call on that wire suffers; counts it.
    pub fn next(&self, wire: Wire) -> Option<Fault> {
        let mut current = self.current();
        let active = current.as_mut()?;
        if active.wire.is_some_and(|only| only != wire) {
            return None;
        }
        if let Some(left) = &mut active.calls_left {
            *left = left.saturating_sub(1);
        }
        let fault = Fault {
            kind: active.kind,
            retry_after_seconds: active.retry_after_seconds,
        };
        if active.calls_left == Some(0) {
            *current = None;
        }
        Some(fault)
    }

    /// The fault of the moment, and what is left of it.
    pub fn view(&self) -> Value {
        let current = self.current();
        let Some(active) = current.as_ref() else {
            return json!({"fault": null});
        };
        let seconds = active.seconds.map(|seconds| {
            let limit = Duration::from_secs(seconds.into());
            limit.saturating_sub(active.since.passed()).as_secs()
        });
        json!({
            "fault": active.kind,
            "wire": active.wire,
            "calls_left": active.calls_left,
            "seconds_left": seconds,
            "retry_after": active.retry_after_seconds,
        })
    }

    /// The fault of the moment, gone if its time is over.
    fn current(&self) -> std::sync::MutexGuard<'_, Option<Active>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |active: &Active| {
            let seconds = active.seconds;
            seconds.is_some_and(|seconds| active.since.passed() >= Duration::from_secs(seconds.into()))
        };
        if current.as_ref().is_some_and(over) {
            *current = None;
        }
        current
    }
}

fn within(name: &str, written: Option<&Value>, range: &RangeInclusive<u32>) -> Result<Option<u32>, String> {
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

    fn faults() -> Faults {
        Faults::new(Clock::manual(crate::clock::from_millis(0)))
    }

    fn kind(faults: &Faults, wire: Wire) -> Option<Kind> {
        faults.next(wire).map(|fault| fault.kind)
    }

    #[test]
    fn a_fault_lasts_for_so_many_calls_of_its_wire() {
        let faults = faults();
        faults
            .set(br#"{"fault":"hang","calls":2,"wire":"twilio"}"#)
            .unwrap();
        assert_eq!(kind(&faults, Wire::Simple), None);
        assert_eq!(kind(&faults, Wire::Twilio), Some(Kind::Hang));
        assert_eq!(faults.view()["calls_left"], 1);
        assert_eq!(kind(&faults, Wire::Twilio), Some(Kind::Hang));
        assert_eq!(kind(&faults, Wire::Twilio), None);
        assert_eq!(faults.view(), json!({"fault": null}));
    }

    #[test]
    fn a_fault_lasts_for_so_long_or_until_it_is_taken_back() {
        let faults = faults();
        faults
            .set(br#"{"fault":"throttle","seconds":30,"retry_after":7}"#)
            .unwrap();
        let fault = faults.next(Wire::Texting).unwrap();
        assert_eq!((fault.kind, fault.retry_after_seconds), (Kind::Throttle, 7));
        faults.clock.advance(Duration::from_secs(29));
        assert_eq!(faults.view()["seconds_left"], 1);
        faults.clock.advance(Duration::from_secs(1));
        assert_eq!(kind(&faults, Wire::Texting), None);
        faults.set(br#"{"fault":"slow"}"#).unwrap();
        assert_eq!(kind(&faults, Wire::Texting), Some(Kind::Slow));
        faults.clear();
        assert_eq!(kind(&faults, Wire::Texting), None);
    }

    #[test]
    fn what_is_no_fault_is_refused_and_the_one_before_stays() {
        let faults = faults();
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
        assert_eq!(kind(&faults, Wire::Simple), Some(Kind::Garbage));
    }
}
