//! PostgreSQL is restarted, and its primary dies and the replica takes its place.

use std::time::Duration;

use super::crowd::{Crowd, Plan};

#[test]
fn postgres_may_be_restarted_and_failed_over() {
    let (mut crowd, load) = Crowd::at_work(Plan {
        replica: true,
        ..Plan::default()
    });
    crowd.postgres.restart();
    crowd.recovers(&load, "postgres restarted");
    load.accept(40);
    crowd.postgres.kill();
    load.run_for(Duration::from_secs(2));
    crowd.replica.as_ref().unwrap().promote();
    crowd.recovers(&load, "postgres failed over");
    load.accept(40);
    crowd.judge(load);
}

#[test]
fn the_host_of_the_primary_may_vanish() {
    let (mut crowd, load) = Crowd::at_work(Plan {
        replica: true,
        ..Plan::default()
    });
    crowd.lan.cut("store-a");
    load.run_for(Duration::from_secs(2));
    crowd.replica.as_ref().unwrap().promote();
    crowd.recovers(&load, "the host of postgres vanished, the replica promoted");
    load.accept(40);
    crowd.postgres.kill();
    crowd.judge(load);
}
