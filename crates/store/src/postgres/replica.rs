//! Reads on a replica: decides whether the replica is fresh enough, and when it is not used.
//!
//! Freshness is measured by positions in the write-ahead log, not by clocks: the replica must have replayed a position
//! that the primary had at a known time. If the replica is down or too far behind, reads go to the primary.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_postgres::Row;

use super::pool::{PgPool, PgTransaction};
use super::{connection_config::ServerRole, errors::PgError};
use crate::rows::SqlRow;
use postrider_core::{clock, error::Error};

#[cfg(test)]
mod tests;

static READ_LOG_POSITION: &str = sql!("postgres/maintenance/read_log_position");

/// Maximum age of data for [`Freshness::Seconds`].
const REPLICA_STALENESS_MAX: Duration = Duration::from_secs(10);

/// Interval at which the position of the primary is read.
const POSITION_INTERVAL: Duration = Duration::from_secs(2);

/// For [`Freshness::Now`]: maximum time to wait for a replica that is behind, and the polling interval.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(2);
const CATCH_UP_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Time during which a replica that failed is not used.
const REPLICA_RETRY_DELAY: Duration = Duration::from_secs(5);

/// Maximum time of a read on the replica before the primary is used.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The required freshness of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Everything that was committed before the read.
    Now,
    /// Commits of the last seconds may be missing, see [`REPLICA_STALENESS_MAX`].
    Seconds,
}

/// Checks that the URL leads to a replica that answers.
pub async fn check_replica(url: &str) -> Result<(), Error> {
    let context = "cannot read from the replica";
    let pool = PgPool::new(url, ServerRole::Replica, 1)?;
    let to_error = |error: PgError| error.to_error(context);
    let (position_row, transaction) =
        pool.query_then_begin_read(READ_LOG_POSITION).await.map_err(to_error)?;
    if transaction.finish(is_replica(&position_row)).await.map_err(to_error)? {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{context}: the server is not a replica; name a replica in store.replica_url, or remove that setting; until \
         then reads go to the primary"
    )))
}

fn is_replica(position_row: &Row) -> Result<bool, PgError> {
    position_row.bool("is_replica")
}

/// A replica and its recent state.
pub struct Replica {
    pool: PgPool,
    state: Mutex<ReplicaState>,
}

/// State that reads share.
#[derive(Default)]
struct ReplicaState {
    /// Positions of the primary with the times at which it had them, oldest first.
    primary_positions: VecDeque<(Instant, i64)>,
    /// Time until which the replica is not used; none if the last read on it succeeded.
    disabled_until: Option<Instant>,
}

impl ReplicaState {
    /// Returns the oldest position that is fresh enough, or none if the position of the primary has to be read again.
    fn required_position(&mut self, now: Instant) -> Option<i64> {
        self.primary_positions.retain(|(at, _)| now.duration_since(*at) <= REPLICA_STALENESS_MAX);
        let (newest_at, _) = self.primary_positions.back()?;
        if now.duration_since(*newest_at) > POSITION_INTERVAL {
            return None;
        }
        self.primary_positions.front().map(|(_, position)| *position)
    }
}

impl Replica {
    /// Creates a replica.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, state: Mutex::default() }
    }

    /// Begins a transaction on the replica if it is fresh enough. If not, the primary has to be used.
    pub async fn begin_read(&self, primary: &PgPool, freshness: Freshness) -> Option<PgTransaction> {
        if self.is_disabled() {
            return None;
        }
        let target_position = match self.target_position(primary, freshness).await {
            Ok(target_position) => target_position,
            Err(error) => {
                // The following read on the primary reports the error.
                log::debug!("cannot read the log position of the primary: error={error}");
                return None;
            }
        };
        match self.catch_up(target_position, freshness).await {
            Ok(Some(transaction)) => return Some(transaction),
            Ok(None) => self.disable("it is too far behind the primary"),
            Err(error) => self.disable(error),
        }
        None
    }

    /// Ends a read on the replica and returns its result, or none if the primary has to be used.
    pub async fn finish<T>(&self, transaction: PgTransaction, outcome: Result<T, PgError>) -> Option<T> {
        match transaction.finish(outcome).await {
            Ok(reply) => {
                self.enable();
                Some(reply)
            }
            Err(error) => {
                self.disable(error);
                None
            }
        }
    }

    /// Returns the position that the replica must have replayed.
    async fn target_position(&self, primary: &PgPool, freshness: Freshness) -> Result<i64, PgError> {
        let queried_at = Instant::now();
        if freshness == Freshness::Seconds
            && let Some(wal_position) = self.state.lock().required_position(queried_at)
        {
            return Ok(wal_position);
        }
        let transaction = primary.begin_read().await?;
        let position_row = transaction.query_one(READ_LOG_POSITION, &[]).await;
        let wal_position = transaction.finish(position_row).await?.integer("position")?;
        let mut replica_state = self.state.lock();
        replica_state.primary_positions.push_back((queried_at, wal_position));
        Ok(match freshness {
            Freshness::Now => wal_position,
            Freshness::Seconds => replica_state.required_position(queried_at).unwrap_or(wal_position),
        })
    }

    /// Begins a transaction once the replica has replayed the target position. Returns none if it has not: at once for
    /// [`Freshness::Seconds`], after [`CATCH_UP_TIMEOUT`] for [`Freshness::Now`].
    async fn catch_up(
        &self,
        target_position: i64,
        freshness: Freshness,
    ) -> Result<Option<PgTransaction>, PgError> {
        let started_at = Instant::now();
        loop {
            let (position_row, transaction) = self.pool.query_then_begin_read(READ_LOG_POSITION).await?;
            if !is_replica(&position_row)? {
                return Err(PgError::InvalidRow(
                    "store.replica_url names a server that is not a replica".to_owned(),
                ));
            }
            if position_row.optional_integer("position")?.is_some_and(|position| position >= target_position)
            {
                return Ok(Some(transaction));
            }
            transaction.finish(Ok(())).await?;
            if freshness == Freshness::Seconds || started_at.elapsed() > CATCH_UP_TIMEOUT {
                return Ok(None);
            }
            clock::sleep(CATCH_UP_POLL_INTERVAL).await;
        }
    }

    fn is_disabled(&self) -> bool {
        self.state.lock().disabled_until.is_some_and(|disabled_until| Instant::now() < disabled_until)
    }

    /// Stops using the replica for [`REPLICA_RETRY_DELAY`]. Logged once until the replica works again.
    pub fn disable(&self, reason: impl std::fmt::Display) {
        let previous = self.state.lock().disabled_until.replace(Instant::now() + REPLICA_RETRY_DELAY);
        if previous.is_none() {
            log::warn!("cannot use the replica, reads go to the primary: reason={reason}");
        }
    }

    fn enable(&self) {
        if self.state.lock().disabled_until.take().is_some() {
            log::info!("reads go to the replica again");
        }
    }
}
