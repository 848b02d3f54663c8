//! How fast a provider may be asked.
//!
//! A bucket of tokens, one for each message part. Who is refused gets a time of its own to come back, one after
//! the other, so that a thousand waiting messages do not come back as a herd.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// The pace of one provider.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Parts per second; none: as many as it takes.
    rate: Option<f64>,
    /// Parts that may go now; below nothing after a message with more parts than the bucket holds.
    tokens: f64,
    /// When the tokens were last counted.
    counted_at: Option<DateTime<Utc>>,
    /// The next free time to come back at.
    next_slot: Option<DateTime<Utc>>,
    /// The provider wants to be left alone until then.
    paused_until: Option<DateTime<Utc>>,
}

impl Pace {
    /// A pace of `rate` parts per second, with a full bucket: one second's worth, at least one part.
    pub fn new(rate: Option<f64>) -> Self {
        let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
        Self {
            rate,
            tokens: rate.map_or(0.0, burst),
            counted_at: None,
            next_slot: None,
            paused_until: None,
        }
    }

    /// Whether [`Pace::take`] would let the parts go; changes nothing.
    pub fn is_free(&self, parts: u32, now: DateTime<Utc>) -> bool {
        let paused = self.paused_until.is_some_and(|until| until > now);
        let missing = self.rate.is_some_and(|rate| self.missing(parts, rate, now) > 0.0);
        !paused && !missing
    }

    /// Lets a message of so many parts go, or says how long to wait. Each one refused gets a later time than
    /// the one refused before it. A message with more parts than the bucket holds goes when the bucket is full.
    pub fn take(&mut self, parts: u32, now: DateTime<Utc>) -> Result<(), Duration> {
        let paused_until = self.paused_until.filter(|until| *until > now);
        let Some(rate) = self.rate else {
            return paused_until.map_or(Ok(()), |until| Err(span(now, until)));
        };
        if let Some(until) = paused_until {
            return Err(self.reserve(parts, rate, until, now));
        }
        self.paused_until = None;
        let missing = self.missing(parts, rate, now);
        if missing > 0.0 {
            let earliest = now + seconds(missing / rate);
            return Err(self.reserve(parts, rate, earliest, now));
        }
        self.tokens = self.tokens_at(rate, now) - f64::from(parts);
        self.counted_at = Some(self.counted_at.map_or(now, |counted_at| counted_at.max(now)));
        Ok(())
    }

    /// Leaves the provider alone until then, and starts slowly afterwards: it said that we go too fast.
    pub fn pause(&mut self, until: DateTime<Utc>) {
        let later = self.paused_until.is_none_or(|paused_until| paused_until < until);
        if later {
            self.paused_until = Some(until);
            self.tokens = self.tokens.min(1.0);
            self.counted_at = Some(until);
        }
    }

    /// Until when the provider is left alone, if it is.
    pub fn paused_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.paused_until.filter(|until| *until > now)
    }

    /// The first time that is neither before `earliest` nor promised to another one, as a wait from `now`.
    fn reserve(&mut self, parts: u32, rate: f64, earliest: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
        let slot = self.next_slot.map_or(earliest, |next| next.max(earliest));
        self.next_slot = Some(slot + seconds(f64::from(parts.max(1)) / rate));
        whole_millis(span(now, slot))
    }

    /// How many tokens a message of so many parts lacks.
    fn missing(&self, parts: u32, rate: f64, now: DateTime<Utc>) -> f64 {
        let missing = f64::from(parts).min(burst(rate)) - self.tokens_at(rate, now);
        // What is lost in rounding must not cost a round.
        if missing < 1e-4 { 0.0 } else { missing }
    }

    fn tokens_at(&self, rate: f64, now: DateTime<Utc>) -> f64 {
        let elapsed = self
            .counted_at
            .map_or(Duration::ZERO, |counted_at| span(counted_at, now));
        (self.tokens + elapsed.as_secs_f64() * rate).min(burst(rate))
    }
}

/// What a full bucket holds.
fn burst(rate: f64) -> f64 {
    rate.max(1.0)
}

