//! Limits and health that hold for all hosts together.

use std::time::Duration;

use super::crowd::{Crowd, Plan};

/// Messages a second, for all workers.
const RATE: usize = 20;

#[test]
fn three_workers_keep_one_providers_rate() {
    let (crowd, load) = Crowd::at_work(Plan {
        provider: "rate = 20",
        ..Plan::default()
    });
    load.accept(300);
    let moments = crowd.stub.moments();
    let within = |from: usize| {
        let second = moments[from] + Duration::from_secs(1);
        moments[from..].iter().take_while(|at| **at < second).count()
    };
    let most = (0..moments.len()).map(within).max().unwrap();
    assert!(
        most <= 2 * RATE,
        "{most} sends in one second, {RATE} are allowed and one burst"
    );
    crowd.judge(load);
}
