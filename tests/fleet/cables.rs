//! A host is cut off from all others for longer than a lease, and rejoined.

use super::crowd::{Crowd, Plan, outage};

fn cut_off(names: &[&str]) {
    let (mut crowd, load) = Crowd::at_work(Plan::default());
    for name in names {
        crowd.lan.cut(name);
        load.run_for(outage());
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
