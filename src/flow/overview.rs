//! How it goes at this moment, for whoever watches: totals, what waits longest, providers, the latest failures.
//!
//! Brings the report's roll-ups up to date and reads those, so that a look costs what has changed since the one before
//! and not what exists. Needs the store only; changes nothing that anybody could miss.

use super::sync_report::{FOLDED_AT_ONCE, fold_all};
use crate::clock::Timestamp;
use crate::domain::delivery::{Standing, State};
use crate::domain::fleet::Known;
use crate::domain::report::{Report, mean_seconds};
use crate::domain::wish::Wish;
use crate::error::Result;
use crate::store::{Query, Store};

/// Channels of which the longest waiting delivery is looked for.
const CHANNELS_MAX: usize = 64;

/// Failures that are shown.
const FAILURES: usize = 10;

/// What one look shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// Everything that was counted, as of the look.
    pub report: Report,
    /// Since when the longest waiting of those that go first in their channel has been due.
    pub oldest_due_at: Option<Timestamp>,
    /// What processes know together of providers.
    pub standings: Vec<Known>,
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

impl Overview {
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
pub async fn look(store: &dyn Store) -> Result<Overview> {
    fold_all(store, FOLDED_AT_ONCE, |_| ()).await?;
    Ok(Overview {
        report: store.report(store.time().await?).await?,
        ..Overview::default()
    })
}

/// The same with all that a screen shows.
pub async fn look_closely(store: &dyn Store) -> Result<Overview> {
    let overview = look(store).await?;
    let firsts = store
        .due(overview.report.as_of, &Wish::up_to(CHANNELS_MAX))
        .await?;
    Ok(Overview {
        oldest_due_at: firsts.iter().map(|nudge| nudge.due_at).min(),
        standings: store.standings().await?,
        failures: failures(store).await?,
        ..overview
    })
}

async fn failures(store: &dyn Store) -> Result<Vec<FailureLine>> {
    let query = Query {
        state: Some(Standing::Failed),
        limit: FAILURES,
        ..Query::default()
    };
    let mut lines = Vec::new();
    for message in store.search(query).await?.messages {
        for delivery in message.deliveries {
            if let State::Failed { failure, reason, at } = delivery.state {
                lines.push(FailureLine {
                    at,
                    spelling: delivery.spelling,
                    channel: delivery.channel.to_string(),
                    failure: failure.word(),
                    reason,
                });
            }
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.at));
    lines.truncate(FAILURES);
    Ok(lines)
}
