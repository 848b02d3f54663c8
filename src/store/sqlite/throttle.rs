//! Whether a user may get one more message that expects an answer: one row read and one written.
//!
//! Runs inside the writer's transaction; there is one writer, so what it reads is true until it commits.

use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, params};

use super::desk::Desk;
use crate::clock::Timestamp;
use crate::domain::user_throttle::{RecentTimes, UserThrottle};
use crate::store::tally::HOUR_MS;

static TIMES: &str = include_str!("../../../sql/sqlite/accept_throttle.sql");
static TIMES_SET: &str = include_str!("../../../sql/sqlite/accept_throttle_set.sql");

/// After how long one more is let through; none when this one is, which is then counted under every throttle.
pub fn refuse(
    desk: &mut Desk<'_>,
    throttles: &[UserThrottle],
    now: Timestamp,
) -> rusqlite::Result<Option<Duration>> {
    let mut longest = None;
    let mut taken = Vec::with_capacity(throttles.len());
    for throttle in throttles {
        let mut times = recent(desk, throttle)?;
        match times.take(throttle, now) {
            Ok(()) => taken.push((throttle, times)),
            Err(wait) => longest = longest.max(Some(wait)),
        }
    }
    if longest.is_none() {
        for (throttle, times) in taken {
            desk.statement(TIMES_SET)?.execute(params![
                throttle.subject,
                times.to_bytes(),
                times.expires_ms(throttle).div_euclid(HOUR_MS) + 1
            ])?;
        }
    }
    Ok(longest)
}

fn recent(desk: &mut Desk<'_>, throttle: &UserThrottle) -> rusqlite::Result<RecentTimes> {
    let read = desk
        .statement(TIMES)?
        .query_row([throttle.subject], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    RecentTimes::from_bytes(&read.unwrap_or_default())
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, "no times".into()))
}
