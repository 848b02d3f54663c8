//! A host is cut off from all others for longer than a lease, and rejoined.

use std::time::{Duration, Instant};

use super::cluster::{ClusterOptions, INTAKE_HOSTS, TestCluster, outage_duration};
use super::test_gateway::wait_until;

fn expect_survives_disconnect(names: &[&str]) {
    let (mut crowd, load) = TestCluster::start_under_load(ClusterOptions::default());
    for name in names {
        let began = Instant::now();
        crowd.network.disconnect(name);
        load.run_for(outage_duration());
        if let Some(door) = INTAKE_HOSTS.iter().position(|intake| intake == name) {
            let door = crowd.intake_addresses()[door];
            // What was under way when the cable was pulled may still have been answered.
            let tries = load.attempts_since(began + Duration::from_secs(1));
            let through = tries
                .iter()
                .filter(|one| one.intake == door && one.is_accepted())
                .count();
            assert_eq!(through, 0, "{name} is cut off and answers");
        }
        crowd.network.reconnect(name);
        crowd.expect_recovery(&load, &format!("{name} cut off"));
        load.wait_for_accepted(20);
    }
    crowd.verify_all_messages(load);
}

#[test]
fn a_worker_or_an_intake_may_be_cut_off() {
    expect_survives_disconnect(&["worker-b", "intake-b"]);
}

#[test]
fn the_store_or_the_queue_may_be_cut_off() {
    expect_survives_disconnect(&["store-a", "queue-a"]);
}

#[test]
fn a_host_that_is_frozen_in_the_middle_of_its_work_blocks_nobody() {
    let (mut crowd, load) = TestCluster::start_under_load(ClusterOptions {
        relayed_host: Some("intake-b"),
        ..ClusterOptions::default()
    });
    let way = crowd.postgres_relay.clone().unwrap();
    // So slow a way that a transaction is under way at almost every moment.
    way.set_delay(Duration::from_millis(200));
    load.wait_for_accepted(20);
    let held = || {
        crowd.primary().query(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
             WHERE locktype = 'advisory' AND now() - xact_start > INTERVAL '0.3 s'",
        )
    };
    // Others hold it for a moment only.
    wait_until("it holds what others wait for", || held() != "0");
    way.set_stalled(true);
    // The report must not pass over a message that is being accepted, so it waits, and accepts wait behind it.
    load.run_for(Duration::from_secs(3));
    crowd.expect_others_accept(&load, "intake-b", "intake-b frozen");
    load.run_for(outage_duration());
    crowd.expect_others_accept(&load, "intake-b", "intake-b frozen for longer");
    let stale = crowd.primary().query(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
         WHERE locktype = 'advisory' AND now() - xact_start > INTERVAL '8 s'",
    );
    assert_eq!(stale, "0", "what a frozen host held is free");
    way.set_delay(Duration::ZERO);
    way.set_stalled(false);
    crowd.expect_recovery(&load, "intake-b frozen");
    crowd.verify_all_messages(load);
}
