//! Checks of the coordination between hosts: rate limits of providers, probes and job locks.
//!
//! Each result of the store is checked at the time of the call, before the simulated connection can lose it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use postrider_core::circuit_breaker::CircuitState;
use postrider_core::clock::Timestamp;
use postrider_core::job::JobLockResult;
use postrider_core::rate_limit::RateLimitRequest;
use postrider_core::shared_health::SharedHealth;
use postrider_store::{ProbeDecision, RatePermit};

/// A request whose time is so much earlier than the latest one resets the limiter of the store: that clock was wrong.
const CLOCK_RESET_MIN: Duration = Duration::from_secs(60);

/// The results of the store so far.
#[derive(Default)]
pub struct CoordinationModel {
    /// Granted parts by provider, each with the latest time that any request had by then.
    rate_grants: BTreeMap<String, Vec<(Timestamp, u32)>>,
    /// Start time of the running probe, by provider.
    probes_started: BTreeMap<String, Timestamp>,
    job_locks: BTreeMap<&'static str, HeldJobLock>,
}

/// The latest holder of a job lock.
struct HeldJobLock {
    holder: String,
    ends_at: Timestamp,
    is_released: bool,
}

impl CoordinationModel {
    /// Checks that no time span had more granted parts than the rate allows, for any clock skew of the hosts and any
    /// delay of their requests.
    pub fn check_rate_grants(&mut self, request: &RateLimitRequest, permits: &[RatePermit], now: Timestamp) {
        let grants = self.rate_grants.entry(request.provider.to_string()).or_default();
        let latest = grants.last().map_or(now, |(latest, _)| *latest);
        if latest - now > TimeDelta::from_std(CLOCK_RESET_MIN).unwrap() {
            grants.clear();
        }
        let counted = grants.last().map_or(now, |(latest, _)| now.max(*latest));
        let granted = request.parts.iter().zip(permits).filter(|(_, permit)| permit.is_ok());
        grants.push((counted, granted.map(|(parts, _)| parts).sum()));
        let mut parts = 0;
        for (since, granted) in grants.iter().rev() {
            parts += granted;
            // A full bucket has a reserve of less than one part, and a message is sent whole.
            let parts_max = f64::from(request.parts.iter().copied().max().unwrap_or(1).max(*granted));
            let allowed = request.burst + parts_max + request.rate * (counted - *since).as_seconds_f64();
            assert!(
                f64::from(parts) <= allowed + 0.01,
                "{parts} parts granted for {} from {since} to {counted}, allowed: {allowed}",
                request.provider
            );
        }
    }

    /// Checks that at most one host probes a provider, and another one only after `timeout` without a report.
    pub fn check_probe(&mut self, provider: &str, probe: &ProbeDecision, timeout: Duration, now: Timestamp) {
        if let ProbeDecision::Granted(_) = probe {
            let earlier = self.probes_started.insert(provider.to_owned(), now);
            assert!(
                earlier.is_none_or(|earlier| earlier + timeout <= now),
                "two probes of {provider} at once, since {earlier:?} and {now}"
            );
        }
    }

    /// Ends the probes of providers whose circuit breaker is no longer half open.
    pub fn end_probes(&mut self, shared: &[SharedHealth]) {
        for health in shared {
            if !matches!(health.circuit, CircuitState::HalfOpen { .. }) {
                self.probes_started.remove(health.provider.as_str());
            }
        }
    }

    /// Checks that no host acquires a lock that another host still holds.
    pub fn check_lock_acquired(
        &mut self,
        job: &'static str,
        holder: &str,
        lock: &JobLockResult,
        now: Timestamp,
        lease: Duration,
    ) {
        if let JobLockResult::Acquired = lock {
            let acquired =
                HeldJobLock { holder: holder.to_owned(), ends_at: now + lease, is_released: false };
            if let Some(earlier) = self.job_locks.insert(job, acquired) {
                let (other, ends_at) = (earlier.holder, earlier.ends_at);
                // An end so far in the future was set by a host with a wrong clock.
                let is_over = ends_at <= now || ends_at > now + lease * 2;
                assert!(is_over, "{holder} acquired the lock of {job} that {other} holds until {ends_at}");
            }
        }
    }

    /// Checks that only the holder of a lock renews it.
    pub fn check_lock_renewed(&mut self, job: &'static str, holder: &str, ends_at: Timestamp, renewed: bool) {
        let lock = self.job_locks.get_mut(job).filter(|lock| lock.holder == holder);
        assert!(lock.is_some() || !renewed, "{holder} renewed the lock of {job} without holding it");
        if let Some(lock) = lock.filter(|_| renewed) {
            lock.ends_at = ends_at;
        }
    }

    /// Moves the end of the lock when its holder releases it.
    pub fn check_lock_released(&mut self, job: &'static str, holder: &str, ends_at: Timestamp) {
        if let Some(lock) =
            self.job_locks.get_mut(job).filter(|lock| lock.holder == holder && !lock.is_released)
        {
            (lock.ends_at, lock.is_released) = (ends_at, true);
        }
    }
}
