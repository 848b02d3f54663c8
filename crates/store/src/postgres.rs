//! The store for more than one host: PostgreSQL, or what speaks its protocol.
//!
//! This file is the verbs. Accepts, claims, records, receipts and paces go into group commits; everything else is a
//! transaction of its own. Nothing is kept in memory that another host could change, and nothing in a server's session.

mod accept;
mod admin;
mod broadcasts;
mod channel_binding;
mod claims;
mod connection_config;
mod connector;
mod coordination;
mod copy;
mod drop_partition;
mod durability;
mod errors;
mod events;
mod group_commit;
mod migrate;
mod partitions;
mod pool;
mod prune;
mod read;
mod receipts;
mod recipients;
mod replica;
mod report;
mod rollups;
mod rows;
mod sql_row;
mod suppressed;
mod tls;
mod usage;
mod user_throttle;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use self::accept::AcceptOperation;
use self::claims::{ClaimOperation, RecordOperation};
use self::connection_config::ServerRole;
use self::coordination::RateOperation;
pub(super) use self::copy::open_table_store;
use self::errors::PgError;
use self::group_commit::{GroupCommitQueue, TRANSACTION_RETRIES_MAX};
use self::pool::PgPool;
use self::prune::PruneScope;
use self::receipts::ReceiptOperation;
use self::replica::{Freshness, Replica};
use super::{
    AcceptStore, AdminStore, Backlog, Cancelled, CommitStats, CoordinationStore, DeliverySelection,
    LastAttempt, MaintenanceStore, MessageList, MessageQuery, ProbeDecision, Progress, ProviderEndpoint,
    RatePermit, ReadStore, ReceiptResult, ReceivedReceipt, RecipientStore, ReportSnapshot, ReportStore,
    StoreOptions, UsageQuery, UsageTotals, WorkStore,
};
use postrider_core::capacity::Capacity;
use postrider_core::channel::ConfigName;
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound::OptChange;
use postrider_core::job::{JobLockResult, ScheduledJob};
use postrider_core::message::{
    Acceptance, ClaimedDelivery, CompletedRound, Message, NewMessage, QueueEntry, RecordResult,
};
use postrider_core::provider_control::ProviderControl;
use postrider_core::rate_limit::RateLimitRequest;
use postrider_core::recipient::Recipient;
use postrider_core::report::Report;
use postrider_core::shared_health::{HealthReport, ReportedHealth, SharedHealth};

pub use self::replica::check_replica;

/// A store on a server.
pub struct PostgresStore {
    pool: PgPool,
    replica: Option<Replica>,
    stats: Arc<CommitStats>,
    accepts: GroupCommitQueue<AcceptOperation>,
    claims: GroupCommitQueue<ClaimOperation>,
    records: GroupCommitQueue<RecordOperation>,
    rate_requests: GroupCommitQueue<RateOperation>,
    receipts: GroupCommitQueue<ReceiptOperation>,
}

impl PostgresStore {
    /// Brings the schema of the database up to date and makes ready to use it. Blocks while it does.
    pub fn open(place: &StoreOptions<'_>) -> Result<Self> {
        let link = PgPool::new(place.url, ServerRole::Primary, place.connections_max)?;
        let replica = match place.replica_url {
            None => None,
            Some(url) => Some(Replica::new(PgPool::new(
                url,
                ServerRole::Replica,
                place.connections_max,
            )?)),
        };
        let url = place.url.to_owned();
        block_on_thread(place.lock_timeout, async move {
            // Connections belong to whoever runs them: none of those that served here can stay.
            let link = PgPool::new(&url, ServerRole::Primary, 1)?;
            migrate::apply(&link).await?;
            copy::refuse_moved(&link).await?;
            durability::warn_about_settings(&link).await;
            Ok(())
        })?;
        let stats = Arc::new(CommitStats::default());
        Ok(Self {
            accepts: GroupCommitQueue::new(link.clone(), Arc::clone(&stats)),
            claims: GroupCommitQueue::new(link.clone(), Arc::clone(&stats)),
            records: GroupCommitQueue::new(link.clone(), Arc::clone(&stats)),
            rate_requests: GroupCommitQueue::new(link.clone(), Arc::clone(&stats)),
            receipts: GroupCommitQueue::new(link.clone(), Arc::clone(&stats)),
            pool: link,
            replica,
            stats,
        })
    }
}

