//! A lane: one provider with its health, its pace and its calls in flight.
//!
//! The lane decides whether its provider can be asked now and remembers what came of it. It knows nothing of
//! deliveries or states, and one lane never waits for another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use crate::clock::{Clock, Timestamp};
use crate::config::ProviderConfig;
use crate::domain::attempt::{Answer, Attempt, Outcome};
use crate::domain::channel::Name;
use crate::domain::health::{Admission, Health, Standing};
use crate::domain::retry::later;
use crate::domain::throttle::Pace;
use crate::metrics::Metrics;
use crate::provider::{Parcel, Provider};

/// How soon to look again when every place of a provider is taken.
const FULL_RETRY: Duration = Duration::from_millis(250);

/// How soon to look again when a provider is out of the rotation until the next start.
const OUT_RETRY: Duration = Duration::from_secs(60);

/// Why a provider is not asked at all.
const OUT: &str = "is out of the rotation: its settings are wrong";

/// How long a provider that said "too fast" without a time is left alone.
const THROTTLED_RETRY: Duration = Duration::from_secs(1);

/// What an adapter may take beyond its own time limits before it is cut off.
const TIME_LIMIT_MARGIN: Duration = Duration::from_secs(1);

/// A provider on its way through the day.
pub struct Lane {
    /// Its name in the configuration.
    pub name: Name,
    /// The adapter.
    pub provider: Arc<dyn Provider>,
    /// Calls in flight at most.
    pub concurrency: usize,
    /// Message parts a second at most.
    pub rate: Option<f64>,
    time_limit: Duration,
    health: Mutex<Health>,
    pace: Mutex<Pace>,
    in_flight: AtomicUsize,
    counters: [Counter; Outcome::WORDS.len()],
    durations: Histogram,
}

/// Why a provider cannot be asked now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// When it is worth asking again.
    pub retry_after: Duration,
    /// In words for the operator.
    pub reason: String,
}

/// How a lane stands, for pages and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneView {
    /// Its health in a word.
    pub health: &'static str,
    /// What the health means now, in words.
    pub detail: String,
    /// Whether it can be asked.
    pub open: bool,
    /// Calls in flight.
    pub in_flight: usize,
}

/// A place among the calls in flight; given back when dropped.
pub struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lane {
    /// A healthy lane for a provider.
    pub fn new(config: &ProviderConfig, provider: Arc<dyn Provider>, metrics: &Metrics) -> Self {
        let name = config.name.as_str();
        metrics.provider_open(name, true);
        Self {
            name: config.name.clone(),
            provider,
            concurrency: config.concurrency,
            rate: config.rate,
            time_limit: config.timeout + TIME_LIMIT_MARGIN,
            health: Mutex::new(Health::new(config.rest_after, config.rest_for)),
            pace: Mutex::new(Pace::new(config.rate)),
            in_flight: AtomicUsize::new(0),
            counters: Outcome::WORDS.map(|word| metrics.attempts(name, word)),
            durations: metrics.durations(name),
        }
    }

    /// Calls in flight now.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Whether it may be worth asking at `now`; [`Lane::enter`] has the last word.
    pub fn is_fit(&self, now: Timestamp) -> bool {
        self.health().is_fit(now) && self.pace().paused_until(now).is_none()
    }

    /// Takes a place for a call with so many parts, or says why there is none.
    pub fn enter(&self, parts: u32, now: Timestamp) -> Result<Place<'_>, Busy> {
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= self.concurrency {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
            return Err(self.busy(FULL_RETRY, "has all its calls in flight"));
        }
        let place = Place(&self.in_flight);
        if !self.health().is_fit(now) {
            return Err(self.unfit(now));
        }
        self.pace()
            .take(parts, now)
            .map_err(|wait| self.busy(wait, "is at its rate limit"))?;
        match self.health().admit(now) {
            Admission::Open | Admission::Probe => Ok(place),
            Admission::Resting { until } => Err(self.resting(until, now)),
            Admission::Out => Err(self.busy(OUT_RETRY, OUT)),
        }
    }

    /// Why it is not fit at `now`.
    pub fn unfit(&self, now: Timestamp) -> Busy {
        if let Some(until) = self.pace().paused_until(now) {
            let wait = (until - now).to_std().unwrap_or_default();
            return self.busy(wait, "asked us to slow down");
        }
        match self.health().standing() {
            Standing::Resting { until } => self.resting(until, now),
            Standing::Well | Standing::Probing => self.busy(FULL_RETRY, "is finding out whether it is back"),
            Standing::Out { .. } => self.busy(OUT_RETRY, OUT),
        }
    }

    fn resting(&self, until: Timestamp, now: Timestamp) -> Busy {
        let wait = (until - now)
            .to_std()
            .unwrap_or_default()
            .max(Duration::from_millis(10));
        self.busy(wait, "rests after failures")
    }

    fn busy(&self, retry_after: Duration, reason: &str) -> Busy {
        Busy {
            retry_after,
            reason: format!("{} {reason}", self.name),
        }
    }

    /// Calls the provider and remembers what came of it. Never takes longer than the provider's time limits.
    pub async fn call(&self, _place: Place<'_>, parcel: &Parcel, clock: &Clock) -> Attempt {
        let (at, watch) = (clock.now(), clock.stopwatch());
        let answer = match tokio::time::timeout(self.time_limit, self.provider.send(parcel)).await {
            Ok(answer) => answer,
            Err(_) => Answer::from(Outcome::Unknown {
                reason: "no answer within the time limit".to_owned(),
            }),
        };
        let duration = watch.passed();
        self.remember(&answer, at + duration);
        self.durations.observe(duration.as_secs_f64());
        Attempt {
            provider: Some(self.name.clone()),
            outcome: answer.outcome,
            code: answer.code,
            at,
            duration,
        }
    }

    /// A provider's own words stay out of the log: many repeat the request, and with it the number and the body.
    pub(super) fn remember(&self, answer: &Answer, now: Timestamp) {
        let outcome = &answer.outcome;
        if let Some(counter) = Outcome::WORDS.iter().position(|word| *word == outcome.word()) {
            self.counters[counter].inc();
        }
        match outcome {
            Outcome::Accepted { .. }
            | Outcome::Deferred { .. }
            | Outcome::Rejected { .. }
            | Outcome::InvalidRecipient { .. } => self.health().succeeded(),
            Outcome::Unavailable { .. } | Outcome::Unknown { .. } => self.health().failed(now),
            Outcome::Throttled { retry_after } => {
                self.pace()
                    .pause(later(now, retry_after.unwrap_or(THROTTLED_RETRY)));
            }
            Outcome::Misconfigured { reason } => {
                let mut health = self.health();
                if health.admit(now) != Admission::Out {
                    log::error!(
                        "{} is out of the rotation until the next start: it refuses our account or settings ({}); \
                         `console status` has its words",
                        self.name,
                        answer.code.as_deref().unwrap_or("no code")
                    );
                }
                health.misconfigured(reason.as_str());
            }
        }
    }

    /// Counts a receipt that said "not delivered" against the provider.
    pub fn bounced(&self, now: Timestamp) {
        self.health().failed(now);
    }

    /// How it stands at `now`.
    pub fn view(&self, now: Timestamp) -> LaneView {
        let standing = self.health().standing();
        LaneView {
            health: standing.word(),
            detail: standing.words(),
            open: self.is_fit(now),
            in_flight: self.in_flight(),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
