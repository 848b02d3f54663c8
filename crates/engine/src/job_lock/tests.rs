//! Tests of job locks with several processes, one of which stops.

use std::cell::Cell;
use std::sync::Arc;

use super::*;
use crate::config::Config;
use crate::gateway::Backends;
use postrider_cache::SignedCache;
use postrider_core::clock::{Clock, from_millis};
use postrider_core::random::Random;
use postrider_store::Store;

/// Returns two gateways on one store and one clock.
async fn two_gateways(folder: &tempfile::TempDir) -> (Gateway, Gateway) {
    let clock = Clock::manual(from_millis(1_700_000_000_000));
    let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
    let store: Arc<dyn Store> = postrider_store::open(&url, postrider_store::DEFAULT_LOCK_TIMEOUT).unwrap();
    let mut both = Vec::new();
    for seed in [1, 2] {
        let edges = Backends {
            clock: clock.clone(),
            random: Random::seeded(seed),
            cache: SignedCache::new(
                postrider_cache::open("memory:").unwrap(),
                store.store_secret().await.unwrap(),
            ),
            queue: postrider_queue::open("memory:", 10).await.unwrap(),
            store: Arc::clone(&store),
        };
        both.push(Gateway::wire(Config::test_mode(), edges, Vec::new()));
    }
    let there = both.pop().unwrap();
    (both.pop().unwrap(), there)
}

async fn completed_job() -> Result<&'static str> {
    Ok("done")
}

#[tokio::test]
async fn the_turn_of_one_who_died_is_free_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = two_gateways(&folder).await;
    let stuck = run_unless_locked(
        &here,
        ScheduledJob::Prune,
        SAME_RUN_WINDOW,
        std::future::pending::<Result<()>>(),
    );
    assert!(
        tokio::time::timeout(Duration::from_millis(200), stuck)
            .await
            .is_err()
    );
    there.clock.advance(LOCK_TTL - Duration::from_millis(1));
    let refused = run_unless_locked(&there, ScheduledJob::Prune, SAME_RUN_WINDOW, completed_job())
        .await
        .unwrap();
    assert!(
        matches!(&refused, JobRun::Skipped(owner) if owner.process_name == here.process_name && !owner.is_done)
    );
    there.clock.advance(Duration::from_millis(1));
    let taken = run_unless_locked(&there, ScheduledJob::Prune, SAME_RUN_WINDOW, completed_job())
        .await
        .unwrap();
    assert_eq!(taken, JobRun::Ran("done"));
}

#[tokio::test]
async fn who_waits_is_told_for_whom_and_then_works() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = two_gateways(&folder).await;
    assert_eq!(
        acquire(&here, ScheduledJob::Report).await.unwrap(),
        JobLockResult::Acquired
    );
    let told = Cell::new(0);
    let waiting = wait_and_run(
        &there,
        ScheduledJob::Report,
        |owner| {
            assert_eq!(owner.process_name, here.process_name);
            told.set(told.get() + 1);
            here.clock.advance(LOCK_TTL);
        },
        completed_job(),
    );
    assert_eq!(waiting.await.unwrap(), "done");
    assert_eq!(told.get(), 1);
}

#[tokio::test]
async fn work_that_failed_may_be_done_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = two_gateways(&folder).await;
    let fails = async { Err::<(), _>(Error::new(ErrorKind::Unavailable, "fail")) };
    assert!(
        run_unless_locked(&here, ScheduledJob::Prune, SAME_RUN_WINDOW, fails)
            .await
            .is_err()
    );
    let taken = run_unless_locked(&there, ScheduledJob::Prune, SAME_RUN_WINDOW, completed_job())
        .await
        .unwrap();
    assert_eq!(taken, JobRun::Ran("done"));
    let again = run_unless_locked(&here, ScheduledJob::Prune, SAME_RUN_WINDOW, completed_job())
        .await
        .unwrap();
    assert!(matches!(again, JobRun::Skipped(owner) if owner.is_done));
    here.clock.advance(SAME_RUN_WINDOW);
    assert_eq!(
        run_unless_locked(&here, ScheduledJob::Prune, SAME_RUN_WINDOW, completed_job())
            .await
            .unwrap(),
        JobRun::Ran("done")
    );
}
