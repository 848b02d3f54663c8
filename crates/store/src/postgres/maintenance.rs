//! Pruning, partitions, provider endpoints, and the health check.

use std::path::PathBuf;

use async_trait::async_trait;

use super::pool::{PgTransaction, bind, column};
use super::prune::{self, PruneScope};
use super::{drop_partition, errors::PgError, partitions, store::PostgresStore};
use crate::{CommitStats, MaintenanceStore, Progress, ProviderEndpoint};
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, Result};

static SAVE_PROVIDERS: &str = sql!("postgres/maintenance/save_provider");
static PING: &str = sql!("postgres/maintenance/ping_store");

#[async_trait]
impl MaintenanceStore for PostgresStore {
    async fn prune(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.prune_partitions(PruneScope::AllPartitions, before, now, limit).await
    }

    async fn prune_by_month(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.prune_partitions(PruneScope::ExpiredPartitions, before, now, limit).await
    }

    async fn delete_expired(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        run_transaction!(self.begin_write, "cannot delete expired rows", |transaction| {
            prune::delete_expired(transaction, before, now, limit).await
        })
    }

    async fn save_provider_endpoints(&self, mut providers: Vec<ProviderEndpoint>) -> Result<()> {
        // Sorted by name, so that processes that start together do not deadlock. A repeated name is stored once.
        providers.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        providers.dedup_by(|a, b| a.name == b.name);
        run_transaction!(self.begin_write, "cannot save provider endpoints", |transaction| {
            let values = bind![
                column(&providers, |endpoint| endpoint.name.as_str()),
                column(&providers, |endpoint| endpoint.host.as_str()),
                column(&providers, |endpoint| i64::from(endpoint.port)),
            ];
            transaction.execute(SAVE_PROVIDERS, values).await
        })
    }

    async fn backup(&self, _file: PathBuf, _progress: Progress) -> Result<()> {
        Err(Error::usage(
            "a store on PostgreSQL is backed up with PostgreSQL's own programs: pg_dump --format=custom --file=FILE \
             URL, and pg_restore to restore it",
        ))
    }

    async fn ping(&self) -> Result<()> {
        run_transaction!(self.begin_write, "cannot write to the store", |transaction| {
            ping(transaction).await
        })
    }

    fn commit_stats(&self) -> Option<&CommitStats> {
        Some(&self.stats)
    }
}

impl PostgresStore {
    /// Deletes old messages and returns their number. Drops whole partitions only when no single message remains to be
    /// deleted.
    async fn prune_partitions(
        &self,
        scope: PruneScope,
        before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        let context = "cannot prune messages";
        let mut deleted = run_long_transaction!(self.begin_write, context, |transaction| {
            drop_partition::drop_detached(transaction).await
        })?;
        run_long_transaction!(self.begin_write, context, |transaction| {
            partitions::create_ahead(transaction).await
        })?;
        run_long_transaction!(self.begin_write, context, |transaction| {
            partitions::begin_month(transaction, now).await
        })?;
        deleted += run_long_transaction!(self.begin_write, context, |transaction| {
            prune::prune(transaction, before, scope, limit).await
        })?;
        if deleted > 0 {
            return Ok(deleted);
        }
        while run_long_transaction!(self.begin_write, context, |transaction| {
            drop_partition::detach_one(transaction, before).await
        })? {
            deleted += run_long_transaction!(self.begin_write, context, |transaction| {
                drop_partition::drop_detached(transaction).await
            })?;
        }
        Ok(deleted)
    }
}

/// Tests a write, because only a committed write shows that messages can be accepted.
pub(super) async fn ping(transaction: &PgTransaction) -> Result<(), PgError> {
    transaction.query_one(PING, &[]).await.map(drop)
}
