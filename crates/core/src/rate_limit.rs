//! How fast a provider may be asked, by all processes together.
//!
//! A bucket of tokens, one for each message part. Who is refused gets a time of its own to come back, one after
//! the other, so that a thousand waiting messages do not come back as a herd. The store keeps the numbers under a
//! lock ([`pass`]); nothing here knows how.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::name::ConfigName;

/// Millionths of a token in a token.
const MICROS_PER_TOKEN: f64 = 1e6;

/// Nobody has come for as long as a full bucket and so many parts need, and this much longer: whoever was promised
/// a time has gone elsewhere.
const SLOT_EXPIRY_PARTS: f64 = 10.0;
const SLOT_EXPIRY_MARGIN: Duration = Duration::from_secs(5);

/// A time kept from so far ahead can only be a clock that was wrong.
const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(60);

/// Below so many parts a second a full bucket has no room for those who come late.
const SLOW_RATE_PER_SECOND: f64 = 2.0;

/// How late somebody may come to a slow provider at nobody's cost, in seconds.
const LATE_TOLERANCE_SECONDS: f64 = 0.25;

/// Messages that want to go to a provider now.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimitRequest {
    /// Which provider.
    pub provider: ConfigName,
    /// Its parts per second, for all processes together.
    pub rate: f64,
    /// How many parts each message has, in the order they came.
    pub parts: Vec<u32>,
    /// The provider wants to be left alone until then, as far as this process knows, and asked slowly afterwards.
    pub cooldown_until: Option<DateTime<Utc>>,
}

/// What is kept of a provider's pace from one wish to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimiterState {
    /// Millionths of a token that were left; below nothing after a large message.
    pub tokens_micros: i64,
    /// When they were counted.
    pub counted_at: Option<DateTime<Utc>>,
    /// The next free time to come back at.
    pub next_slot: Option<DateTime<Utc>>,
    /// The provider wants to be left alone until then.
    pub cooldown_until: Option<DateTime<Utc>>,
}

/// Lets each message of a wish go, or says how long it has to wait. `kept` is none before the first wish.
pub fn acquire_permits(
    kept: Option<RateLimiterState>,
    wish: &RateLimitRequest,
    now: DateTime<Utc>,
) -> (RateLimiterState, Vec<Result<(), Duration>>) {
    let mut pace = RateLimiter::restore(wish.rate, kept, now);
    if let Some(until) = wish.cooldown_until {
        pace.start_cooldown(until);
    }
    let passages = wish
        .parts
        .iter()
        .map(|parts| pace.try_acquire(*parts, now))
        .collect();
    (pace.state(now), passages)
}

/// The pace of one provider.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    /// Parts per second.
    rate: f64,
    /// Parts that may go now; below nothing after a message with more parts than the bucket holds.
    tokens: f64,
    /// When the tokens were last counted.
    counted_at: Option<DateTime<Utc>>,
    /// The next free time to come back at.
    next_slot: Option<DateTime<Utc>>,
    /// The provider wants to be left alone until then.
    cooldown_until: Option<DateTime<Utc>>,
}

