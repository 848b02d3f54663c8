//! Deterministic simulation of many hosts with one store and one queue: the real engine and the real store with
//! unreliable providers, crashes in the middle of a round, expired leases, clock skew, a queue that loses, repeats and
//! reorders entries, and store connections that fail before or after the commit. The invariants hold for every seed.
//!
//! `POSTRIDER_TEST_SEEDS` is the number of seeds (5,000 for the long form). A failure prints its seed and the command
//! that replays it, with the same steps.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]
// A test may panic, and reads its length from the environment.

mod context;
mod coordination_model;
mod faulty_store;
mod host;
mod invariants;
mod reference_model;
mod scenario;
mod unreliable_provider;
mod unreliable_queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use context::StepLog;
use scenario::FaultScenario;

/// Number of seeds without `POSTRIDER_TEST_SEEDS`.
const DEFAULT_SEED_COUNT: u64 = 150;

/// Runs one scenario to its end and returns the number of duplicate sends.
async fn run_scenario(seed: u64, log: &Arc<StepLog>) -> usize {
    let mut scenario = FaultScenario::new(seed, log).await;
    while scenario.step().await {
        if scenario.context.chance(0.004) {
            invariants::check_always(&scenario).await;
        }
    }
    assert!(scenario.settle().await, "a delivery never leaves the state waiting");
    invariants::check_finished(&scenario).await;
    assert!(!scenario.context.model().receipt_references.is_empty(), "no message was sent");
    scenario.context.model().duplicate_sends
}

/// Runs the scenario of a seed. Returns its duplicate sends and steps, or the failure message with the last steps.
fn run_seed(seed: u64) -> Result<(usize, Arc<StepLog>), String> {
    let log = Arc::new(StepLog::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(run_scenario(seed, &log))));
    match outcome {
        Ok(duplicates) => Ok((duplicates, log)),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(format!(
                "seed {seed} fails: {}\n  {}\nreplay it with: POSTRIDER_SEED={seed} cargo test --test simulation",
                message.unwrap_or_default(),
                log.last_steps(),
            ))
        }
    }
}

fn env_number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn the_invariants_hold_for_every_seed() {
    let (first, count) = match env_number("POSTRIDER_SEED") {
        Some(seed) => (seed, 1),
        None => (0, env_number("POSTRIDER_TEST_SEEDS").unwrap_or(DEFAULT_SEED_COUNT)),
    };
    let next = AtomicU64::new(first);
    let duplicates = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= first + count {
                return;
            }
            match run_seed(seed) {
                Ok((sends, _)) => {
                    duplicates.fetch_add(sends as u64, Ordering::SeqCst);
                }
                Err(failure) => failures.lock().unwrap().push(failure),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap();
    for failure in &failures {
        eprintln!("{failure}\n");
    }
    assert!(failures.is_empty(), "{} of {count} seeds fail", failures.len());
    let duplicates = duplicates.into_inner();
    println!("{count} scenarios, {duplicates} duplicate sends, all of them allowed");
    assert!(count < 20 || duplicates > 0, "no scenario had a duplicate send, so the faults were not tested");
}

#[test]
fn the_same_seed_replays_the_same_steps() {
    let seed = env_number("POSTRIDER_SEED").unwrap_or(7);
    let steps = || run_seed(seed).map(|(_, log)| log.lines().clone());
    let (first, second) = (steps(), steps());
    assert_eq!(first, second);
    assert!(first.is_err() || first.is_ok_and(|steps| steps.len() > 100));
}
