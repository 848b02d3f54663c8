//! Warns at start about server settings that can lose acknowledged messages.
//!
//! Only warns, because a test server may need such settings. `synchronous_commit` needs no warning: each transaction
//! sets it, see `sql/postgres/maintenance/begin_write.sql`.

use super::{errors::PgError, pool::PgPool};
use crate::rows::SqlRow;

#[cfg(test)]
mod tests;

static READ_SETTINGS: &str = sql!("postgres/maintenance/read_durability_settings");

/// Logs a warning for each unsafe setting. Errors are ignored here: later operations report them.
pub async fn warn_about_settings(pool: &PgPool) {
    match read_settings(pool).await {
        Ok(server_settings) => {
            for warning in server_settings.warnings(pool.has_several_hosts()) {
                log::warn!("{warning}");
            }
        }
        Err(error) => log::debug!("cannot read the settings of the database server: error={error}"),
    }
}

/// The server settings that decide whether a commit survives a crash.
struct DurabilitySettings {
    fsync: String,
    full_page_writes: String,
    synchronous_standby_names: String,
}

async fn read_settings(pool: &PgPool) -> Result<DurabilitySettings, PgError> {
    let transaction = pool.begin_read().await?;
    let settings_row = transaction.query_one(READ_SETTINGS, &[]).await;
    let settings_row = transaction.finish(settings_row).await?;
    Ok(DurabilitySettings {
        fsync: settings_row.text("fsync")?,
        full_page_writes: settings_row.text("full_page_writes")?,
        synchronous_standby_names: settings_row.text("synchronous_standby_names")?,
    })
}

impl DurabilitySettings {
    fn warnings(&self, has_several_hosts: bool) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.fsync == "off" {
            warnings.push(
                "PostgreSQL runs with fsync=off: a power cut can lose acknowledged messages and corrupt the database; \
                 set fsync=on and restart it",
            );
        }
        if self.full_page_writes == "off" {
            warnings.push(
                "PostgreSQL runs with full_page_writes=off: a power cut can corrupt the database; set it to on unless \
                 the file system writes pages atomically",
            );
        }
        if has_several_hosts && self.synchronous_standby_names.is_empty() {
            warnings.push(
                "PostgreSQL replicates asynchronously: a failover to another host of the store's URL can lose the \
                 last acknowledged messages; name the replicas in synchronous_standby_names",
            );
        }
        warnings
    }
}
