use super::*;
use crate::mock_sender::MockSender;
use postrider_core::report::DeliveryTotals;

fn options(messages: u32, senders: &[(f64, f64)]) -> SimulateOptions {
    let sender = |(mean, failure_rate): &(f64, f64)| MockSender {
        mean_time: Duration::from_secs_f64(*mean),
        failure_rate: *failure_rate,
    };
    SimulateOptions {
        messages,
        senders: senders.iter().map(sender).collect(),
        concurrency: None,
        has_retries: false,
        seed: None,
        store_url: None,
        audience: None,
    }
}

fn stats(calls: u64, failed_calls: u64, mean: f64) -> SenderStats {
    SenderStats { calls, failed_calls, seconds: mean * to_f64(calls) }
}

fn run(calls: u64, failed: u64, mean: f64, elapsed: f64) -> SimulationRun {
    SimulationRun {
        elapsed: Duration::from_secs_f64(elapsed),
        senders: vec![stats(calls, failed, mean)],
        tries_max: 30,
        accepted: calls,
        sent: calls - failed,
        failed,
        is_interrupted: false,
    }
}

fn report(run: &SimulationRun) -> Report {
    Report {
        messages: run.accepted,
        totals: DeliveryTotals {
            sent: run.sent,
            failed: vec![("rejected".to_owned(), run.failed)],
            ..DeliveryTotals::default()
        },
        ..Report::default()
    }
}

fn faults(options: &SimulateOptions, run: &SimulationRun) -> Vec<String> {
    find_faults(options, run, &report(run), 0)
}

