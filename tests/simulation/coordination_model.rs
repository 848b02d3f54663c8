//! What hosts must agree on, as the store told them: how fast providers are asked, who makes a probe, whose turn it is.
//!
//! Every answer of the store is checked here at the moment it is given, before it can be lost on its way.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use postrider_core::circuit_breaker::CircuitState;
use postrider_core::clock::Timestamp;
use postrider_core::job::JobLockResult;
use postrider_core::rate_limit::RateLimitRequest;
use postrider_core::shared_health::SharedHealth;
use postrider_store::{ProbeDecision, RatePermit};

/// A question so much older than the latest one makes the store forget what it has counted: that clock was wrong.
const CLOCK_RESET_MIN: Duration = Duration::from_secs(60);

/// What was told so far.
#[derive(Default)]
pub struct CoordinationModel {
    /// When parts were let go to a provider, by the latest time that was heard of.
    rate_grants: BTreeMap<String, Vec<(Timestamp, u32)>>,
    /// Since when somebody probes a provider.
    probes_started: BTreeMap<String, Timestamp>,
    /// Who has the turn of a piece of work, until when, and whether it is done.
    job_locks: BTreeMap<&'static str, (String, Timestamp, bool)>,
}

impl CoordinationModel {
    /// No stretch of the time that the store has heard of saw more parts than the rate allows for it, however far the
    /// clocks of those who ask are apart and however late their questions come.
    pub fn check_rate_grants(&mut self, wish: &RateLimitRequest, passages: &[RatePermit], now: Timestamp) {
        let passed = self.rate_grants.entry(wish.provider.to_string()).or_default();
        let latest = passed.last().map_or(now, |(latest, _)| *latest);
        if latest - now > TimeDelta::from_std(CLOCK_RESET_MIN).unwrap() {
            passed.clear();
        }
        let counted = passed.last().map_or(now, |(latest, _)| now.max(*latest));
        let gone = wish
            .parts
            .iter()
            .zip(passages)
            .filter(|(_, passage)| passage.is_ok());
        passed.push((counted, gone.map(|(parts, _)| parts).sum()));
        let mut parts = 0;
        for (since, some) in passed.iter().rev() {
            parts += some;
            let most = wish.rate.max(1.0) + wish.rate * (counted - *since).as_seconds_f64();
            assert!(
                f64::from(parts) <= most + 0.01,
                "{parts} parts went to {} since {since}, by {counted} only {most} may",
                wish.provider
            );
        }
    }

    /// Of all who ask, one makes the probe, and another only when nothing is heard of him for long enough.
    pub fn check_probe(&mut self, provider: &str, probe: &ProbeDecision, patience: Duration, now: Timestamp) {
        if let ProbeDecision::Granted(_) = probe {
            let earlier = self.probes_started.insert(provider.to_owned(), now);
            assert!(
                earlier.is_none_or(|earlier| earlier + patience <= now),
                "{provider} is probed by two at once, since {earlier:?} and {now}"
            );
        }
    }

    /// A probe that is told of is over.
    pub fn end_probes(&mut self, known: &[SharedHealth]) {
        for known in known {
            if !matches!(known.circuit, CircuitState::HalfOpen { .. }) {
                self.probes_started.remove(known.provider.as_str());
            }
        }
    }

    /// Nobody gets a turn that another still has.
    pub fn check_lock_acquired(
        &mut self,
        work: &'static str,
        holder: &str,
        turn: &JobLockResult,
        now: Timestamp,
        hold: Duration,
    ) {
        if let JobLockResult::Acquired = turn {
            let earlier = self
                .job_locks
                .insert(work, (holder.to_owned(), now + hold, false));
            if let Some((other, ends_at, _)) = earlier {
                // An end so far away can only come from a clock that was wrong.
                let is_over = ends_at <= now || ends_at > now + hold * 2;
                assert!(
                    is_over,
                    "{holder} took the turn of {work} that {other} has until {ends_at}"
                );
            }
        }
    }

    /// Only who has a turn can move its end.
    pub fn check_lock_renewed(
        &mut self,
        work: &'static str,
        holder: &str,
        ends_at: Timestamp,
        renewed: bool,
    ) {
        let turn = self.job_locks.get_mut(work).filter(|turn| turn.0 == holder);
        assert!(
            turn.is_some() || !renewed,
            "{holder} renewed a turn of {work} it has not"
        );
        if let Some(turn) = turn.filter(|_| renewed) {
            turn.1 = ends_at;
        }
    }

    /// Whose turn it is may say that the work is done.
    pub fn check_lock_released(&mut self, work: &'static str, holder: &str, ends_at: Timestamp) {
        if let Some(turn) = self
            .job_locks
            .get_mut(work)
            .filter(|turn| turn.0 == holder && !turn.2)
        {
            (turn.1, turn.2) = (ends_at, true);
        }
    }
}