impl RateLimiter {
    /// A pace of `rate` parts per second, with a full bucket: one second's worth, at least one part.
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            tokens: burst_size(rate),
            counted_at: None,
            next_slot: None,
            cooldown_until: None,
        }
    }

    /// Goes on where another process left off.
    pub fn restore(rate: f64, kept: Option<RateLimiterState>, now: DateTime<Utc>) -> Self {
        let mut pace = Self::new(rate);
        let Some(kept) = kept else {
            return pace;
        };
        pace.tokens = (kept.tokens_micros as f64 / MICROS_PER_TOKEN).min(burst_size(rate));
        pace.counted_at = kept.counted_at;
        pace.next_slot = kept.next_slot;
        pace.cooldown_until = kept.cooldown_until;
        let idle = kept
            .counted_at
            .map_or(Duration::MAX, |at| elapsed_between(at, now));
        if idle > seconds((burst_size(rate) + SLOT_EXPIRY_PARTS) / rate) + SLOT_EXPIRY_MARGIN {
            pace.next_slot = None;
        }
        let held = kept
            .cooldown_until
            .is_some_and(|until| Some(until) >= kept.counted_at);
        if !held
            && kept
                .counted_at
                .is_some_and(|at| elapsed_between(now, at) > CLOCK_AHEAD_MAX)
        {
            pace.counted_at = Some(now);
            pace.next_slot = None;
            pace.tokens = pace.tokens.min(0.0);
        }
        pace
    }

    /// What another process needs to go on.
    pub fn state(&self, now: DateTime<Utc>) -> RateLimiterState {
        RateLimiterState {
            // Rounding never makes a token. No bucket is larger than what the number holds.
            #[allow(clippy::cast_possible_truncation)]
            tokens_micros: (self.tokens * MICROS_PER_TOKEN).floor() as i64,
            counted_at: Some(self.counted_at.unwrap_or(now)),
            next_slot: self.next_slot,
            cooldown_until: self.cooldown_until,
        }
    }

    /// Lets a message of so many parts go, or says how long to wait. Each one refused gets a later time than
    /// the one refused before it. A message with more parts than the bucket holds goes when the bucket is full.
    pub fn try_acquire(&mut self, parts: u32, now: DateTime<Utc>) -> Result<(), Duration> {
        if let Some(until) = self.cooldown_until.filter(|until| *until > now) {
            return Err(self.reserve_slot(parts, until, now));
        }
        let missing = self.missing_tokens(parts, now);
        if missing > 0.0 {
            let earliest = now + seconds(missing / self.rate);
            return Err(self.reserve_slot(parts, earliest, now));
        }
        self.tokens = self.tokens_at(now) - f64::from(parts);
        self.counted_at = Some(self.counted_at.map_or(now, |counted_at| counted_at.max(now)));
        Ok(())
    }

    /// Leaves the provider alone until then, and starts slowly afterwards: it said that we go too fast.
    pub fn start_cooldown(&mut self, until: DateTime<Utc>) {
        let later = self
            .cooldown_until
            .is_none_or(|paused_until| paused_until < until);
        if later {
            self.cooldown_until = Some(until);
            self.tokens = self.tokens.min(1.0);
            self.counted_at = self.counted_at.max(Some(until));
        }
    }

    /// The first time that is neither before `earliest` nor promised to another one, as a wait from `now`.
    fn reserve_slot(&mut self, parts: u32, earliest: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
        let slot = self.next_slot.map_or(earliest, |next| next.max(earliest));
        self.next_slot = Some(slot + seconds(f64::from(parts.max(1)) / self.rate));
        round_up_to_millis(elapsed_between(now, slot))
    }

    /// How many tokens a message of so many parts lacks.
    fn missing_tokens(&self, parts: u32, now: DateTime<Utc>) -> f64 {
        let missing = f64::from(parts).min(burst_size(self.rate)) - self.tokens_at(now);
        // What is lost in rounding must not cost a round.
        if missing < 1e-4 { 0.0 } else { missing }
    }

    fn tokens_at(&self, now: DateTime<Utc>) -> f64 {
        let elapsed = self
            .counted_at
            .map_or(Duration::ZERO, |counted_at| elapsed_between(counted_at, now));
        (self.tokens + elapsed.as_secs_f64() * self.rate)
            .min(burst_size(self.rate) + late_tolerance_tokens(self.rate))
    }
}

/// What a full bucket holds.
fn burst_size(rate: f64) -> f64 {
    rate.max(1.0)
}

/// What a bucket that holds one message takes beyond: who comes a little later than promised must not make all who
/// were promised the times after him come in vain.
fn late_tolerance_tokens(rate: f64) -> f64 {
    if rate < SLOW_RATE_PER_SECOND {
        rate * LATE_TOLERANCE_SECONDS
    } else {
        0.0
    }
}

/// The time from one moment to a later one; nothing when it is not later.
fn elapsed_between(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

/// So many seconds.
fn seconds(count: f64) -> Duration {
    Duration::try_from_secs_f64(count.clamp(0.0, 1e9)).unwrap_or_default()
}

/// Rounded up to whole milliseconds, as the stores keep them: a moment too early would be in vain.
fn round_up_to_millis(duration: Duration) -> Duration {
    match duration.subsec_nanos() % 1_000_000 {
        over if over <= 2 => duration - Duration::from_nanos(u64::from(over)),
        over => duration + Duration::from_nanos(u64::from(1_000_000 - over)),
    }
}

#[cfg(test)]
mod tests;
