//! What providers say later: applied to the delivery they speak of, or kept until it is known.
//!
//! Runs inside the writer's transaction; a receipt never moves a state backwards.

use rusqlite::{OptionalExtension, params};

use super::desk::Desk;
use super::events;
use super::rounds::{deactivate, those_left};
use super::rows::{self, Facts};
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::delivery::{Left, Standing, State};
use crate::domain::event::Watch;
use crate::domain::id::DeliveryId;
use crate::domain::message::{DeadAddress, Priority};
use crate::domain::receipt::Verdict;
use crate::store::outbox::Emission;
use crate::store::{EARLY_RECEIPTS_MAX, Heard, Settled, Settlement};

static FIND: &str = include_str!("../../../sql/sqlite/settle_find.sql");
static KNOWN: &str = include_str!("../../../sql/sqlite/settle_known.sql");
static LOAD: &str = include_str!("../../../sql/sqlite/settle_load.sql");
static APPLY: &str = include_str!("../../../sql/sqlite/settle_apply.sql");
static OUTDATED: &str = include_str!("../../../sql/sqlite/prune_receipts.sql");
static WAITING: &str = include_str!("../../../sql/sqlite/settle_waiting.sql");
static KEEP: &str = include_str!("../../../sql/sqlite/settle_keep.sql");
static EARLY: &str = include_str!("../../../sql/sqlite/record_receipts.sql");
static EARLY_DELETE: &str = include_str!("../../../sql/sqlite/record_receipts_delete.sql");

/// A delivery that was sent once, with what a receipt can change.
struct Spoken {
    id: DeliveryId,
    channel: Name,
    provider: Name,
    spelling: String,
    body: String,
    priority: Priority,
    resends_left: u32,
    /// The address that was used, where it has several, and how many others may be written to.
    address: Option<String>,
    others_left: usize,
    opened_at: Option<i64>,
    state: State,
    watch: Option<Watch>,
}

/// How long a receipt waits for the send it speaks of. A record follows its call by seconds, by minutes when the store
/// is in trouble.
const EARLY_KEPT_MS: i64 = 60 * 60 * 1_000;

/// How many outdated receipts go at most when a new one is kept.
const OUTDATED_AT_ONCE: i64 = 100;

/// See [`crate::store::Store::settle`].
pub fn settle(desk: &mut Desk<'_>, receipts: &[Heard]) -> rusqlite::Result<Vec<Settled>> {
    let mut room = Room::default();
    receipts
        .iter()
        .map(|heard| settle_one(desk, heard, &mut room))
        .collect()
}

/// How many more receipts may wait, counted when it is first asked for. Nothing else adds any in this transaction.
#[derive(Default)]
struct Room(Option<usize>);

impl Room {
    fn left(&mut self, desk: &mut Desk<'_>) -> rusqlite::Result<usize> {
        if let Some(left) = self.0 {
            return Ok(left);
        }
        let limit = i64::try_from(EARLY_RECEIPTS_MAX).unwrap_or(i64::MAX);
        let waiting: i64 = desk.statement(WAITING)?.query_row([limit], |row| row.get(0))?;
        let left = usize::try_from(limit - waiting).unwrap_or(0);
        self.0 = Some(left);
        Ok(left)
    }

    fn take(&mut self, rows: usize) {
        self.0 = self.0.map(|left| left.saturating_sub(rows));
    }
}

fn settle_one(desk: &mut Desk<'_>, heard: &Heard, room: &mut Room) -> rusqlite::Result<Settled> {
    let provider = heard.provider.as_ref().map(Name::as_str);
    let id = |row: &rusqlite::Row<'_>| rows::delivery_id(row, 0);
    let found = match heard.delivery {
        Some(known) => desk.statement(KNOWN)?.query_row([known.0], id),
        None => desk
            .statement(FIND)?
            .query_row(params![heard.receipt.reference, provider], id),
    };
    let Some(id) = found.optional()? else {
        return if heard.delivery.is_none() {
            keep(desk, heard, room)
        } else {
            Ok(Settled::Kept)
        };
    };
    let mut spoken = load(desk, id)?;
    let from = spoken.state.standing();
    let receipt = &heard.receipt;
    let applied = apply(desk, &mut spoken, &receipt.verdict, receipt.at, heard.heard_at)?;
    let settlement = Settlement {
        id,
        channel: spoken.channel,
        provider: spoken.provider,
        spelling: spoken.spelling,
        body: spoken.body,
        priority: spoken.priority,
        from,
        state: spoken.state,
    };
    Ok(if applied {
        Settled::Applied(settlement)
    } else {
        Settled::Unchanged(settlement)
    })
}

fn load(desk: &mut Desk<'_>, id: DeliveryId) -> rusqlite::Result<Spoken> {
    let (mut spoken, contacts) = desk.statement(LOAD)?.query_row([id.0], |row| {
        let spoken = Spoken {
            id,
            state: rows::state(row)?,
            provider: rows::name(row, 5)?,
            spelling: row.get(7)?,
            priority: rows::priority(row, 8)?,
            resends_left: row.get(9)?,
            opened_at: row.get(10)?,
            body: row.get(11)?,
            channel: rows::name(row, 12)?,
            address: row.get(14)?,
            others_left: 0,
            watch: rows::watch_if_any(row, 15)?,
        };
        Ok((spoken, rows::contacts_if_any(row, 13)?))
    })?;
    if let Some(mut others) = contacts {
        others.retain(|contact| Some(&contact.address) != spoken.address.as_ref());
        spoken.others_left = those_left(desk, &spoken.channel, others)?.len();
    }
    Ok(spoken)
}

