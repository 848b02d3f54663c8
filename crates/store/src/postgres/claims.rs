//! Due deliveries and their claims.
//!
//! A claim writes a row of `leases` and leaves the delivery as it is. A delivery is due again when its lease expires, so
//! the deliveries of a worker that has ended need no recovery. The caller begins and ends the transaction.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::pool::{PgTransaction, bind, column};
use super::{errors::PgError, group_commit::BatchOperation, suppressed::active_contacts};
use crate::rows::deliveries::decode_claimed_delivery;
use crate::rows::{SqlRow, limit_to_sql};
use postrider_core::capacity::{Capacity, round_robin};
use postrider_core::{
    clock::Timestamp, id::DeliveryId, name::ConfigName, priority::Priority, queue_entry::QueueEntry,
    round::ClaimedDelivery,
};

static DUE: &str = sql!("postgres/claim/select_due");
static WAITING_CHANNELS: &str = sql!("postgres/claim/list_waiting_channels");
static ACQUIRE_LEASES: &str = sql!("postgres/claim/acquire_lease");
static LOAD_CLAIMED: &str = sql!("postgres/claim/load_claimed_deliveries");
static EXTEND_LEASE: &str = sql!("postgres/claim/extend_lease");
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
        let channel_limit = capacity.for_channel(channel.as_str());
        if channel_limit > 0 {
            channels.push(channel.to_string());
            limits.push(limit_to_sql(channel_limit));
        }
    }
    let values = bind![now.timestamp_millis(), channels, limits];
    let decode_queue_entry = |row: &Row| {
        Ok(QueueEntry {
            id: row.delivery_id("id")?,
            due_at: row.time("due_at")?,
            channel: row.name("channel")?,
            priority: row.priority("priority")?,
        })
    };
    let due_entries = transaction.query_all(DUE, values, decode_queue_entry).await?;
    let (due_entries, _) = capacity.split(interleave_channels(due_entries), |entry| &entry.channel);
    Ok(due_entries)
}

/// Reorders entries: high priority first, and within a priority one entry of each channel in turn.
fn interleave_channels(entries: Vec<QueueEntry>) -> Vec<QueueEntry> {
    let entry_count = entries.len();
    let (high, normal): (Vec<QueueEntry>, Vec<QueueEntry>) =
        entries.into_iter().partition(|due_entry| due_entry.priority == Priority::High);
    let mut interleaved = Vec::with_capacity(entry_count);
    for entries_of_priority in [high, normal] {
        let mut by_channel: BTreeMap<ConfigName, Vec<QueueEntry>> = BTreeMap::new();
        for due_entry in entries_of_priority {
            by_channel.entry(due_entry.channel.clone()).or_default().push(due_entry);
        }
        interleaved.extend(round_robin(by_channel.into_values().collect(), entry_count));
    }
    interleaved
}

/// The claims of one worker.
pub struct ClaimOperation {
    pub ids: Vec<DeliveryId>,
    /// Time at which the deliveries must be due.
    pub now: Timestamp,
    pub lease: Duration,
    /// Time of the call. The lease begins when the claim is written, which can be seconds later.
    pub requested_at: Instant,
}

/// A requested lease. Times are in milliseconds since 1970.
#[derive(Clone, Copy)]
struct LeaseRequest {
    /// Time at which the delivery must be due.
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
            for delivery_id in &operation.ids {
                requests.entry(delivery_id.0).or_insert(request);
            }
        }
        let mut claimed = claim(transaction, &requests).await?;
        remove_suppressed_contacts(transaction, &mut claimed).await?;
        let claims_of_operation = |operation: &Self| {
            operation.ids.iter().filter_map(|delivery_id| claimed.remove(delivery_id)).collect()
        };
        Ok(operations.iter().map(claims_of_operation).collect())
    }
}

/// Claims the deliveries whose leases are free. Releases the leases of deliveries that turn out not to be due.
async fn claim(
    transaction: &PgTransaction,
    requests: &BTreeMap<i64, LeaseRequest>,
) -> Result<HashMap<DeliveryId, ClaimedDelivery>, PgError> {
    let values = bind![
        requests.keys().copied().collect::<Vec<_>>(),
        requests.values().map(|request| request.now).collect::<Vec<_>>(),
        requests.values().map(|request| request.lease_expires_at).collect::<Vec<_>>(),
    ];
    let decode_lease = |row: &Row| Ok((row.integer("id")?, row.integer("claims")?));
    let acquired: BTreeMap<_, _> = transaction.query_all(ACQUIRE_LEASES, values, decode_lease).await?;
    if acquired.is_empty() {
        return Ok(HashMap::new());
    }
    let (ids, claim_counts): (Vec<i64>, Vec<i64>) = acquired.into_iter().unzip();
    let due_before = ids.iter().filter_map(|id| Some(requests.get(id)?.now)).collect::<Vec<_>>();
    let mut message_numbers = column(&ids, |id| DeliveryId(*id).message_number());
    message_numbers.dedup();
    let values = bind![ids, claim_counts, due_before, message_numbers];
    let mut claimed = HashMap::with_capacity(ids.len());
    for row in &transaction.query(LOAD_CLAIMED, values).await? {
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

/// Extends a lease; see [`WorkStore::extend_lease`](crate::WorkStore::extend_lease).
pub async fn extend_lease(
    transaction: &PgTransaction,
    claimed: &ClaimedDelivery,
    lease_expires_at: Timestamp,
) -> Result<bool, PgError> {
    let claim_count = i64::from(claimed.unrecorded_claims) + 1;
    let values = bind![claimed.id.0, claim_count, lease_expires_at.timestamp_millis()];
    Ok(!transaction.query(EXTEND_LEASE, values).await?.is_empty())
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
