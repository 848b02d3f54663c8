//! User throttles in SQLite: one row read and one row written per throttle.
//!
//! There is one write transaction at a time, so the rows cannot change between the two.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::write_transaction::WriteTransaction;
use crate::rollups::HOUR_MS;
use crate::rows::SqlRow;
use postrider_core::clock::Timestamp;
use postrider_core::user_throttle::{RecentMessageTimes, UserThrottle};

static RECENT_TIMES: &str = sql!("sqlite/accept/read_user_throttle");
static SAVE_RECENT_TIMES: &str = sql!("sqlite/accept/save_user_throttle");

/// Counts one more message under all its throttles, or returns after how long it may be tried again.
pub fn check_throttles(
    transaction: &mut WriteTransaction<'_>,
    throttles: &[UserThrottle],
    now: Timestamp,
) -> rusqlite::Result<Option<Duration>> {
    let mut longest_wait = None;
    let mut counted = Vec::with_capacity(throttles.len());
    for throttle in throttles {
        let mut times = load_recent_times(transaction, throttle)?;
        match times.try_record(throttle, now) {
            Ok(()) => counted.push((throttle, times)),
            Err(wait) => longest_wait = longest_wait.max(Some(wait)),
        }
    }
    if longest_wait.is_some() {
        return Ok(longest_wait);
    }
    for (throttle, times) in counted {
        transaction.statement(SAVE_RECENT_TIMES)?.execute(params![
            throttle.subject,
            times.to_bytes(),
            times.expires_at_ms(throttle).div_euclid(HOUR_MS) + 1
        ])?;
    }
    Ok(None)
}

fn load_recent_times(
    transaction: &mut WriteTransaction<'_>,
    throttle: &UserThrottle,
) -> rusqlite::Result<RecentMessageTimes> {
    let stored = transaction
        .statement(RECENT_TIMES)?
        .query_row([throttle.subject], |row| {
            let bytes = row.required("times", row.optional_bytes("times")?)?;
            let times = RecentMessageTimes::from_bytes(bytes);
            times.ok_or_else(|| row.invalid_value("times", &format!("{} bytes", bytes.len())))
        })
        .optional()?;
    Ok(stored.unwrap_or_default())
}
