//! Detects an unresponsive provider: calls in flight and no recent response.
//!
//! A call that ends without a response does not count as a response.

use postrider_core::clock::{Clock, Stopwatch};
use std::time::Duration;

use parking_lot::Mutex;

/// Time without a response after which a provider with calls in flight is unresponsive.
const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(1);

/// Calls in flight to one provider.
#[derive(Default)]
pub struct ResponseTimes {
    calls_in_flight: Mutex<CallsInFlight>,
}

#[derive(Default)]
struct CallsInFlight {
    count: usize,
    /// Time of the last response; the start of the first call in flight, if there was no response yet.
    last_response: Option<Stopwatch>,
}

/// A call in flight; ends when dropped.
pub struct CallGuard<'a> {
    response_times: &'a ResponseTimes,
}

impl ResponseTimes {
    /// Starts a call.
    pub fn start_call(&self, clock: &Clock) -> CallGuard<'_> {
        let mut calls = self.calls_in_flight.lock();
        if calls.count == 0 {
            calls.last_response = Some(clock.stopwatch());
        }
        calls.count += 1;
        CallGuard { response_times: self }
    }

    /// Records a response.
    pub fn record_response(&self, clock: &Clock) {
        self.calls_in_flight.lock().last_response = Some(clock.stopwatch());
    }

    /// Returns whether the provider is unresponsive: calls are in flight and the last response is at least 1 s old.
    pub fn is_unresponsive(&self) -> bool {
        let calls = self.calls_in_flight.lock();
        let last_response = calls.last_response.as_ref().filter(|_| calls.count > 0);
        last_response.is_some_and(|last_response| last_response.elapsed() >= UNRESPONSIVE_AFTER)
    }
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.response_times.calls_in_flight.lock().count -= 1;
    }
}

#[cfg(test)]
mod tests;
