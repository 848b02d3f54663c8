//! The store of `console monitor`. It is opened at the first poll that can reach it.

use std::sync::Arc;
use std::time::Duration;

use crate::commands::find_missing_store;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::config::Config;
use postrider_engine::gateway::open_store;
use postrider_engine::status::{StatusOverview, read_overview, read_totals};
use postrider_store::Store;

/// Default poll interval, and maximum delay after a failed poll.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// A store that is polled.
pub struct MonitoredStore {
    /// The configuration with the URL of the store.
    pub config: Config,
    store: Option<Arc<dyn Store>>,
}

/// Amount of data that a poll reads.
#[derive(Clone, Copy)]
pub enum MonitorView {
    /// The totals of the three printed lines.
    Lines,
    /// All numbers of the screen.
    Screen,
}

impl MonitoredStore {
    /// Creates a store that is opened at the first poll.
    pub fn new(config: Config) -> Self {
        Self { config, store: None }
    }

    /// Reads the status.
    ///
    /// The inner error is the message of an unavailable store, which may recover. Other errors end the program.
    pub async fn read_status(
        &mut self,
        view: MonitorView,
    ) -> Result<std::result::Result<StatusOverview, String>> {
        match self.try_read_status(view).await {
            Ok(overview) => Ok(Ok(overview)),
            Err(error) if error.kind() == ErrorKind::Unavailable => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    async fn try_read_status(&mut self, view: MonitorView) -> Result<StatusOverview> {
        let store = match &self.store {
            Some(store) => store,
            None => &*self.store.insert(open_existing_store(&self.config).await?),
        };
        match view {
            MonitorView::Lines => read_totals(&**store).await,
            MonitorView::Screen => read_overview(&**store).await,
        }
    }
}

/// Opens the store. A missing store, or a missing folder of a SQLite file, counts as unavailable, because another
/// command may create it later.
async fn open_existing_store(config: &Config) -> Result<Arc<dyn Store>> {
    if let Some(folder) = postrider_store::missing_folder(&config.store_url) {
        let message = format!("store folder {} does not exist yet", folder.display());
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    if let Some(missing_store) = find_missing_store(config).await? {
        return Err(Error::new(ErrorKind::Unavailable, missing_store));
    }
    open_store(config).await
}

/// Returns the delay before the next poll, which is at most [`DEFAULT_INTERVAL`] after a failure.
pub fn poll_delay(interval: Duration, is_failed: bool) -> Duration {
    if is_failed { interval.min(DEFAULT_INTERVAL) } else { interval }
}
