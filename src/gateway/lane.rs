//! A lane: one provider with its health, its pace and its calls in flight.
//!
//! The lane decides whether its provider can be asked now and remembers what came of it. It knows nothing of
//! deliveries or states, and one lane never waits for another. A lane without a rate whose provider is well asks
//! nobody.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::Notify;

use super::judged::Judged;
use super::pulse::Pulse;
use crate::clock::{Clock, Timestamp};
use crate::config::ProviderConfig;
use crate::domain::attempt::{Answer, Attempt, Outcome};
use crate::domain::channel::Name;
use crate::domain::fleet::{Known, Learned, News, PAUSE_MAX};
use crate::domain::health::{Admission, Health, Standing};
use crate::domain::order::Order;
use crate::domain::retry::later;
use crate::domain::throttle::PaceWish;
use crate::metrics::Metrics;
use crate::provider::{Parcel, Provider};
use crate::store::{Probe, Store};

/// How soon to look again when every place of a provider is taken.
const FULL_RETRY: Duration = Duration::from_millis(250);

/// How soon to look again when a provider is out of the rotation until the next start.
const OUT_RETRY: Duration = Duration::from_secs(60);

/// How soon to look again at a provider that may be back, and how much later is as well: a call can take long, and not
/// all who wait for it need to come at once.
const PROBING_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(1));

/// How soon to look again when the store could not be asked.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Why a provider is not asked for a moment.
const PROBING: &str = "is finding out whether it is back";

/// Why a provider is not asked at all.
const OUT: &str = "is out of the rotation: its settings are wrong";

/// How soon to look again at a provider that an operator put to rest, and how much later is as well.
const RESTED_RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

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
    /// Message parts a second at most, of all processes together.
    pub rate: Option<f64>,
    /// What a call may take at most.
    pub time_limit: Duration,
    judged: Mutex<Judged>,
    ties: Ties,
    in_flight: AtomicUsize,
    pulse: Pulse,
    held_back: Counter,
    /// Calls in flight at most while it is silent, as the worker's places are shared now.
    ceiling: AtomicUsize,
    counters: [Counter; Outcome::WORDS.len()],
    durations: Histogram,
    calls: AtomicU64,
    micros: AtomicU64,
}

/// What ties the lanes of this process to those of others.
#[derive(Clone)]
pub struct Ties {
    /// The truth, which they share.
    pub store: Arc<dyn Store>,
    /// Told when there is something to tell.
    pub news: Arc<Notify>,
    /// When this process read its configuration.
    pub loaded_at: Timestamp,
}

/// Why a provider cannot be asked now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// When it is worth asking again.
    pub retry_after: Duration,
    /// So much later is as well, where nobody knows exactly.
    pub spread: Duration,
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
    /// Whether an operator put it to rest.
    pub put_to_rest: bool,
}

impl LaneView {
    /// Whether to wake it would change anything. A pause that the provider asked for is no rest.
    pub fn can_be_woken(&self) -> bool {
        self.health != Standing::Well.word()
    }
}

