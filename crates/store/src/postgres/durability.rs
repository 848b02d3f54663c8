//! Warns at start about server settings that can lose acknowledged messages.
//!
//! Only warns, because a test server may need such settings. `synchronous_commit` needs no warning: each transaction
//! sets it, see `sql/postgres/maintenance/begin_write.sql`.

use super::errors::PgError;
use super::pool::PgPool;
use crate::rows::SqlRow;

static DURABILITY: &str = sql!("postgres/maintenance/read_durability_settings");

/// Logs a warning for each unsafe setting. Errors are ignored here: later operations report them.
pub async fn warn_about_settings(pool: &PgPool) {
    match read_settings(pool).await {
        Ok(settings) => {
            for warning in settings.warnings(pool.has_several_hosts()) {
                log::warn!("{warning}");
            }
        }
        Err(error) => log::debug!("the server's settings cannot be read: {error}"),
    }
}

struct DurabilitySettings {
    fsync: String,
    full_page_writes: String,
    synchronous_standby_names: String,
}

async fn read_settings(pool: &PgPool) -> Result<DurabilitySettings, PgError> {
    let transaction = pool.begin_read().await?;
    let row = transaction.query_one(DURABILITY, &[]).await;
    let row = transaction.finish(row).await?;
    Ok(DurabilitySettings {
        fsync: row.text("fsync")?,
        full_page_writes: row.text("full_page_writes")?,
        synchronous_standby_names: row.text("synchronous_standby_names")?,
    })
}

impl DurabilitySettings {
    fn warnings(&self, several_hosts: bool) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.fsync == "off" {
            warnings.push(
                "PostgreSQL runs with fsync=off: a power cut can lose acknowledged messages and ruin the database; \
                 set fsync=on and restart it",
            );
        }
        if self.full_page_writes == "off" {
            warnings.push(
                "PostgreSQL runs with full_page_writes=off: a power cut can ruin the database; set it to on unless \
                 the file system never tears a page",
            );
        }
        if several_hosts && self.synchronous_standby_names.is_empty() {
            warnings.push(
                "PostgreSQL replicates asynchronously: a fail-over to another host of the store's URL can lose the \
                 last acknowledged messages; name the replicas in synchronous_standby_names",
            );
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(fsync: &str, pages: &str, standbys: &str, several_hosts: bool) -> usize {
        let settings = DurabilitySettings {
            fsync: fsync.to_owned(),
            full_page_writes: pages.to_owned(),
            synchronous_standby_names: standbys.to_owned(),
        };
        settings.warnings(several_hosts).len()
    }

    #[test]
    fn only_what_breaks_the_promise_is_warned_of() {
        assert_eq!(warnings("on", "on", "", false), 0);
        assert_eq!(warnings("on", "on", "ANY 1 (*)", true), 0);
        assert_eq!(warnings("", "", "ANY 1 (*)", true), 0);
        assert_eq!(warnings("on", "on", "", true), 1);
        assert_eq!(warnings("off", "off", "", true), 3);
    }
}
