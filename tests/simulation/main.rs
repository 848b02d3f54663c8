//! Seeded storms over many hosts with one store and one queue: the real flow, the real store, providers that lie, hosts
//! that die in mid-round, workers that oversleep their lease, clocks that disagree, a queue that loses, repeats and
//! mixes up, a way to the store that is cut before or after the commit. What must hold, holds for every seed.
//!
//! `POSTRIDER_TEST_SEEDS` says how many seeds (5,000 for the long form); one that fails is named with the command that
//! replays it, step by step the same.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]
// A test may stop at the first surprise, and asks the environment how long it should be.

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

/// How many seeds without being told.
const DEFAULT_SEED_COUNT: u64 = 150;

/// One storm from its beginning to its end; the second sends that were seen.
async fn run_scenario(seed: u64, journal: &Arc<StepLog>) -> usize {
    let mut storm = FaultScenario::new(seed, journal).await;
    while storm.step().await {
        if storm.context.chance(0.004) {
            invariants::check_always(&storm).await;
        }
    }
    assert!(storm.settle().await, "something waits for ever");
    invariants::check_finished(&storm).await;
    assert!(
        !storm.context.model().receipt_references.is_empty(),
        "nothing was ever sent"
    );
    storm.context.model().duplicate_sends
}

/// Runs a storm to its end, or to the words and the steps it failed with.
fn run_seed(seed: u64) -> Result<(usize, Arc<StepLog>), String> {
    let journal = Arc::new(StepLog::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(run_scenario(seed, &journal))
    }));
    match outcome {
        Ok(repeats) => Ok((repeats, journal)),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
            Err(format!(
                "seed {seed} fails: {}\n  {}\nreplay it with: POSTRIDER_SEED={seed} cargo test --test simulation",
                said.unwrap_or_default(),
                journal.last_steps(),
            ))
        }
    }
}

fn env_number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn what_must_hold_holds_in_every_storm() {
    let (first, count) = match env_number("POSTRIDER_SEED") {
        Some(seed) => (seed, 1),
        None => (
            0,
            env_number("POSTRIDER_TEST_SEEDS").unwrap_or(DEFAULT_SEED_COUNT),
        ),
    };
    let next = AtomicU64::new(first);
    let repeats = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= first + count {
                return;
            }
            match run_seed(seed) {
                Ok((seen, _)) => {
                    repeats.fetch_add(seen as u64, Ordering::SeqCst);
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
    let repeats = repeats.into_inner();
    println!("{count} storms, {repeats} second sends, all of them explained");
    assert!(
        count < 20 || repeats > 0,
        "storms in which nothing goes wrong show nothing"
    );
}

#[test]
fn the_same_seed_is_the_same_storm() {
    let seed = env_number("POSTRIDER_SEED").unwrap_or(7);
    let steps = || run_seed(seed).map(|(_, journal)| journal.lines().clone());
    let (once, again) = (steps(), steps());
    assert_eq!(once, again);
    assert!(once.is_err() || once.is_ok_and(|steps| steps.len() > 100));
}
