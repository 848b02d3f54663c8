//! Pairs of overlapping faults, chosen by a seed: the second fault begins during the first one and ends after it.
//!
//! `POSTRIDER_TEST_SEED` sets the seed. The seed is printed; the same seed chooses the same faults.

use std::time::Duration;

use super::cluster::{ClusterOptions, INTAKE_HOSTS, LEASE, TestCluster, WORKER_HOSTS, is_long_test};
use super::load::SteadyLoad;

/// Durations of a pair of faults: one shorter and one longer than a lease.
const FAULT_DURATIONS: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(10)];

/// A fault that can be started and stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClusterFault {
    Killed(&'static str),
    Disconnected(&'static str),
    Frozen(&'static str),
    LosesPackets(&'static str),
    RedisKilled,
    RedisFlushed,
    PostgresRestarted,
}

impl ClusterFault {
    /// Returns the fault for a random number.
    fn from_number(number: u64) -> Self {
        let nth = |count: usize| usize::try_from(number / 8).unwrap() % count;
        let (worker, intake) = (WORKER_HOSTS[nth(3)], INTAKE_HOSTS[nth(2)]);
        match number % 8 {
            0 => Self::Killed(worker),
            1 => Self::Killed(intake),
            2 => Self::Disconnected([worker, intake, "queue-a"][nth(3)]),
            3 => Self::Frozen([worker, intake][nth(2)]),
            4 => Self::LosesPackets(worker),
            5 => Self::RedisKilled,
            6 => Self::RedisFlushed,
            _ => Self::PostgresRestarted,
        }
    }

    fn start(self, cluster: &mut TestCluster) {
        match self {
            Self::Killed(name) => cluster.kill_console(name),
            Self::Disconnected(name) => cluster.network.disconnect(name),
            Self::Frozen(name) => cluster.signal_console(name, "STOP"),
            Self::LosesPackets(name) => cluster.network.lose_packets(name),
            Self::RedisKilled => cluster.redis.kill(),
            Self::RedisFlushed => assert_eq!(cluster.redis.send_command("FLUSHALL"), "+OK"),
            Self::PostgresRestarted => cluster.postgres.restart(),
        }
    }

    fn stop(self, cluster: &mut TestCluster) {
        match self {
            Self::Killed(name) => cluster.start_console(name),
            Self::Disconnected(name) => cluster.network.reconnect(name),
            Self::Frozen(name) => cluster.signal_console(name, "CONT"),
            Self::LosesPackets(name) => cluster.network.stop_losing_packets(name),
            Self::RedisKilled => cluster.redis.start(),
            Self::RedisFlushed | Self::PostgresRestarted => {}
        }
    }

    /// Returns whether both faults can be active together: they must concern different hosts, because a killed process
    /// cannot be frozen and a killed Redis cannot be flushed.
    fn is_compatible_with(self, other: Self) -> bool {
        let host = |fault: Self| match fault {
            Self::Killed(name) | Self::Disconnected(name) | Self::Frozen(name) | Self::LosesPackets(name) => {
                name
            }
            Self::RedisKilled | Self::RedisFlushed => "queue-a",
            Self::PostgresRestarted => "store-a",
        };
        host(self) != host(other)
    }
}

#[test]
fn no_message_is_lost_when_two_faults_overlap() {
    let seed = std::env::var("POSTRIDER_TEST_SEED").ok();
    let seed = seed.and_then(|text| text.parse().ok()).unwrap_or(7);
    println!("POSTRIDER_TEST_SEED={seed}");
    let (mut cluster, load) = TestCluster::start_under_load(ClusterOptions::default());
    let mut numbers = (1..).map(|nth| mix_bits(seed + nth));
    for nth in 0..if is_long_test() { 25 } else { 3 } {
        let first = ClusterFault::from_number(numbers.next().unwrap());
        let second = numbers
            .by_ref()
            .map(ClusterFault::from_number)
            .find(|fault| fault.is_compatible_with(first))
            .unwrap();
        run_fault_pair(&mut cluster, &load, first, second, FAULT_DURATIONS[nth % 2]);
    }
    cluster.verify_all_messages(load);
}

fn run_fault_pair(
    cluster: &mut TestCluster,
    load: &SteadyLoad,
    first: ClusterFault,
    second: ClusterFault,
    duration: Duration,
) {
    first.start(cluster);
    load.run_for(duration / 2);
    second.start(cluster);
    load.run_for(duration / 2);
    first.stop(cluster);
    load.run_for(LEASE / 8);
    second.stop(cluster);
    cluster.expect_recovery(load, &format!("{first:?} and {second:?}"));
    load.wait_for_accepted(20);
}

/// Returns a well-mixed number (the SplitMix64 finalizer), so that consecutive seeds choose unrelated faults.
fn mix_bits(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
