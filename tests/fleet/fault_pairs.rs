//! Faults two at a time, chosen by a seed: the second begins while the first goes on, and ends after it.
//!
//! `POSTRIDER_TEST_SEED` chooses others; the seed is printed, and the same seed makes the same faults.

use std::time::Duration;

use super::cluster::{ClusterOptions, INTAKE_HOSTS, LEASE, TestCluster, WORKER_HOSTS, is_long_test};
use super::load::SteadyLoad;

/// How long a pair of faults lasts: sometimes longer than a lease, sometimes not.
const FAULT_DURATIONS: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(10)];

/// What can go wrong and be put right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClusterFault {
    Killed(&'static str),
    CutOff(&'static str),
    Frozen(&'static str),
    LosesPackets(&'static str),
    RedisKilled,
    RedisFlushed,
    PostgresRestarted,
}

impl ClusterFault {
    /// One that the number stands for.
    fn from_number(number: u64) -> Self {
        let nth = |count: usize| usize::try_from(number / 8).unwrap() % count;
        let (worker, intake) = (WORKER_HOSTS[nth(3)], INTAKE_HOSTS[nth(2)]);
        match number % 8 {
            0 => Self::Killed(worker),
            1 => Self::Killed(intake),
            2 => Self::CutOff([worker, intake, "queue-a"][nth(3)]),
            3 => Self::Frozen([worker, intake][nth(2)]),
            4 => Self::LosesPackets(worker),
            5 => Self::RedisKilled,
            6 => Self::RedisFlushed,
            _ => Self::PostgresRestarted,
        }
    }

    fn start(self, crowd: &mut TestCluster) {
        match self {
            Self::Killed(name) => crowd.kill_console(name),
            Self::CutOff(name) => crowd.network.disconnect(name),
            Self::Frozen(name) => crowd.signal_console(name, "STOP"),
            Self::LosesPackets(name) => crowd.network.lose_packets(name),
            Self::RedisKilled => crowd.redis.kill(),
            Self::RedisFlushed => assert_eq!(crowd.redis.send_command("FLUSHALL"), "+OK"),
            Self::PostgresRestarted => crowd.postgres.restart(),
        }
    }

    fn stop(self, crowd: &mut TestCluster) {
        match self {
            Self::Killed(name) => crowd.start_console(name),
            Self::CutOff(name) => crowd.network.reconnect(name),
            Self::Frozen(name) => crowd.signal_console(name, "CONT"),
            Self::LosesPackets(name) => crowd.network.stop_losing_packets(name),
            Self::RedisKilled => crowd.redis.start(),
            Self::RedisFlushed | Self::PostgresRestarted => {}
        }
    }

    /// Whether both can go on at the same time: a process that is dead cannot be frozen, nor a dead Redis emptied.
    fn is_compatible_with(self, other: Self) -> bool {
        let place = |fault: Self| match fault {
            Self::Killed(name) | Self::CutOff(name) | Self::Frozen(name) | Self::LosesPackets(name) => name,
            Self::RedisKilled | Self::RedisFlushed => "queue-a",
            Self::PostgresRestarted => "store-a",
        };
        place(self) != place(other)
    }
}

#[test]
fn two_things_may_go_wrong_at_once() {
    let seed = std::env::var("POSTRIDER_TEST_SEED").ok();
    let seed = seed.and_then(|text| text.parse().ok()).unwrap_or(7);
    println!("POSTRIDER_TEST_SEED={seed}");
    let (mut crowd, load) = TestCluster::start_under_load(ClusterOptions::default());
    let mut numbers = (1..).map(|nth| mix_bits(seed + nth));
    for nth in 0..if is_long_test() { 25 } else { 3 } {
        let first = ClusterFault::from_number(numbers.next().unwrap());
        let second = numbers
            .by_ref()
            .map(ClusterFault::from_number)
            .find(|fault| fault.is_compatible_with(first))
            .unwrap();
        run_fault_pair(&mut crowd, &load, first, second, FAULT_DURATIONS[nth % 2]);
    }
    crowd.verify_all_messages(load);
}

fn run_fault_pair(
    crowd: &mut TestCluster,
    load: &SteadyLoad,
    first: ClusterFault,
    second: ClusterFault,
    time: Duration,
) {
    first.start(crowd);
    load.run_for(time / 2);
    second.start(crowd);
    load.run_for(time / 2);
    first.stop(crowd);
    load.run_for(LEASE / 8);
    second.stop(crowd);
    crowd.expect_recovery(load, &format!("{first:?} and {second:?}"));
    load.wait_for_accepted(20);
}

/// A number that looks nothing like its neighbours.
fn mix_bits(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
