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
mod tests {
    use std::collections::BTreeMap;

    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    fn millis(wait: Duration) -> i64 {
        i64::try_from(wait.as_millis()).unwrap()
    }

    /// Lets so many messages wait at once and each come back when it was told to; how often they came in all,
    /// and when the last one went.
    fn drain_waiting(pace: &mut RateLimiter, messages: u32, parts: u32) -> (u32, i64) {
        let mut waiting = BTreeMap::from([(0, messages)]);
        let (mut calls, mut last) = (0, 0);
        while let Some((now, count)) = waiting.pop_first() {
            for _ in 0..count {
                calls += 1;
                match pace.try_acquire(parts, at(now)) {
                    Ok(()) => last = now,
                    Err(wait) => *waiting.entry(now + millis(wait).max(1)).or_default() += 1,
                }
            }
        }
        (calls, last)
    }

    #[test]
    fn one_second_is_let_go_at_once_and_then_the_pace_holds() {
        let mut pace = RateLimiter::new(10.0);
        assert!((0..10).all(|_| pace.try_acquire(1, at(0)).is_ok()));
        assert_eq!(pace.try_acquire(1, at(0)), Err(Duration::from_millis(100)));
        assert_eq!(pace.try_acquire(1, at(0)), Err(Duration::from_millis(200)));
        assert_eq!(pace.try_acquire(1, at(100)), Ok(()));
    }

    #[test]
    fn a_thousand_waiting_messages_come_back_one_by_one() {
        for (rate, parts, seconds) in [
            (1.0, 1, 999.0),
            (3.0, 1, 333.0),
            (0.5, 1, 1998.0),
            (7.0, 2, 284.7),
            (2.0, 5, 2498.0),
        ] {
            let (calls, last) = drain_waiting(&mut RateLimiter::new(rate), 1_000, parts);
            assert!(calls <= 2_010, "{rate} {parts}: {calls} calls");
            assert!(
                last as f64 / 1_000.0 <= seconds * 1.02 + 2.0,
                "{rate} {parts}: {last} ms"
            );
        }
    }

    #[test]
    fn a_fast_provider_is_kept_busy() {
        let (_, last) = drain_waiting(&mut RateLimiter::new(5_000.0), 25_000, 1);
        assert!(last <= 4_020, "{last} ms");
    }

    #[test]
    fn promised_times_are_forgotten_when_they_have_passed() {
        let mut pace = RateLimiter::new(1.0);
        assert!(pace.try_acquire(1, at(0)).is_ok());
        for _ in 0..100 {
            assert!(pace.try_acquire(1, at(0)).is_err());
        }
        assert!(pace.try_acquire(1, at(200_000)).is_ok());
        assert_eq!(pace.try_acquire(1, at(200_000)), Err(Duration::from_millis(750)));
    }

    #[test]
    fn a_message_larger_than_the_bucket_goes_and_is_paid_for_afterwards() {
        let mut pace = RateLimiter::new(2.0);
        assert!(pace.try_acquire(8, at(0)).is_ok());
        assert_eq!(pace.try_acquire(1, at(0)), Err(Duration::from_millis(3_500)));
        assert!(pace.try_acquire(1, at(3_500)).is_ok());
    }

    #[test]
    fn a_pause_holds_and_spreads_those_who_come_back() {
        let mut pace = RateLimiter::new(2.0);
        pace.start_cooldown(at(5_000));
        pace.start_cooldown(at(1_000));
        assert_eq!(pace.try_acquire(1, at(0)), Err(Duration::from_millis(5_000)));
        assert_eq!(pace.try_acquire(1, at(0)), Err(Duration::from_millis(5_500)));
        assert!(pace.try_acquire(1, at(5_000)).is_ok());
        assert!(pace.try_acquire(1, at(5_000)).is_err());
    }

    #[test]
    fn a_clock_that_steps_back_grants_nothing() {
        let mut pace = RateLimiter::new(1.0);
        assert!(pace.try_acquire(1, at(10_000)).is_ok());
        assert!(pace.try_acquire(1, at(9_000)).is_err());
        assert!(pace.try_acquire(1, at(10_999)).is_err());
        assert!(pace.try_acquire(1, at(11_000)).is_ok());
    }

    fn request(rate: f64, parts: &[u32]) -> RateLimitRequest {
        RateLimitRequest {
            provider: "red".parse().unwrap(),
            rate,
            parts: parts.to_vec(),
            cooldown_until: None,
        }
    }

    /// Passes one message of one part; what it said and what is kept.
    fn acquire_one_permit(
        kept: Option<RateLimiterState>,
        rate: f64,
        now: i64,
    ) -> (RateLimiterState, Result<(), Duration>) {
        let (kept, passages) = acquire_permits(kept, &request(rate, &[1]), at(now));
        (kept, passages[0])
    }