/// Changes the delivery as the receipt wants, in memory and on disk; whether there was anything to change.
fn apply(
    desk: &mut Desk<'_>,
    spoken: &mut Spoken,
    verdict: &Verdict,
    at: Timestamp,
    heard_at: Timestamp,
) -> rusqlite::Result<bool> {
    let left = Left {
        resends: spoken.resends_left,
        addresses: spoken.others_left,
    };
    let next = spoken.state.receive(verdict, at, left);
    let moved = next.is_some();
    let mut avoid = None;
    match next {
        Some(State::Waiting { reason, .. }) => {
            if matches!(verdict, Verdict::Bounced { .. }) {
                spoken.resends_left = spoken.resends_left.saturating_sub(1);
                avoid = Some(spoken.provider.as_str());
            }
            spoken.state = State::Waiting {
                due_at: heard_at,
                reason,
            };
        }
        Some(state) => spoken.state = state,
        None => {}
    }
    let first_opened = matches!(verdict, Verdict::Opened)
        && matches!(spoken.state, State::Delivered { .. })
        && spoken.opened_at.is_none();
    if first_opened {
        spoken.opened_at = Some(at.timestamp_millis());
    }
    if !moved && !first_opened {
        return Ok(false);
    }
    let folded = desk.folded()?;
    let facts = Facts::of(&spoken.state);
    desk.statement(APPLY)?.execute(params![
        spoken.id.0,
        facts.state,
        facts.failure,
        facts.reason,
        facts.due_at,
        facts.ended_at,
        spoken.resends_left,
        avoid,
        spoken.opened_at,
        folded,
    ])?;
    let opened_at = first_opened.then_some(at);
    tell(desk, spoken, moved, opened_at, heard_at)?;
    if let Verdict::Invalid { reason } = verdict {
        let dead = DeadAddress {
            address: spoken.address.as_deref(),
            reason,
            by: &spoken.provider,
            at: heard_at,
        };
        deactivate(desk, spoken.id, &dead)?;
    }
    Ok(true)
}

/// Keeps what happened for whoever wants to hear of it.
fn tell(
    desk: &mut Desk<'_>,
    spoken: &Spoken,
    moved: bool,
    opened_at: Option<Timestamp>,
    heard_at: Timestamp,
) -> rusqlite::Result<()> {
    let Some(watch) = &spoken.watch else {
        return Ok(());
    };
    let (id, provider) = (spoken.id, &spoken.provider);
    if moved {
        let emission = Emission::new(id, watch, &spoken.state, Some(provider), heard_at);
        events::emit(desk, &emission)?;
    }
    if let Some(at) = opened_at {
        events::emit(desk, &Emission::opened(id, watch, provider, at, heard_at))?;
    }
    Ok(())
}

/// Keeps a receipt until its send is recorded, if it may wait and there is room. Outdated ones are deleted first.
fn keep(desk: &mut Desk<'_>, heard: &Heard, room: &mut Room) -> rusqlite::Result<Settled> {
    if !heard.may_wait {
        return Ok(Settled::Dropped);
    }
    let receipt = &heard.receipt;
    let outdated = heard.heard_at.timestamp_millis() - EARLY_KEPT_MS;
    desk.statement(OUTDATED)?.execute([outdated, OUTDATED_AT_ONCE])?;
    if room.left(desk)? == 0 {
        return Ok(Settled::Dropped);
    }
    let added = desk.statement(KEEP)?.execute(params![
        receipt.reference,
        heard.provider.as_ref().map_or("", Name::as_str),
        receipt.verdict.word(),
        receipt.verdict.reason(),
        receipt.at.timestamp_millis(),
        heard.heard_at.timestamp_millis(),
    ])?;
    room.take(added);
    Ok(Settled::Kept)
}

/// Applies the receipts that came before the send they speak of was recorded.
pub fn apply_early(
    desk: &mut Desk<'_>,
    id: DeliveryId,
    provider: &Name,
    reference: &str,
) -> rusqlite::Result<Option<Standing>> {
    let mut early = desk
        .statement(EARLY)?
        .query_map([reference, provider.as_str()], |row| {
            let reason = row.get::<_, Option<String>>(1)?.unwrap_or_default();
            let verdict = rows::word(row, 0, |word| Verdict::from_word(word, reason))?;
            Ok((verdict, rows::time(row, 2)?, rows::time(row, 3)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    if early.is_empty() {
        return Ok(None);
    }
    early.sort_by_key(|(_, at, heard_at)| (*at, *heard_at));
    let mut spoken = load(desk, id)?;
    for (verdict, at, heard_at) in early {
        apply(desk, &mut spoken, &verdict, at, heard_at)?;
    }
    desk.statement(EARLY_DELETE)?
        .execute([reference, provider.as_str()])?;
    Ok(Some(spoken.state.standing()))
}