/// Brings the schema of a database up to date; returns the names of what was applied.
pub fn migrate(url: &str, timeout: Duration) -> Result<Vec<String>> {
    let link = PgPool::new(url, ServerRole::Primary, 1)?;
    block_on_thread(timeout, async move { migrate::apply(&link).await })
}

/// The names of what [`migrate`] would apply. Changes nothing.
pub fn pending_migrations(url: &str, timeout: Duration) -> Result<Vec<String>> {
    let link = PgPool::new(url, ServerRole::Primary, 1)?;
    block_on_thread(timeout, async move { migrate::pending(&link).await })
}

/// Works on a thread of its own, so that it may be called from wherever.
fn block_on_thread<T: Send + 'static>(
    timeout: Duration,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let act = "cannot bring the database up to date";
    let run = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build();
        let runtime = runtime.map_err(|error| Error::with_source(ErrorKind::Unavailable, act, error))?;
        let done = runtime.block_on(async { tokio::time::timeout(timeout, work).await });
        done.unwrap_or_else(|_| {
            let why = "the database server, or another host that is doing the same, takes too long";
            Err(Error::new(ErrorKind::Unavailable, format!("{act}: {why}")))
        })
    };
    let thread = std::thread::Builder::new().name("store-migrate".to_owned());
    let thread = thread.spawn(run);
    let thread = thread.map_err(|error| Error::with_source(ErrorKind::Unavailable, act, error))?;
    let broken = |_| Error::new(ErrorKind::Internal, format!("{act}: it broke off"));
    thread.join().map_err(broken)?
}

/// Asks the replica, where there is one; returns its answer when it is new enough, goes on otherwise.
macro_rules! read_from_replica {
    ($self:ident, $freshness:expr, |$transaction:ident| $work:expr) => {
        if let Some(replica) = &$self.replica {
            let reply = async {
                let $transaction = replica.read(&$self.pool, $freshness).await?;
                let outcome = $work.await;
                replica.finish($transaction, outcome).await
            };
            match tokio::time::timeout(replica::READ_TIMEOUT, reply).await {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(_) => replica.disable(PgError::Timeout),
            }
        }
    };
}

/// How long a verb may take before its connection counts as hung. Those that go through much have no limit.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a verb in a transaction of its own, once more when it collides with another.
macro_rules! run_transaction {
    ($self:ident.$begin:ident, $act:expr, |$transaction:ident| $work:expr) => {{
        let outcome = tokio::time::timeout(OPERATION_TIMEOUT, async {
            run_transaction!(unlimited $self.$begin, |$transaction| $work)
        });
        let outcome = outcome.await.unwrap_or(Err(PgError::Timeout));
        outcome.map_err(|error| error.to_error($act))
    }};
    (unlimited $self:ident.$begin:ident, $act:expr, |$transaction:ident| $work:expr) => {{
        let outcome = run_transaction!(unlimited $self.$begin, |$transaction| $work);
        outcome.map_err(|error| error.to_error($act))
    }};
    (unlimited $self:ident.$begin:ident, |$transaction:ident| $work:expr) => {{
        let mut conflicts = 0;
        loop {
            let outcome = match $self.pool.$begin().await {
                Ok($transaction) => {
                    let outcome = $work.await;
                    $transaction.finish(outcome).await
                }
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) if error.is_transaction_conflict() && conflicts < TRANSACTION_RETRIES_MAX => conflicts += 1,
                outcome => break outcome,
            }
        }
    }};
}

use run_transaction;

