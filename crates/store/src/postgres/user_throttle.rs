//! User throttles: limits on messages that expect an answer, one row per user and scope.
//!
//! Rows are locked in the order of their subjects until the transaction ends, so that two processes do not deadlock.
//! Messages without throttles cost nothing.

use std::{collections::BTreeMap, time::Duration};

use super::errors::PgError;
use super::pool::{PgTransaction, bind};
use crate::{rollups::HOUR_MS, rows::SqlRow};
use postrider_core::{message::NewMessage, user_throttle::RecentMessageTimes};

static LOCK: &str = sql!("postgres/accept/lock_user_throttles");
static READ: &str = sql!("postgres/accept/read_user_throttle");
static SAVE: &str = sql!("postgres/accept/save_user_throttle");

/// The times of the recent messages to a user, within one scope.
#[derive(Default)]
struct ThrottleState {
    times: RecentMessageTimes,
    /// Expiry of the row in milliseconds since 1970, set when a message was added.
    expires_ms: Option<i64>,
}

/// SHA-256 of a user and a scope.
type Subject = [u8; 32];

/// Checks the throttles of messages in order, and counts the messages that pass. Returns the waiting time of each
/// message that does not pass.
pub async fn check_throttles(
    transaction: &PgTransaction,
    messages: &[&NewMessage],
) -> Result<Vec<Option<Duration>>, PgError> {
    let mut throttle_states = messages
        .iter()
        .flat_map(|message| &message.throttles)
        .map(|throttle| (throttle.subject, ThrottleState::default()))
        .collect::<BTreeMap<_, _>>();
    if throttle_states.is_empty() {
        return Ok(vec![None; messages.len()]);
    }
    load_states(transaction, &mut throttle_states).await?;
    let waits = messages.iter().map(|message| record_in_all(message, &mut throttle_states)).collect();
    save_states(transaction, &throttle_states).await?;
    Ok(waits)
}

async fn load_states(
    transaction: &PgTransaction,
    states: &mut BTreeMap<Subject, ThrottleState>,
) -> Result<(), PgError> {
    let subjects = states.keys().map(|subject| subject.to_vec()).collect::<Vec<_>>();
    // A new row expires in hour 0, so that a row that stays empty is pruned first.
    transaction.execute(LOCK, bind![subjects, 0_i64]).await?;
    for row in &transaction.query(READ, bind![subjects]).await? {
        if let Some(state) = states.get_mut(&row.bytes("subject")?) {
            let times = row.optional_bytes("times")?;
            state.times = RecentMessageTimes::from_bytes(row.required("times", times)?)
                .ok_or_else(|| PgError::InvalidRow("column times: invalid length".to_owned()))?;
        }
    }
    Ok(())
}

/// Counts a message in all its throttles, or in none of them and returns the longest waiting time.
fn record_in_all(message: &NewMessage, states: &mut BTreeMap<Subject, ThrottleState>) -> Option<Duration> {
    let mut longest_wait = None;
    let mut recorded = Vec::with_capacity(message.throttles.len());
    for throttle in &message.throttles {
        let throttle_state = states.get(&throttle.subject);
        let mut times = throttle_state.map(|state| state.times.clone()).unwrap_or_default();
        match times.try_record(throttle, message.created_at) {
            Ok(()) => recorded.push((throttle, times)),
            Err(wait) => longest_wait = longest_wait.max(Some(wait)),
        }
    }
    if longest_wait.is_none() {
        for (throttle, times) in recorded {
            let expires_ms = Some(times.expires_at_ms(throttle));
            states.insert(throttle.subject, ThrottleState { times, expires_ms });
        }
    }
    longest_wait
}

async fn save_states(
    transaction: &PgTransaction,
    states: &BTreeMap<Subject, ThrottleState>,
) -> Result<(), PgError> {
    let (mut subjects, mut times, mut expiry_hours) = (Vec::new(), Vec::new(), Vec::new());
    for (subject, state) in states {
        if let Some(expires_ms) = state.expires_ms {
            subjects.push(subject.to_vec());
            times.push(state.times.to_bytes());
            expiry_hours.push(expires_ms.div_euclid(HOUR_MS) + 1);
        }
    }
    if !subjects.is_empty() {
        transaction.execute(SAVE, bind![subjects, times, expiry_hours]).await?;
    }
    Ok(())
}
