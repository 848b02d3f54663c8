//! Whether a user may get one more message that expects an answer: one row read and one written.
//!
//! Runs inside the writer's transaction; there is one writer, so what it reads is true until it commits.

use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, params};

use super::write_transaction::WriteTransaction;
use crate::rollups::HOUR_MS;
use postrider_core::clock::Timestamp;
use postrider_core::user_throttle::{RecentMessageTimes, UserThrottle};

static RECENT_TIMES: &str = include_str!("../../../../sql/sqlite/accept/read_user_throttle.sql");
static SAVE_RECENT_TIMES: &str = include_str!("../../../../sql/sqlite/accept/save_user_throttle.sql");

/// After how long one more is let through; none when this one is, which is then counted under every throttle.
pub fn check_throttles(
    desk: &mut WriteTransaction<'_>,
    throttles: &[UserThrottle],
    now: Timestamp,
) -> rusqlite::Result<Option<Duration>> {
    let mut longest = None;
    let mut taken = Vec::with_capacity(throttles.len());
    for throttle in throttles {
        let mut times = load_recent_times(desk, throttle)?;
        match times.try_record(throttle, now) {
            Ok(()) => taken.push((throttle, times)),
            Err(wait) => longest = longest.max(Some(wait)),
        }
    }
    if longest.is_none() {
        for (throttle, times) in taken {
            desk.statement(SAVE_RECENT_TIMES)?.execute(params![
                throttle.subject,
                times.to_bytes(),
                times.expires_at_ms(throttle).div_euclid(HOUR_MS) + 1
            ])?;
        }
    }
    Ok(longest)
}

fn load_recent_times(
    desk: &mut WriteTransaction<'_>,
    throttle: &UserThrottle,
) -> rusqlite::Result<RecentMessageTimes> {
    let read = desk
        .statement(RECENT_TIMES)?
        .query_row([throttle.subject], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    RecentMessageTimes::from_bytes(&read.unwrap_or_default())
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, "no times".into()))
}
