//! Throttles of messages: the limit for messages that expect an answer, per user and rolling window, and the spending
//! limits of an API key, per calendar minute, day and month in UTC.
//!
//! A store keeps one small row for each subject, from which it decides about the next message. The row of a user holds
//! the times of the latest messages in milliseconds, so that no window of the given length, wherever it begins, has
//! more messages than the limit. A spending limit can be too high for a list of times; its row counts the text parts of
//! the current window.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

/// A limit that applies to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserThrottle {
    /// SHA-256 of the user and of the scope whose messages are counted together.
    pub subject: [u8; 32],
    /// Maximum number of messages or text parts in a window; at least one.
    pub limit: u32,
    /// Time for which a message counts, at most [`UserThrottle::WINDOW_MAX`].
    pub window: Duration,
    /// The counted unit and its windows.
    pub counting: ThrottleCounting,
}

/// The greatest difference between the clocks of two hosts that share a spending limit. If a stored time is further
/// ahead, a clock was set back; the limit then begins anew, because it would otherwise refuse messages until the old
/// time is reached.
const CLOCK_DIFFERENCE_MAX: TimeDelta = TimeDelta::minutes(10);

/// The unit that a throttle counts, and its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleCounting {
    /// Each message counts once, in any window of the length.
    Messages,
    /// A message counts as this number of text parts. Windows begin at whole multiples of their length since 1970. Used
    /// for the spending limit of an API key.
    Parts(u32),
    /// A message counts as this number of text parts. Windows are the calendar months in UTC, whatever the length of the
    /// window.
    PartsOfMonth(u32),
}

/// The wait of a message that a throttle refuses. Waits are ordered by their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThrottleWait {
    /// The time after which the message may be accepted.
    pub retry_after: Duration,
    /// True if the spending limit of the API key is reached, false if the limit of a user is.
    pub is_spending_limit: bool,
}

impl UserThrottle {
    /// Longest window: differences of times are stored in 32 bits, in milliseconds.
    pub const WINDOW_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

    fn window(&self) -> TimeDelta {
        TimeDelta::from_std(self.window.min(Self::WINDOW_MAX)).unwrap_or_default()
    }

    /// Returns the same throttle for one message to each of `users` users.
    #[must_use]
    pub fn for_users(&self, users: u64) -> Self {
        let of_all = |parts: u32| u32::try_from(u64::from(parts).saturating_mul(users)).unwrap_or(u32::MAX);
        let counting = match self.counting {
            ThrottleCounting::Messages => ThrottleCounting::Messages,
            ThrottleCounting::Parts(parts) => ThrottleCounting::Parts(of_all(parts)),
            ThrottleCounting::PartsOfMonth(parts) => ThrottleCounting::PartsOfMonth(of_all(parts)),
        };
        Self { counting, ..self.clone() }
    }

    /// Returns begin and end of the calendar window around a time, all in milliseconds since 1970.
    fn calendar_window(&self, at_ms: i64) -> (i64, i64) {
        if let ThrottleCounting::PartsOfMonth(_) = self.counting
            && let Some(window) = month_window(at_ms)
        {
            return window;
        }
        let length = self.window().num_milliseconds().max(1);
        let begin = at_ms.div_euclid(length) * length;
        (begin, begin + length)
    }
}

/// Returns begin and end of the calendar month in UTC around a time; `None` outside the calendar.
fn month_window(at_ms: i64) -> Option<(i64, i64)> {
    let first_day = DateTime::from_timestamp_millis(at_ms)?.date_naive().with_day(1)?;
    let next_month = first_day.checked_add_months(Months::new(1))?;
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    Some((midnight(first_day), midnight(next_month)))
}

/// The stored state of a throttle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThrottleState {
    /// Times of the latest messages.
    Times(RecentMessageTimes),
    /// Text parts of the latest window.
    Parts(WindowParts),
}

impl ThrottleState {
    /// Returns the state of a throttle that has not counted anything yet.
    pub fn new(counting: ThrottleCounting) -> Self {
        match counting {
            ThrottleCounting::Messages => Self::Times(RecentMessageTimes::default()),
            ThrottleCounting::Parts(_) | ThrottleCounting::PartsOfMonth(_) => {
                Self::Parts(WindowParts::default())
            }
        }
    }

    /// Counts a message, or returns the time after which it would be accepted.
    pub fn try_record(&mut self, throttle: &UserThrottle, now: DateTime<Utc>) -> Result<(), ThrottleWait> {
        match (self, throttle.counting) {
            (Self::Times(times), _) => times
                .try_record(throttle, now)
                .map_err(|retry_after| ThrottleWait { retry_after, is_spending_limit: false }),
            (Self::Parts(window), counting) => {
                let parts = match counting {
                    ThrottleCounting::Parts(parts) | ThrottleCounting::PartsOfMonth(parts) => parts,
                    ThrottleCounting::Messages => 1,
                };
                window
                    .try_record(throttle, parts, now)
                    .map_err(|retry_after| ThrottleWait { retry_after, is_spending_limit: true })
            }
        }
    }

    /// Returns the time from which no recorded message or part counts any more, in milliseconds since 1970.
    pub fn expires_at_ms(&self, throttle: &UserThrottle) -> i64 {
        match self {
            Self::Times(times) => times.expires_at_ms(throttle),
            Self::Parts(window) => throttle.calendar_window(window.begins_at_ms).1,
        }
    }

