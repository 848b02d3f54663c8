//! The limit for messages that expect an answer, per user and rolling window.
//!
//! A store keeps the times of a user's latest messages in one small row and decides with them about the next message. Exact
//! to the millisecond: no window of that length, wherever the window begins, holds more messages than the limit.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// A limit that applies to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserThrottle {
    /// SHA-256 of the user and of the scope whose messages are counted together.
    pub subject: [u8; 32],
    /// Maximum number of messages in a window; at least one.
    pub limit: u32,
    /// Time for which a message counts, at most [`UserThrottle::WINDOW_MAX`].
    pub window: Duration,
}

impl UserThrottle {
    /// Longest window: differences of times are stored in 32 bits, in milliseconds.
    pub const WINDOW_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

    fn window(&self) -> TimeDelta {
        TimeDelta::from_std(self.window.min(Self::WINDOW_MAX)).unwrap_or_default()
    }
}

/// The times at which a subject's latest messages were accepted, in milliseconds since 1970, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecentMessageTimes(Vec<i64>);

impl RecentMessageTimes {
    /// Records one more message, or returns the time after which it would be accepted.
    ///
    /// A `now` slightly before the newest recorded time (another host was faster) counts as that time. A `now` more than a
    /// window before it means that a clock was set back; later times are then dropped.
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
