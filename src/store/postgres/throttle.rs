//! Whether users may get one more message that expects an answer: one row each, locked until the transaction ends.
//!
//! Several hosts decide at once: rows are locked in the order of their subjects, so that two hosts do not wait for
//! each other. Costs nothing where no message has a throttle.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fault::Trouble;
use super::link::{Desk, bind};
use super::rows;
use crate::domain::message::NewMessage;
use crate::domain::user_throttle::RecentTimes;
use crate::store::tally::HOUR_MS;

static LOCK: &str = include_str!("../../../sql/postgres/accept_throttle_lock.sql");
static TIMES: &str = include_str!("../../../sql/postgres/accept_throttle.sql");
static TIMES_SET: &str = include_str!("../../../sql/postgres/accept_throttle_set.sql");

/// What is known of a subject: its times, and when they count nothing any more if a message was added.
#[derive(Default)]
struct Counted {
    times: RecentTimes,
    expires_ms: Option<i64>,
}

/// For each message in turn after how long it would be let through; none when it is, which is then counted.
pub async fn refuse(desk: &Desk, messages: &[&NewMessage]) -> Result<Vec<Option<Duration>>, Trouble> {
    let throttles = messages
        .iter()
        .flat_map(|message| &message.throttles)
        .map(|throttle| (throttle.subject, Counted::default()));
    let mut counted = throttles.collect::<BTreeMap<_, _>>();
    if counted.is_empty() {
        return Ok(vec![None; messages.len()]);
    }
    read(desk, &mut counted).await?;
    let refused = messages.iter().map(|message| take(message, &mut counted));
    let refused = refused.collect();
    write(desk, &counted).await?;
    Ok(refused)
}

async fn read(desk: &Desk, counted: &mut BTreeMap<[u8; 32], Counted>) -> Result<(), Trouble> {
    let subjects = counted.keys().map(|subject| subject.to_vec()).collect::<Vec<_>>();
    // Zero, so that a row that stays empty is the first to be pruned.
    desk.run(LOCK, bind![subjects, 0]).await?;
    for row in desk.rows(TIMES, bind![subjects]).await? {
        if let Some(one) = counted.get_mut(&rows::bytes::<32>(&row, 0)?) {
            one.times = RecentTimes::from_bytes(rows::get(&row, 1)?)
                .ok_or_else(|| Trouble::Row("a user's times cannot be read".to_owned()))?;
        }
    }
    Ok(())
}

/// All throttles of the message let it through and count it, or none of them does.
fn take(message: &NewMessage, counted: &mut BTreeMap<[u8; 32], Counted>) -> Option<Duration> {
    let mut longest = None;
    let mut taken = Vec::with_capacity(message.throttles.len());
    for throttle in &message.throttles {
        let known = counted.get(&throttle.subject);
        let mut times = known.map(|known| known.times.clone()).unwrap_or_default();
        match times.take(throttle, message.created_at) {
            Ok(()) => taken.push((throttle, times)),
            Err(wait) => longest = longest.max(Some(wait)),
        }
    }
    if longest.is_none() {
        for (throttle, times) in taken {
            let expires_ms = Some(times.expires_ms(throttle));
            counted.insert(throttle.subject, Counted { times, expires_ms });
        }
    }
    longest
}

async fn write(desk: &Desk, counted: &BTreeMap<[u8; 32], Counted>) -> Result<(), Trouble> {
    let (mut subjects, mut times, mut hours) = (Vec::new(), Vec::new(), Vec::new());
    for (subject, one) in counted {
        if let Some(expires_ms) = one.expires_ms {
            subjects.push(subject.to_vec());
            times.push(one.times.to_bytes());
            hours.push(expires_ms.div_euclid(HOUR_MS) + 1);
        }
    }
    if subjects.is_empty() {
        return Ok(());
    }
    desk.run(TIMES_SET, bind![subjects, times, hours]).await.map(drop)
}
