//! What providers say later: applied to the delivery they speak of, or kept until it is known.
//!
//! Never begins or ends a transaction; a receipt never moves a state backwards.

use std::collections::BTreeMap;

use super::fault::Trouble;
use super::link::{Desk, bind};
use super::rounds::deactivate;
use super::rows::{self, Facts, kept};
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::delivery::State;
use crate::domain::id::DeliveryId;
use crate::domain::message::Priority;
use crate::domain::receipt::Verdict;
use crate::store::{Heard, Settled, Settlement};

static FIND: &str = include_str!("../../../sql/postgres/settle_find.sql");
static LOAD: &str = include_str!("../../../sql/postgres/settle_load.sql");
static APPLY: &str = include_str!("../../../sql/postgres/settle_apply.sql");
static KEEP: &str = include_str!("../../../sql/postgres/settle_keep.sql");
static LOCK: &str = include_str!("../../../sql/postgres/settle_lock.sql");
static LOCK_SHARED: &str = include_str!("../../../sql/postgres/record_lock.sql");
static EARLY: &str = include_str!("../../../sql/postgres/record_receipts.sql");
static OUTDATED: &str = include_str!("../../../sql/postgres/prune_receipts.sql");
static EARLY_DELETE: &str = include_str!("../../../sql/postgres/record_receipts_delete.sql");

/// The lock that keeps a record and an early receipt from missing each other.
const REFERENCES_LOCK: i64 = 0x506F_7374_0003;

/// How long a receipt waits for the send it speaks of. A record follows its call by seconds, by minutes when the
/// store is in trouble.
const EARLY_KEPT_MS: i64 = 60 * 60 * 1_000;

/// How many outdated receipts go at most when a new one is kept.
const OUTDATED_AT_ONCE: i64 = 100;

/// A delivery that was sent once, with what a receipt can change.
struct Spoken {
    id: DeliveryId,
    provider: Name,
    channel: Name,
    spelling: String,
    body: String,
    priority: Priority,
    resends_left: u32,
    opened_at: Option<i64>,
    state: State,
}

/// See [`crate::store::Store::settle`].
pub async fn settle(desk: &Desk, receipts: &[Heard]) -> Result<Vec<Settled>, Trouble> {
    let mut answers = Vec::with_capacity(receipts.len());
    for heard in receipts {
        answers.push(settle_known(desk, heard).await?);
    }
    if answers.iter().all(Option::is_some) {
        return Ok(answers.into_iter().flatten().collect());
    }
    // Whoever was in the middle of recording the send has ended after this, and can be seen.
    desk.rows(LOCK, bind![REFERENCES_LOCK]).await?;
    let mut settled = Vec::with_capacity(receipts.len());
    for (answer, heard) in answers.into_iter().zip(receipts) {
        let answer = match answer {
            Some(answer) => Some(answer),
            None => settle_known(desk, heard).await?,
        };
        settled.push(match answer {
            Some(answer) => answer,
            None => keep(desk, heard).await?,
        });
    }
    Ok(settled)
}

/// Applies a receipt to the delivery it speaks of; none when there is no such delivery.
async fn settle_known(desk: &Desk, heard: &Heard) -> Result<Option<Settled>, Trouble> {
    let provider = heard.provider.as_ref().map(Name::as_str);
    let receipt = &heard.receipt;
    let Some(found) = desk.row(FIND, bind![kept(&receipt.reference), provider]).await? else {
        return Ok(None);
    };
    let mut spoken = load(desk, rows::delivery_id(&found, 0)?).await?;
    let from = spoken.state.standing();
    let applied = apply(desk, &mut spoken, &receipt.verdict, receipt.at, heard.heard_at).await?;
    let settlement = Settlement {
        id: spoken.id,
        provider: spoken.provider,
        channel: spoken.channel,
        from,
        spelling: spoken.spelling,
        body: spoken.body,
        priority: spoken.priority,
        state: spoken.state,
    };
    Ok(Some(if applied {
        Settled::Applied(settlement)
    } else {
        Settled::Unchanged(settlement)
    }))
}

