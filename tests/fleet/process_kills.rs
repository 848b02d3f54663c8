//! Each process in turn is killed with `kill -9` and started again.

use super::cluster::{ClusterOptions, INTAKE_HOSTS, TestCluster, WORKER_HOSTS, is_long_test};

#[test]
fn no_message_is_lost_when_a_process_is_killed() {
    let (mut cluster, load) = TestCluster::start_under_load(ClusterOptions::default());
    for _ in 0..if is_long_test() { 10 } else { 1 } {
        for name in WORKER_HOSTS.into_iter().chain(INTAKE_HOSTS) {
            cluster.kill_console(name);
            load.wait_for_accepted(20);
            cluster.start_console(name);
            cluster.expect_recovery(&load, &format!("{name} killed"));
        }
        cluster.redis.kill();
        load.wait_for_accepted(20);
        cluster.redis.start();
        cluster.expect_recovery(&load, "redis killed");
        cluster.postgres.kill();
        load.run_for(std::time::Duration::from_secs(2));
        cluster.postgres.start();
        cluster.expect_recovery(&load, "postgres killed");
    }
    cluster.verify_all_messages(load);
}
