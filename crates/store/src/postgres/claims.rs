//! Due deliveries and their claims.
//!
//! A claim writes a row of `leases` and leaves the delivery as it is. A delivery is due again when its lease expires, so
//! the deliveries of a worker that has ended need no recovery. The caller begins and ends the transaction.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::errors::PgError;
use super::group_commit::BatchOperation;
use super::pool::{PgTransaction, bind};
use super::suppressed::active_contacts;
use crate::rows::deliveries::decode_claimed_delivery;
use crate::rows::{SqlRow, limit_to_sql};
use postrider_core::capacity::{Capacity, round_robin};
use postrider_core::clock::Timestamp;
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::round::ClaimedDelivery;

static DUE: &str = sql!("postgres/claim/select_due");
static WAITING_CHANNELS: &str = sql!("postgres/claim/list_waiting_channels");
static ACQUIRE_LEASES: &str = sql!("postgres/claim/acquire_lease");
static LOAD_CLAIMED: &str = sql!("postgres/claim/load_claimed_deliveries");
static RELEASE_LEASES: &str = sql!("postgres/claim/release_lease");

/// Returns due deliveries, as many as the capacity allows.
pub async fn due(
    transaction: &PgTransaction,
    now: Timestamp,
    capacity: &Capacity,
) -> Result<Vec<QueueEntry>, PgError> {
    let (mut channels, mut limits) = (Vec::new(), Vec::new());
    for row in &transaction.query(WAITING_CHANNELS, &[]).await? {
        let channel = row.name("channel")?;
        let limit = capacity.for_channel(channel.as_str());
        if limit > 0 {
            channels.push(channel.to_string());
            limits.push(limit_to_sql(limit));
        }
    }
    let rows = transaction.query(DUE, bind![now.timestamp_millis(), channels, limits]).await?;
    let decode = |row: &tokio_postgres::Row| {
        Ok(QueueEntry {
            id: row.delivery_id("id")?,
            due_at: row.time("due_at")?,
            channel: row.name("channel")?,
            priority: row.priority("priority")?,
        })
    };
    let entries = rows.iter().map(decode).collect::<Result<_, PgError>>()?;
    let (entries, _) = capacity.split(interleave_channels(entries), |entry| &entry.channel);
    Ok(entries)
}

/// Reorders entries: high priority first, and within a priority one entry of each channel in turn.
fn interleave_channels(entries: Vec<QueueEntry>) -> Vec<QueueEntry> {
    let count = entries.len();
    let (high, normal): (Vec<QueueEntry>, Vec<QueueEntry>) =
        entries.into_iter().partition(|entry| entry.priority == Priority::High);
    let mut interleaved = Vec::with_capacity(count);
    for entries in [high, normal] {
        let mut by_channel: BTreeMap<ConfigName, Vec<QueueEntry>> = BTreeMap::new();
        for entry in entries {
            by_channel.entry(entry.channel.clone()).or_default().push(entry);
        }
        interleaved.extend(round_robin(by_channel.into_values().collect(), count));
    }
    interleaved
}

/// The claims of one worker.
pub struct ClaimOperation {
    pub ids: Vec<DeliveryId>,
    /// Time at which the deliveries must be due.
    pub now: Timestamp,
    pub lease: Duration,
    /// Time of the call. The lease begins when the claim is written, which may be later.
    pub requested_at: Instant,
}

/// A requested lease, in milliseconds since 1970.
#[derive(Clone, Copy)]
struct LeaseRequest {
    now: i64,
    lease_expires_at: i64,
}

impl BatchOperation for ClaimOperation {
    type Output = Vec<ClaimedDelivery>;
    type BatchCache = ();
    const ERROR_CONTEXT: &'static str = "cannot claim deliveries";

    async fn run(
        transaction: &PgTransaction,
        (): &mut (),
        operations: &[Self],
    ) -> Result<Vec<Vec<ClaimedDelivery>>, PgError> {
        let mut requests = BTreeMap::new();
        for operation in operations {
            let waited = Duration::from_secs(operation.requested_at.elapsed().as_secs());
            let request = LeaseRequest {
                now: operation.now.timestamp_millis(),
                lease_expires_at: (operation.now + operation.lease + waited).timestamp_millis(),
            };
            for id in &operation.ids {
                requests.entry(id.0).or_insert(request);
            }
        }
        let mut claimed = claim(transaction, &requests).await?;
        remove_suppressed_contacts(transaction, &mut claimed).await?;
        let of_operation =
            |operation: &Self| operation.ids.iter().filter_map(|id| claimed.remove(id)).collect();
        Ok(operations.iter().map(of_operation).collect())
    }
}

/// Acquires the free leases, and releases those of deliveries that turn out not to be due.
async fn claim(
    transaction: &PgTransaction,
    requests: &BTreeMap<i64, LeaseRequest>,
) -> Result<HashMap<DeliveryId, ClaimedDelivery>, PgError> {
    let ids = requests.keys().copied().collect::<Vec<_>>();
    let now = requests.values().map(|request| request.now).collect::<Vec<_>>();
    let expires_at = requests.values().map(|request| request.lease_expires_at);
    let expires_at = expires_at.collect::<Vec<_>>();
    let mut acquired = BTreeMap::new();
    for row in &transaction.query(ACQUIRE_LEASES, bind![ids, now, expires_at]).await? {
        acquired.insert(row.integer("id")?, row.integer("claims")?);
    }
    if acquired.is_empty() {
        return Ok(HashMap::new());
    }
    let (ids, claims): (Vec<i64>, Vec<i64>) = acquired.into_iter().unzip();
    let now = ids.iter().filter_map(|id| Some(requests.get(id)?.now));
    let now = now.collect::<Vec<_>>();
    let mut numbers = ids.iter().map(|id| DeliveryId(*id).message_number()).collect::<Vec<_>>();
    numbers.dedup();
    let rows = transaction.query(LOAD_CLAIMED, bind![ids, claims, now, numbers]).await?;
    let mut claimed = HashMap::with_capacity(ids.len());
    for row in &rows {
        if row.bool("is_due")? {
            let delivery = decode_claimed_delivery(row)?;
            claimed.insert(delivery.id, delivery);
        }
    }
    let not_due = ids.into_iter().filter(|id| !claimed.contains_key(&DeliveryId(*id))).collect::<Vec<_>>();
    if !not_due.is_empty() {
        transaction.execute(RELEASE_LEASES, bind![not_due]).await?;
    }
    Ok(claimed)
}

async fn remove_suppressed_contacts(
    transaction: &PgTransaction,
    claimed: &mut HashMap<DeliveryId, ClaimedDelivery>,
) -> Result<(), PgError> {
    for delivery in claimed.values_mut() {
        if let Some(contacts) = delivery.contacts.take() {
            let active = active_contacts(transaction, &delivery.channel, contacts).await?;
            delivery.contacts = Some(active);
        }
    }
    Ok(())
}