fn find(options: &SimulateOptions, run: &SimulationRun, name: &str) -> Expectation {
    let expectations = expectations(options, run);
    let found = expectations.into_iter().find(|expectation| expectation.name == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn the_reference_run_of_system_d_fails_200_messages_plus_or_minus_51() {
    let options = options(1_000, &[(0.1, 0.2)]);
    let run = run(1_000, 200, 0.1, 101.0);
    let failed = find(&options, &run, "failed messages");
    let (min, max) = failed.range.unwrap();
    assert_eq!(failed.expected, Some(200.0));
    assert!((149.0..150.0).contains(&min) && (250.0..251.0).contains(&max), "{min} {max}");
    let mean = find(&options, &run, "mean call time").expected.unwrap();
    assert!((0.099..0.101).contains(&mean), "{mean}");
    assert_eq!(faults(&options, &run), Vec::<String>::new());
}

#[test]
fn k_senders_of_system_d_are_expected_to_need_100_seconds_divided_by_k() {
    for (senders, seconds) in [(1, 100.0), (2, 50.0), (10, 10.0)] {
        let options = options(1_000, &vec![(0.1, 0.2); senders]);
        let expected = find(&options, &run(1_000, 200, 0.1, 1.0), "total time").expected;
        assert!((expected.unwrap() - seconds).abs() < 0.1, "{expected:?}");
    }
    let mut parallel = options(1_000, &[(0.1, 0.2)]);
    parallel.concurrency = Some(10);
    let expected = find(&parallel, &run(1_000, 200, 0.1, 1.0), "total time").expected;
    assert!((expected.unwrap() - 10.0).abs() < 0.1, "{expected:?}");
}

#[test]
fn a_count_outside_its_range_is_a_fault() {
    let options = options(1_000, &[(0.1, 0.2)]);
    assert_eq!(faults(&options, &run(1_000, 300, 0.1, 101.0)), ["failed messages"]);
    assert_eq!(faults(&options, &run(1_000, 100, 0.1, 101.0)), ["failed messages"]);
}

#[test]
fn failure_rates_0_and_1_allow_no_deviation() {
    let (never, always) = (options(100, &[(0.0, 0.0)]), options(100, &[(0.0, 1.0)]));
    assert_eq!(faults(&never, &run(100, 0, 0.0, 0.1)), Vec::<String>::new());
    assert_eq!(faults(&never, &run(100, 1, 0.0, 0.1)), ["failed messages"]);
    assert_eq!(faults(&always, &run(100, 100, 0.0, 0.1)), Vec::<String>::new());
    assert_eq!(faults(&always, &run(100, 99, 0.0, 0.1)), ["failed messages"]);
}

#[test]
fn a_run_of_one_message_may_have_an_improbable_result() {
    let rare = options(1, &[(0.1, 0.05)]);
    assert_eq!(faults(&rare, &run(1, 1, 0.1, 0.1)), Vec::<String>::new());
    let frequent = options(1, &[(0.1, 0.95)]);
    assert_eq!(faults(&frequent, &run(1, 0, 0.1, 0.1)), Vec::<String>::new());
}

#[test]
fn an_interrupted_run_has_no_expected_values() {
    let options = options(300, &[(30.0, 1.0)]);
    let mut run = run(19, 0, 1.0, 2.0);
    assert!(expectations(&options, &run).iter().any(|check| !check.is_met()));
    run.is_interrupted = true;
    assert!(expectations(&options, &run).iter().all(Expectation::is_met));
    assert_eq!(faults(&options, &run), Vec::<String>::new());
}

#[test]
fn a_run_without_messages_divides_nothing_by_zero() {
    let options = options(0, &[(0.1, 0.2)]);
    let empty = run(0, 0, 0.0, 0.0);
    assert_eq!(mean_seconds(&empty.senders), None);
    assert_eq!(faults(&options, &empty), Vec::<String>::new());
    for check in expectations(&options, &empty) {
        assert!(check.actual.is_finite(), "{check:?}");
        assert!(check.expected.is_none_or(f64::is_finite), "{check:?}");
    }
}

#[test]
fn each_sender_counts_with_its_own_speed_and_failure_rate() {
    let options = options(1_500, &[(0.1, 0.0), (0.2, 0.5)]);
    let run = SimulationRun {
        elapsed: Duration::from_secs(101),
        senders: vec![stats(1_000, 0, 0.1), stats(500, 250, 0.2)],
        tries_max: 30,
        accepted: 1_500,
        sent: 1_250,
        failed: 250,
        is_interrupted: false,
    };
    assert_eq!(find(&options, &run, "failed messages").expected, Some(250.0));
    let seconds = find(&options, &run, "total time").expected.unwrap();
    assert!((99.9..100.1).contains(&seconds), "{seconds}");
    assert_eq!(faults(&options, &run), Vec::<String>::new());
}

#[test]
fn with_retries_a_message_fails_when_every_try_fails() {
    let mut options = options(1_000, &[(0.0, 0.2)]);
    options.has_retries = true;
    let mut run = run(1_200, 240, 0.0, 1.0);
    run.tries_max = 2;
    (run.accepted, run.sent, run.failed) = (1_000, 960, 40);
    assert_eq!(faults(&options, &run), Vec::<String>::new());
    (run.sent, run.failed) = (900, 100);
    assert_eq!(faults(&options, &run), ["failed messages"]);
    run.senders = vec![stats(1_200, 600, 0.0)];
    (run.sent, run.failed) = (960, 40);
    assert_eq!(faults(&options, &run), ["failed calls"]);
}

#[test]
fn with_30_tries_no_message_of_100_fails() {
    let mut options = options(100, &[(0.0, 0.2)]);
    options.has_retries = true;
    let mut run = run(124, 25, 0.0, 1.0);
    (run.accepted, run.sent, run.failed) = (100, 99, 1);
    assert_eq!(faults(&options, &run), ["failed messages"]);
}

#[test]
fn counts_that_disagree_are_reported_with_both_sources() {
    let options = options(10, &[(0.0, 0.0)]);
    let run = run(10, 0, 0.0, 0.1);
    let mut wrong = report(&run);
    wrong.totals.sent = 9;
    let text = find_faults(&options, &run, &wrong, 1).join("; ");
    for fault in
        ["accepted: report 10, sum of states 9", "sent: metrics 10, report 9", "waiting: store 1, report 0"]
    {
        assert!(text.contains(fault), "{text}");
    }
}
