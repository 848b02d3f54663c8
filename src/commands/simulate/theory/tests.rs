use super::*;
use postrider_core::report::DeliveryTotals;

fn plan(messages: u32, rates: &[(f64, f64)]) -> SimulationPlan {
    let sender = |(mean, failure_rate): &(f64, f64)| MockSender {
        mean_time: Duration::from_secs_f64(*mean),
        failure_rate: *failure_rate,
    };
    SimulationPlan {
        messages,
        senders: rates.iter().map(sender).collect(),
        concurrency: None,
        has_retries: false,
        tries_max: 30,
    }
}

fn run(calls: u64, failed: u64, mean: f64, took: f64) -> SimulationRun {
    SimulationRun {
        elapsed: Duration::from_secs_f64(took),
        senders: vec![SenderStats {
            calls,
            failed_calls: failed,
            seconds: mean * to_f64(calls),
        }],
        accepted: calls,
        sent: calls - failed,
        failed,
        interrupted: false,
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

fn fault_names(plan: &SimulationPlan, run: &SimulationRun) -> Vec<String> {
    find_faults(plan, run, &report(run), 0)
}

#[test]
fn system_d_is_expected_to_fail_200_and_51_more_or_less() {
    let plan = plan(1_000, &[(0.1, 0.2)]);
    let checks = expectations(&plan, &run(1_000, 200, 0.1, 101.0));
    let (least, most) = checks[1].range;
    assert_eq!(checks[1].expected, Some(200.0));
    assert!(
        (149.0..150.0).contains(&least) && (250.0..251.0).contains(&most),
        "{least} {most}"
    );
    let (least, most) = checks[2].range;
    assert!(
        (0.087..0.088).contains(&least) && (0.112..0.117).contains(&most),
        "{least} {most}"
    );
    assert_eq!(
        fault_names(&plan, &run(1_000, 200, 0.1, 101.0)),
        Vec::<String>::new()
    );
}

#[test]
fn what_lies_outside_is_named() {
    let plan = plan(1_000, &[(0.1, 0.2)]);
    for (run, wrong) in [
        (
            run(1_000, 300, 0.1, 101.0),
            vec!["failed calls", "failed messages"],
        ),
        (run(1_000, 200, 0.2, 101.0), vec!["average time of a call"]),
        (run(1_000, 200, 0.1, 150.0), vec!["time"]),
        (run(1_000, 200, 0.1, 10.0), vec!["time"]),
    ] {
        assert_eq!(fault_names(&plan, &run), wrong);
    }
}

#[test]
fn the_ends_of_the_range_have_no_luck() {
    let (never, always) = (plan(100, &[(0.0, 0.0)]), plan(100, &[(0.0, 1.0)]));
    assert_eq!(fault_names(&never, &run(100, 0, 0.0, 0.1)), Vec::<String>::new());
    assert_eq!(
        fault_names(&never, &run(100, 1, 0.0, 0.1)),
        ["failed calls", "failed messages"]
    );
    assert_eq!(
        fault_names(&always, &run(100, 100, 0.0, 0.1)),
        Vec::<String>::new()
    );
    assert_eq!(
        fault_names(&always, &run(100, 99, 0.0, 0.1)),
        ["failed calls", "failed messages"]
    );
}

#[test]
fn one_message_may_have_bad_luck_that_a_thousand_may_not() {
    let rare = plan(1, &[(0.1, 0.05)]);
    assert_eq!(fault_names(&rare, &run(1, 1, 0.1, 0.1)), Vec::<String>::new());
    let often = plan(1, &[(0.1, 0.95)]);
    assert_eq!(fault_names(&often, &run(1, 0, 0.1, 0.1)), Vec::<String>::new());
    // One call in 400 takes six times its mean; that ten do on average happens to nobody.
    assert_eq!(fault_names(&rare, &run(1, 0, 0.6, 0.6)), Vec::<String>::new());
    assert_eq!(
        fault_names(&plan(10, &[(0.1, 0.0)]), &run(10, 0, 0.6, 2.0)),
        ["average time of a call"]
    );
    let mut never = plan(100, &[(0.0, 0.2)]);
    never.has_retries = true;
    let mut run = run(124, 25, 0.0, 1.0);
    (run.accepted, run.sent, run.failed) = (100, 99, 1);
    assert_eq!(fault_names(&never, &run), ["failed messages"]);
}

#[test]
fn of_an_interrupted_run_theory_says_nothing() {
    let plan = plan(300, &[(30.0, 1.0)]);
    let mut run = run(19, 0, 1.0, 2.0);
    assert!(expectations(&plan, &run).iter().any(|check| !check.is_met()));
    run.interrupted = true;
    assert!(expectations(&plan, &run).iter().all(Expectation::is_met));
    assert_eq!(fault_names(&plan, &run), Vec::<String>::new());
}

#[test]
fn nothing_is_divided_by_when_nothing_was_sent() {
    let plan = plan(0, &[(0.1, 0.2)]);
    let nothing = run(0, 0, 0.0, 0.0);
    assert_eq!(mean_seconds(&nothing.senders), None);
    assert_eq!(fault_names(&plan, &nothing), Vec::<String>::new());
    for check in expectations(&plan, &nothing) {
        assert!(check.actual.is_finite(), "{check:?}");
    }
}

#[test]
fn senders_of_different_kinds_are_expected_to_share_by_their_speed() {
    let plan = plan(1_500, &[(0.1, 0.0), (0.2, 0.5)]);
    let tally = |calls, faults, mean| SenderStats {
        calls,
        failed_calls: faults,
        seconds: mean * to_f64(calls),
    };
    let run = SimulationRun {
        elapsed: Duration::from_secs(101),
        senders: vec![tally(1_000, 0, 0.1), tally(500, 250, 0.2)],
        accepted: 1_500,
        sent: 1_250,
        failed: 250,
        interrupted: false,
    };
    let checks = expectations(&plan, &run);
    assert_eq!(checks[0].expected, Some(250.0));
    assert!((99.9..100.1).contains(&checks[3].expected.unwrap()));
    assert_eq!(fault_names(&plan, &run), Vec::<String>::new());
}

#[test]
fn a_sender_with_many_places_needs_so_many_times_less() {
    let mut plan = plan(1_000, &[(0.1, 0.2)]);
    plan.concurrency = Some(10);
    assert_eq!(
        fault_names(&plan, &run(1_000, 200, 0.1, 10.1)),
        Vec::<String>::new()
    );
    assert_eq!(fault_names(&plan, &run(1_000, 200, 0.1, 101.0)), ["time"]);
    plan.concurrency = Some(256);
    assert_eq!(
        fault_names(&plan, &run(1_000, 200, 0.1, 0.9)),
        Vec::<String>::new()
    );
}

#[test]
fn with_retries_a_message_fails_when_every_try_does() {
    let mut plan = plan(1_000, &[(0.0, 0.2)]);
    plan.has_retries = true;
    plan.tries_max = 2;
    let mut run = run(1_200, 240, 0.0, 1.0);
    (run.accepted, run.sent, run.failed) = (1_000, 960, 40);
    assert_eq!(fault_names(&plan, &run), Vec::<String>::new());
    (run.sent, run.failed) = (900, 100);
    assert_eq!(fault_names(&plan, &run), ["failed messages"]);
}

#[test]
fn numbers_that_do_not_add_up_are_told_with_both() {
    let plan = plan(10, &[(0.0, 0.0)]);
    let run = run(10, 0, 0.0, 0.1);
    let mut wrong = report(&run);
    wrong.totals.sent = 9;
    let told = find_faults(&plan, &run, &wrong, 1).join("; ");
    for words in [
        "sum of states: 10 is not 9",
        "sent, by metrics and report: 10 is not 9",
        "1 is not 0",
    ] {
        assert!(told.contains(words), "{told}");
    }
}
