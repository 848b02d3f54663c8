//! `kill -9` for any one process, and the same process started again.

use super::cluster::{ClusterOptions, INTAKE_HOSTS, TestCluster, WORKER_HOSTS, is_long_test};

#[test]
fn any_one_process_may_be_killed() {
    let (mut crowd, load) = TestCluster::start_under_load(ClusterOptions::default());
    for _ in 0..if is_long_test() { 10 } else { 1 } {
        for name in WORKER_HOSTS.into_iter().chain(INTAKE_HOSTS) {
            crowd.kill_console(name);
            load.wait_for_accepted(20);
            crowd.start_console(name);
            crowd.expect_recovery(&load, &format!("{name} killed"));
        }
        crowd.redis.kill();
        load.wait_for_accepted(20);
        crowd.redis.start();
        crowd.expect_recovery(&load, "redis killed");
        crowd.postgres.kill();
        load.run_for(std::time::Duration::from_secs(2));
        crowd.postgres.start();
        crowd.expect_recovery(&load, "postgres killed");
    }
    crowd.verify_all_messages(load);
}
