//! What providers say later: applied to the delivery they speak of, or kept until it is known.
//!
//! Never begins or ends a transaction; a receipt never moves a state backwards.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio_postgres::Row;

use super::claims::deactivate_addresses;
use super::errors::PgError;
use super::events;
use super::group_commit::BatchOperation;
use super::pool::{PgTransaction, bind};
use super::rows::{self, StateColumns, escape_text};
use super::suppressed::active_contacts;
use crate::events::NewEvent;
use crate::{MatchedDelivery, ReceiptResult, ReceivedReceipt, UNMATCHED_RECEIPTS_MAX};
use postrider_core::channel::ConfigName;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, RemainingAlternatives};
use postrider_core::event::EventTarget;
use postrider_core::id::DeliveryId;
use postrider_core::message::{InvalidatedAddress, Priority};
use postrider_core::receipt::ReceiptStatus;

static FIND_BY_REFERENCE: &str = sql!("postgres/receipts/find_by_reference");
static FIND_BY_ID: &str = sql!("postgres/receipts/check_accepted_delivery");
static LOAD: &str = sql!("postgres/receipts/load_delivery");
static SAVE_DELIVERIES: &str = sql!("postgres/receipts/apply_receipt");
static COUNT_UNMATCHED: &str = sql!("postgres/receipts/count_unmatched_receipts");
static INSERT_UNMATCHED: &str = sql!("postgres/receipts/insert_unmatched_receipt");
static LOCK_REFERENCES: &str = sql!("postgres/receipts/lock_references_exclusive");
static LOCK_REFERENCES_SHARED: &str = sql!("postgres/receipts/lock_references_shared");
static FIND_UNMATCHED: &str = sql!("postgres/receipts/select_unmatched_receipts");
static DELETE_EXPIRED: &str = sql!("postgres/maintenance/delete_old_unmatched_receipts");
static DELETE_UNMATCHED: &str = sql!("postgres/receipts/delete_unmatched_receipts");

/// The lock that keeps a record and an early receipt from missing each other.
const REFERENCES_LOCK: i64 = 0x506F_7374_0003;

/// How long a receipt waits for the send it speaks of. A record follows its call by seconds, by minutes when the
/// store is in trouble.
const UNMATCHED_KEPT_MS: i64 = 60 * 60 * 1_000;

/// How many outdated receipts go at most for each new one that is kept.
const EXPIRED_DELETED_MAX: i64 = 100;

/// Receipts that came together.
pub struct ReceiptOperation(pub Vec<ReceivedReceipt>);

impl BatchOperation for ReceiptOperation {
    type Output = Vec<ReceiptResult>;
    type BatchCache = ();
    const ERROR_CONTEXT: &'static str = "cannot store receipts";

    async fn run(
        transaction: &PgTransaction,
        (): &mut (),
        operations: &[Self],
    ) -> Result<Vec<Vec<ReceiptResult>>, PgError> {
        let receipts = operations
            .iter()
            .flat_map(|operation| &operation.0)
            .collect::<Vec<_>>();
        let mut results = apply_receipts(transaction, &receipts).await?.into_iter();
        let of_operation = |operation: &Self| results.by_ref().take(operation.0.len()).collect();
        Ok(operations.iter().map(of_operation).collect())
    }
}

/// A receipt and which of those that came together it is.
type IndexedReceipt<'h> = (usize, &'h ReceivedReceipt);

async fn apply_receipts(
    transaction: &PgTransaction,
    receipts: &[&ReceivedReceipt],
) -> Result<Vec<ReceiptResult>, PgError> {
    let all = receipts.iter().copied().enumerate().collect::<Vec<_>>();
    let mut found = find_deliveries(transaction, &all).await?;
    // What names its delivery has nothing to wait for.
    let is_unknown =
        |(index, received): &&IndexedReceipt<'_>| received.delivery.is_none() && !found.contains_key(index);
    let unknown = all.iter().filter(is_unknown).copied().collect::<Vec<_>>();
    if !unknown.is_empty() {
        // Whoever was in the middle of recording the send has ended after this, and can be seen. Asked for before any
        // row is locked: who records a send does so in the same order.
        transaction.query(LOCK_REFERENCES, bind![REFERENCES_LOCK]).await?;
        found.extend(find_deliveries(transaction, &unknown).await?);
    }
    let mut results = apply_to_deliveries(transaction, &all, &found).await?;
    if !unknown.is_empty() {
        let unmatched = unmatched_of(&unknown, &results);
        let waiting = unmatched
            .iter()
            .filter(|(_, received)| received.can_wait)
            .copied();
        let kept = save_unmatched(transaction, &waiting.collect::<Vec<_>>()).await?;
        let dropped = unmatched.iter().filter(|(index, _)| !kept.contains(index));
        results.extend(dropped.map(|(index, _)| (*index, ReceiptResult::Dropped)));
    }
    let result = |(index, _): &IndexedReceipt<'_>| results.remove(index).unwrap_or(ReceiptResult::Unmatched);
    Ok(all.iter().map(result).collect())
}

