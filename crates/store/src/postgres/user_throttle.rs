//! Throttles: limits per user on messages that expect an answer, and spending limits of API keys, one row per subject.
//!
//! Rows are locked in the order of their subjects until the transaction ends, so that two processes do not deadlock.
//! Messages without throttles cost nothing.

use std::collections::BTreeMap;

use super::errors::PgError;
use super::pool::{PgTransaction, bind};
use crate::{rollups::HOUR_MS, rows::SqlRow};
use postrider_core::clock::Timestamp;
use postrider_core::message::NewMessage;
use postrider_core::user_throttle::{ThrottleCounting, ThrottleState, ThrottleWait, UserThrottle};

static LOCK: &str = sql!("postgres/accept/lock_user_throttles");
static READ: &str = sql!("postgres/accept/read_user_throttle");
static SAVE: &str = sql!("postgres/accept/save_user_throttle");

/// The state of one throttle.
struct LoadedState {
    counting: ThrottleCounting,
    state: ThrottleState,
    /// Expiry of the row in milliseconds since 1970, set when a message was added.
    expires_ms: Option<i64>,
}

/// SHA-256 of a user or an API key, and of a scope.
type Subject = [u8; 32];

/// Checks the throttles of messages in order, and counts the messages that pass. Returns the waiting time of each
/// message that does not pass.
pub async fn check_throttles(
    transaction: &PgTransaction,
    messages: &[&NewMessage],
) -> Result<Vec<Option<ThrottleWait>>, PgError> {
    let requests = messages.iter().map(|message| (&message.throttles[..], message.created_at));
    check_in_order(transaction, &requests.collect::<Vec<_>>()).await
}

/// Counts a broadcast in its throttles, or returns the time after which it may be accepted.
pub async fn check_broadcast(
    transaction: &PgTransaction,
    throttles: &[UserThrottle],
    now: Timestamp,
) -> Result<Option<ThrottleWait>, PgError> {
    Ok(check_in_order(transaction, &[(throttles, now)]).await?.into_iter().flatten().next())
}

/// Checks the throttles of each request in order, at the time of the request.
async fn check_in_order(
    transaction: &PgTransaction,
    requests: &[(&[UserThrottle], Timestamp)],
) -> Result<Vec<Option<ThrottleWait>>, PgError> {
    let empty_state = |throttle: &UserThrottle| {
        let state = ThrottleState::new(throttle.counting);
        (throttle.subject, LoadedState { counting: throttle.counting, state, expires_ms: None })
    };
    let mut states =
        requests.iter().flat_map(|(throttles, _)| *throttles).map(empty_state).collect::<BTreeMap<_, _>>();
    if states.is_empty() {
        return Ok(vec![None; requests.len()]);
    }
    load_states(transaction, &mut states).await?;
    let record =
        |(throttles, now): &(&[UserThrottle], Timestamp)| record_in_all(throttles, *now, &mut states);
    let waits = requests.iter().map(record).collect();
    save_states(transaction, &states).await?;
    Ok(waits)
}

async fn load_states(
    transaction: &PgTransaction,
    states: &mut BTreeMap<Subject, LoadedState>,
) -> Result<(), PgError> {
    let subjects = states.keys().map(|subject| subject.to_vec()).collect::<Vec<_>>();
    // A new row expires in hour 0. If it stays empty, it is pruned first.
    transaction.execute(LOCK, bind![subjects, 0_i64]).await?;
    for row in &transaction.query(READ, bind![subjects]).await? {
        if let Some(loaded) = states.get_mut(&row.bytes("subject")?) {
            let times = row.optional_bytes("times")?;
            loaded.state = ThrottleState::from_bytes(loaded.counting, row.required("times", times)?)
                .ok_or_else(|| PgError::InvalidRow("column times: invalid length".to_owned()))?;
        }
    }
    Ok(())
}

/// Counts a request in all its throttles. If one throttle refuses it, counts it in none and returns the longest waiting
/// time.
fn record_in_all(
    throttles: &[UserThrottle],
    now: Timestamp,
    states: &mut BTreeMap<Subject, LoadedState>,
) -> Option<ThrottleWait> {
    let mut longest_wait = None;
    let mut recorded = Vec::with_capacity(throttles.len());
    for throttle in throttles {
        let loaded = states.get(&throttle.subject);
        let mut throttle_state =
            loaded.map_or_else(|| ThrottleState::new(throttle.counting), |loaded| loaded.state.clone());
        match throttle_state.try_record(throttle, now) {
            Ok(()) => recorded.push((throttle, throttle_state)),
            Err(wait) => longest_wait = longest_wait.max(Some(wait)),
        }
    }
    if longest_wait.is_none() {
        for (throttle, throttle_state) in recorded {
            let expires_ms = Some(throttle_state.expires_at_ms(throttle));
            let counting = throttle.counting;
            states.insert(throttle.subject, LoadedState { counting, state: throttle_state, expires_ms });
        }
    }
    longest_wait
}

async fn save_states(
    transaction: &PgTransaction,
    states: &BTreeMap<Subject, LoadedState>,
) -> Result<(), PgError> {
    let (mut subjects, mut times, mut expiry_hours) = (Vec::new(), Vec::new(), Vec::new());
    for (subject, loaded) in states {
        if let Some(expires_ms) = loaded.expires_ms {
            subjects.push(subject.to_vec());
            times.push(loaded.state.to_bytes());
            expiry_hours.push(expires_ms.div_euclid(HOUR_MS) + 1);
        }
    }
    if !subjects.is_empty() {
        transaction.execute(SAVE, bind![subjects, times, expiry_hours]).await?;
    }
    Ok(())
}
