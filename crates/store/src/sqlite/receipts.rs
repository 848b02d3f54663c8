//! What providers say later: applied to the delivery they speak of, or kept until it is known.
//!
//! Runs inside the writer's transaction; a receipt never moves a state backwards.

use rusqlite::{OptionalExtension, params};

use super::claims::{active_contacts, deactivate_address};
use super::events;
use super::rows::{self, StateColumns};
use super::write_transaction::WriteTransaction;
use crate::events::NewEvent;
use crate::{MatchedDelivery, ReceiptResult, ReceivedReceipt, UNMATCHED_RECEIPTS_MAX};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, RemainingAlternatives};
use postrider_core::event::EventTarget;
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::receipt::ReceiptStatus;
use postrider_core::round::InvalidatedAddress;

static FIND_BY_REFERENCE: &str = include_str!("../../../../sql/sqlite/receipts/find_by_reference.sql");
static FIND_BY_ID: &str = include_str!("../../../../sql/sqlite/receipts/check_accepted_delivery.sql");
static LOAD: &str = include_str!("../../../../sql/sqlite/receipts/load_delivery.sql");
static SAVE_DELIVERY: &str = include_str!("../../../../sql/sqlite/receipts/apply_receipt.sql");
static DELETE_EXPIRED: &str =
    include_str!("../../../../sql/sqlite/maintenance/delete_old_unmatched_receipts.sql");
static COUNT_UNMATCHED: &str = include_str!("../../../../sql/sqlite/receipts/count_unmatched_receipts.sql");
static INSERT_UNMATCHED: &str = include_str!("../../../../sql/sqlite/receipts/insert_unmatched_receipt.sql");
static FIND_UNMATCHED: &str = include_str!("../../../../sql/sqlite/receipts/select_unmatched_receipts.sql");
static DELETE_UNMATCHED: &str = include_str!("../../../../sql/sqlite/receipts/delete_unmatched_receipts.sql");

/// A delivery that was sent once, with what a receipt can change.
struct LoadedDelivery {
    id: DeliveryId,
    channel: ConfigName,
    provider: ConfigName,
    spelling: String,
    body: String,
    priority: Priority,
    resends_left: u32,
    /// The address that was used, where it has several, and how many others may be written to.
    address: Option<String>,
    other_addresses_left: usize,
    opened_at: Option<i64>,
    state: DeliveryState,
    watch: Option<EventTarget>,
}

/// How long a receipt waits for the send it speaks of. A record follows its call by seconds, by minutes when the store
/// is in trouble.
const UNMATCHED_KEPT_MS: i64 = 60 * 60 * 1_000;

/// How many outdated receipts go at most when a new one is kept.
const EXPIRED_DELETED_MAX: i64 = 100;

/// See [`crate::Store::settle`].
pub fn apply_receipts(
    desk: &mut WriteTransaction<'_>,
    receipts: &[ReceivedReceipt],
) -> rusqlite::Result<Vec<ReceiptResult>> {
    let mut room = UnmatchedCapacity::default();
    receipts
        .iter()
        .map(|heard| apply_receipt(desk, heard, &mut room))
        .collect()
}

/// How many more receipts may wait, counted when it is first asked for. Nothing else adds any in this transaction.
#[derive(Default)]
struct UnmatchedCapacity(Option<usize>);

impl UnmatchedCapacity {
    fn left(&mut self, desk: &mut WriteTransaction<'_>) -> rusqlite::Result<usize> {
        if let Some(left) = self.0 {
            return Ok(left);
        }
        let limit = i64::try_from(UNMATCHED_RECEIPTS_MAX).unwrap_or(i64::MAX);
        let waiting: i64 = desk
            .statement(COUNT_UNMATCHED)?
            .query_row([limit], |row| row.get(0))?;
        let left = usize::try_from(limit - waiting).unwrap_or(0);
        self.0 = Some(left);
        Ok(left)
    }