async fn load(desk: &Desk, id: DeliveryId) -> Result<Spoken, Trouble> {
    let row = desk.one(LOAD, bind![id.0]).await?;
    Ok(Spoken {
        id,
        state: rows::state(&row)?,
        provider: rows::name(&row, 5)?,
        channel: rows::name(&row, 12)?,
        spelling: rows::text(&row, 7)?,
        priority: rows::priority(&row, 8)?,
        resends_left: rows::count(&row, 9)?,
        opened_at: rows::get(&row, 10)?,
        body: rows::text(&row, 11)?,
    })
}

/// Changes the delivery as the receipt wants, in memory and on disk; whether there was anything to change.
async fn apply(
    desk: &Desk,
    spoken: &mut Spoken,
    verdict: &Verdict,
    at: Timestamp,
    heard_at: Timestamp,
) -> Result<bool, Trouble> {
    let next = spoken.state.receive(verdict, at, spoken.resends_left);
    let moved = next.is_some();
    let mut avoid = None;
    match next {
        Some(State::Waiting { reason, .. }) => {
            spoken.resends_left = spoken.resends_left.saturating_sub(1);
            avoid = Some(spoken.provider.as_str());
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
    let facts = Facts::of(&spoken.state);
    desk.run(
        APPLY,
        bind![
            spoken.id.0,
            facts.state,
            facts.failure,
            facts.reason,
            facts.due_at,
            facts.ended_at,
            i64::from(spoken.resends_left),
            avoid,
            spoken.opened_at,
        ],
    )
    .await?;
    if let Verdict::Invalid { reason } = verdict {
        deactivate(desk, spoken.id, reason, spoken.provider.as_str(), heard_at).await?;
    }
    Ok(true)
}

/// Those that nobody claimed in time go first: anybody can bring receipts for what never was.
async fn keep(desk: &Desk, heard: &Heard) -> Result<Settled, Trouble> {
    let receipt = &heard.receipt;
    let outdated = heard.heard_at.timestamp_millis() - EARLY_KEPT_MS;
    desk.run(OUTDATED, bind![outdated, OUTDATED_AT_ONCE]).await?;
    desk.run(
        KEEP,
        bind![
            kept(&receipt.reference),
            heard.provider.as_ref().map_or("", Name::as_str),
            receipt.verdict.word(),
            receipt.verdict.reason().map(kept),
            receipt.at.timestamp_millis(),
            heard.heard_at.timestamp_millis(),
        ],
    )
    .await?;
    Ok(Settled::Kept)
}

/// Applies the receipts that came before the sends they speak of were recorded: delivery, provider, reference.
pub async fn apply_early(desk: &Desk, sent: &[(DeliveryId, &str, &str)]) -> Result<(), Trouble> {
    if sent.is_empty() {
        return Ok(());
    }
    desk.rows(LOCK_SHARED, bind![REFERENCES_LOCK]).await?;
    let ids = sent.iter().map(|(id, ..)| id.0).collect::<Vec<_>>();
    let providers = sent.iter().map(|(_, provider, _)| *provider).collect::<Vec<_>>();
    let references = sent
        .iter()
        .map(|(.., reference)| kept(reference))
        .collect::<Vec<_>>();
    let found = desk.rows(EARLY, bind![ids, references, providers]).await?;
    if found.is_empty() {
        return Ok(());
    }
    let mut known = BTreeMap::new();
    for row in &found {
        let id = rows::delivery_id(row, 4)?;
        let reason = rows::text_if_any(row, 1)?.unwrap_or_default();
        let verdict = rows::word(row, 0, |word| Verdict::from_word(word, reason))?;
        let mut spoken = match known.remove(&id) {
            Some(spoken) => spoken,
            None => load(desk, id).await?,
        };
        apply(
            desk,
            &mut spoken,
            &verdict,
            rows::time(row, 2)?,
            rows::time(row, 3)?,
        )
        .await?;
        known.insert(id, spoken);
    }
    desk.run(EARLY_DELETE, bind![references, providers]).await?;
    Ok(())
}
