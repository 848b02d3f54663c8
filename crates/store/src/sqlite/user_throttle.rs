//! Throttles in SQLite: one row is read and one row is written for each throttle.
//!
//! Write transactions are exclusive, so a row cannot change between its read and its write.

use rusqlite::params;

use super::write_transaction::WriteTransaction;
use crate::{rollups::HOUR_MS, rows::SqlRow};
use postrider_core::clock::Timestamp;
use postrider_core::user_throttle::{ThrottleState, ThrottleWait, UserThrottle};

static READ_STATE: &str = sql!("sqlite/accept/read_user_throttle");
static SAVE_STATE: &str = sql!("sqlite/accept/save_user_throttle");

/// Counts one more message in all its throttles, or returns the time after which the message may be accepted.
pub fn check_throttles(
    transaction: &mut WriteTransaction<'_>,
    throttles: &[UserThrottle],
    now: Timestamp,
) -> rusqlite::Result<Option<ThrottleWait>> {
    let mut longest_wait = None;
    let mut counted_throttles = Vec::with_capacity(throttles.len());
    for throttle in throttles {
        let mut throttle_state = load_state(transaction, throttle)?;
        match throttle_state.try_record(throttle, now) {
            Ok(()) => counted_throttles.push((throttle, throttle_state)),
            Err(wait) => longest_wait = longest_wait.max(Some(wait)),
        }
    }
    if longest_wait.is_some() {
        return Ok(longest_wait);
    }
    for (throttle, throttle_state) in counted_throttles {
        let expires_hour = throttle_state.expires_at_ms(throttle).div_euclid(HOUR_MS) + 1;
        transaction
            .execute(SAVE_STATE, params![throttle.subject, throttle_state.to_bytes(), expires_hour])?;
    }
    Ok(None)
}

fn load_state(
    transaction: &mut WriteTransaction<'_>,
    throttle: &UserThrottle,
) -> rusqlite::Result<ThrottleState> {
    let stored_state = transaction.query_optional(READ_STATE, [throttle.subject], |row| {
        let state_bytes = row.required("times", row.optional_bytes("times")?)?;
        let state = ThrottleState::from_bytes(throttle.counting, state_bytes);
        state.ok_or_else(|| row.invalid_value("times", &format!("{} bytes", state_bytes.len())))
    })?;
    Ok(stored_state.unwrap_or_else(|| ThrottleState::new(throttle.counting)))
}
