//! Faults two at a time, chosen by a seed: the second begins while the first goes on, and ends after it.
//!
//! `POSTRIDER_TEST_SEED` chooses others; the seed is printed, and the same seed makes the same faults.

use std::time::Duration;

use super::crowd::{Crowd, INTAKES, LEASE, Plan, WORKERS, is_long};
use super::load::Load;

/// How long a pair of faults lasts: sometimes longer than a lease, sometimes not.
const TIMES: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(10)];

/// What can go wrong and be put right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed(&'static str),
    CutOff(&'static str),
    Frozen(&'static str),
    LosesPackets(&'static str),
    RedisKilled,
    RedisFlushed,
    PostgresRestarted,
}

impl Fault {
    /// One that the number stands for.
    fn of(number: u64) -> Self {
        let nth = |count: usize| usize::try_from(number / 8).unwrap() % count;
        let (worker, intake) = (WORKERS[nth(3)], INTAKES[nth(2)]);
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

    fn begin(self, crowd: &mut Crowd) {
        match self {
            Self::Killed(name) => crowd.kill(name),
            Self::CutOff(name) => crowd.lan.cut(name),
            Self::Frozen(name) => crowd.signal(name, "STOP"),
            Self::LosesPackets(name) => crowd.lan.lose_packets(name),
            Self::RedisKilled => crowd.redis.kill(),
            Self::RedisFlushed => assert_eq!(crowd.redis.say("FLUSHALL"), "+OK"),
            Self::PostgresRestarted => crowd.postgres.restart(),
        }
    }

    fn end(self, crowd: &mut Crowd) {
        match self {
            Self::Killed(name) => crowd.launch(name),
            Self::CutOff(name) => crowd.lan.rejoin(name),
            Self::Frozen(name) => crowd.signal(name, "CONT"),
            Self::LosesPackets(name) => crowd.lan.keep_packets(name),
            Self::RedisKilled => crowd.redis.start(),
            Self::RedisFlushed | Self::PostgresRestarted => {}
        }
    }

    /// Whether both can go on at the same time: a process that is dead cannot be frozen, nor a dead Redis emptied.
    fn fits(self, other: Self) -> bool {
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
    let (mut crowd, load) = Crowd::at_work(Plan::default());
    let mut numbers = (1..).map(|nth| mixed(seed + nth));
    for nth in 0..if is_long() { 25 } else { 3 } {
        let first = Fault::of(numbers.next().unwrap());
        let second = numbers
            .by_ref()
            .map(Fault::of)
            .find(|fault| fault.fits(first))
            .unwrap();
        pair(&mut crowd, &load, first, second, TIMES[nth % 2]);
    }
    crowd.judge(load);
}

fn pair(crowd: &mut Crowd, load: &Load, first: Fault, second: Fault, time: Duration) {
    first.begin(crowd);
    load.run_for(time / 2);
    second.begin(crowd);
    load.run_for(time / 2);
    first.end(crowd);
    load.run_for(LEASE / 8);
    second.end(crowd);
    crowd.recovers(load, &format!("{first:?} and {second:?}"));
    load.accept(20);
}

/// A number that looks nothing like its neighbours.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
