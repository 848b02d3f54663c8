//! How it goes at this moment, for whoever watches: totals, what waits longest, providers, the latest failures.
//!
//! Brings the report's roll-ups up to date and reads those, so that a look costs what has changed since the one before
//! and not what exists. Needs the store only; changes nothing that anybody could miss.

use super::sync_report::{CHANGES_PER_TRANSACTION, apply_all_changes};
use postrider_core::capacity::Capacity;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind};
use postrider_core::error::Result;
use postrider_core::report::{Report, mean_seconds};
use postrider_core::shared_health::SharedHealth;
use postrider_store::{MessageQuery, Store};

/// Channels of which the longest waiting delivery is looked for.
const CHANNELS_MAX: usize = 64;

/// Failures that are shown.
const FAILURES_SHOWN_MAX: usize = 10;

/// What one look shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatusOverview {
    /// Everything that was counted, as of the look.
    pub report: Report,
    /// Since when the longest waiting of those that go first in their channel has been due.
    pub oldest_due_at: Option<Timestamp>,
    /// What processes know together of providers.
    pub provider_health: Vec<SharedHealth>,
    /// The newest of the messages that failed.
    pub failures: Vec<FailureLine>,
}

/// A message that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureLine {
    /// When.
    pub at: Timestamp,
    /// To whom, as the client wrote it.
    pub spelling: String,
    /// Over which channel.
    pub channel: String,
    /// Of which kind.
    pub failure: &'static str,
    /// In words for the operator.
    pub reason: String,
}

impl StatusOverview {
    /// Sent, whether or not a receipt has come.
    pub fn sent(&self) -> u64 {
        self.report.totals.sent + self.report.totals.delivered
    }

    /// Failed for good.
    pub fn failed(&self) -> u64 {
        self.report.totals.failed_sum()
    }

    /// How long a call took on average, in seconds; none before the first.
    pub fn mean_seconds(&self) -> Option<f64> {
        mean_seconds(&self.report.providers)
    }
}

/// Counts what changed, and reads what is shown without failures.
pub async fn read_totals(store: &dyn Store) -> Result<StatusOverview> {
    apply_all_changes(store, CHANGES_PER_TRANSACTION, |_| ()).await?;
    Ok(StatusOverview {
        report: store.report(store.current_time().await?).await?,
        ..StatusOverview::default()
    })
}

/// The same with all that a screen shows.
pub async fn read_overview(store: &dyn Store) -> Result<StatusOverview> {
    let overview = read_totals(store).await?;
    let firsts = store
        .due(overview.report.as_of, &Capacity::total(CHANNELS_MAX))
        .await?;
    Ok(StatusOverview {
        oldest_due_at: firsts.iter().map(|nudge| nudge.due_at).min(),
        provider_health: store.load_health().await?,
        failures: latest_failures(store).await?,
        ..overview
    })
}

async fn latest_failures(store: &dyn Store) -> Result<Vec<FailureLine>> {
    let query = MessageQuery {
        state: Some(DeliveryStateKind::Failed),
        limit: FAILURES_SHOWN_MAX,
        ..MessageQuery::default()
    };
    let mut lines = Vec::new();
    for message in store.search(query).await?.messages {
        for delivery in message.deliveries {
            if let DeliveryState::Failed { failure, reason, at } = delivery.state {
                lines.push(FailureLine {
                    at,
                    spelling: delivery.spelling,
                    channel: delivery.channel.to_string(),
                    failure: failure.as_str(),
                    reason,
                });
            }
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.at));
    lines.truncate(FAILURES_SHOWN_MAX);
    Ok(lines)
}
