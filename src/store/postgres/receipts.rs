//! What providers say later: applied to the delivery they speak of, or kept until it is known.
//!
//! Never begins or ends a transaction; a receipt never moves a state backwards.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio_postgres::Row;

use super::events;
use super::fault::Trouble;
use super::gather::Gathered;
use super::link::{Desk, bind};
use super::rounds::deactivate;
use super::rows::{self, Facts, kept};
use super::standing::those_left;
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::delivery::{Left, Standing, State};
use crate::domain::event::Watch;
use crate::domain::id::DeliveryId;
use crate::domain::message::{DeadAddress, Priority};
use crate::domain::receipt::Verdict;
use crate::store::outbox::Emission;
use crate::store::{EARLY_RECEIPTS_MAX, Heard, Settled, Settlement};

static FIND: &str = include_str!("../../../sql/postgres/settle_find.sql");
static KNOWN: &str = include_str!("../../../sql/postgres/settle_known.sql");
static LOAD: &str = include_str!("../../../sql/postgres/settle_load.sql");
static APPLY: &str = include_str!("../../../sql/postgres/settle_apply.sql");
static WAITING: &str = include_str!("../../../sql/postgres/settle_waiting.sql");
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

/// How many outdated receipts go at most for each new one that is kept.
const OUTDATED_AT_ONCE: i64 = 100;

/// Receipts that came together.
pub struct Settle(pub Vec<Heard>);

impl Gathered for Settle {
    type Answer = Vec<Settled>;
    type Memory = ();
    const ACT: &'static str = "cannot store receipts";

    async fn run(desk: &Desk, (): &mut (), pieces: &[Self]) -> Result<Vec<Vec<Settled>>, Trouble> {
        let receipts = pieces.iter().flat_map(|piece| &piece.0).collect::<Vec<_>>();
        let mut answers = settle(desk, &receipts).await?.into_iter();
        let of_piece = |piece: &Self| answers.by_ref().take(piece.0.len()).collect();
        Ok(pieces.iter().map(of_piece).collect())
    }
}

/// A receipt and which of those that came together it is.
type Placed<'h> = (usize, &'h Heard);

async fn settle(desk: &Desk, receipts: &[&Heard]) -> Result<Vec<Settled>, Trouble> {
    let all = receipts.iter().copied().enumerate().collect::<Vec<_>>();
    let mut found = find(desk, &all).await?;
    // What names its delivery has nothing to wait for.
    let is_unknown = |(place, heard): &&Placed<'_>| heard.delivery.is_none() && !found.contains_key(place);
    let unknown = all.iter().filter(is_unknown).copied().collect::<Vec<_>>();
    if !unknown.is_empty() {
        // Whoever was in the middle of recording the send has ended after this, and can be seen. Asked for before any
        // row is locked: who records a send does so in the same order.
        desk.rows(LOCK, bind![REFERENCES_LOCK]).await?;
        found.extend(find(desk, &unknown).await?);
    }
    let mut answers = apply(desk, &all, &found).await?;
    if !unknown.is_empty() {
        let early = without(&unknown, &answers);
        let may_wait = early.iter().filter(|(_, heard)| heard.may_wait).copied();
        let kept = keep(desk, &may_wait.collect::<Vec<_>>()).await?;
        let dropped = early.iter().filter(|(place, _)| !kept.contains(place));
        answers.extend(dropped.map(|(place, _)| (*place, Settled::Dropped)));
    }
    let answer = |(place, _): &Placed<'_>| answers.remove(place).unwrap_or(Settled::Kept);
    Ok(all.iter().map(answer).collect())
}

fn without<'h>(receipts: &[Placed<'h>], answers: &BTreeMap<usize, Settled>) -> Vec<Placed<'h>> {
    let unanswered = |(place, _): &&Placed<'_>| !answers.contains_key(place);
    receipts.iter().filter(unanswered).copied().collect()
}

