//! The rate limit of a provider, for all processes together: a token bucket with one token for each message part.
//!
//! A message that is refused gets a slot: the time at which it may try again. Each slot is different, so that a
//! thousand waiting messages do not all try at the same time. The store keeps [`RateLimiterState`] under a lock and
//! calls [`acquire_permits`].
//!
//! In any second, at most the rate plus the burst is sent, in whole parts rounded down, because providers count per
//! second. One exception: a message with more parts than the burst is sent whole, and the following messages wait until
//! the bucket has recovered.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::name::ConfigName;

/// Millionths of a token in a token.
const MICROS_PER_TOKEN: f64 = 1e6;

/// Slots expire when no message was sent for the time of a full bucket plus `SLOT_EXPIRY_PARTS` parts plus a margin. By
/// then, the messages that held these slots have been sent through other providers.
const SLOT_EXPIRY_PARTS: f64 = 10.0;
const SLOT_EXPIRY_MARGIN: Duration = Duration::from_secs(5);

/// A state whose time is further in the future than this was written by a process with a wrong clock.
const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(60);

/// Time by which a message may miss its slot without delaying others, in seconds, if the burst is one part.
const LATE_TOLERANCE_SECONDS: f64 = 0.25;

/// Keeps the tokens of a full bucket below the next whole part, above any rounding error.
const TOKEN_MARGIN: f64 = 1e-3;

/// A request for permits: messages that are to be sent through a provider now.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimitRequest {
    /// The provider.
    pub provider: ConfigName,
    /// The provider's rate in parts per second, for all processes together.
    pub rate: f64,
    /// The maximum number of parts that may be sent at once, from [`burst_parts`].
    pub burst: f64,
    /// The number of parts of each message, in order.
    pub parts: Vec<u32>,
    /// The end of the provider's cooldown in the state of this process.
    pub cooldown_until: Option<DateTime<Utc>>,
}

/// The state of a rate limiter between requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimiterState {
    /// Millionths of a token in the bucket; negative after a message with more parts than the bucket holds.
    pub tokens_micros: i64,
    /// The time at which the tokens were counted.
    pub counted_at: Option<DateTime<Utc>>,
    /// The next free slot.
    pub next_slot: Option<DateTime<Utc>>,
    /// The end of the provider's cooldown.
    pub cooldown_until: Option<DateTime<Utc>>,
}

/// Allows each message of a request, or returns how long the message has to wait. `state` is none before the first
/// request.
pub fn acquire_permits(
    state: Option<RateLimiterState>,
    request: &RateLimitRequest,
    now: DateTime<Utc>,
) -> (RateLimiterState, Vec<Result<(), Duration>>) {
    let mut limiter = RateLimiter::restore(request.rate, request.burst, state, now);
    if let Some(until) = request.cooldown_until {
        limiter.start_cooldown(until);
    }
    let permits = request.parts.iter().map(|parts| limiter.try_acquire(*parts, now)).collect();
    (limiter.state(now), permits)
}

/// The rate limiter of one provider.
#[derive(Clone, Debug)]
struct RateLimiter {
    /// Parts per second.
    rate: f64,
    /// Parts that may be sent at once.
    burst: f64,
    /// Parts that may be sent now; negative after a message with more parts than the bucket holds.
    tokens: f64,
    /// The time at which the tokens were last counted.
    counted_at: Option<DateTime<Utc>>,
    next_slot: Option<DateTime<Utc>>,
    cooldown_until: Option<DateTime<Utc>>,
}