/// The time from one moment to a later one; nothing when it is not later.
fn span(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

/// So many seconds.
fn seconds(count: f64) -> Duration {
    Duration::try_from_secs_f64(count.clamp(0.0, 1e9)).unwrap_or_default()
}

/// Rounded up to whole milliseconds, as the stores keep them: a moment too early would be in vain.
fn whole_millis(duration: Duration) -> Duration {
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
    fn drain(pace: &mut Pace, messages: u32, parts: u32) -> (u32, i64) {
        let mut waiting = BTreeMap::from([(0, messages)]);
        let (mut calls, mut last) = (0, 0);
        while let Some((now, count)) = waiting.pop_first() {
            for _ in 0..count {
                calls += 1;
                match pace.take(parts, at(now)) {
                    Ok(()) => last = now,
                    Err(wait) => *waiting.entry(now + millis(wait).max(1)).or_default() += 1,
                }
            }
        }
        (calls, last)
    }

    #[test]
    fn without_a_rate_everything_goes() {
        let mut pace = Pace::new(None);
        assert!((0..10_000).all(|_| pace.take(9, at(0)).is_ok()));
    }

    #[test]
    fn one_second_is_let_go_at_once_and_then_the_pace_holds() {
        let mut pace = Pace::new(Some(10.0));
        assert!((0..10).all(|_| pace.take(1, at(0)).is_ok()));
        assert!(!pace.is_free(1, at(0)));
        assert_eq!(pace.take(1, at(0)), Err(Duration::from_millis(100)));
        assert_eq!(pace.take(1, at(0)), Err(Duration::from_millis(200)));
        assert!(pace.is_free(1, at(100)));
        assert_eq!(pace.take(1, at(100)), Ok(()));
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
            let (calls, last) = drain(&mut Pace::new(Some(rate)), 1_000, parts);
            assert!(calls <= 2_010, "{rate} {parts}: {calls} calls");
            assert!(
                last as f64 / 1_000.0 <= seconds * 1.02 + 2.0,
                "{rate} {parts}: {last} ms"
            );
        }
    }

    #[test]
    fn a_fast_provider_is_kept_busy() {
        let (_, last) = drain(&mut Pace::new(Some(5_000.0)), 25_000, 1);
        assert!(last <= 4_020, "{last} ms");
    }

    #[test]
    fn promised_times_are_forgotten_when_they_have_passed() {
        let mut pace = Pace::new(Some(1.0));
        assert!(pace.take(1, at(0)).is_ok());
        for _ in 0..100 {
            assert!(pace.take(1, at(0)).is_err());
        }
        assert!(pace.take(1, at(200_000)).is_ok());
        assert_eq!(pace.take(1, at(200_000)), Err(Duration::from_secs(1)));
    }

    #[test]
    fn a_message_larger_than_the_bucket_goes_and_is_paid_for_afterwards() {
        let mut pace = Pace::new(Some(2.0));
        assert!(pace.take(8, at(0)).is_ok());
        assert_eq!(pace.take(1, at(0)), Err(Duration::from_millis(3_500)));
        assert!(pace.take(1, at(3_500)).is_ok());
    }

    #[test]
    fn a_pause_holds_and_spreads_those_who_come_back() {
        let mut pace = Pace::new(Some(2.0));
        pace.pause(at(5_000));
        pace.pause(at(1_000));
        assert!(!pace.is_free(1, at(4_999)));
        assert_eq!(pace.paused_until(at(0)), Some(at(5_000)));
        assert_eq!(pace.take(1, at(0)), Err(Duration::from_millis(5_000)));
        assert_eq!(pace.take(1, at(0)), Err(Duration::from_millis(5_500)));
        assert!(pace.take(1, at(5_000)).is_ok());
        assert!(pace.take(1, at(5_000)).is_err());
        assert_eq!(pace.paused_until(at(5_000)), None);

        let mut free = Pace::new(None);
        free.pause(at(700));
        assert_eq!(free.take(1, at(0)), Err(Duration::from_millis(700)));
        assert!(free.take(1, at(700)).is_ok());
    }

    #[test]
    fn a_clock_that_steps_back_grants_nothing() {
        let mut pace = Pace::new(Some(1.0));
        assert!(pace.take(1, at(10_000)).is_ok());
        assert!(pace.take(1, at(9_000)).is_err());
        assert!(pace.take(1, at(10_999)).is_err());
        assert!(pace.take(1, at(11_000)).is_ok());
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_one_burst_in_any_window(
            rate in 0.2_f64..50.0,
            calls in proptest::collection::vec((0_i64..400, 1_u32..6), 1..200),
        ) {
            let mut pace = Pace::new(Some(rate));
            let mut now = 0;
            let mut gone: Vec<(i64, f64)> = Vec::new();
            for (step, parts) in calls {
                now += step;
                let free = pace.is_free(parts, at(now));
                let taken = pace.take(parts, at(now));
                prop_assert_eq!(free, taken.is_ok());
                if taken.is_ok() {
                    gone.push((now, f64::from(parts)));
                }
            }
            for (first, (from, _)) in gone.iter().enumerate() {
                let mut sum = 0.0;
                for (to, parts) in &gone[first..] {
                    sum += parts;
                    let seconds = (to - from) as f64 / 1_000.0;
                    prop_assert!(sum <= rate * seconds + rate.max(5.0) + 0.05, "{sum} in {seconds} s at {rate}");
                }
            }
        }

        #[test]
        fn who_comes_back_alone_when_told_is_let_go(rate in 0.2_f64..500.0, parts in 1_u32..9, start in 0_i64..10_000) {
            let mut pace = Pace::new(Some(rate));
            let mut now = start;
            for _ in 0..50 {
                if let Err(wait) = pace.take(parts, at(now)) {
                    now += millis(wait);
                    prop_assert!(pace.take(parts, at(now)).is_ok());
                }
            }
        }
    }
}