impl PostgresStore {
    /// See [`MaintenanceStore::prune`]: single messages out of these months, and whole months.
    async fn prune_partitions(
        &self,
        months: PruneScope,
        before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        let act = "cannot delete old messages";
        let mut deleted = run_transaction!(unlimited self.begin_write, act, |transaction| drop_partition::drop_detached(&transaction))?;
        run_transaction!(unlimited self.begin_write, act, |transaction| partitions::create_ahead(&transaction))?;
        run_transaction!(unlimited self.begin_write, act, |transaction| partitions::begin_month(&transaction, now))?;
        deleted += run_transaction!(unlimited self.begin_write, act, |transaction| prune::prune(&transaction, before, months, limit))?;
        if deleted > 0 {
            return Ok(deleted);
        }
        while run_transaction!(unlimited self.begin_write, act, |transaction| drop_partition::detach_one(&transaction, before))?
        {
            deleted += run_transaction!(unlimited self.begin_write, act, |transaction| drop_partition::drop_detached(&transaction))?;
        }
        Ok(deleted)
    }
}

#[async_trait]
impl AcceptStore for PostgresStore {
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>> {
        let fits = |message: &NewMessage| {
            i64::try_from(message.deliveries.len()).is_ok_and(|count| count <= DeliveryId::PER_MESSAGE)
        };
        if !messages.iter().all(fits) {
            let act = "cannot store a message with more deliveries than 64";
            return Err(Error::new(ErrorKind::Internal, act));
        }
        self.accepts.run(AcceptOperation(messages)).await
    }
}

#[async_trait]
impl WorkStore for PostgresStore {
    async fn due(&self, now: Timestamp, wish: &Capacity) -> Result<Vec<QueueEntry>> {
        let act = "cannot look for what is due";
        run_transaction!(self.begin_read, act, |transaction| claims::due(
            &transaction,
            now,
            wish
        ))
    }

