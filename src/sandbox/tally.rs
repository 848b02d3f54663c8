//! What the sandbox has done so far, so that a test can compare it with what a gateway says.
//!
//! Counts only; it never grows.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use super::turn::{Turn, Verdict};
use super::wire::Wire;

/// The counters since the start.
#[derive(Default)]
pub(super) struct Tally {
    calls: [[AtomicU64; Turn::WORDS.len()]; Wire::ALL.len()],
    sent: [AtomicU64; Verdict::ALL.len()],
    again: AtomicU64,
    given_up: AtomicU64,
    lost: AtomicU64,
}

impl Tally {
    /// A call has come to this.
    pub fn call(&self, wire: Wire, turn: Turn) {
        add(&self.calls[wire.place()][turn.place()]);
    }

    /// A receipt was handed over.
    pub fn sent(&self, verdict: Verdict) {
        for (counter, one) in self.sent.iter().zip(Verdict::ALL) {
            if one == verdict {
                add(counter);
            }
        }
    }

    /// A receipt could not be handed over and will be tried again.
    pub fn again(&self) {
        add(&self.again);
    }

    /// A receipt could not be handed over for the last time.
    pub fn given_up(&self) {
        add(&self.given_up);
    }

    /// A receipt had no place among those that wait; how many that makes.
    pub fn lost(&self) -> u64 {
        add(&self.lost);
        read(&self.lost)
    }

    /// All counters; `waiting` is how many receipts are still to come.
    pub fn view(&self, waiting: usize) -> Value {
        let calls: Map<String, Value> = Wire::ALL
            .iter()
            .map(|wire| {
                let of_wire = Turn::WORDS.iter().zip(&self.calls[wire.place()]);
                let of_wire: Map<String, Value> = of_wire
                    .map(|(word, count)| ((*word).to_owned(), read(count).into()))
                    .collect();
                (wire.word().to_owned(), of_wire.into())
            })
            .collect();
        let sent = Verdict::ALL.iter().zip(&self.sent);
        let sent: Map<String, Value> = sent
            .map(|(verdict, count)| (verdict.word().to_owned(), read(count).into()))
            .collect();
        json!({"calls": calls, "receipts": {
            "waiting": waiting,
            "sent": sent,
            "tried_again": read(&self.again),
            "given_up": read(&self.given_up),
            "lost": read(&self.lost),
        }})
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
