//! A host is cut off from all others for longer than a lease, and rejoined.

use std::time::{Duration, Instant};

use super::crowd::{Crowd, INTAKES, Plan, outage};
use super::world::until;

fn cut_off(names: &[&str]) {
    let (mut crowd, load) = Crowd::at_work(Plan::default());
    for name in names {
        let began = Instant::now();
        crowd.lan.cut(name);
        load.run_for(outage());
        if let Some(door) = INTAKES.iter().position(|intake| intake == name) {
            let door = crowd.doors()[door];
            // What was under way when the cable was pulled may still have been answered.
            let tries = load.tries(began + Duration::from_secs(1));
            let through = tries
                .iter()
                .filter(|one| one.door == door && one.is_accepted())
                .count();
            assert_eq!(through, 0, "{name} is cut off and answers");
        }
        crowd.lan.rejoin(name);
        crowd.recovers(&load, &format!("{name} cut off"));
        load.accept(20);
    }
    crowd.judge(load);
}

#[test]
fn a_worker_or_an_intake_may_be_cut_off() {
    cut_off(&["worker-b", "intake-b"]);
}

#[test]
fn the_store_or_the_queue_may_be_cut_off() {
    cut_off(&["store-a", "queue-a"]);
}

#[test]
fn a_host_that_is_frozen_in_the_middle_of_its_work_blocks_nobody() {
    let (mut crowd, load) = Crowd::at_work(Plan {
        relayed: Some("intake-b"),
        ..Plan::default()
    });
    let way = crowd.slow_way.clone().unwrap();
    // So slow a way that a transaction is under way at almost every moment.
    way.slow(Duration::from_millis(200));
    load.accept(20);
    let held = || {
        crowd.store().say(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
             WHERE locktype = 'advisory' AND now() - xact_start > INTERVAL '0.3 s'",
        )
    };
    // Others hold it for a moment only.
    until("it holds what others wait for", || held() != "0");
    way.stall(true);
    // The report must not pass over a message that is being accepted, so it waits, and accepts wait behind it.
    load.run_for(Duration::from_secs(3));
    crowd.goes_on(&load, "intake-b", "intake-b frozen");
    load.run_for(outage());
    crowd.goes_on(&load, "intake-b", "intake-b frozen for longer");
    let stale = crowd.store().say(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
         WHERE locktype = 'advisory' AND now() - xact_start > INTERVAL '8 s'",
    );
    assert_eq!(stale, "0", "what a frozen host held is free");
    way.slow(Duration::ZERO);
    way.stall(false);
    crowd.recovers(&load, "intake-b frozen");
    crowd.judge(load);
}