    fn subtract(&mut self, rows: usize) {
        self.0 = self.0.map(|left| left.saturating_sub(rows));
    }
}

fn apply_receipt(
    desk: &mut WriteTransaction<'_>,
    heard: &ReceivedReceipt,
    room: &mut UnmatchedCapacity,
) -> rusqlite::Result<ReceiptResult> {
    let provider = heard.provider.as_ref().map(ConfigName::as_str);
    let id = |row: &rusqlite::Row<'_>| rows::delivery_id(row, 0);
    let found = match heard.delivery {
        Some(known) => desk.statement(FIND_BY_ID)?.query_row([known.0], id),
        None => desk
            .statement(FIND_BY_REFERENCE)?
            .query_row(params![heard.receipt.reference, provider], id),
    };
    let Some(id) = found.optional()? else {
        return if heard.delivery.is_none() {
            save_unmatched(desk, heard, room)
        } else {
            Ok(ReceiptResult::Unmatched)
        };
    };
    let mut spoken = load_delivery(desk, id)?;
    let from = spoken.state.kind();
    let receipt = &heard.receipt;
    let applied = apply_verdict(desk, &mut spoken, &receipt.status, receipt.at, heard.received_at)?;
    let settlement = MatchedDelivery {
        id,
        channel: spoken.channel,
        provider: spoken.provider,
        spelling: spoken.spelling,
        body: spoken.body,
        priority: spoken.priority,
        previous_kind: from,
        state: spoken.state,
    };
    Ok(if applied {
        ReceiptResult::Applied(settlement)
    } else {
        ReceiptResult::Unchanged(settlement)
    })
}

fn load_delivery(desk: &mut WriteTransaction<'_>, id: DeliveryId) -> rusqlite::Result<LoadedDelivery> {
    let (mut spoken, contacts) = desk.statement(LOAD)?.query_row([id.0], |row| {
        let spoken = LoadedDelivery {
            id,
            state: rows::decode_state(row)?,
            provider: rows::decode_name(row, 5)?,
            spelling: row.get(7)?,
            priority: rows::decode_priority(row, 8)?,
            resends_left: row.get(9)?,
            opened_at: row.get(10)?,
            body: row.get(11)?,
            channel: rows::decode_name(row, 12)?,
            address: row.get(14)?,
            other_addresses_left: 0,
            watch: rows::optional_watch(row, 15)?,
        };
        Ok((spoken, rows::optional_contacts(row, 13)?))
    })?;
    if let Some(mut others) = contacts {
        others.retain(|contact| Some(&contact.address) != spoken.address.as_ref());
        spoken.other_addresses_left = active_contacts(desk, &spoken.channel, others)?.len();
    }
    Ok(spoken)
}