    #[test]
    fn who_comes_a_little_late_to_a_slow_provider_delays_nobody() {
        let (mut pace, mut calls) = (RateLimiter::new(1.0), 0);
        let mut waiting = BTreeMap::from([(0, 100)]);
        while let Some((now, count)) = waiting.pop_first() {
            for turn in 0..count {
                calls += 1;
                let late = (now + turn) % 97 * 2;
                if let Err(wait) = pace.try_acquire(1, at(now + late)) {
                    *waiting.entry(now + late + millis(wait)).or_default() += 1;
                }
            }
        }
        assert!(calls <= 210, "{calls} calls");
    }

    #[test]
    fn a_pause_one_process_was_told_holds_for_all() {
        let told = RateLimitRequest {
            cooldown_until: Some(at(5_000)),
            ..request(2.0, &[1, 1])
        };
        let (kept, passages) = acquire_permits(None, &told, at(0));
        assert_eq!(passages[0], Err(Duration::from_millis(5_000)));
        assert_eq!(passages[1], Err(Duration::from_millis(5_500)));
        let (kept, other) = acquire_one_permit(Some(kept), 2.0, 1_000);
        assert_eq!(other, Err(Duration::from_millis(5_000)));
        assert_eq!(acquire_one_permit(Some(kept), 2.0, 5_000).1, Ok(()));
    }

    #[test]
    fn promises_nobody_keeps_are_forgotten() {
        let (kept, _) = acquire_permits(None, &request(1.0, &[1; 1_000]), at(0));
        let (kept, early) = acquire_permits(Some(kept), &request(1.0, &[1, 1, 1]), at(3_000));
        assert_eq!(early[1], Err(Duration::from_millis(997_000)));
        let (_, late) = acquire_permits(Some(kept), &request(1.0, &[1, 1, 1]), at(30_000));
        assert_eq!(late[1], Err(Duration::from_millis(750)));
    }

    #[test]
    fn a_time_from_a_clock_that_was_wrong_does_not_stop_a_provider_for_long() {
        let (kept, _) = acquire_one_permit(None, 1.0, 3_600_000);
        let (kept, refused) = acquire_one_permit(Some(kept), 1.0, 0);
        assert_eq!(refused, Err(Duration::from_secs(1)));
        assert_eq!(acquire_one_permit(Some(kept), 1.0, 1_000).1, Ok(()));
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_one_burst_in_any_window(
            rate in 0.2_f64..50.0,
            calls in proptest::collection::vec((0_i64..400, 1_u32..6), 1..200),
        ) {
            let mut pace = RateLimiter::new(rate);
            let mut now = 0;
            let mut gone: Vec<(i64, f64)> = Vec::new();
            for (step, parts) in calls {
                now += step;
                if pace.try_acquire(parts, at(now)).is_ok() {
                    gone.push((now, f64::from(parts)));
                }
            }
            for (first, (from, _)) in gone.iter().enumerate() {
                let mut sum = 0.0;
                for (to, parts) in &gone[first..] {
                    sum += parts;
                    let seconds = (to - from) as f64 / 1_000.0;
                    prop_assert!(sum <= rate * seconds + rate.max(5.0) + late_tolerance_tokens(rate) + 0.05, "{sum} in {seconds} s at {rate}");
                }
            }
        }

        #[test]
        fn it_is_all_the_same_whether_one_process_asks_or_several_in_turn(
            rate in 0.2_f64..500.0,
            calls in proptest::collection::vec((0_i64..400, proptest::collection::vec(1_u32..6, 1..9)), 1..60),
        ) {
            let mut alone = RateLimiter::new(rate);
            let (mut kept, mut now) = (None, 0);
            for (step, parts) in calls {
                now += step;
                let wish = request(rate, &parts);
                let (after, passages) = acquire_permits(kept, &wish, at(now));
                kept = Some(after);
                let expected = parts.iter().map(|parts| alone.try_acquire(*parts, at(now)).is_ok());
                let passed = passages.iter().map(Result::is_ok);
                prop_assert_eq!(passed.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            }
        }

        #[test]
        fn clocks_that_disagree_a_little_grant_nothing_more(
            rate in 1.0_f64..100.0,
            calls in proptest::collection::vec((0_i64..50, -30_i64..30), 1..300),
        ) {
            let (mut kept, mut now, mut gone) = (None, 1_000, 0_i64);
            for (step, skew) in calls {
                now += step;
                let (after, passages) = acquire_permits(kept, &request(rate, &[1]), at(now + skew));
                kept = Some(after);
                gone += i64::from(passages[0].is_ok());
            }
            let seconds = (now - 1_000 + 60) as f64 / 1_000.0;
            prop_assert!(gone as f64 <= rate * seconds + burst_size(rate) + late_tolerance_tokens(rate) + 0.05, "{gone} in {seconds} s");
        }

        #[test]
        fn who_comes_back_alone_when_told_is_let_go(rate in 0.2_f64..500.0, parts in 1_u32..9, start in 0_i64..10_000) {
            let mut pace = RateLimiter::new(rate);
            let mut now = start;
            for _ in 0..50 {
                if let Err(wait) = pace.try_acquire(parts, at(now)) {
                    now += millis(wait);
                    prop_assert!(pace.try_acquire(parts, at(now)).is_ok());
                }
            }
        }
    }
}
