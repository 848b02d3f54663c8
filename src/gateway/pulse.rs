//! Whether a provider answers: how long those who called it have been waiting without a word to anybody.
//!
//! Counts and measures only. A call that ends without an answer is no word.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Stopwatch};

/// A provider with calls in flight that has answered nobody for so long may hang.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// The calls to one provider.
#[derive(Default)]
pub struct Pulse(Mutex<Calls>);

#[derive(Default)]
struct Calls {
    count: usize,
    /// Since the last answer, or since the first of these calls.
    heard: Option<Stopwatch>,
}

/// A call in flight; it ends when dropped.
pub struct Beat<'a>(&'a Pulse);

impl Pulse {
    /// A call begins.
    pub fn begin(&self, clock: &Clock) -> Beat<'_> {
        let mut calls = self.calls();
        if calls.count == 0 {
            calls.heard = Some(clock.stopwatch());
        }
        calls.count += 1;
        Beat(self)
    }

    /// The provider answered somebody.
    pub fn heard(&self, clock: &Clock) {
        self.calls().heard = Some(clock.stopwatch());
    }

    /// Whether it may hang.
    pub fn is_silent(&self) -> bool {
        let calls = self.calls();
        let heard = calls.heard.as_ref().filter(|_| calls.count > 0);
        heard.is_some_and(|heard| heard.passed() >= SILENT_AFTER)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Beat<'_> {
    fn drop(&mut self) {
        self.0.calls().count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn who_has_calls_in_flight_and_answers_nobody_is_silent() {
        let clock = Clock::manual(from_millis(0));
        let pulse = Pulse::default();
        assert!(!pulse.is_silent(), "nobody asked");
        let first = pulse.begin(&clock);
        clock.advance(SILENT_AFTER / 2);
        let second = pulse.begin(&clock);
        clock.advance(SILENT_AFTER / 2);
        assert!(pulse.is_silent());
        drop(first);
        assert!(pulse.is_silent(), "a call that was given up is no answer");
        pulse.heard(&clock);
        assert!(!pulse.is_silent());
        clock.advance(SILENT_AFTER);
        assert!(pulse.is_silent());
        drop(second);
        assert!(!pulse.is_silent(), "nobody waits");
        let _third = pulse.begin(&clock);
        assert!(!pulse.is_silent(), "it was only asked now");
    }
}