/// Changes the delivery as the receipt wants, in memory and on disk; whether there was anything to change.
fn apply_verdict(
    desk: &mut WriteTransaction<'_>,
    spoken: &mut LoadedDelivery,
    verdict: &ReceiptStatus,
    at: Timestamp,
    heard_at: Timestamp,
) -> rusqlite::Result<bool> {
    let left = RemainingAlternatives {
        resends: spoken.resends_left,
        addresses: spoken.other_addresses_left,
    };
    let next = spoken.state.apply_receipt(verdict, at, left);
    let moved = next.is_some();
    let mut avoid = None;
    match next {
        Some(DeliveryState::Waiting { reason, .. }) => {
            if matches!(verdict, ReceiptStatus::Bounced { .. }) {
                spoken.resends_left = spoken.resends_left.saturating_sub(1);
                avoid = Some(spoken.provider.as_str());
            }
            spoken.state = DeliveryState::Waiting {
                due_at: heard_at,
                reason,
            };
        }
        Some(state) => spoken.state = state,
        None => {}
    }
    let first_opened = matches!(verdict, ReceiptStatus::Opened)
        && matches!(spoken.state, DeliveryState::Delivered { .. })
        && spoken.opened_at.is_none();
    if first_opened {
        spoken.opened_at = Some(at.timestamp_millis());
    }
    if !moved && !first_opened {
        return Ok(false);
    }
    let folded = desk.rollup_position()?;
    let facts = StateColumns::from_state(&spoken.state);
    desk.statement(SAVE_DELIVERY)?.execute(params![
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
    insert_events(desk, spoken, moved, opened_at, heard_at)?;
    if let ReceiptStatus::Invalid { reason } = verdict {
        let dead = InvalidatedAddress {
            address: spoken.address.as_deref(),
            reason,
            provider: &spoken.provider,
            at: heard_at,
        };
        deactivate_address(desk, spoken.id, &dead)?;
    }
    Ok(true)
}

/// Keeps what happened for whoever wants to hear of it.
fn insert_events(
    desk: &mut WriteTransaction<'_>,
    spoken: &LoadedDelivery,
    moved: bool,
    opened_at: Option<Timestamp>,
    heard_at: Timestamp,
) -> rusqlite::Result<()> {
    let Some(watch) = &spoken.watch else {
        return Ok(());
    };
    let (id, provider) = (spoken.id, &spoken.provider);
    if moved {
        let emission = NewEvent::new(id, watch, &spoken.state, Some(provider), heard_at);
        events::insert_event(desk, &emission)?;
    }
    if let Some(at) = opened_at {
        events::insert_event(desk, &NewEvent::opened(id, watch, provider, at, heard_at))?;
    }
    Ok(())
}

/// Keeps a receipt until its send is recorded, if it may wait and there is room. Outdated ones are deleted first.
fn save_unmatched(
    desk: &mut WriteTransaction<'_>,
    heard: &ReceivedReceipt,
    room: &mut UnmatchedCapacity,
) -> rusqlite::Result<ReceiptResult> {
    if !heard.can_wait {
        return Ok(ReceiptResult::Dropped);
    }
    let receipt = &heard.receipt;
    let outdated = heard.received_at.timestamp_millis() - UNMATCHED_KEPT_MS;
    desk.statement(DELETE_EXPIRED)?
        .execute([outdated, EXPIRED_DELETED_MAX])?;
    if room.left(desk)? == 0 {
        return Ok(ReceiptResult::Dropped);
    }
    let added = desk.statement(INSERT_UNMATCHED)?.execute(params![
        receipt.reference,
        heard.provider.as_ref().map_or("", ConfigName::as_str),
        receipt.status.as_str(),
        receipt.status.reason(),
        receipt.at.timestamp_millis(),
        heard.received_at.timestamp_millis(),
    ])?;
    room.subtract(added);
    Ok(ReceiptResult::Unmatched)
}

/// Applies the receipts that came before the send they speak of was recorded.
pub fn apply_unmatched(
    desk: &mut WriteTransaction<'_>,
    id: DeliveryId,
    provider: &ConfigName,
    reference: &str,
) -> rusqlite::Result<Option<DeliveryStateKind>> {
    let mut early = desk
        .statement(FIND_UNMATCHED)?
        .query_map([reference, provider.as_str()], |row| {
            let reason = row.get::<_, Option<String>>(1)?.unwrap_or_default();
            let verdict = rows::decode_word(row, 0, |word| ReceiptStatus::from_parts(word, reason))?;
            Ok((verdict, rows::decode_time(row, 2)?, rows::decode_time(row, 3)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    if early.is_empty() {
        return Ok(None);
    }
    early.sort_by_key(|(_, at, heard_at)| (*at, *heard_at));
    let mut spoken = load_delivery(desk, id)?;
    for (verdict, at, heard_at) in early {
        apply_verdict(desk, &mut spoken, &verdict, at, heard_at)?;
    }
    desk.statement(DELETE_UNMATCHED)?
        .execute([reference, provider.as_str()])?;
    Ok(Some(spoken.state.kind()))
}
