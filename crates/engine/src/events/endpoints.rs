//! In-memory state of webhook endpoints: calls in flight and backoff.
//!
//! Only endpoints with calls in flight or failures are tracked. A restart loses the state, which costs a few failing
//! calls.

use postrider_core::clock::{Timestamp, saturating_add};
use std::{collections::HashMap, time::Duration};

/// Number of consecutive failures after which an endpoint is backed off and gets one call at a time until a call
/// succeeds.
const FAILURES_BEFORE_BACKOFF: u32 = 3;

/// First backoff of a failing endpoint.
const ENDPOINT_BACKOFF_MIN: Duration = Duration::from_secs(5);

/// Maximum backoff of a failing endpoint.
const ENDPOINT_BACKOFF_MAX: Duration = Duration::from_secs(5 * 60);

/// Maximum number of tracked endpoints.
const ENDPOINTS_TRACKED_MAX: usize = 10_000;

/// Result of a call, for the backoff of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointResult {
    /// The endpoint took the event, or the event is final.
    Success,
    /// The endpoint failed. Contains the delay that the endpoint asked for.
    Failure(Option<Duration>),
}

/// Endpoints with calls in flight or failures.
pub struct EndpointTable {
    concurrency_per_endpoint: usize,
    slots: usize,
    in_use: usize,
    endpoints: HashMap<String, EndpointState>,
}

#[derive(Default)]
struct EndpointState {
    in_flight: usize,
    failures: u32,
    backoff_until: Option<Timestamp>,
}

impl EndpointTable {
    /// Creates an empty table with a maximum of calls in flight per endpoint and in total.
    pub fn new(concurrency_per_endpoint: usize, slots: usize) -> Self {
        Self { concurrency_per_endpoint, slots, in_use: 0, endpoints: HashMap::new() }
    }

    /// Returns the number of events that each endpoint can take now, without endpoints that can take no event.
    /// The second half of all slots is reserved for endpoints without calls in flight.
    pub fn capacities(
        &self,
        endpoint_names: impl Iterator<Item = String>,
        now: Timestamp,
    ) -> Vec<(String, usize)> {
        let mut free_slots = self.slots.saturating_sub(self.in_use);
        let mut capacities = Vec::new();
        for endpoint_name in endpoint_names {
            let (capacity, in_flight) =
                self.endpoints.get(&endpoint_name).map_or((self.concurrency_per_endpoint, 0), |endpoint| {
                    (endpoint.capacity(self.concurrency_per_endpoint, now), endpoint.in_flight)
                });
            let unreserved_slots = free_slots.saturating_sub(self.slots / 2);
            let slot_limit = if in_flight == 0 { unreserved_slots.max(1) } else { unreserved_slots };
            let capacity = capacity.min(slot_limit).min(free_slots);
            if capacity > 0 {
                free_slots -= capacity;
                capacities.push((endpoint_name, capacity));
            }
        }
        capacities
    }

    /// Records the start of a call.
    pub fn begin_attempt(&mut self, endpoint_name: &str) {
        if self.endpoints.len() >= ENDPOINTS_TRACKED_MAX {
            self.endpoints.retain(|_, endpoint| endpoint.in_flight > 0);
        }
        self.in_use += 1;
        self.endpoints.entry(endpoint_name.to_owned()).or_default().in_flight += 1;
    }

    /// Records the result of a call; returns whether the endpoint failed too rarely for a backoff.
    pub fn finish_attempt(&mut self, endpoint_name: &str, result: EndpointResult, now: Timestamp) -> bool {
        self.in_use = self.in_use.saturating_sub(1);
        let endpoint = self.endpoints.entry(endpoint_name.to_owned()).or_default();
        endpoint.in_flight = endpoint.in_flight.saturating_sub(1);
        match result {
            EndpointResult::Success => {
                endpoint.failures = 0;
                endpoint.backoff_until = None;
            }
            EndpointResult::Failure(retry_after) => {
                endpoint.failures = endpoint.failures.saturating_add(1);
                let backoff = retry_after.or_else(|| endpoint.backoff());
                if let Some(backoff) = backoff {
                    endpoint.backoff_until = Some(saturating_add(now, backoff.min(ENDPOINT_BACKOFF_MAX)));
                }
            }
        }
        let is_healthy = endpoint.failures < FAILURES_BEFORE_BACKOFF;
        if endpoint.failures == 0 && endpoint.in_flight == 0 {
            self.endpoints.remove(endpoint_name);
        }
        is_healthy
    }
}

impl EndpointState {
    fn capacity(&self, call_limit: usize, now: Timestamp) -> usize {
        if self.backoff_until.is_some_and(|until| now < until) {
            return 0;
        }
        let call_limit = if self.failures < FAILURES_BEFORE_BACKOFF { call_limit } else { 1 };
        call_limit.saturating_sub(self.in_flight)
    }

    fn backoff(&self) -> Option<Duration> {
        let doublings = self.failures.checked_sub(FAILURES_BEFORE_BACKOFF)?.min(10);
        Some(ENDPOINT_BACKOFF_MIN * 2_u32.saturating_pow(doublings))
    }
}

#[cfg(test)]
mod tests;
