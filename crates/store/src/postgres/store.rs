//! [`PostgresStore`], the transactions that its methods run in, and the methods that commit in groups.
//!
//! Accepts, claims, records, rate permits and receipts go through a [`GroupCommitQueue`] each; every other method runs
//! in a transaction of its own. Reads that may be a few seconds old go to the replica if there is one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::accept::AcceptOperation;
use super::claims::{self, ClaimOperation};
use super::connection_config::ServerRole;
use super::coordination::{self, RateOperation};
use super::durability;
use super::group_commit::GroupCommitQueue;
use super::migrate;
use super::move_state::refuse_moved;
use super::pool::PgPool;
use super::receipts::ReceiptOperation;
use super::record::RecordOperation;
use super::replica::Replica;
use crate::accept::check_delivery_counts;
use crate::{
    AcceptStore, CommitStats, CoordinationStore, ProbeDecision, RatePermit, ReceiptResult, ReceivedReceipt,
    StoreOptions, WorkStore,
};
use postrider_core::capacity::Capacity;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::id::DeliveryId;
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::message::{Acceptance, NewMessage};
use postrider_core::name::ConfigName;
use postrider_core::provider_control::ProviderControl;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::rate_limit::RateLimitRequest;
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};

/// Maximum time of a transaction before its connection counts as hung. Methods that read or write without a limit on
/// the number of rows have no maximum time.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);

/// A store on a PostgreSQL server.
pub struct PostgresStore {
    pub(super) pool: PgPool,
    pub(super) replica: Option<Replica>,
    pub(super) stats: Arc<CommitStats>,
    accepts: GroupCommitQueue<AcceptOperation>,
    claims: GroupCommitQueue<ClaimOperation>,
    records: GroupCommitQueue<RecordOperation>,
    rate_requests: GroupCommitQueue<RateOperation>,
    receipts: GroupCommitQueue<ReceiptOperation>,
}

impl PostgresStore {
    /// Migrates the database and opens the store. Blocks the calling thread.
    pub fn open(options: &StoreOptions<'_>) -> Result<Self> {
        let connections_max = options.connections_max;
        let pool = PgPool::new(options.url, ServerRole::Primary, connections_max)?;
        let replica = options
            .replica_url
            .map(|url| PgPool::new(url, ServerRole::Replica, connections_max))
            .transpose()?
            .map(Replica::new);
        let url = options.url.to_owned();
        migrate::block_on_thread(options.lock_timeout, async move {
            // A connection belongs to the runtime that opened it, so this pool ends with the thread.
            let pool = PgPool::new(&url, ServerRole::Primary, 1)?;
            migrate::apply(&pool).await?;
            refuse_moved(&pool).await?;
            durability::warn_about_settings(&pool).await;
            Ok(())
        })?;
        let stats = Arc::new(CommitStats::default());
        Ok(Self {
            accepts: GroupCommitQueue::new(pool.clone(), Arc::clone(&stats)),
            claims: GroupCommitQueue::new(pool.clone(), Arc::clone(&stats)),
            records: GroupCommitQueue::new(pool.clone(), Arc::clone(&stats)),
            rate_requests: GroupCommitQueue::new(pool.clone(), Arc::clone(&stats)),
            receipts: GroupCommitQueue::new(pool.clone(), Arc::clone(&stats)),
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
        let context = "cannot read due deliveries";
        run_transaction!(self.begin_read, context, |transaction| claims::due(&transaction, now, capacity))
    }

    async fn claim(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>> {
        let requested_at = Instant::now();
        let operation = ClaimOperation { ids, now, lease, requested_at };
        self.claims.run(operation).await
    }

    async fn record(&self, rounds: Vec<CompletedRound>) -> Result<Vec<RecordResult>> {
        self.records.run(RecordOperation(rounds)).await
    }

    async fn apply_receipts(&self, receipts: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>> {
        self.receipts.run(ReceiptOperation(receipts)).await
    }
}

#[async_trait]
impl CoordinationStore for PostgresStore {
    async fn current_time(&self) -> Result<Timestamp> {
        let context = "cannot read the time of the store";
        run_transaction!(self.begin_read, context, |transaction| coordination::current_time(&transaction))
    }

    fn has_own_clock(&self) -> bool {
        true
    }

    async fn acquire_rate_permits(
        &self,
        request: RateLimitRequest,
        now: Timestamp,
    ) -> Result<Vec<RatePermit>> {
        let requested_at = Instant::now();
        let operation = RateOperation { request, now, requested_at };
        self.rate_requests.run(operation).await
    }

    async fn load_health(&self) -> Result<Vec<SharedHealth>> {
        let context = "cannot read provider health";
        run_transaction!(self.begin_read, context, |transaction| coordination::load_health(&transaction))
    }

    async fn report_health(&self, reports: Vec<HealthReport>, now: Timestamp) -> Result<Vec<ReportedHealth>> {
        let context = "cannot report provider health";
        run_transaction!(self.begin_write, context, |transaction| {
            coordination::report_health(&transaction, &reports, now)
        })
    }

    async fn acquire_probe(
        &self,
        provider: &ConfigName,
        timeout: Duration,
        now: Timestamp,
    ) -> Result<ProbeDecision> {
        let context = "cannot acquire the probe";
        let provider = provider.as_str();
        run_transaction!(self.begin_write, context, |transaction| {
            coordination::acquire_probe(&transaction, provider, timeout, now)
        })
    }

    async fn save_provider_control(&self, control: ProviderControl) -> Result<()> {
        let context = "cannot save the provider control";
        run_transaction!(self.begin_write, context, |transaction| {
            coordination::save_provider_control(&transaction, &control)
        })
    }

    async fn provider_controls(&self) -> Result<Vec<ProviderControl>> {
        let context = "cannot read provider controls";
        run_transaction!(self.begin_read, context, |transaction| {
            coordination::provider_controls(&transaction)
        })
    }

    async fn acquire_job_lock(
        &self,
        job: ScheduledJob,
        process_name: &str,
        now: Timestamp,
        hold: Duration,
    ) -> Result<JobLockResult> {
        let context = "cannot acquire the job lock";
        run_transaction!(self.begin_write, context, |transaction| {
            coordination::acquire_job_lock(&transaction, job, process_name, now, hold)
        })
    }

    async fn renew_job_lock(
        &self,
        job: ScheduledJob,
        process_name: &str,
        expires_at: Timestamp,
    ) -> Result<bool> {
        let context = "cannot renew the job lock";
        run_transaction!(self.begin_write, context, |transaction| {
            coordination::renew_job_lock(&transaction, job, process_name, expires_at)
        })
    }

    async fn release_job_lock(
        &self,
        job: ScheduledJob,
        process_name: &str,
        expires_at: Timestamp,
    ) -> Result<()> {
        let context = "cannot release the job lock";
        run_transaction!(self.begin_write, context, |transaction| {
            coordination::release_job_lock(&transaction, job, process_name, expires_at)
        })
    }

    async fn store_secret(&self) -> Result<[u8; 32]> {
        let context = "cannot read the store secret";
        run_transaction!(self.begin_read, context, |transaction| coordination::store_secret(&transaction))
    }
}