/// Applies receipts to the deliveries that were found; the answers by place, without those that speak of none.
async fn apply(
    desk: &Desk,
    receipts: &[Placed<'_>],
    found: &BTreeMap<usize, DeliveryId>,
) -> Result<BTreeMap<usize, Settled>, Trouble> {
    if found.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut spoken = load(desk, found.values().copied()).await?;
    let mut answers = BTreeMap::new();
    for (place, heard) in receipts {
        let Some(spoken) = found.get(place).and_then(|id| spoken.get_mut(id)) else {
            continue;
        };
        let from = spoken.state.standing();
        let receipt = &heard.receipt;
        let applied = spoken.hear(&receipt.verdict, receipt.at, heard.heard_at);
        let settlement = spoken.settlement(from);
        answers.insert(
            *place,
            if applied {
                Settled::Applied(settlement)
            } else {
                Settled::Unchanged(settlement)
            },
        );
    }
    write(desk, spoken.into_values()).await?;
    Ok(answers)
}

/// Which delivery each receipt speaks of, by place.
async fn find(desk: &Desk, receipts: &[Placed<'_>]) -> Result<BTreeMap<usize, DeliveryId>, Trouble> {
    let by_reference = receipts.iter().filter(|(_, heard)| heard.delivery.is_none());
    let places = by_reference.clone().map(|(place, _)| rows::limit(*place));
    let references = by_reference
        .clone()
        .map(|(_, heard)| kept(&heard.receipt.reference));
    let providers = by_reference.map(|(_, heard)| provider(heard));
    let mut found = desk
        .rows(
            FIND,
            bind![
                places.collect::<Vec<_>>(),
                references.collect::<Vec<_>>(),
                providers.collect::<Vec<_>>(),
            ],
        )
        .await?;
    let known = receipts
        .iter()
        .filter_map(|(place, heard)| Some((rows::limit(*place), heard.delivery?.0)));
    let (places, ids): (Vec<i64>, Vec<i64>) = known.unzip();
    if !ids.is_empty() {
        found.extend(desk.rows(KNOWN, bind![places, ids]).await?);
    }
    let read = |row| Ok((rows::count(row, 0)?, rows::delivery_id(row, 1)?));
    found.iter().map(read).collect()
}

fn provider(heard: &Heard) -> Option<&str> {
    heard.provider.as_ref().map(Name::as_str)
}

/// A delivery that was sent once, with what a receipt can change.
struct Spoken {
    id: DeliveryId,
    provider: Name,
    channel: Name,
    spelling: String,
    body: String,
    priority: Priority,
    resends_left: u32,
    /// The address that was used, where it has several, and how many others may be written to.
    address: Option<String>,
    others_left: usize,
    opened_at: Option<i64>,
    state: State,
    has_changed: bool,
    /// Whether the provider is not to be asked first the next time.
    is_avoided: bool,
    /// Why nobody is there any more, and since when we know.
    dead: Option<(String, Timestamp)>,
    /// Who wants to hear of it, and of what.
    watch: Option<Watch>,
    told: Vec<Emission>,
}

impl Spoken {
    /// Changes it as the receipt wants; whether there was anything to change.
    fn hear(&mut self, verdict: &Verdict, at: Timestamp, heard_at: Timestamp) -> bool {
        let left = Left {
            resends: self.resends_left,
            addresses: self.others_left,
        };
        let next = self.state.receive(verdict, at, left);
        let moved = next.is_some();
        match next {
            Some(State::Waiting { reason, .. }) => {
                if matches!(verdict, Verdict::Bounced { .. }) {
                    self.resends_left = self.resends_left.saturating_sub(1);
                    self.is_avoided = true;
                }
                self.state = State::Waiting {
                    due_at: heard_at,
                    reason,
                };
            }
            Some(state) => self.state = state,
            None => {}
        }
        let first_opened = matches!(verdict, Verdict::Opened)
            && matches!(self.state, State::Delivered { .. })
            && self.opened_at.is_none();
        if first_opened {
            self.opened_at = Some(at.timestamp_millis());
        }
        if !moved && !first_opened {
            return false;
        }
        if let Some(watch) = &self.watch {
            if moved {
                let emission = Emission::new(self.id, watch, &self.state, Some(&self.provider), heard_at);
                self.told.push(emission);
            }
            if first_opened {
                let emission = Emission::opened(self.id, watch, &self.provider, at, heard_at);
                self.told.push(emission);
            }
        }
        if let Verdict::Invalid { reason } = verdict {
            self.dead = Some((reason.clone(), heard_at));
        }
        self.has_changed = true;
        true
    }

    fn settlement(&self, from: Standing) -> Settlement {
        Settlement {
            id: self.id,
            channel: self.channel.clone(),
            provider: self.provider.clone(),
            spelling: self.spelling.clone(),
            body: self.body.clone(),
            priority: self.priority,
            from,
            state: self.state.clone(),
        }
    }
}

/// The deliveries, which nobody else changes before the transaction ends.
async fn load(
    desk: &Desk,
    ids: impl Iterator<Item = DeliveryId>,
) -> Result<BTreeMap<DeliveryId, Spoken>, Trouble> {
    let ids = ids.map(|id| id.0).collect::<Vec<_>>();
    let found = desk.rows(LOAD, bind![ids]).await?;
    let mut loaded = BTreeMap::new();
    for row in &found {
        let mut spoken = spoken(row)?;
        if let Some(mut others) = rows::contacts_if_any(row, 14)? {
            others.retain(|contact| Some(&contact.address) != spoken.address.as_ref());
            spoken.others_left = those_left(desk, &spoken.channel, others).await?.len();
        }
        loaded.insert(spoken.id, spoken);
    }
    Ok(loaded)
}

fn spoken(row: &Row) -> Result<Spoken, Trouble> {
    Ok(Spoken {
        state: rows::state(row)?,
        provider: rows::name(row, 5)?,
        spelling: rows::text(row, 7)?,
        priority: rows::priority(row, 8)?,
        resends_left: rows::count(row, 9)?,
        opened_at: rows::get(row, 10)?,
        body: rows::text(row, 11)?,
        channel: rows::name(row, 12)?,
        id: rows::delivery_id(row, 13)?,
        address: rows::get(row, 15)?,
        others_left: 0,
        has_changed: false,
        is_avoided: false,
        dead: None,
        watch: rows::watch_if_any(row, 16)?,
        told: Vec::new(),
    })
}

/// Writes what receipts have changed.
async fn write(desk: &Desk, spoken: impl Iterator<Item = Spoken>) -> Result<(), Trouble> {
    let changed = spoken.filter(|one| one.has_changed).collect::<Vec<_>>();
    if changed.is_empty() {
        return Ok(());
    }
    let facts = changed
        .iter()
        .map(|one| Facts::of(&one.state))
        .collect::<Vec<_>>();
    let avoided = |one: &'_ Spoken| one.is_avoided.then(|| one.provider.as_str().to_owned());
    let avoided = changed.iter().map(avoided).collect::<Vec<_>>();
    desk.run(
        APPLY,
        bind![
            changed.iter().map(|one| one.id.0).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.state).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.failure).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.reason.clone()).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.due_at).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.ended_at).collect::<Vec<_>>(),
            changed
                .iter()
                .map(|one| i64::from(one.resends_left))
                .collect::<Vec<_>>(),
            avoided.iter().map(Option::as_deref).collect::<Vec<_>>(),
            changed.iter().map(|one| one.opened_at).collect::<Vec<_>>(),
        ],
    )
    .await?;
    events::emit(desk, changed.iter().flat_map(|one| &one.told)).await?;
    let dead = changed.iter().filter_map(|one| {
        let (reason, at) = one.dead.as_ref()?;
        let dead = DeadAddress {
            address: one.address.as_deref(),
            reason,
            by: &one.provider,
            at: *at,
        };
        Some((one.id, dead))
    });
    deactivate(desk, &dead.collect::<Vec<_>>()).await
}