fn unmatched_of<'h>(
    receipts: &[IndexedReceipt<'h>],
    results: &BTreeMap<usize, ReceiptResult>,
) -> Vec<IndexedReceipt<'h>> {
    let unanswered = |(index, _): &&IndexedReceipt<'_>| !results.contains_key(index);
    receipts.iter().filter(unanswered).copied().collect()
}

/// Applies receipts to the deliveries that were found; the answers by place, without those that speak of none.
async fn apply_to_deliveries(
    transaction: &PgTransaction,
    receipts: &[IndexedReceipt<'_>],
    found: &BTreeMap<usize, DeliveryId>,
) -> Result<BTreeMap<usize, ReceiptResult>, PgError> {
    if found.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut loaded = load_deliveries(transaction, found.values().copied()).await?;
    let mut results = BTreeMap::new();
    for (index, received) in receipts {
        let Some(delivery) = found.get(index).and_then(|id| loaded.get_mut(id)) else {
            continue;
        };
        let from = delivery.state.kind();
        let receipt = &received.receipt;
        let applied = delivery.apply_status(&receipt.status, receipt.at, received.received_at);
        let matched = delivery.matched_delivery(from);
        results.insert(
            *index,
            if applied {
                ReceiptResult::Applied(matched)
            } else {
                ReceiptResult::Unchanged(matched)
            },
        );
    }
    save_changed(transaction, loaded.into_values()).await?;
    Ok(results)
}

/// Which delivery each receipt speaks of, by place.
async fn find_deliveries(
    transaction: &PgTransaction,
    receipts: &[IndexedReceipt<'_>],
) -> Result<BTreeMap<usize, DeliveryId>, PgError> {
    let by_reference = receipts
        .iter()
        .filter(|(_, received)| received.delivery.is_none());
    let indexes = by_reference.clone().map(|(index, _)| rows::limit_to_sql(*index));
    let references = by_reference
        .clone()
        .map(|(_, received)| escape_text(&received.receipt.reference));
    let providers = by_reference.map(|(_, received)| provider_name(received));
    let mut found = transaction
        .query(
            FIND_BY_REFERENCE,
            bind![
                indexes.collect::<Vec<_>>(),
                references.collect::<Vec<_>>(),
                providers.collect::<Vec<_>>(),
            ],
        )
        .await?;
    let known = receipts
        .iter()
        .filter_map(|(index, received)| Some((rows::limit_to_sql(*index), received.delivery?.0)));
    let (indexes, ids): (Vec<i64>, Vec<i64>) = known.unzip();
    if !ids.is_empty() {
        found.extend(transaction.query(FIND_BY_ID, bind![indexes, ids]).await?);
    }
    let read = |row| Ok((rows::decode_count(row, 0)?, rows::delivery_id(row, 1)?));
    found.iter().map(read).collect()
}

fn provider_name(received: &ReceivedReceipt) -> Option<&str> {
    received.provider.as_ref().map(ConfigName::as_str)
}

/// A delivery that was sent once, with what a receipt can change.
struct LoadedDelivery {
    id: DeliveryId,
    provider: ConfigName,
    channel: ConfigName,
    spelling: String,
    body: String,
    priority: Priority,
    resends_left: u32,
    /// The address that was used, where it has several, and how many others may be written to.
    address: Option<String>,
    other_addresses_left: usize,
    opened_at: Option<i64>,
    state: DeliveryState,
    has_changed: bool,
    /// Whether the provider is not to be asked first the next time.
    is_provider_avoided: bool,
    /// Why nobody is there any more, and since when we know.
    invalidated_address: Option<(String, Timestamp)>,
    /// Who wants to hear of it, and of what.
    event_target: Option<EventTarget>,
    new_events: Vec<NewEvent>,
}

impl LoadedDelivery {
    /// Changes it as the receipt wants; whether there was anything to change.
    fn apply_status(&mut self, status: &ReceiptStatus, at: Timestamp, received_at: Timestamp) -> bool {
        let left = RemainingAlternatives {
            resends: self.resends_left,
            addresses: self.other_addresses_left,
        };
        let next = self.state.apply_receipt(status, at, left);
        let moved = next.is_some();
        match next {
            Some(DeliveryState::Waiting { reason, .. }) => {
                if matches!(status, ReceiptStatus::Bounced { .. }) {
                    self.resends_left = self.resends_left.saturating_sub(1);
                    self.is_provider_avoided = true;
                }
                self.state = DeliveryState::Waiting {
                    due_at: received_at,
                    reason,
                };
            }
            Some(state) => self.state = state,
            None => {}
        }
        let first_opened = matches!(status, ReceiptStatus::Opened)
            && matches!(self.state, DeliveryState::Delivered { .. })
            && self.opened_at.is_none();
        if first_opened {
            self.opened_at = Some(at.timestamp_millis());
        }
        if !moved && !first_opened {
            return false;
        }
        if let Some(event_target) = &self.event_target {
            if moved {
                let event = NewEvent::new(
                    self.id,
                    event_target,
                    &self.state,
                    Some(&self.provider),
                    received_at,
                );
                self.new_events.push(event);
            }
            if first_opened {
                let event = NewEvent::opened(self.id, event_target, &self.provider, at, received_at);
                self.new_events.push(event);
            }
        }
        if let ReceiptStatus::Invalid { reason } = status {
            self.invalidated_address = Some((reason.clone(), received_at));
        }
        self.has_changed = true;
        true
    }

    fn matched_delivery(&self, from: DeliveryStateKind) -> MatchedDelivery {
        MatchedDelivery {
            id: self.id,
            channel: self.channel.clone(),
            provider: self.provider.clone(),
            spelling: self.spelling.clone(),
            body: self.body.clone(),
            priority: self.priority,
            previous_kind: from,
            state: self.state.clone(),
        }
    }
}

/// The deliveries, which nobody else changes before the transaction ends.
async fn load_deliveries(
    transaction: &PgTransaction,
    ids: impl Iterator<Item = DeliveryId>,
) -> Result<BTreeMap<DeliveryId, LoadedDelivery>, PgError> {
    let ids = ids.map(|id| id.0).collect::<Vec<_>>();
    let found = transaction.query(LOAD, bind![ids]).await?;
    let mut loaded = BTreeMap::new();
    for row in &found {
        let mut delivery = decode_loaded_delivery(row)?;
        if let Some(mut others) = rows::optional_contacts(row, 14)? {
            others.retain(|contact| Some(&contact.address) != delivery.address.as_ref());
            delivery.other_addresses_left = active_contacts(transaction, &delivery.channel, others)
                .await?
                .len();
        }
        loaded.insert(delivery.id, delivery);
    }
    Ok(loaded)
}

fn decode_loaded_delivery(row: &Row) -> Result<LoadedDelivery, PgError> {
    Ok(LoadedDelivery {
        state: rows::decode_state(row)?,
        provider: rows::decode_name(row, 5)?,
        spelling: rows::decode_text(row, 7)?,
        priority: rows::decode_priority(row, 8)?,
        resends_left: rows::decode_count(row, 9)?,
        opened_at: rows::get(row, 10)?,
        body: rows::decode_text(row, 11)?,
        channel: rows::decode_name(row, 12)?,
        id: rows::delivery_id(row, 13)?,
        address: rows::get(row, 15)?,
        other_addresses_left: 0,
        has_changed: false,
        is_provider_avoided: false,
        invalidated_address: None,
        event_target: rows::optional_watch(row, 16)?,
        new_events: Vec::new(),
    })
}

/// Writes what receipts have changed.
async fn save_changed(
    transaction: &PgTransaction,
    delivery: impl Iterator<Item = LoadedDelivery>,
) -> Result<(), PgError> {
    let changed = delivery.filter(|one| one.has_changed).collect::<Vec<_>>();
    if changed.is_empty() {
        return Ok(());
    }
    let columns = changed
        .iter()
        .map(|one| StateColumns::from_state(&one.state))
        .collect::<Vec<_>>();
    let avoided = |one: &'_ LoadedDelivery| one.is_provider_avoided.then(|| one.provider.as_str().to_owned());
    let avoided = changed.iter().map(avoided).collect::<Vec<_>>();
    transaction
        .execute(
            SAVE_DELIVERIES,
            bind![
                changed.iter().map(|one| one.id.0).collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.state).collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.failure).collect::<Vec<_>>(),
                columns
                    .iter()
                    .map(|columns| columns.reason.clone())
                    .collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.due_at).collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.ended_at).collect::<Vec<_>>(),
                changed
                    .iter()
                    .map(|one| i64::from(one.resends_left))
                    .collect::<Vec<_>>(),
                avoided.iter().map(Option::as_deref).collect::<Vec<_>>(),
                changed.iter().map(|one| one.opened_at).collect::<Vec<_>>(),
            ],
        )
        .await?;
    events::insert_events(transaction, changed.iter().flat_map(|one| &one.new_events)).await?;
    let invalidated = changed.iter().filter_map(|one| {
        let (reason, at) = one.invalidated_address.as_ref()?;
        let invalidated = InvalidatedAddress {
            address: one.address.as_deref(),
            reason,
            provider: &one.provider,
            at: *at,
        };
        Some((one.id, invalidated))
    });
    deactivate_addresses(transaction, &invalidated.collect::<Vec<_>>()).await
}

