//! Counters of calls and receipts since the start, for comparison with a gateway's metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use super::api::SandboxApi;
use super::call_result::{CallResult, SandboxReceiptStatus};

/// The counters since the start.
#[derive(Default)]
pub(super) struct SandboxCounters {
    calls: [[AtomicU64; CallResult::NAMES.len()]; SandboxApi::ALL.len()],
    receipts_sent: [AtomicU64; SandboxReceiptStatus::ALL.len()],
    retries: AtomicU64,
    given_up: AtomicU64,
    dropped: AtomicU64,
}

impl SandboxCounters {
    /// Counts a call.
    pub fn count_call(&self, api: SandboxApi, result: CallResult) {
        increment(&self.calls[api as usize][result.index()]);
    }

    /// Counts a receipt that the gateway has accepted.
    pub fn count_receipt_sent(&self, status: SandboxReceiptStatus) {
        increment(&self.receipts_sent[status as usize]);
    }

    /// Counts a failed try to send a receipt that will be retried.
    pub fn count_receipt_retry(&self) {
        increment(&self.retries);
    }

    /// Counts a receipt whose last try failed.
    pub fn count_receipt_given_up(&self) {
        increment(&self.given_up);
    }

    /// Counts a receipt that was dropped because too many were pending, and returns the number of dropped ones.
    pub fn count_receipt_dropped(&self) -> u64 {
        increment(&self.dropped);
        load(&self.dropped)
    }

    /// Returns all counters; `pending` is the number of receipts not sent yet.
    pub fn to_json(&self, pending: usize) -> Value {
        let calls_by_api = SandboxApi::ALL.iter().zip(&self.calls);
        let calls = calls_by_api
            .map(|(api, calls)| (api.as_str().to_owned(), counts_to_json(CallResult::NAMES, calls)))
            .collect::<Map<_, _>>();
        let statuses = SandboxReceiptStatus::ALL.map(SandboxReceiptStatus::as_str);
        let sent = counts_to_json(statuses, &self.receipts_sent);
        json!({"calls": calls, "receipts": {
            "pending": pending,
            "sent": sent,
            "retries": load(&self.retries),
            "given_up": load(&self.given_up),
            "dropped": load(&self.dropped),
        }})
    }
}

fn counts_to_json<const N: usize>(names: [&str; N], counts: &[AtomicU64; N]) -> Value {
    let named_counts = names.iter().zip(counts);
    named_counts.map(|(name, count)| ((*name).to_owned(), load(count).into())).collect::<Map<_, _>>().into()
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