impl RateLimiter {
    /// Returns a limiter for `rate` parts per second with a full bucket of `burst` parts.
    fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst, tokens: burst, counted_at: None, next_slot: None, cooldown_until: None }
    }

    /// Returns a limiter that continues from `state`.
    fn restore(rate: f64, burst: f64, state: Option<RateLimiterState>, now: DateTime<Utc>) -> Self {
        let Some(state) = state else {
            return Self::new(rate, burst);
        };
        let RateLimiterState { tokens_micros, counted_at, next_slot, cooldown_until } = state;
        let tokens = (tokens_micros as f64 / MICROS_PER_TOKEN).min(bucket_size(rate, burst));
        let mut limiter = Self { rate, burst, tokens, counted_at, next_slot, cooldown_until };
        let idle_time = counted_at.map_or(Duration::MAX, |at| elapsed_between(at, now));
        if idle_time > seconds((burst + SLOT_EXPIRY_PARTS) / rate) + SLOT_EXPIRY_MARGIN {
            limiter.next_slot = None;
        }
        let is_cooling_down = cooldown_until.is_some_and(|until| Some(until) >= counted_at);
        let is_from_future = counted_at.is_some_and(|at| elapsed_between(now, at) > CLOCK_AHEAD_MAX);
        if is_from_future && !is_cooling_down {
            limiter.counted_at = Some(now);
            limiter.next_slot = None;
            limiter.tokens = tokens.min(0.0);
        }
        limiter
    }

    /// Returns the state from which another process continues.
    fn state(&self, now: DateTime<Utc>) -> RateLimiterState {
        RateLimiterState {
            // Rounding down never creates a token. The tokens of every valid bucket fit into the integer.
            #[allow(clippy::cast_possible_truncation)]
            tokens_micros: (self.tokens * MICROS_PER_TOKEN).floor() as i64,
            counted_at: Some(self.counted_at.unwrap_or(now)),
            next_slot: self.next_slot,
            cooldown_until: self.cooldown_until,
        }
    }

    /// Allows a message of `message_parts` parts, or returns how long it has to wait. Each refused message gets a later
    /// slot than the one before. A message with more parts than the bucket holds is allowed when the bucket is full.
    fn try_acquire(&mut self, message_parts: u32, now: DateTime<Utc>) -> Result<(), Duration> {
        // The provider asked for a pause: no permits before the cooldown ends.
        if let Some(until) = self.cooldown_until.filter(|until| *until > now) {
            return Err(self.reserve_slot(message_parts, until, now));
        }
        let missing_tokens = self.missing_tokens(message_parts, now);
        if missing_tokens > 0.0 {
            let earliest = now + seconds(missing_tokens / self.rate);
            return Err(self.reserve_slot(message_parts, earliest, now));
        }
        self.tokens = self.tokens_at(now) - f64::from(message_parts);
        self.counted_at = Some(self.counted_at.map_or(now, |counted_at| counted_at.max(now)));
        Ok(())
    }

    /// Starts a cooldown, after which the bucket begins almost empty, because calls were too fast for the provider.
    fn start_cooldown(&mut self, cooldown_end: DateTime<Utc>) {
        if self.cooldown_until.is_none_or(|current| current < cooldown_end) {
            self.cooldown_until = Some(cooldown_end);
            self.tokens = self.tokens.min(1.0);
            self.counted_at = self.counted_at.max(Some(cooldown_end));
        }
    }

    /// Reserves the first free slot from `earliest` on and returns the wait from `now`.
    fn reserve_slot(&mut self, parts: u32, earliest: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
        let slot = self.next_slot.map_or(earliest, |next_slot| next_slot.max(earliest));
        self.next_slot = Some(slot + seconds(f64::from(parts.max(1)) / self.rate));
        round_up_to_millis(elapsed_between(now, slot))
    }

    /// Returns the number of tokens that a message of `parts` parts lacks.
    fn missing_tokens(&self, parts: u32, now: DateTime<Utc>) -> f64 {
        let missing_tokens = f64::from(parts).min(self.burst) - self.tokens_at(now);
        // Without the tolerance, a rounding error would make the message wait again.
        if missing_tokens < 1e-4 { 0.0 } else { missing_tokens }
    }

    fn tokens_at(&self, now: DateTime<Utc>) -> f64 {
        let elapsed = self.counted_at.map_or(Duration::ZERO, |counted_at| elapsed_between(counted_at, now));
        (self.tokens + elapsed.as_secs_f64() * self.rate).min(bucket_size(self.rate, self.burst))
    }
}

/// Returns the maximum number of parts that may be sent at once: the parts of one second times the share `burst`, at
/// least one.
pub fn burst_parts(rate: f64, burst: f64) -> f64 {
    (rate * burst).max(1.0)
}

/// Returns the number of tokens in a full bucket: the burst plus a reserve. Without the reserve, one message that is
/// slightly late for its slot would make all messages with later slots wait again. The reserve never allows one more
/// part in a second, because parts are whole.
fn bucket_size(rate: f64, burst: f64) -> f64 {
    let second_max = (rate + burst).floor();
    let reserve_max = second_max + 1.0 - TOKEN_MARGIN - rate - burst;
    burst + (rate * LATE_TOLERANCE_SECONDS).min(reserve_max).max(0.0)
}

/// Returns the time from `from` to `to`, or zero if `to` is earlier.
fn elapsed_between(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

fn seconds(count: f64) -> Duration {
    Duration::try_from_secs_f64(count.clamp(0.0, 1e9)).unwrap_or_default()
}

/// Rounds up to whole milliseconds, the resolution of the stores. If it rounded down, the message would come too early
/// and have to wait again.
fn round_up_to_millis(duration: Duration) -> Duration {
    match duration.subsec_nanos() % 1_000_000 {
        rest if rest <= 2 => duration - Duration::from_nanos(u64::from(rest)),
        rest => duration + Duration::from_nanos(u64::from(1_000_000 - rest)),
    }
}

#[cfg(test)]
mod tests;
