//! User throttles in SQLite: one row is read and one row is written for each throttle.
//!
//! Write transactions are exclusive, so a row cannot change between its read and its write.

use std::time::Duration;

use rusqlite::params;

use super::write_transaction::WriteTransaction;
use crate::{rollups::HOUR_MS, rows::SqlRow};
use postrider_core::clock::Timestamp;
use postrider_core::user_throttle::{RecentMessageTimes, UserThrottle};

static RECENT_TIMES: &str = sql!("sqlite/accept/read_user_throttle");
static SAVE_RECENT_TIMES: &str = sql!("sqlite/accept/save_user_throttle");

/// Counts one more message under all its throttles, or returns the time after which the message may be tried again.
pub fn check_throttles(
    transaction: &mut WriteTransaction<'_>,
    throttles: &[UserThrottle],
    now: Timestamp,
) -> rusqlite::Result<Option<Duration>> {
    let mut longest_wait = None;
    let mut counted_throttles = Vec::with_capacity(throttles.len());
    for throttle in throttles {
        let mut times = load_recent_times(transaction, throttle)?;
        match times.try_record(throttle, now) {
            Ok(()) => counted_throttles.push((throttle, times)),
            Err(wait) => longest_wait = longest_wait.max(Some(wait)),
        }
    }
    if longest_wait.is_some() {
        return Ok(longest_wait);
    }
    for (throttle, times) in counted_throttles {
        let expires_hour = times.expires_at_ms(throttle).div_euclid(HOUR_MS) + 1;
        transaction.execute(SAVE_RECENT_TIMES, params![throttle.subject, times.to_bytes(), expires_hour])?;
    }
    Ok(None)
}

fn load_recent_times(
    transaction: &mut WriteTransaction<'_>,
    throttle: &UserThrottle,
) -> rusqlite::Result<RecentMessageTimes> {
    let stored_times = transaction.query_optional(RECENT_TIMES, [throttle.subject], |row| {
        let bytes = row.required("times", row.optional_bytes("times")?)?;
        let times = RecentMessageTimes::from_bytes(bytes);
        times.ok_or_else(|| row.invalid_value("times", &format!("{} bytes", bytes.len())))
    })?;
    Ok(stored_times.unwrap_or_default())
}
