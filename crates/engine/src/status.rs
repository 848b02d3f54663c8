//! Current status for monitoring: totals, oldest due delivery, providers, latest failures.
//!
//! The module applies pending changes to the rollups and then reads the rollups. The cost depends on the number of
//! changes, not on the number of messages. Needs only the store.

use crate::sync_report::{CHANGES_PER_TRANSACTION, apply_all_changes};
use postrider_core::delivery::{DeliveryState, DeliveryStateKind};
use postrider_core::report::{Report, mean_seconds};
use postrider_core::{capacity::Capacity, clock::Timestamp, error::Result, shared_health::SharedHealth};
use postrider_store::{CoordinationStore, MessageQuery, ReadStore, ReportStore, WorkStore};

/// Maximum number of channels for the search of the oldest due delivery.
const STATUS_CHANNELS_MAX: usize = 64;

/// Maximum number of failures in the status.
const FAILURES_SHOWN_MAX: usize = 10;

/// Number of failed messages that are searched for the latest failures. Messages are searched in the order of
/// acceptance, newest first; an older message may have failed later.
pub const FAILURES_EXAMINED_MAX: usize = 200;

/// Status of the store and of all processes that use it, at the time of the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatusOverview {
    /// All counters.
    pub report: Report,
    /// Due time of the oldest due delivery.
    pub oldest_due_at: Option<Timestamp>,
    /// Shared health of the providers.
    pub provider_health: Vec<SharedHealth>,
    /// The newest failures.
    pub failures: Vec<FailureLine>,
}

/// A failed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureLine {
    /// Time of the failure.
    pub at: Timestamp,
    /// Address as the client wrote it.
    pub spelling: String,
    /// Name of the channel.
    pub channel: String,
    /// Kind of failure.
    pub failure: &'static str,
    /// Reason for the operator.
    pub reason: String,
}

impl StatusOverview {
    /// Returns the number of sent deliveries, with or without a receipt.
    pub fn sent(&self) -> u64 {
        self.report.totals.sent + self.report.totals.delivered
    }

    /// Returns the number of failed deliveries.
    pub fn failed(&self) -> u64 {
        self.report.totals.failed_sum()
    }

    /// Returns the mean duration of an attempt in seconds; `None` before the first attempt.
    pub fn mean_seconds(&self) -> Option<f64> {
        mean_seconds(&self.report.providers)
    }
}

/// Applies pending changes and returns the totals, without failures.
pub async fn read_totals<S>(store: &S) -> Result<StatusOverview>
where
    S: ReportStore + CoordinationStore + ?Sized,
{
    apply_all_changes(store, CHANGES_PER_TRANSACTION, |_| ()).await?;
    Ok(StatusOverview {
        report: store.report(store.current_time().await?).await?,
        ..StatusOverview::default()
    })
}

/// Returns the complete status.
pub async fn read_overview<S>(store: &S) -> Result<StatusOverview>
where
    S: ReportStore + CoordinationStore + WorkStore + ReadStore + ?Sized,
{
    let overview = read_totals(store).await?;
    let oldest_due = store.due(overview.report.as_of, &Capacity::total(STATUS_CHANNELS_MAX)).await?;
    Ok(StatusOverview {
        oldest_due_at: oldest_due.iter().map(|entry| entry.due_at).min(),
        provider_health: store.load_health().await?,
        failures: latest_failures(store).await?,
        ..overview
    })
}

async fn latest_failures(store: &(impl ReadStore + ?Sized)) -> Result<Vec<FailureLine>> {
    let query = MessageQuery {
        state: Some(DeliveryStateKind::Failed),
        limit: FAILURES_EXAMINED_MAX,
        ..MessageQuery::default()
    };
    let mut failures = Vec::new();
    for message in store.search(query).await?.messages {
        for delivery in message.deliveries {
            if let DeliveryState::Failed { failure, reason, at } = delivery.state {
                failures.push(FailureLine {
                    at,
                    spelling: delivery.spelling,
                    channel: delivery.channel.to_string(),
                    failure: failure.as_str(),
                    reason,
                });
            }
        }
    }
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.at));
    failures.truncate(FAILURES_SHOWN_MAX);
    Ok(failures)
}

#[cfg(test)]
mod tests;
