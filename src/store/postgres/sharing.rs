//! What the hosts on one database agree on: the time, how fast providers are asked, how they do, whose turn it is.
//!
//! Never begins or ends a transaction. Whoever counts or judges holds a lock until the transaction ends.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::fault::Trouble;
use super::gather::Gathered;
use super::link::{Desk, bind};
use super::rows::{self, kept as written};
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::fleet::{Known, Learned, News};
use crate::domain::throttle::{self, Kept, PaceWish};
use crate::domain::turn::{Owner, Task, Turn};
use crate::store::sharing::{self, Columns};
use crate::store::{Passage, Probe};

static TIME: &str = include_str!("../../../sql/postgres/time.sql");
static LOCK: &str = include_str!("../../../sql/postgres/fleet_lock.sql");
static PACE: &str = include_str!("../../../sql/postgres/pace.sql");
static PACE_KEEP: &str = include_str!("../../../sql/postgres/pace_keep.sql");
static STANDINGS: &str = include_str!("../../../sql/postgres/standings.sql");
static STANDING: &str = include_str!("../../../sql/postgres/standing.sql");
static STANDING_KEEP: &str = include_str!("../../../sql/postgres/standing_keep.sql");
static TURN: &str = include_str!("../../../sql/postgres/turn.sql");
static TURN_TAKE: &str = include_str!("../../../sql/postgres/turn_take.sql");
static TURN_RENEW: &str = include_str!("../../../sql/postgres/turn_renew.sql");
static TURN_END: &str = include_str!("../../../sql/postgres/turn_end.sql");

/// The lock whoever writes standings, or the first pace of a provider, holds.
const FLEET_LOCK: i64 = 0x506F_7374_0010;

/// See [`crate::store::Store::time`].
pub async fn time(desk: &Desk) -> Result<Timestamp, Trouble> {
    rows::time(&desk.one(TIME, &[]).await?, 0)
}

/// See [`crate::store::Store::pass`]. Whoever asks for the same provider at the same time is counted together, in the
/// order they came.
pub struct Pass {
    pub wish: PaceWish,
    pub now: Timestamp,
    /// When it asked: it goes when it is counted, which can be later.
    pub asked: Instant,
}

impl Pass {
    /// The present as whoever asks sees it.
    fn present(&self) -> Timestamp {
        self.now + Duration::from_secs(self.asked.elapsed().as_secs())
    }
}

impl Gathered for Pass {
    type Answer = Vec<Passage>;
    /// Providers whose row was seen: it stays.
    type Memory = HashSet<Name>;

    const ACT: &'static str = "cannot count what goes to a provider";

    async fn run(
        desk: &Desk,
        seen: &mut HashSet<Name>,
        pieces: &[Self],
    ) -> Result<Vec<Self::Answer>, Trouble> {
        if pieces.iter().any(|piece| !seen.contains(&piece.wish.provider)) {
            // Before any row: who waits for this lock must hold nothing that its holder may want.
            desk.rows(LOCK, bind![FLEET_LOCK]).await?;
        }
        let mut answers = vec![Vec::new(); pieces.len()];
        let mut order = (0..pieces.len()).collect::<Vec<_>>();
        // In one order of providers on all hosts, so that none waits for another in a circle.
        order.sort_by_key(|index| pieces[*index].wish.provider.as_str());
        for same in order.chunk_by(|one, other| pieces[*one].wish.provider == pieces[*other].wish.provider) {
            let mut kept = pace(desk, pieces[same[0]].wish.provider.as_str()).await?;
            for index in same {
                let piece = &pieces[*index];
                let (after, passages) = throttle::pass(kept, &piece.wish, piece.present());
                kept = Some(after);
                answers[*index] = passages;
            }
            if let Some(kept) = kept {
                keep_pace(desk, &pieces[same[0]], kept).await?;
            }
            seen.insert(pieces[same[0]].wish.provider.clone());
        }
        Ok(answers)
    }
}

/// What is kept of a provider's pace, locked until the transaction ends.
async fn pace(desk: &Desk, provider: &str) -> Result<Option<Kept>, Trouble> {
    let mut found = desk.row(PACE, bind![provider]).await?;
    if found.is_none() {
        desk.rows(LOCK, bind![FLEET_LOCK]).await?;
        found = desk.row(PACE, bind![provider]).await?;
    }
    found.map(|row| kept(&row)).transpose()
}

async fn keep_pace(desk: &Desk, of: &Pass, kept: Kept) -> Result<(), Trouble> {
    let provider = of.wish.provider.as_str();
    let counted_at = kept.counted_at.unwrap_or(of.now).timestamp_millis();
    let next_slot = kept.next_slot.map(|slot| slot.timestamp_micros());
    let paused_until = kept.paused_until.map(|until| until.timestamp_millis());
    let values = bind![provider, kept.tokens_micros, counted_at, next_slot, paused_until];
    desk.run(PACE_KEEP, values).await?;
    Ok(())
}

