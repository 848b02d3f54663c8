use super::*;

async fn failure_of(tasks: &mut BackgroundTasks) -> String {
    let failure = tokio::time::timeout(Duration::from_secs(30), tasks.wait_for_failure()).await;
    failure.unwrap().chain()
}

#[tokio::test]
async fn a_task_that_panics_is_reported_with_its_cause() {
    let panicking = async { panic!("a defect") };
    let mut tasks = BackgroundTasks::default();
    let stop = tasks.stop_signal();
    tasks.tasks.spawn(run_until_stopped(std::future::pending(), stop));
    let stop = tasks.stop_signal();
    tasks.tasks.spawn(run_until_stopped(panicking, stop));
    let failure = failure_of(&mut tasks).await;
    assert!(
        failure.contains("background task stopped unexpectedly") && failure.contains("a defect"),
        "{failure}"
    );
    tasks.stop().await.unwrap();
}

#[tokio::test]
async fn a_worker_pool_that_panics_is_reported_as_such() {
    let mut tasks = BackgroundTasks::default();
    let stop = tasks.stop_signal();
    tasks.tasks.spawn(run_until_stopped(std::future::pending(), stop));
    tasks.workers = Some(tokio::spawn(async { panic!("a defect") }));
    let failure = failure_of(&mut tasks).await;
    assert!(failure.contains("worker pool stopped unexpectedly"), "{failure}");
    tasks.stop().await.unwrap();
}

#[test]
fn a_report_is_due_when_it_is_one_interval_old_and_never_later() {
    let now: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
    let interval = Duration::from_secs(1_200);
    for (age, delay) in [(0, 1_200), (200, 1_000), (1_200, 0), (9_999, 0), (-500, 1_200)] {
        let report_time = now - chrono::TimeDelta::seconds(age);
        assert_eq!(time_until_due(report_time, interval, now), Duration::from_secs(delay), "{age} s old");
    }
}
