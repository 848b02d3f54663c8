//! [`PostgresStore`], the transactions that its methods run in, and the methods that commit in groups.
//!
//! Accepts, claims, records, receipts and rate permits have one [`GroupCommitQueue`] each; every other method runs in a
//! transaction of its own. Reads that may be a few seconds old go to the replica if there is one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::claims::{self, ClaimOperation};
use super::due_search::DueSearch;
use super::receipts::{self, ReceiptOperation};
use super::{
    accept::AcceptOperation,
    connection_config::ServerRole,
    durability,
    group_commit::GroupCommitQueue,
    migrate,
    move_state::refuse_moved,
    pool::PgPool,
    rate_permits::RateOperation,
    record::{self, RecordOperation},
    replica::Replica,
};
use crate::accept::check_delivery_counts;
use crate::{AcceptStore, CommitStats, ReceiptResult, ReceivedReceipt, StoreOptions, WorkStore};
use postrider_core::message::{Acceptance, NewMessage};
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_core::{
    capacity::Capacity, clock::Timestamp, error::Result, id::DeliveryId, inbound::LateAcceptance,
    name::ConfigName, queue_entry::QueueEntry,
};

/// Maximum time of a transaction before its connection counts as broken. Methods on any number of rows have no such
/// limit.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);

/// A store on a PostgreSQL server.
pub struct PostgresStore {
    pub(super) pool: PgPool,
    pub(super) replica: Option<Replica>,
    pub(super) stats: Arc<CommitStats>,
    accepts: GroupCommitQueue<AcceptOperation>,
    claims: GroupCommitQueue<ClaimOperation>,
    records: GroupCommitQueue<RecordOperation>,
    due_search: DueSearch,
    pub(super) rate_requests: GroupCommitQueue<RateOperation>,
    receipts: GroupCommitQueue<ReceiptOperation>,
}

impl PostgresStore {
    /// Migrates the database and opens the store. Blocks the calling thread.
    pub fn open(store_options: &StoreOptions<'_>) -> Result<Self> {
        let connections_max = store_options.connections_max;
        let pool = PgPool::new(store_options.url, ServerRole::Primary, connections_max)?;
        let replica_pool =
            store_options.replica_url.map(|url| PgPool::new(url, ServerRole::Replica, connections_max));
        let replica = replica_pool.transpose()?.map(Replica::new);
        // A connection belongs to the runtime that opened it, so the startup checks have a pool of their own.
        let startup_pool = PgPool::new(store_options.url, ServerRole::Primary, 1)?;
        migrate::block_on_thread(store_options.lock_timeout, async move {
            migrate::apply(&startup_pool).await?;
            refuse_moved(&startup_pool).await?;
            durability::warn_about_settings(&startup_pool).await;
            Ok(())
        })?;
        let stats = Arc::new(CommitStats::default());
        Ok(Self {
            accepts: GroupCommitQueue::new(pool.clone(), Arc::clone(&stats)),
            claims: GroupCommitQueue::new(pool.clone(), Arc::clone(&stats)),
            records: GroupCommitQueue::new(pool.clone(), Arc::clone(&stats)),
            rate_requests: GroupCommitQueue::new(pool.clone(), Arc::clone(&stats)),
            receipts: GroupCommitQueue::new(pool.clone(), Arc::clone(&stats)),
            due_search: DueSearch::default(),
            pool,
            replica,
            stats,
        })
    }
}

#[async_trait]
impl AcceptStore for PostgresStore {
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>> {
        check_delivery_counts(&messages)?;
        self.accepts.run(AcceptOperation(messages)).await
    }
}

#[async_trait]
impl WorkStore for PostgresStore {
    async fn due(&self, now: Timestamp, capacity: &Capacity) -> Result<Vec<QueueEntry>> {
        run_transaction!(self.begin_read, "cannot read due deliveries", |transaction| {
            claims::due(transaction, &self.due_search, now, capacity).await
        })
    }

    async fn claim(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>> {
        let requested_at = Instant::now();
        self.claims.run(ClaimOperation { ids, now, lease, requested_at }).await
    }

    async fn extend_lease(&self, claimed: &ClaimedDelivery, lease_expires_at: Timestamp) -> Result<bool> {
        run_transaction!(self.begin_write, "cannot extend a lease", |transaction| {
            claims::extend_lease(transaction, claimed, lease_expires_at).await
        })
    }

    async fn record(&self, rounds: Vec<CompletedRound>) -> Result<Vec<RecordResult>> {
        self.records.run(RecordOperation(rounds)).await
    }

    async fn apply_receipts(&self, receipts: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>> {
        self.receipts.run(ReceiptOperation(receipts)).await
    }

    async fn apply_late_acceptance(
        &self,
        provider: ConfigName,
        acceptance: LateAcceptance,
        received_at: Timestamp,
    ) -> Result<ReceiptResult> {
        run_transaction!(self.begin_write, "cannot apply a late answer", |transaction| {
            receipts::apply_late_acceptance(transaction, &provider, &acceptance, received_at).await
        })
    }

    async fn close_lost_rounds(&self, now: Timestamp, limit: usize) -> Result<Vec<DeliveryId>> {
        run_transaction!(self.begin_write, "cannot close lost rounds", |transaction| {
            record::close_lost_rounds(transaction, now, limit).await
        })
    }
}
