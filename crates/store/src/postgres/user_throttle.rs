//! Whether users may get one more message that expects an answer: one row each, locked until the transaction ends.
//!
//! Several hosts decide at once: rows are locked in the order of their subjects, so that two hosts do not wait for
//! each other. Costs nothing where no message has a throttle.

use std::collections::BTreeMap;
use std::time::Duration;

use super::errors::PgError;
use super::pool::{PgTransaction, bind};
use super::rows;
use crate::rollups::HOUR_MS;
use postrider_core::message::NewMessage;
use postrider_core::user_throttle::RecentMessageTimes;

static LOCK_THROTTLES: &str = sql!("postgres/accept/lock_user_throttles");
static RECENT_TIMES: &str = sql!("postgres/accept/read_user_throttle");
static SAVE_RECENT_TIMES: &str = sql!("postgres/accept/save_user_throttle");

/// What is known of a subject: its times, and when they count nothing any more if a message was added.
#[derive(Default)]
struct ThrottleState {
    times: RecentMessageTimes,
    expires_ms: Option<i64>,
}

/// For each message in turn after how long it would be let through; none when it is, which is then counted.
pub async fn check_throttles(
    transaction: &PgTransaction,
    messages: &[&NewMessage],
) -> Result<Vec<Option<Duration>>, PgError> {
    let throttles = messages
        .iter()
        .flat_map(|message| &message.throttles)
        .map(|throttle| (throttle.subject, ThrottleState::default()));
    let mut states = throttles.collect::<BTreeMap<_, _>>();
    if states.is_empty() {
        return Ok(vec![None; messages.len()]);
    }
    load_states(transaction, &mut states).await?;
    let refused = messages.iter().map(|message| take_all(message, &mut states));
    let refused = refused.collect();
    save_states(transaction, &states).await?;
    Ok(refused)
}

async fn load_states(
    transaction: &PgTransaction,
    states: &mut BTreeMap<[u8; 32], ThrottleState>,
) -> Result<(), PgError> {
    let subjects = states.keys().map(|subject| subject.to_vec()).collect::<Vec<_>>();
    // Zero, so that a row that stays empty is the first to be pruned.
    transaction.execute(LOCK_THROTTLES, bind![subjects, 0]).await?;
    for row in transaction.query(RECENT_TIMES, bind![subjects]).await? {
        if let Some(state) = states.get_mut(&rows::decode_bytes::<32>(&row, 0)?) {
            state.times = RecentMessageTimes::from_bytes(rows::get(&row, 1)?)
                .ok_or_else(|| PgError::InvalidRow("a user's times cannot be read".to_owned()))?;
        }
    }
    Ok(())
}

/// All throttles of the message let it through and count it, or none of them does.
fn take_all(message: &NewMessage, states: &mut BTreeMap<[u8; 32], ThrottleState>) -> Option<Duration> {
    let mut longest = None;
    let mut taken = Vec::with_capacity(message.throttles.len());
    for throttle in &message.throttles {
        let state = states.get(&throttle.subject);
        let mut times = state.map(|state| state.times.clone()).unwrap_or_default();
        match times.try_record(throttle, message.created_at) {
            Ok(()) => taken.push((throttle, times)),
            Err(wait) => longest = longest.max(Some(wait)),
        }
    }
    if longest.is_none() {
        for (throttle, times) in taken {
            let expires_ms = Some(times.expires_at_ms(throttle));
            states.insert(throttle.subject, ThrottleState { times, expires_ms });
        }
    }
    longest
}

async fn save_states(
    transaction: &PgTransaction,
    states: &BTreeMap<[u8; 32], ThrottleState>,
) -> Result<(), PgError> {
    let (mut subjects, mut times, mut hours) = (Vec::new(), Vec::new(), Vec::new());
    for (subject, state) in states {
        if let Some(expires_ms) = state.expires_ms {
            subjects.push(subject.to_vec());
            times.push(state.times.to_bytes());
            hours.push(expires_ms.div_euclid(HOUR_MS) + 1);
        }
    }
    if subjects.is_empty() {
        return Ok(());
    }
    transaction
        .execute(SAVE_RECENT_TIMES, bind![subjects, times, hours])
        .await
        .map(drop)
}
