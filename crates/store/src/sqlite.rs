//! The embedded store: SQLite, one thread that writes, a few connections that read.
//!
//! This file is the verbs; each passes its work to the writer, which commits it together with whatever else is
//! waiting, or to a reader. Several processes may share the file; none of them keeps anything in memory that
//! another could change.

mod accept;
mod admin;
mod backup;
mod broadcasts;
mod claims;
mod connect;
mod coordination;
mod copy;
pub(super) mod errors;
mod events;
mod prune;
mod read;
mod reader_pool;
mod receipts;
mod recipients;
mod report;
mod rollups;
mod rows;
mod sql_row;
mod usage;
mod user_throttle;
mod write_thread;
mod write_transaction;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;

pub(super) use self::copy::open_table_store;
use self::errors::to_error;
use self::reader_pool::ReaderPool;
use self::write_thread::WriteThread;
use super::{
    AcceptStore, AdminStore, Backlog, Cancelled, CommitStats, CoordinationStore, DeliverySelection,
    LastAttempt, MaintenanceStore, MessageList, MessageQuery, ProbeDecision, Progress, ProviderEndpoint,
    RatePermit, ReadStore, ReceiptResult, ReceivedReceipt, RecipientStore, ReportSnapshot, ReportStore,
    UsageQuery, UsageTotals, WorkStore,
};
use postrider_core::capacity::Capacity;
use postrider_core::channel::ConfigName;
use postrider_core::clock::{Clock, Timestamp};
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

static MOVE_STATE: &str = include_str!("../../../sql/sqlite/copy/read_state.sql");
static STORE_SECRET: &str = include_str!("../../../sql/sqlite/coordination/read_store_secret.sql");

/// A store in a file.
pub struct SqliteStore {
    file: PathBuf,
    lock_timeout: Duration,
    readers: ReaderPool,
    write_thread: WriteThread,
}

impl SqliteStore {
    /// Opens the file, makes it if it is not there, and brings its schema up to date.
    pub fn open(file: &Path, lock_wait: Duration) -> Result<Self> {
        let (connection, _) = open_and_migrate(file, lock_wait)?;
        refuse_moved(&connection)?;
        let file = absolute(file)?;
        Ok(Self {
            readers: ReaderPool::new(file.clone(), lock_wait),
            write_thread: WriteThread::start(connection, file.clone(), lock_wait)?,
            file,
            lock_timeout: lock_wait,
        })
    }
}

/// Brings the file's schema up to date and returns the names of what was applied.
pub fn migrate(file: &Path, lock_wait: Duration) -> Result<Vec<String>> {
    open_and_migrate(file, lock_wait).map(|(_, applied)| applied)
}

/// The names of what [`migrate`] would apply. Makes no file, and changes nothing in one that is there.
pub fn pending_migrations(file: &Path, lock_wait: Duration) -> Result<Vec<String>> {
    let act = format!("cannot open the database {}", file.display());
    if !file.exists() {
        check_folder_writable(file)
            .map_err(|cause| Error::with_source(ErrorKind::Unavailable, act, cause))?;
        return Ok(super::migrate::all_names());
    }
    let connection = connect::open_reader(file, lock_wait).map_err(|error| to_error(&act, error))?;
    super::migrate::pending(&connection)
}

/// Tries the folder with a file of another name, which goes at once.
fn check_folder_writable(file: &Path) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".check-{}", std::process::id()));
    let beside = file.with_file_name(name);
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)?;
    std::fs::remove_file(&beside)
}

fn open_and_migrate(file: &Path, lock_wait: Duration) -> Result<(rusqlite::Connection, Vec<String>)> {
    let act = format!("cannot open the database {}", file.display());
    let mut connection = connect::open_writer(file, lock_wait).map_err(|error| to_error(&act, error))?;
    let applied = super::migrate::apply(&mut connection)?;
    Ok((connection, applied))
}

/// A store that was moved, or is being filled by a move, is not for use.
fn refuse_moved(connection: &rusqlite::Connection) -> Result<()> {
    let state = connection.query_row(MOVE_STATE, [], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get(1)?))
    });
    let (moved, is_receiving) = state.map_err(|error| to_error("cannot read the store's state", error))?;
    super::copy::require_open(moved.as_deref(), is_receiving)
}

/// The path as it is now, so that a later change of the working directory changes nothing.
fn absolute(file: &Path) -> Result<PathBuf> {
    std::path::absolute(file)
        .map_err(|error| Error::with_source(ErrorKind::Usage, "cannot find the working directory", error))
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.readers.close();
    }
}

#[async_trait]
impl AcceptStore for SqliteStore {
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>> {
        let fits = |message: &NewMessage| {
            i64::try_from(message.deliveries.len()).is_ok_and(|count| count <= DeliveryId::PER_MESSAGE)
        };
        if !messages.iter().all(fits) {
            let act = "cannot store a message with more deliveries than 64";
            return Err(Error::new(ErrorKind::Internal, act));
        }
        let act = "cannot store messages";
        self.write_thread
            .run(act, move |desk| accept::accept(desk, &messages))
            .await
    }
}

