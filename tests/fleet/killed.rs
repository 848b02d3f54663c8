//! `kill -9` for any one process, and the same process started again.

use super::crowd::{Crowd, INTAKES, Plan, WORKERS, is_long};

#[test]
fn any_one_process_may_be_killed() {
    let (mut crowd, load) = Crowd::at_work(Plan::default());
    for _ in 0..if is_long() { 10 } else { 1 } {
        for name in WORKERS.into_iter().chain(INTAKES) {
            crowd.kill(name);
            load.accept(20);
            crowd.launch(name);
            crowd.recovers(&load, &format!("{name} killed"));
        }
        crowd.redis.kill();
        load.accept(20);
        crowd.redis.start();
        crowd.recovers(&load, "redis killed");
        crowd.postgres.kill();
        load.run_for(std::time::Duration::from_secs(2));
        crowd.postgres.start();
        crowd.recovers(&load, "postgres killed");
    }
    crowd.judge(load);
}