/// Keeps receipts until their sends are recorded, as many as there is room for; the places of those it kept. Outdated
/// ones are deleted first. The lock that the caller holds lets one transaction at a time add receipts.
async fn save_unmatched(
    transaction: &PgTransaction,
    unmatched: &[IndexedReceipt<'_>],
) -> Result<BTreeSet<usize>, PgError> {
    let Some(newest) = unmatched.iter().map(|(_, received)| received.received_at).max() else {
        return Ok(BTreeSet::new());
    };
    let outdated = newest.timestamp_millis() - UNMATCHED_KEPT_MS;
    let at_once = EXPIRED_DELETED_MAX.saturating_mul(rows::limit_to_sql(unmatched.len()));
    transaction
        .execute(DELETE_EXPIRED, bind![outdated, at_once])
        .await?;
    let counted = transaction
        .query_optional(COUNT_UNMATCHED, bind![rows::limit_to_sql(UNMATCHED_RECEIPTS_MAX)])
        .await?;
    let waiting: usize = counted.map_or(Ok(0), |row| rows::decode_count(&row, 0))?;
    let unmatched = &unmatched[..unmatched
        .len()
        .min(UNMATCHED_RECEIPTS_MAX.saturating_sub(waiting))];
    if unmatched.is_empty() {
        return Ok(BTreeSet::new());
    }
    let receipts = unmatched.iter().map(|(_, received)| &received.receipt);
    let received_at = unmatched
        .iter()
        .map(|(_, received)| received.received_at.timestamp_millis());
    transaction
        .execute(
            INSERT_UNMATCHED,
            bind![
                receipts
                    .clone()
                    .map(|receipt| escape_text(&receipt.reference))
                    .collect::<Vec<_>>(),
                unmatched
                    .iter()
                    .map(|(_, received)| provider_name(received).unwrap_or_default())
                    .collect::<Vec<_>>(),
                receipts
                    .clone()
                    .map(|receipt| receipt.status.as_str())
                    .collect::<Vec<_>>(),
                receipts
                    .clone()
                    .map(|receipt| receipt.status.reason().map(escape_text))
                    .collect::<Vec<_>>(),
                receipts
                    .map(|receipt| receipt.at.timestamp_millis())
                    .collect::<Vec<_>>(),
                received_at.collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(unmatched.iter().map(|(index, _)| *index).collect())
}

/// Keeps those out who keep receipts of sends that are not recorded: from now on one that came early is seen, and one
/// that comes later sees what this transaction records.
pub async fn lock_references(transaction: &PgTransaction) -> Result<(), PgError> {
    transaction
        .execute(LOCK_REFERENCES_SHARED, bind![REFERENCES_LOCK])
        .await
        .map(drop)
}

/// Applies the receipts that came before the sends they speak of were recorded: delivery, provider, reference. After
/// [`keep_early_out`]. Where those stand now that there were some for.
pub async fn apply_unmatched(
    transaction: &PgTransaction,
    sent: &[(DeliveryId, &str, &str)],
) -> Result<HashMap<DeliveryId, DeliveryStateKind>, PgError> {
    if sent.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = sent.iter().map(|(id, ..)| id.0).collect::<Vec<_>>();
    let providers = sent.iter().map(|(_, provider, _)| *provider).collect::<Vec<_>>();
    let references = sent
        .iter()
        .map(|(.., reference)| escape_text(reference))
        .collect::<Vec<_>>();
    let found = transaction
        .query(FIND_UNMATCHED, bind![ids, references, providers])
        .await?;
    if found.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = found.iter().map(|row| rows::delivery_id(row, 4));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let mut known = load_deliveries(transaction, ids.iter().copied()).await?;
    for (row, id) in found.iter().zip(&ids) {
        let reason = rows::optional_text(row, 1)?.unwrap_or_default();
        let status = rows::decode_word(row, 0, |status| ReceiptStatus::from_parts(status, reason))?;
        let (at, received_at) = (rows::decode_time(row, 2)?, rows::decode_time(row, 3)?);
        if let Some(delivery) = known.get_mut(id) {
            delivery.apply_status(&status, at, received_at);
        }
    }
    let states = known.iter().map(|(id, delivery)| (*id, delivery.state.kind()));
    let states = states.collect();
    save_changed(transaction, known.into_values()).await?;
    transaction
        .execute(DELETE_UNMATCHED, bind![references, providers])
        .await?;
    Ok(states)
}