/// A place among the calls in flight; given back when dropped.
pub struct Place<'a> {
    in_flight: &'a AtomicUsize,
    /// Its call finds out whether the provider is back.
    is_probe: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lane {
    /// A healthy lane for a provider.
    pub fn new(config: &ProviderConfig, provider: Arc<dyn Provider>, metrics: &Metrics, ties: Ties) -> Self {
        let name = config.name.as_str();
        metrics.provider_open(name, true, 0);
        Self {
            name: config.name.clone(),
            provider,
            concurrency: config.concurrency,
            rate: config.rate,
            time_limit: config.timeout + TIME_LIMIT_MARGIN,
            judged: Mutex::new(Judged::new(Health::new(config.rest_after, config.rest_for))),
            held_back: metrics.held_back(name),
            ties,
            in_flight: AtomicUsize::new(0),
            pulse: Pulse::default(),
            ceiling: AtomicUsize::new(usize::MAX),
            counters: Outcome::WORDS.map(|word| metrics.attempts(name, word)),
            durations: metrics.durations(name),
            calls: AtomicU64::new(0),
            micros: AtomicU64::new(0),
        }
    }

    /// How many calls were made so far, and how long they took together.
    pub fn spent(&self) -> (u64, Duration) {
        let micros = self.micros.load(Ordering::Relaxed);
        (self.calls.load(Ordering::Relaxed), Duration::from_micros(micros))
    }

    /// Calls in flight now.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Whether it has calls in flight and has answered none for a while.
    pub fn is_silent(&self) -> bool {
        self.pulse.is_silent()
    }

    /// Keeps it, while it is silent, from holding so many of the worker's places that others would have to wait for it.
    pub fn set_ceiling(&self, calls: usize) {
        self.ceiling.store(calls, Ordering::Release);
    }

    /// Whether it may be worth asking at `now`; [`Lane::enter`] has the last word.
    pub fn is_fit(&self, now: Timestamp) -> bool {
        self.judged().is_fit(now)
    }

    /// Whether nobody can say when it may be asked again: somebody is finding out if it is back, and nobody else is to ask
    /// it at `now`, or an operator put it to rest.
    pub fn is_awaited(&self, now: Timestamp) -> bool {
        let judged = self.judged();
        let is_probed = !judged.is_fit(now) && judged.health.standing() == Standing::Probing;
        is_probed || judged.put_to_rest().is_some()
    }

    /// Takes a place for a call with so many parts, or says why there is none.
    pub async fn enter(&self, parts: u32, now: Timestamp) -> Result<Place<'_>, Busy> {
        let most = self.most_in_flight();
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= most {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
            return Err(self.busy(FULL_RETRY, "has all its calls in flight"));
        }
        let mut place = Place {
            in_flight: &self.in_flight,
            is_probe: false,
        };
        if !self.is_fit(now) {
            return Err(self.unfit(now));
        }
        if let Some(rate) = self.rate {
            self.keep_pace(rate, parts, now).await?;
        }
        let admission = self.judged().health.admit(now);
        match admission {
            Admission::Open => Ok(place),
            Admission::Probe => {
                self.probe(now).await?;
                place.is_probe = self.judged().health.standing() == Standing::Probing;
                Ok(place)
            }
            // Others came first while the pace was asked for; theirs is the probe.
            Admission::Resting { .. } | Admission::Out => Err(self.unfit(now)),
        }
    }

    fn most_in_flight(&self) -> usize {
        if self.is_silent() {
            self.concurrency.min(self.ceiling.load(Ordering::Acquire))
        } else {
            self.concurrency
        }
    }

    /// Gives a place back without a call, so that another one may find out whether the provider is back.
    pub fn leave(&self, place: Place<'_>, now: Timestamp) {
        let is_probe = place.is_probe;
        drop(place);
        if is_probe {
            self.judge(|judged| judged.rest_again(now));
        }
    }

    /// The store counts for all processes, so that together they never exceed the rate. There is no supply of
    /// permits here that could be hoarded or outlive a failure: while the store is away, nobody passes.
    async fn keep_pace(&self, rate: f64, parts: u32, now: Timestamp) -> Result<(), Busy> {
        let wish = PaceWish {
            provider: self.name.clone(),
            rate,
            parts: vec![parts],
            paused_until: self.judged().paused_until(now),
        };
        let passage = match self.ties.store.pass(wish, now).await {
            Ok(passages) => passages.into_iter().next(),
            Err(error) => {
                log::error!("nothing goes to {}: {}", self.name, error.chain());
                None
            }
        };
        passage.unwrap_or(Err(STORE_RETRY)).map_err(|wait| {
            self.held_back.inc();
            self.busy(wait, "is at its rate limit")
        })
    }

    /// Of all processes, one makes the call that finds out whether the provider is back.
    async fn probe(&self, now: Timestamp) -> Result<(), Busy> {
        let Ok(probe) = self.ask_for_probe(now).await else {
            self.judged().rest_again(later(now, STORE_RETRY));
            return Err(self.busy(STORE_RETRY, PROBING));
        };
        match probe {
            Probe::Yours(known) => self.learn(&known, now),
            // Nobody else has ever heard of its rest.
            Probe::NotYours(None) => {}
            // What the others know is not about our configuration.
            Probe::NotYours(Some(known)) if !known.counts_for(self.ties.loaded_at, now) => {}
            Probe::NotYours(Some(known)) => {
                self.learn(&known, now);
                if self.judged().health.standing() != Standing::Well {
                    return Err(self.probed());
                }
            }
        }
        Ok(())
    }

    async fn ask_for_probe(&self, now: Timestamp) -> crate::error::Result<Probe> {
        let store = &self.ties.store;
        // The others have to know of the rest before one of them can end it.
        if let Some(news) = self.news() {
            for learned in store.tell(vec![news.clone()], now).await? {
                self.acknowledge(&news, &learned, now);
            }
        }
        let patience = self.judged().health.probe_patience();
        store.probe(&self.name, patience, now).await
    }

    /// What other processes do not know yet.
    pub fn news(&self) -> Option<News> {
        self.judged().news(&self.name, self.ties.loaded_at)
    }

    /// What came of telling it. A provider that left the rotation is one line in the log of one process, however many
    /// calls of however many processes were refused.
    pub fn acknowledge(&self, news: &News, learned: &Learned, now: Timestamp) {
        let mut judged = self.judged();
        if judged.is_worth_a_word(news, learned) {
            let code = judged.refusal.as_deref().unwrap_or("no code");
            log::error!(
                "{} is out of the rotation until the next start, or until an operator wakes it: it refuses our account or \
                 settings ({code}); `console status` has its words",
                self.name,
            );
        }
        judged.acknowledge(news, &learned.known, now);
    }

    /// It was told, and no answer came.
    pub fn doubt(&self) {
        self.judged().doubt();
    }

    /// Takes over what other processes found out.
    pub fn learn(&self, known: &Known, now: Timestamp) {
        self.judged().learn(known, self.ties.loaded_at, now);
    }

    /// Takes over what an operator says.
    pub fn obey(&self, order: &Order) {
        self.judged().obey(order, self.ties.loaded_at);
    }

    /// Why it is not fit at `now`.
    pub fn unfit(&self, now: Timestamp) -> Busy {
        let (paused_until, standing) = {
            let judged = self.judged();
            if judged.put_to_rest().is_some() {
                let (retry_after, spread) = RESTED_RETRY;
                return Busy {
                    spread,
                    ..self.busy(retry_after, "was put to rest by an operator")
                };
            }
            (judged.paused_until(now), judged.health.standing())
        };
        if let Some(until) = paused_until {
            let wait = (until - now).to_std().unwrap_or_default();
            return self.busy(wait, "asked us to slow down");
        }
        match standing {
            Standing::Resting { until } => self.resting(until, now),
            Standing::Well => self.busy(FULL_RETRY, PROBING),
            Standing::Probing => self.probed(),
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

    fn probed(&self) -> Busy {
        let (retry_after, spread) = PROBING_RETRY;
        Busy {
            spread,
            ..self.busy(retry_after, PROBING)
        }
    }

    fn busy(&self, retry_after: Duration, reason: &str) -> Busy {
        Busy {
            retry_after,
            spread: Duration::ZERO,
            reason: format!("{} {reason}", self.name),
        }
    }

    /// Calls the provider and remembers what came of it. Never takes longer than the provider's time limits.
    pub async fn call(&self, _place: Place<'_>, parcel: &Parcel, clock: &Clock) -> Attempt {
        let (at, watch, _beat) = (clock.now(), clock.stopwatch(), self.pulse.begin(clock));
        let answer = match tokio::time::timeout(self.time_limit, self.provider.send(parcel)).await {
            Ok(answer) => answer,
            Err(_) => Answer::from(Outcome::Unknown {
                reason: "no answer within the time limit".to_owned(),
            }),
        };
        if !matches!(
            answer.outcome,
            Outcome::Unknown { .. } | Outcome::Unavailable { .. }
        ) {
            self.pulse.heard(clock);
        }
        let duration = watch.passed();
        self.remember(&answer, at + duration);
        self.durations.observe(duration.as_secs_f64());
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        Attempt {
            provider: Some(self.name.clone()),
            outcome: answer.outcome,
            code: answer.code,
            at,
            duration,
            address: None,
        }
    }

    /// A provider's own words stay out of the log: many repeat the request, and with it the number and the body.
    pub(crate) fn remember(&self, answer: &Answer, now: Timestamp) {
        let outcome = &answer.outcome;
        if let Some(counter) = Outcome::WORDS.iter().position(|word| *word == outcome.word()) {
            self.counters[counter].inc();
        }
        match outcome {
            Outcome::Accepted { .. }
            | Outcome::Deferred { .. }
            | Outcome::Rejected { .. }
            | Outcome::InvalidRecipient { .. } => self.judge(|judged| judged.health.succeeded()),
            Outcome::Unavailable { .. } | Outcome::Unknown { .. } => {
                self.judge(|judged| judged.health.failed(now));
            }
            Outcome::Throttled { retry_after } => {
                let until = later(now, retry_after.unwrap_or(THROTTLED_RETRY).min(PAUSE_MAX));
                self.judge(|judged| {
                    judged.pause(until);
                    // Whoever says "too fast" is back.
                    if matches!(judged.health.standing(), Standing::Probing) {
                        judged.health.succeeded();
                    }
                });
            }
            Outcome::Misconfigured { reason } => {
                self.judge(|judged| judged.refused(reason, answer.code.as_deref()));
            }
        }
    }

    /// Counts a receipt that said "not delivered" against the provider.
    pub fn bounced(&self, now: Timestamp) {
        self.judge(|judged| judged.health.failed(now));
    }

    /// Changes the judgement, and has it told when others should know.
    fn judge(&self, change: impl FnOnce(&mut Judged)) {
        if self.judged().change(change) {
            self.ties.news.notify_one();
        }
    }

    /// How it stands at `now`.
    pub fn view(&self, now: Timestamp) -> LaneView {
        let judged = self.judged();
        let standing = judged.health.standing();
        let paused_until = judged.paused_until(now).filter(|_| standing == Standing::Well);
        let (health, detail) = match (judged.put_to_rest(), paused_until) {
            (Some(order), _) => ("resting", rest_words(order)),
            (None, Some(until)) => {
                let until = until.format("%H:%M:%S UTC");
                (
                    standing.word(),
                    format!("asked us to slow down; gets no calls until {until}"),
                )
            }
            (None, None) => (standing.word(), standing.words()),
        };
        LaneView {
            health,
            detail,
            open: judged.is_fit(now),
            in_flight: self.in_flight(),
            put_to_rest: judged.put_to_rest().is_some(),
        }
    }

    fn judged(&self) -> MutexGuard<'_, Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rest_words(order: &Order) -> String {
    let by = if order.by.is_empty() {
        "an operator"
    } else {
        order.by.as_str()
    };
    let at = order.at.format("%Y-%m-%d %H:%M UTC");
    format!("put to rest by {by} on {at}; gets no calls until it is woken")
}
