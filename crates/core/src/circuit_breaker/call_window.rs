//! Counts the successes and failures of the latest calls.
//!
//! The window covers a time, because with a fixed number of calls one bad moment of a busy provider would open the
//! circuit. The window also covers a minimum number of calls, so that a provider with one call a minute is judged too.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

/// Length of the window: 10 s in slices of 1 s, as in Hystrix. A provider that fails completely is found after half of
/// that time at the latest, and a disturbance of two seconds does not stop it.
const WINDOW_SLICES_MAX: i64 = 10;

/// The window covers at least this many calls, however old they are.
const WINDOW_CALLS_MIN: u32 = 10;

/// The calls of one second.
#[derive(Clone, Copy, Debug)]
struct WindowSlice {
    second: i64,
    successes: u32,
    failures: u32,
}

/// The results of the latest calls.
#[derive(Clone, Debug, Default)]
pub(super) struct CallWindow {
    slices: VecDeque<WindowSlice>,
}

impl CallWindow {
    /// Counts a call.
    pub fn record(&mut self, is_success: bool, now: DateTime<Utc>) {
        let second = now.timestamp();
        // If the clock steps back, the call counts in the newest slice.
        if self.slices.back().is_none_or(|newest| newest.second < second) {
            self.slices.push_back(WindowSlice { second, successes: 0, failures: 0 });
        }
        if let Some(newest) = self.slices.back_mut() {
            let count = if is_success { &mut newest.successes } else { &mut newest.failures };
            *count = count.saturating_add(1);
        }
        self.drop_old_slices(now);
    }

    /// Returns whether at least `failures_min` calls failed and these are at least half of all calls.
    pub fn is_failing(&self, failures_min: u32) -> bool {
        let (successes, failures) = self.totals();
        failures >= failures_min && failures >= successes
    }

    /// Forgets all calls.
    pub fn clear(&mut self) {
        self.slices.clear();
    }

    fn totals(&self) -> (u32, u32) {
        self.slices.iter().fold((0_u32, 0_u32), |(successes, failures), slice| {
            (successes.saturating_add(slice.successes), failures.saturating_add(slice.failures))
        })
    }

    fn drop_old_slices(&mut self, now: DateTime<Utc>) {
        let oldest_second = (now - TimeDelta::seconds(WINDOW_SLICES_MAX)).timestamp();
        let (successes, failures) = self.totals();
        let mut calls = successes.saturating_add(failures);
        while let Some(oldest) = self.slices.front() {
            let calls_after = calls.saturating_sub(oldest.successes.saturating_add(oldest.failures));
            if oldest.second > oldest_second || calls_after < WINDOW_CALLS_MIN {
                break;
            }
            calls = calls_after;
            self.slices.pop_front();
        }
    }
}
