//! Maintenance in SQLite: pruning, backup, health check.

use std::path::PathBuf;

use async_trait::async_trait;
use rusqlite::params;

use super::store::SqliteStore;
use super::{backup, prune};
use crate::commit_stats::CommitStats;
use crate::maintenance::{MaintenanceStore, Progress, ProviderEndpoint};
use crate::rows::SqlRow;
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, ErrorKind, Result};

static SAVE_PROVIDER: &str = sql!("sqlite/maintenance/save_provider");
static PING: &str = sql!("sqlite/maintenance/ping_store");

#[async_trait]
impl MaintenanceStore for SqliteStore {
    async fn prune(&self, before: Timestamp, _now: Timestamp, limit: usize) -> Result<usize> {
        self.write("cannot delete old messages", move |transaction| prune::prune(transaction, before, limit))
            .await
    }

    async fn prune_by_month(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.prune(before, now, limit).await
    }

    async fn delete_expired(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.write("cannot delete expired rows", move |transaction| {
            prune::delete_expired(transaction, before, now, limit)
        })
        .await
    }

    async fn save_provider_endpoints(&self, providers: Vec<ProviderEndpoint>) -> Result<()> {
        self.write("cannot save provider endpoints", move |transaction| {
            for provider in &providers {
                let values = params![provider.name.as_str(), provider.host, provider.port];
                transaction.execute(SAVE_PROVIDER, values)?;
            }
            Ok(())
        })
        .await
    }

    async fn backup(&self, file: PathBuf, progress: Progress) -> Result<()> {
        let (from, lock_timeout) = (self.file.clone(), self.lock_timeout);
        tokio::task::spawn_blocking(move || backup::backup_database(&from, &file, lock_timeout, &progress))
            .await
            .map_err(|error| Error::with_source(ErrorKind::Internal, "the backup was aborted", error))?
    }

    async fn ping(&self) -> Result<()> {
        self.write("cannot write to the store", |transaction| {
            transaction.query_one(PING, [], |row| row.integer("value")).map(drop)
        })
        .await
    }

    fn commit_stats(&self) -> Option<&CommitStats> {
        Some(self.write_thread.stats())
    }
}