    /// Encodes the state for a store.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Times(times) => times.to_bytes(),
            Self::Parts(window) => {
                [&window.begins_at_ms.to_le_bytes()[..], &window.parts.to_le_bytes()].concat()
            }
        }
    }

    /// Decodes what [`ThrottleState::to_bytes`] wrote for a throttle that counts the same; returns none for other bytes.
    pub fn from_bytes(counting: ThrottleCounting, throttle_bytes: &[u8]) -> Option<Self> {
        if throttle_bytes.is_empty() {
            return Some(Self::new(counting));
        }
        match counting {
            ThrottleCounting::Messages => RecentMessageTimes::from_bytes(throttle_bytes).map(Self::Times),
            ThrottleCounting::Parts(_) | ThrottleCounting::PartsOfMonth(_) => {
                let (begin, window_parts) = throttle_bytes.split_first_chunk::<8>()?;
                let window_parts = u32::from_le_bytes(window_parts.try_into().ok()?);
                Some(Self::Parts(WindowParts {
                    begins_at_ms: i64::from_le_bytes(*begin),
                    parts: window_parts,
                }))
            }
        }
    }
}

/// The text parts that were accepted in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowParts {
    /// Begin of the window, in milliseconds since 1970.
    begins_at_ms: i64,
    parts: u32,
}

impl WindowParts {
    /// Counts further parts, or returns the time until the next window. If `now` is in an earlier window, the clock of
    /// another host is ahead; the parts then count in the stored window, so that all hosts share one limit. If `now` is
    /// more than [`CLOCK_DIFFERENCE_MAX`] before the stored window, a clock was set back.
    fn try_record(
        &mut self,
        throttle: &UserThrottle,
        parts: u32,
        now: DateTime<Utc>,
    ) -> Result<(), Duration> {
        let now = now.timestamp_millis();
        let current_window = throttle.calendar_window(now).0;
        let (previous_window, _) = throttle.calendar_window(self.begins_at_ms - 1);
        let clock_difference_max = CLOCK_DIFFERENCE_MAX.num_milliseconds();
        let earliest_window = previous_window.min(self.begins_at_ms - clock_difference_max);
        let counts_in_stored_window = (earliest_window..=self.begins_at_ms).contains(&current_window);
        let mut window =
            if counts_in_stored_window { *self } else { Self { begins_at_ms: current_window, parts: 0 } };
        window.parts = window.parts.saturating_add(parts);
        if window.parts > throttle.limit {
            let wait = throttle.calendar_window(window.begins_at_ms).1 - now;
            return Err(Duration::from_millis(u64::try_from(wait).unwrap_or(1)));
        }
        *self = window;
        Ok(())
    }
}

/// The times at which a subject's latest messages were accepted, in milliseconds since 1970, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecentMessageTimes(Vec<i64>);

impl RecentMessageTimes {
    /// Records one more message, or returns the time after which it would be accepted.
    ///
    /// If `now` is slightly before the newest recorded time, the clock of another host is ahead; the message then
    /// counts at the recorded time. If `now` is more than a window earlier, a clock was set back; the later times are
    /// then dropped.
    pub fn try_record(&mut self, throttle: &UserThrottle, now: DateTime<Utc>) -> Result<(), Duration> {
        let window = throttle.window().num_milliseconds();
        let now = now.timestamp_millis();
        self.0.retain(|recorded| *recorded <= now + window);
        let message_time = self.0.last().map_or(now, |newest| now.max(*newest));
        self.0.retain(|recorded| *recorded > message_time - window);
        let limit = usize::try_from(throttle.limit).unwrap_or(usize::MAX).max(1);
        if let Some(excess) = self.0.len().checked_sub(limit) {
            let free_at = self.0.get(excess).map_or(message_time, |recorded| recorded + window);
            return Err(Duration::from_millis(u64::try_from(free_at - now).unwrap_or(1)));
        }
        self.0.push(message_time);
        Ok(())
    }

    /// Returns the time from which no recorded message counts any more, in milliseconds since 1970.
    pub fn expires_at_ms(&self, throttle: &UserThrottle) -> i64 {
        self.0.last().copied().unwrap_or_default() + throttle.window().num_milliseconds()
    }

    /// Encodes the times for a store: the first in milliseconds since 1970, then the differences.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Some(first) = self.0.first() else {
            return Vec::new();
        };
        let gaps = self.0.iter().zip(&self.0[1..]).map(|(earlier, later)| later - earlier);
        let gap_bytes = gaps.flat_map(|gap| u32::try_from(gap).unwrap_or(u32::MAX).to_le_bytes());
        first.to_le_bytes().into_iter().chain(gap_bytes).collect()
    }

    /// Decodes what [`RecentMessageTimes::to_bytes`] wrote; returns none for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let (first, gaps) = bytes.split_first_chunk::<8>()?;
        let (gaps, incomplete_gap) = gaps.as_chunks::<4>();
        let mut time = i64::from_le_bytes(*first);
        let mut times = Vec::with_capacity(gaps.len() + 2);
        times.push(time);
        for gap in gaps {
            time += i64::from(u32::from_le_bytes(*gap));
            times.push(time);
        }
        incomplete_gap.is_empty().then_some(Self(times))
    }
}

#[cfg(test)]
mod tests;