#[async_trait]
impl WorkStore for SqliteStore {
    async fn due(&self, now: Timestamp, wish: &Capacity) -> Result<Vec<QueueEntry>> {
        let act = "cannot look for what is due";
        let wish = wish.clone();
        self.readers
            .read(act, move |connection| claims::due(connection, now, &wish))
            .await
    }

    async fn claim(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>> {
        let act = "cannot claim deliveries";
        let asked = Instant::now();
        // A lease begins when the claim is written: behind another process's lock that can be much later.
        self.write_thread
            .run(act, move |desk| {
                let waited = Duration::from_secs(asked.elapsed().as_secs());
                claims::claim(desk, &ids, now, lease + waited)
            })
            .await
    }

    async fn record(&self, rounds: Vec<CompletedRound>) -> Result<Vec<RecordResult>> {
        let act = "cannot record what was sent";
        self.write_thread
            .run(act, move |desk| claims::record(desk, &rounds))
            .await
    }

    async fn apply_receipts(&self, receipts: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>> {
        let act = "cannot store receipts";
        self.write_thread
            .run(act, move |desk| receipts::apply_receipts(desk, &receipts))
            .await
    }
}

#[async_trait]
impl ReadStore for SqliteStore {
    async fn find_message(&self, id: MessageId) -> Result<Option<Message>> {
        let act = "cannot look a message up";
        self.readers
            .read(act, move |connection| read::find_message(connection, id))
            .await
    }

    async fn search(&self, query: MessageQuery) -> Result<MessageList> {
        let act = "cannot search for messages";
        self.readers
            .read(act, move |connection| read::search(connection, &query))
            .await
    }

    async fn last_attempts(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastAttempt>> {
        let act = "cannot look for the last calls";
        self.readers
            .read(act, move |connection| read::last_attempts(connection, &ids))
            .await
    }

    async fn usage(&self, query: UsageQuery) -> Result<MessageList> {
        let act = "cannot look for what was sent";
        self.readers
            .read(act, move |connection| usage::usage(connection, &query))
            .await
    }

    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals> {
        let act = "cannot count what was sent";
        self.readers
            .read(act, move |connection| usage::usage_totals(connection, &query))
            .await
    }

    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(ConfigName, Backlog)>> {
        let act = "cannot count what waits";
        self.readers
            .read(act, move |connection| read::backlogs(connection, now))
            .await
    }
}

#[async_trait]
impl RecipientStore for SqliteStore {
    async fn recipient(&self, channel: &ConfigName, address: &str) -> Result<Option<Recipient>> {
        let (channel, address) = (channel.clone(), address.to_owned());
        let act = "cannot look a recipient up";
        self.readers
            .read(act, move |connection| {
                admin::recipient(connection, &channel, &address)
            })
            .await
    }

    async fn set_recipient(&self, recipient: Recipient) -> Result<()> {
        let act = "cannot change a recipient";
        self.write_thread
            .run(act, move |desk| admin::set_recipient(desk, &recipient))
            .await
    }

    async fn apply_opt_changes(&self, wishes: Vec<OptChange>) -> Result<Vec<bool>> {
        let act = "cannot keep a person's wish";
        self.write_thread
            .run(act, move |desk| recipients::apply_opt_changes(desk, &wishes))
            .await
    }
}

#[async_trait]
impl AdminStore for SqliteStore {
    async fn cancel_message(&self, id: MessageId, now: Timestamp) -> Result<Cancelled> {
        let act = "cannot call a message off";
        self.write_thread
            .run(act, move |desk| admin::cancel_message(desk, id, now))
            .await
    }

    async fn cancel_deliveries(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<ConfigName>> {
        let act = "cannot call deliveries off";
        self.write_thread
            .run(act, move |desk| admin::cancel_deliveries(desk, &ids, now))
            .await
    }

    async fn select_deliveries(&self, selection: DeliverySelection) -> Result<Vec<DeliveryId>> {
        let act = "cannot look for deliveries";
        self.readers
            .read(act, move |connection| {
                read::select_deliveries(connection, &selection)
            })
            .await
    }

    async fn requeue(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<QueueEntry>> {
        let act = "cannot send deliveries again";
        self.write_thread
            .run(act, move |desk| admin::requeue(desk, &ids, now, expires_at))
            .await
    }
}

#[async_trait]
impl CoordinationStore for SqliteStore {
    async fn current_time(&self) -> Result<Timestamp> {
        Ok(Clock::System.now())
    }

    async fn acquire_rate_permits(&self, wish: RateLimitRequest, now: Timestamp) -> Result<Vec<RatePermit>> {
        let act = "cannot count what goes to a provider";
        let asked = Instant::now();
        // It goes when it is counted: behind another process's lock that can be much later.
        self.write_thread
            .run(act, move |desk| {
                let waited = Duration::from_secs(asked.elapsed().as_secs());
                coordination::acquire_rate_permits(desk, &wish, now + waited)
            })
            .await
    }

    async fn load_health(&self) -> Result<Vec<SharedHealth>> {
        let act = "cannot look how providers do";
        self.readers.read(act, coordination::load_health).await
    }

    async fn report_health(&self, news: Vec<HealthReport>, now: Timestamp) -> Result<Vec<ReportedHealth>> {
        let act = "cannot tell how providers do";
        self.write_thread
            .run(act, move |desk| coordination::report_health(desk, &news, now))
            .await
    }

    async fn acquire_probe(
        &self,
        provider: &ConfigName,
        patience: Duration,
        now: Timestamp,
    ) -> Result<ProbeDecision> {
        let act = "cannot ask whose the probe is";
        let provider = provider.clone();
        self.write_thread
            .run(act, move |desk| {
                coordination::acquire_probe(desk, provider.as_str(), patience, now)
            })
            .await
    }

    async fn save_provider_control(&self, order: ProviderControl) -> Result<()> {
        let act = "cannot keep an order";
        self.write_thread
            .run(act, move |desk| coordination::save_provider_control(desk, &order))
            .await
    }

    async fn provider_controls(&self) -> Result<Vec<ProviderControl>> {
        let act = "cannot look for orders";
        self.readers.read(act, coordination::provider_controls).await
    }

    async fn acquire_job_lock(
        &self,
        task: ScheduledJob,
        holder: &str,
        now: Timestamp,
        hold: Duration,
    ) -> Result<JobLockResult> {
        let act = "cannot ask whose turn it is";
        let holder = holder.to_owned();
        self.write_thread
            .run(act, move |desk| {
                coordination::acquire_job_lock(desk, task, &holder, now, hold)
            })
            .await
    }

    async fn renew_job_lock(&self, task: ScheduledJob, holder: &str, ends_at: Timestamp) -> Result<bool> {
        let act = "cannot renew a turn";
        let holder = holder.to_owned();
        self.write_thread
            .run(act, move |desk| {
                coordination::renew_job_lock(desk, task, &holder, ends_at)
            })
            .await
    }

    async fn release_job_lock(&self, task: ScheduledJob, holder: &str, ends_at: Timestamp) -> Result<()> {
        let act = "cannot end a turn";
        let holder = holder.to_owned();
        self.write_thread
            .run(act, move |desk| {
                coordination::release_job_lock(desk, task, &holder, ends_at)
            })
            .await
    }

    async fn store_secret(&self) -> Result<[u8; 32]> {
        let act = "cannot read the store's seal";
        self.readers
            .read(act, |connection| {
                connection.query_row(STORE_SECRET, [], |row| row.get(0))
            })
            .await
    }

    fn has_own_clock(&self) -> bool {
        false
    }
}

#[async_trait]
impl ReportStore for SqliteStore {
    async fn apply_changes(&self, limit: usize) -> Result<usize> {
        let act = "cannot bring the report up to date";
        self.write_thread
            .run(act, move |desk| report::apply_changes(desk, limit))
            .await
    }

    async fn begin_rebuild(&self) -> Result<()> {
        self.write_thread
            .run("cannot reset the report", report::begin_rebuild)
            .await
    }

    async fn report(&self, as_of: Timestamp) -> Result<Report> {
        let act = "cannot read the report";
        self.readers
            .read(act, move |connection| report::report(connection, as_of))
            .await
    }

    async fn save_snapshot(&self, snapshot: ReportSnapshot) -> Result<()> {
        let act = "cannot keep the report";
        self.write_thread
            .run(act, move |desk| report::save_snapshot(desk, &snapshot))
            .await
    }

    async fn snapshot(&self) -> Result<Option<ReportSnapshot>> {
        let act = "cannot read the kept report";
        self.readers.read(act, report::snapshot).await
    }
}

#[async_trait]
impl MaintenanceStore for SqliteStore {
    async fn prune(&self, before: Timestamp, _now: Timestamp, limit: usize) -> Result<usize> {
        let act = "cannot delete old messages";
        self.write_thread
            .run(act, move |desk| prune::prune(desk, before, limit))
            .await
    }

    async fn delete_expired(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        let act = "cannot delete what is outdated";
        self.write_thread
            .run(act, move |desk| prune::delete_expired(desk, before, now, limit))
            .await
    }

    async fn save_provider_endpoints(&self, providers: Vec<ProviderEndpoint>) -> Result<()> {
        let act = "cannot note where providers are";
        self.write_thread
            .run(act, move |desk| admin::save_provider_endpoints(desk, &providers))
            .await
    }

    async fn backup(&self, file: PathBuf, progress: Progress) -> Result<()> {
        let (from, lock_wait) = (self.file.clone(), self.lock_timeout);
        tokio::task::spawn_blocking(move || backup::backup_database(&from, &file, lock_wait, &progress))
            .await
            .map_err(|error| Error::with_source(ErrorKind::Internal, "the copy broke off", error))?
    }

    async fn ping(&self) -> Result<()> {
        self.write_thread
            .run("cannot write to the store", admin::ping)
            .await
    }

    fn commit_stats(&self) -> Option<&CommitStats> {
        Some(self.write_thread.stats())
    }

    async fn prune_by_month(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.prune(before, now, limit).await
    }
}