fn kept(row: &Row) -> Result<Kept, Trouble> {
    Ok(Kept {
        tokens_micros: rows::get(row, 0)?,
        counted_at: rows::time_if_any(row, 1)?,
        next_slot: rows::get::<Option<i64>>(row, 2)?.map(sharing::from_micros),
        paused_until: rows::time_if_any(row, 3)?,
    })
}

/// See [`crate::store::Store::standings`].
pub async fn standings(desk: &Desk) -> Result<Vec<Known>, Trouble> {
    desk.rows(STANDINGS, &[]).await?.iter().map(known).collect()
}

/// See [`crate::store::Store::tell`].
pub async fn tell(desk: &Desk, news: &[News], now: Timestamp) -> Result<Vec<Learned>, Trouble> {
    desk.rows(LOCK, bind![FLEET_LOCK]).await?;
    let mut told = Vec::with_capacity(news.len());
    for news in news {
        let before = standing(desk, news.provider.as_str()).await?;
        let after = Learned::after(before.clone(), news.clone(), now);
        if before.as_ref() != Some(&after.known) {
            keep(desk, &after.known).await?;
        }
        told.push(after);
    }
    Ok(told)
}

/// See [`crate::store::Store::probe`].
pub async fn probe(
    desk: &Desk,
    provider: &str,
    patience: Duration,
    now: Timestamp,
) -> Result<Probe, Trouble> {
    desk.rows(LOCK, bind![FLEET_LOCK]).await?;
    let Some(known) = standing(desk, provider).await? else {
        return Ok(Probe::NotYours(None));
    };
    let Some(probing) = known.probed(patience, now) else {
        return Ok(Probe::NotYours(Some(known)));
    };
    keep(desk, &probing).await?;
    Ok(Probe::Yours(probing))
}

async fn standing(desk: &Desk, provider: &str) -> Result<Option<Known>, Trouble> {
    let found = desk.row(STANDING, bind![provider]).await?;
    found.map(|row| known(&row)).transpose()
}

async fn keep(desk: &Desk, known: &Known) -> Result<(), Trouble> {
    let columns = Columns::of(known);
    desk.run(
        STANDING_KEEP,
        bind![
            known.provider.as_str(),
            columns.standing,
            columns.till,
            columns.times,
            columns.reason.map(written),
            known.paused_until.map(|until| until.timestamp_millis()),
            known.since.timestamp_millis(),
            known.version,
        ],
    )
    .await
    .map(drop)
}

fn known(row: &Row) -> Result<Known, Trouble> {
    let since = rows::time(row, 6)?;
    let (till, times, reason) = (rows::get(row, 2)?, rows::get(row, 3)?, rows::text_if_any(row, 4)?);
    Ok(Known {
        provider: rows::name(row, 0)?,
        told: rows::word(row, 1, |word| sharing::told(word, till, times, reason, since))?,
        paused_until: rows::time_if_any(row, 5)?,
        since,
        version: rows::get(row, 7)?,
    })
}

/// See [`crate::store::Store::take_turn`].
pub async fn take_turn(
    desk: &Desk,
    task: Task,
    holder: &str,
    now: Timestamp,
    hold: Duration,
) -> Result<Turn, Trouble> {
    let (ends_at, too_late) = (now + hold, now + hold * 2);
    let values = (
        now.timestamp_millis(),
        ends_at.timestamp_millis(),
        too_late.timestamp_millis(),
    );
    let taken = desk
        .run(
            TURN_TAKE,
            bind![task.word(), holder, values.0, values.1, values.2],
        )
        .await?;
    if taken > 0 {
        return Ok(Turn::Yours);
    }
    let row = desk.one(TURN, bind![task.word()]).await?;
    Ok(Turn::Taken(Owner {
        holder: rows::get(&row, 0)?,
        began_at: rows::time(&row, 1)?,
        ends_at: rows::time(&row, 2)?,
        done: rows::get(&row, 3)?,
    }))
}

/// See [`crate::store::Store::renew_turn`].
pub async fn renew_turn(desk: &Desk, task: Task, holder: &str, ends_at: Timestamp) -> Result<bool, Trouble> {
    let ends_at = ends_at.timestamp_millis();
    let renewed = desk.run(TURN_RENEW, bind![task.word(), holder, ends_at]).await?;
    Ok(renewed > 0)
}

/// See [`crate::store::Store::end_turn`].
pub async fn end_turn(desk: &Desk, task: Task, holder: &str, ends_at: Timestamp) -> Result<(), Trouble> {
    let ends_at = ends_at.timestamp_millis();
    desk.run(TURN_END, bind![task.word(), holder, ends_at]).await?;
    Ok(())
}