/// Keeps receipts until their sends are recorded, as many as there is room for; the places of those it kept. Outdated
/// ones are deleted first. The lock that the caller holds lets one transaction at a time add receipts.
async fn keep(desk: &Desk, early: &[Placed<'_>]) -> Result<BTreeSet<usize>, Trouble> {
    let Some(newest) = early.iter().map(|(_, heard)| heard.heard_at).max() else {
        return Ok(BTreeSet::new());
    };
    let outdated = newest.timestamp_millis() - EARLY_KEPT_MS;
    let at_once = OUTDATED_AT_ONCE.saturating_mul(rows::limit(early.len()));
    desk.run(OUTDATED, bind![outdated, at_once]).await?;
    let counted = desk.row(WAITING, bind![rows::limit(EARLY_RECEIPTS_MAX)]).await?;
    let waiting: usize = counted.map_or(Ok(0), |row| rows::count(&row, 0))?;
    let early = &early[..early.len().min(EARLY_RECEIPTS_MAX.saturating_sub(waiting))];
    if early.is_empty() {
        return Ok(BTreeSet::new());
    }
    let receipts = early.iter().map(|(_, heard)| &heard.receipt);
    let heard_at = early.iter().map(|(_, heard)| heard.heard_at.timestamp_millis());
    desk.run(
        KEEP,
        bind![
            receipts
                .clone()
                .map(|receipt| kept(&receipt.reference))
                .collect::<Vec<_>>(),
            early
                .iter()
                .map(|(_, heard)| provider(heard).unwrap_or_default())
                .collect::<Vec<_>>(),
            receipts
                .clone()
                .map(|receipt| receipt.verdict.word())
                .collect::<Vec<_>>(),
            receipts
                .clone()
                .map(|receipt| receipt.verdict.reason().map(kept))
                .collect::<Vec<_>>(),
            receipts
                .map(|receipt| receipt.at.timestamp_millis())
                .collect::<Vec<_>>(),
            heard_at.collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(early.iter().map(|(place, _)| *place).collect())
}

/// Keeps those out who keep receipts of sends that are not recorded: from now on one that came early is seen, and one
/// that comes later sees what this transaction records.
pub async fn keep_early_out(desk: &Desk) -> Result<(), Trouble> {
    desk.run(LOCK_SHARED, bind![REFERENCES_LOCK]).await.map(drop)
}

/// Applies the receipts that came before the sends they speak of were recorded: delivery, provider, reference. After
/// [`keep_early_out`]. Where those stand now that there were some for.
pub async fn apply_early(
    desk: &Desk,
    sent: &[(DeliveryId, &str, &str)],
) -> Result<HashMap<DeliveryId, Standing>, Trouble> {
    if sent.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = sent.iter().map(|(id, ..)| id.0).collect::<Vec<_>>();
    let providers = sent.iter().map(|(_, provider, _)| *provider).collect::<Vec<_>>();
    let references = sent
        .iter()
        .map(|(.., reference)| kept(reference))
        .collect::<Vec<_>>();
    let found = desk.rows(EARLY, bind![ids, references, providers]).await?;
    if found.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = found.iter().map(|row| rows::delivery_id(row, 4));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let mut known = load(desk, ids.iter().copied()).await?;
    for (row, id) in found.iter().zip(&ids) {
        let reason = rows::text_if_any(row, 1)?.unwrap_or_default();
        let verdict = rows::word(row, 0, |word| Verdict::from_word(word, reason))?;
        let (at, heard_at) = (rows::time(row, 2)?, rows::time(row, 3)?);
        if let Some(spoken) = known.get_mut(id) {
            spoken.hear(&verdict, at, heard_at);
        }
    }
    let stand = known.iter().map(|(id, spoken)| (*id, spoken.state.standing()));
    let stand = stand.collect();
    write(desk, known.into_values()).await?;
    desk.run(EARLY_DELETE, bind![references, providers]).await?;
    Ok(stand)
}