    async fn claim(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>> {
        let claim = ClaimOperation {
            ids,
            now,
            lease,
            requested_at: Instant::now(),
        };
        self.claims.run(claim).await
    }

    async fn record(&self, rounds: Vec<CompletedRound>) -> Result<Vec<RecordResult>> {
        self.records.run(RecordOperation(rounds)).await
    }

    async fn apply_receipts(&self, receipts: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>> {
        self.receipts.run(ReceiptOperation(receipts)).await
    }
}

#[async_trait]
impl ReadStore for PostgresStore {
    async fn find_message(&self, id: MessageId) -> Result<Option<Message>> {
        let act = "cannot look a message up";
        run_transaction!(self.begin_read, act, |transaction| read::find_message(
            &transaction,
            id
        ))
    }

    async fn search(&self, query: MessageQuery) -> Result<MessageList> {
        let act = "cannot search for messages";
        read_from_replica!(self, Freshness::Seconds, |transaction| read::search(
            &transaction,
            &query
        ));
        run_transaction!(self.begin_read, act, |transaction| read::search(
            &transaction,
            &query
        ))
    }

    async fn last_attempts(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastAttempt>> {
        let act = "cannot look for the last calls";
        read_from_replica!(self, Freshness::Seconds, |transaction| read::last_attempts(
            &transaction,
            &ids
        ));
        run_transaction!(self.begin_read, act, |transaction| read::last_attempts(
            &transaction,
            &ids
        ))
    }

    async fn usage(&self, query: UsageQuery) -> Result<MessageList> {
        let act = "cannot look for what was sent";
        read_from_replica!(self, Freshness::Seconds, |transaction| usage::usage(
            &transaction,
            &query
        ));
        run_transaction!(self.begin_read, act, |transaction| usage::usage(
            &transaction,
            &query
        ))
    }

    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals> {
        let act = "cannot count what was sent";
        read_from_replica!(self, Freshness::Seconds, |transaction| usage::usage_totals(
            &transaction,
            &query
        ));
        run_transaction!(self.begin_read, act, |transaction| usage::usage_totals(
            &transaction,
            &query
        ))
    }

    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(ConfigName, Backlog)>> {
        let act = "cannot count what waits";
        run_transaction!(self.begin_read, act, |transaction| read::backlogs(
            &transaction,
            now
        ))
    }
}

#[async_trait]
impl RecipientStore for PostgresStore {
    async fn recipient(&self, channel: &ConfigName, address: &str) -> Result<Option<Recipient>> {
        let act = "cannot look a recipient up";
        run_transaction!(self.begin_read, act, |transaction| admin::recipient(
            &transaction,
            channel,
            address
        ))
    }

    async fn set_recipient(&self, recipient: Recipient) -> Result<()> {
        let act = "cannot change a recipient";
        run_transaction!(self.begin_write, act, |transaction| admin::set_recipient(
            &transaction,
            &recipient
        ))
    }

    async fn apply_opt_changes(&self, changes: Vec<OptChange>) -> Result<Vec<bool>> {
        let act = "cannot keep a person's wish";
        run_transaction!(
            self.begin_write,
            act,
            |transaction| recipients::apply_opt_changes(&transaction, &changes)
        )
    }
}

#[async_trait]
impl AdminStore for PostgresStore {
    async fn cancel_message(&self, id: MessageId, now: Timestamp) -> Result<Cancelled> {
        let act = "cannot call a message off";
        run_transaction!(self.begin_write, act, |transaction| admin::cancel_message(
            &transaction,
            id,
            now
        ))
    }

    async fn cancel_deliveries(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<ConfigName>> {
        let act = "cannot call deliveries off";
        run_transaction!(self.begin_write, act, |transaction| admin::cancel_deliveries(
            &transaction,
            &ids,
            now
        ))
    }

    async fn select_deliveries(&self, selection: DeliverySelection) -> Result<Vec<DeliveryId>> {
        let act = "cannot look for deliveries";
        run_transaction!(unlimited self.begin_read, act, |transaction| read::select_deliveries(&transaction, &selection))
    }

    async fn requeue(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<QueueEntry>> {
        let act = "cannot send deliveries again";
        run_transaction!(self.begin_write, act, |transaction| admin::requeue(
            &transaction,
            &ids,
            now,
            expires_at
        ))
    }
}

#[async_trait]
impl CoordinationStore for PostgresStore {
    async fn current_time(&self) -> Result<Timestamp> {
        let act = "cannot ask the store for the time";
        run_transaction!(self.begin_read, act, |transaction| coordination::current_time(
            &transaction
        ))
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
        self.rate_requests
            .run(RateOperation {
                request,
                now,
                requested_at,
            })
            .await
    }

    async fn load_health(&self) -> Result<Vec<SharedHealth>> {
        let act = "cannot look how providers do";
        run_transaction!(self.begin_read, act, |transaction| coordination::load_health(
            &transaction
        ))
    }

    async fn report_health(&self, news: Vec<HealthReport>, now: Timestamp) -> Result<Vec<ReportedHealth>> {
        let act = "cannot tell how providers do";
        run_transaction!(self.begin_write, act, |transaction| coordination::report_health(
            &transaction,
            &news,
            now
        ))
    }

    async fn acquire_probe(
        &self,
        provider: &ConfigName,
        timeout: Duration,
        now: Timestamp,
    ) -> Result<ProbeDecision> {
        let act = "cannot ask whose the probe is";
        let provider = provider.as_str();
        run_transaction!(self.begin_write, act, |transaction| coordination::acquire_probe(
            &transaction,
            provider,
            timeout,
            now
        ))
    }

    async fn save_provider_control(&self, order: ProviderControl) -> Result<()> {
        let act = "cannot keep an order";
        run_transaction!(self.begin_write, act, |transaction| {
            coordination::save_provider_control(&transaction, &order)
        })
    }

    async fn provider_controls(&self) -> Result<Vec<ProviderControl>> {
        let act = "cannot look for orders";
        run_transaction!(self.begin_read, act, |transaction| {
            coordination::provider_controls(&transaction)
        })
    }

    async fn acquire_job_lock(
        &self,
        task: ScheduledJob,
        holder: &str,
        now: Timestamp,
        hold: Duration,
    ) -> Result<JobLockResult> {
        let act = "cannot ask whose turn it is";
        run_transaction!(self.begin_write, act, |transaction| {
            coordination::acquire_job_lock(&transaction, task, holder, now, hold)
        })
    }

    async fn renew_job_lock(&self, task: ScheduledJob, holder: &str, ends_at: Timestamp) -> Result<bool> {
        let act = "cannot renew a turn";
        run_transaction!(self.begin_write, act, |transaction| coordination::renew_job_lock(
            &transaction,
            task,
            holder,
            ends_at
        ))
    }

    async fn release_job_lock(&self, task: ScheduledJob, holder: &str, ends_at: Timestamp) -> Result<()> {
        let act = "cannot end a turn";
        run_transaction!(self.begin_write, act, |transaction| {
            coordination::release_job_lock(&transaction, task, holder, ends_at)
        })
    }

    async fn store_secret(&self) -> Result<[u8; 32]> {
        let act = "cannot read the store's seal";
        run_transaction!(self.begin_read, act, |transaction| admin::store_secret(
            &transaction
        ))
    }
}

#[async_trait]
impl ReportStore for PostgresStore {
    async fn apply_changes(&self, limit: usize) -> Result<usize> {
        let act = "cannot bring the report up to date";
        let horizon = report::last_committed_delivery(&self.pool).await;
        let horizon = horizon.map_err(|error| error.to_error(act))?;
        run_transaction!(unlimited self.begin_write, act, |transaction| report::apply_changes(&transaction, horizon, limit))
    }

    async fn begin_rebuild(&self) -> Result<()> {
        let act = "cannot reset the report";
        run_transaction!(unlimited self.begin_write, act, |transaction| report::begin_rebuild(&transaction))
    }

    async fn report(&self, as_of: Timestamp) -> Result<Report> {
        let act = "cannot read the report";
        // It is asked for right after the changes were folded in.
        read_from_replica!(self, Freshness::Now, |transaction| report::report(
            &transaction,
            as_of
        ));
        run_transaction!(self.begin_read, act, |transaction| report::report(
            &transaction,
            as_of
        ))
    }

    async fn save_snapshot(&self, snapshot: ReportSnapshot) -> Result<()> {
        let act = "cannot keep the report";
        run_transaction!(self.begin_write, act, |transaction| report::save_snapshot(
            &transaction,
            &snapshot
        ))
    }

    async fn snapshot(&self) -> Result<Option<ReportSnapshot>> {
        let act = "cannot read the kept report";
        run_transaction!(self.begin_read, act, |transaction| report::snapshot(&transaction))
    }
}

#[async_trait]
impl MaintenanceStore for PostgresStore {
    async fn prune(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.prune_partitions(PruneScope::AllPartitions, before, now, limit)
            .await
    }

    async fn prune_by_month(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.prune_partitions(PruneScope::ExpiredPartitions, before, now, limit)
            .await
    }

    async fn delete_expired(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        let act = "cannot delete what is outdated";
        run_transaction!(self.begin_write, act, |transaction| prune::delete_expired(
            &transaction,
            before,
            now,
            limit
        ))
    }

    async fn save_provider_endpoints(&self, providers: Vec<ProviderEndpoint>) -> Result<()> {
        let act = "cannot note where providers are";
        run_transaction!(self.begin_write, act, |transaction| {
            admin::save_provider_endpoints(&transaction, &providers)
        })
    }

    async fn backup(&self, _file: PathBuf, _progress: Progress) -> Result<()> {
        Err(Error::usage(
            "a store on PostgreSQL is copied with PostgreSQL's own programs: pg_dump --format=custom --file=FILE URL, \
             and pg_restore to bring it back",
        ))
    }

    async fn ping(&self) -> Result<()> {
        let act = "cannot write to the store";
        run_transaction!(self.begin_write, act, |transaction| admin::ping(&transaction))
    }

    fn commit_stats(&self) -> Option<&CommitStats> {
        Some(&self.stats)
    }
}
