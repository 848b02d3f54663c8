//! What the sandbox has done so far, so that a test can compare it with what a gateway says.
//!
//! Counts only; it never grows.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use super::api::SandboxApi;
use super::call_result::{CallResult, SandboxReceiptStatus};

/// The counters since the start.
#[derive(Default)]
pub(super) struct SandboxCounters {
    calls: [[AtomicU64; CallResult::NAMES.len()]; SandboxApi::ALL.len()],
    receipts_sent: [AtomicU64; SandboxReceiptStatus::ALL.len()],
    retried: AtomicU64,
    given_up: AtomicU64,
    dropped: AtomicU64,
}

impl SandboxCounters {
    /// A call has come to this.
    pub fn count_call(&self, wire: SandboxApi, turn: CallResult) {
        increment(&self.calls[wire.index()][turn.index()]);
    }

    /// A receipt was handed over.
    pub fn count_receipt_sent(&self, verdict: SandboxReceiptStatus) {
        for (counter, one) in self.receipts_sent.iter().zip(SandboxReceiptStatus::ALL) {
            if one == verdict {
                increment(counter);
            }
        }
    }

    /// A receipt could not be handed over and will be tried again.
    pub fn count_receipt_retry(&self) {
        increment(&self.retried);
    }

    /// A receipt could not be handed over for the last time.
    pub fn count_receipt_given_up(&self) {
        increment(&self.given_up);
    }

    /// A receipt had no place among those that wait; how many that makes.
    pub fn count_receipt_dropped(&self) -> u64 {
        increment(&self.dropped);
        load(&self.dropped)
    }

    /// All counters; `waiting` is how many receipts are still to come.
    pub fn to_json(&self, waiting: usize) -> Value {
        let calls: Map<String, Value> = SandboxApi::ALL
            .iter()
            .map(|wire| {
                let of_wire = CallResult::NAMES.iter().zip(&self.calls[wire.index()]);
                let of_wire: Map<String, Value> = of_wire
                    .map(|(word, count)| ((*word).to_owned(), load(count).into()))
                    .collect();
                (wire.as_str().to_owned(), of_wire.into())
            })
            .collect();
        let sent = SandboxReceiptStatus::ALL.iter().zip(&self.receipts_sent);
        let sent: Map<String, Value> = sent
            .map(|(verdict, count)| (verdict.as_str().to_owned(), load(count).into()))
            .collect();
        json!({"calls": calls, "receipts": {
            "waiting": waiting,
            "sent": sent,
            "tried_again": load(&self.retried),
            "given_up": load(&self.given_up),
            "lost": load(&self.dropped),
        }})
    }
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
