//! Reads on a replica: which replies are fresh enough, and when the replica is not used.
//!
//! Freshness is measured by positions in the write-ahead log, not by clocks: the replica must have replayed a position
//! that the primary had at a known time. If the replica is down or too far behind, reads go to the primary.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::connection_config::ServerRole;
use super::errors::PgError;
use super::pool::{PgPool, PgTransaction};
use crate::rows::SqlRow;
use postrider_core::clock;
use postrider_core::error::Error;

#[cfg(test)]
mod tests;

static WAL_POSITION: &str = sql!("postgres/maintenance/read_log_position");

/// Maximum age of data for [`Freshness::Seconds`].
const STALENESS_MAX: Duration = Duration::from_secs(10);

/// Interval at which the position of the primary is read.
const POSITION_INTERVAL: Duration = Duration::from_secs(2);

/// Maximum time to wait for a replica that is behind, for [`Freshness::Now`], and the polling interval.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(2);
const CATCH_UP_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Time during which a replica that failed is not used.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Maximum time of a read on the replica before the primary is used.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The required freshness of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Everything that was committed before the read.
    Now,
    /// Commits of the last seconds may be missing, see [`STALENESS_MAX`].
    Seconds,
}

/// Checks that the URL leads to a replica that answers.
pub async fn check_replica(url: &str) -> Result<(), Error> {
    let context = "cannot read from the replica";
    let pool = PgPool::new(url, ServerRole::Replica, 1)?;
    let to_error = |error: PgError| error.to_error(context);
    let (row, transaction) = pool.query_then_begin_read(WAL_POSITION).await.map_err(to_error)?;
    transaction.finish(is_replica(&row)).await.map_err(to_error)?.then_some(()).ok_or_else(|| {
        let remedy =
            "name a replica in store.replica_url, or remove that setting; until then reads go to the primary";
        Error::usage(format!("{context}: the server is not a replica; {remedy}"))
    })
}

fn is_replica(row: &Row) -> Result<bool, PgError> {
    row.bool("is_replica")
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
        self.primary_positions.retain(|(at, _)| now.duration_since(*at) <= STALENESS_MAX);
        let (newest, _) = self.primary_positions.back()?;
        if now.duration_since(*newest) > POSITION_INTERVAL {
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

    /// Begins a transaction on the replica if it is fresh enough.
    pub async fn read(&self, primary: &PgPool, freshness: Freshness) -> Option<PgTransaction> {
        if self.is_disabled() {
            return None;
        }
        let target = match self.target_position(primary, freshness).await {
            Ok(target) => target,
            Err(error) => {
                // The read on the primary that follows reports the error.
                log::debug!("cannot read the log position of the primary: error={error}");
                return None;
            }
        };
        match self.catch_up(target, freshness).await {
            Ok(Some(transaction)) => Some(transaction),
            Ok(None) => {
                self.disable("it is too far behind the primary");
                None
            }
            Err(error) => {
                self.disable(error);
                None
            }
        }
    }

    /// Ends a read on the replica and returns its result, or none if the primary has to be used.
    pub async fn finish<T>(&self, transaction: PgTransaction, outcome: Result<T, PgError>) -> Option<T> {
        match transaction.finish(outcome).await {
            Ok(answer) => {
                self.enable();
                Some(answer)
            }
            Err(error) => {
                self.disable(error);
                None
            }
        }
    }

    /// Returns the position that the replica must have replayed.
    async fn target_position(&self, primary: &PgPool, freshness: Freshness) -> Result<i64, PgError> {
        if freshness == Freshness::Seconds {
            let required = self.state().required_position(Instant::now());
            if let Some(position) = required {
                return Ok(position);
            }
        }
        let queried_at = Instant::now();
        let transaction = primary.begin_read().await?;
        let row = transaction.query_one(WAL_POSITION, &[]).await;
        let position = transaction.finish(row).await?.integer("position")?;
        let mut state = self.state();
        state.primary_positions.push_back((queried_at, position));
        Ok(match freshness {
            Freshness::Now => position,
            Freshness::Seconds => state.required_position(queried_at).unwrap_or(position),
        })
    }

    async fn catch_up(&self, target: i64, freshness: Freshness) -> Result<Option<PgTransaction>, PgError> {
        let started = Instant::now();
        loop {
            let (row, transaction) = self.pool.query_then_begin_read(WAL_POSITION).await?;
            if !is_replica(&row)? {
                return Err(PgError::InvalidRow(
                    "store.replica_url names a server that is not a replica".to_owned(),
                ));
            }
            if row.optional_integer("position")?.is_some_and(|position| position >= target) {
                return Ok(Some(transaction));
            }
            transaction.finish(Ok(())).await?;
            if freshness == Freshness::Seconds || started.elapsed() > CATCH_UP_TIMEOUT {
                return Ok(None);
            }
            clock::sleep(CATCH_UP_POLL_INTERVAL).await;
        }
    }

    fn is_disabled(&self) -> bool {
        let until = self.state().disabled_until;
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Stops using the replica for [`RETRY_DELAY`]. Logged once until the replica works again.
    pub fn disable(&self, reason: impl std::fmt::Display) {
        let before = self.state().disabled_until.replace(Instant::now() + RETRY_DELAY);
        if before.is_none() {
            log::warn!("cannot use the replica, reads go to the primary: reason={reason}");
        }
    }

    fn enable(&self) {
        if self.state().disabled_until.take().is_some() {
            log::info!("reads go to the replica again");
        }
    }

    fn state(&self) -> MutexGuard<'_, ReplicaState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
