//! Tests of job locks with several processes, one of which stops.

use postrider_core::clock::{Clock, from_millis};
use std::cell::Cell;

use super::*;
use crate::config::Config;
use crate::testing::{GatewayBuilder, open_store};

/// Returns two gateways on one store and one clock.
async fn two_gateways(folder: &tempfile::TempDir) -> (Gateway, Gateway) {
    let clock = Clock::manual(from_millis(1_700_000_000_000));
    let store = open_store(folder.path());
    let gateway = |seed| {
        let builder = GatewayBuilder::new(Config::test_mode()).clock(&clock).seed(seed);
        builder.wire(&store)
    };
    (gateway(1).await, gateway(2).await)
}

async fn completed_job() -> Result<&'static str> {
    Ok("done")
}

#[tokio::test]
async fn the_lock_of_a_stopped_process_is_free_after_its_expiry() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = two_gateways(&folder).await;
    let stuck =
        run_unless_locked(&here, ScheduledJob::Prune, SAME_RUN_WINDOW, std::future::pending::<Result<()>>());
    assert!(tokio::time::timeout(Duration::from_millis(200), stuck).await.is_err());
    there.clock.advance(JOB_LOCK_TTL - Duration::from_millis(1));
    let skipped =
        run_unless_locked(&there, ScheduledJob::Prune, SAME_RUN_WINDOW, completed_job()).await.unwrap();
    assert!(
        matches!(&skipped, JobRun::Skipped(owner) if owner.process_name == here.process_name && !owner.is_done)
    );
    there.clock.advance(Duration::from_millis(1));
    let ran = run_unless_locked(&there, ScheduledJob::Prune, SAME_RUN_WINDOW, completed_job()).await.unwrap();
    assert_eq!(ran, JobRun::Ran("done"));
}

#[tokio::test]
async fn a_waiting_process_reports_the_owner_once_and_then_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = two_gateways(&folder).await;
    assert_eq!(acquire(&here, ScheduledJob::Report).await.unwrap(), JobLockResult::Acquired);
    let reports = Cell::new(0);
    let waiting = wait_and_run(
        &there,
        ScheduledJob::Report,
        |owner| {
            assert_eq!(owner.process_name, here.process_name);
            reports.set(reports.get() + 1);
            here.clock.advance(JOB_LOCK_TTL);
        },
        completed_job(),
    );
    assert_eq!(waiting.await.unwrap(), "done");
    assert_eq!(reports.get(), 1);
}

#[tokio::test]
async fn a_failed_job_may_run_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = two_gateways(&folder).await;
    let fails = async { Err::<(), _>(Error::new(ErrorKind::Unavailable, "fail")) };
    assert!(run_unless_locked(&here, ScheduledJob::Prune, SAME_RUN_WINDOW, fails).await.is_err());
    let ran = run_unless_locked(&there, ScheduledJob::Prune, SAME_RUN_WINDOW, completed_job()).await.unwrap();
    assert_eq!(ran, JobRun::Ran("done"));
    let second_run =
        run_unless_locked(&here, ScheduledJob::Prune, SAME_RUN_WINDOW, completed_job()).await.unwrap();
    assert!(matches!(second_run, JobRun::Skipped(owner) if owner.is_done));
    here.clock.advance(SAME_RUN_WINDOW);
    assert_eq!(
        run_unless_locked(&here, ScheduledJob::Prune, SAME_RUN_WINDOW, completed_job()).await.unwrap(),
        JobRun::Ran("done")
    );
}
