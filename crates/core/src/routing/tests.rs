use proptest::collection::vec;
use proptest::prelude::*;

use super::{RouteBalancer, RouteCandidate, RoutingStrategy};

const AVAILABLE: RouteCandidate = RouteCandidate { in_flight: 0, is_available: true };

fn busy(in_flight: usize) -> RouteCandidate {
    RouteCandidate { in_flight, is_available: true }
}

fn first_choices(strategy: &RoutingStrategy, candidates: &[RouteCandidate], rounds: usize) -> Vec<usize> {
    let mut balancer = RouteBalancer::default();
    (0..rounds).map(|_| balancer.order(strategy, candidates)[0]).collect()
}

#[test]
fn failover_keeps_the_configured_order_and_skips_unavailable_providers() {
    let candidates = [AVAILABLE, RouteCandidate { is_available: false, ..AVAILABLE }, AVAILABLE];
    let mut balancer = RouteBalancer::default();
    for _ in 0..3 {
        assert_eq!(balancer.order(&RoutingStrategy::Failover, &candidates), [0, 2]);
    }
}

#[test]
fn round_robin_alternates() {
    assert_eq!(first_choices(&RoutingStrategy::RoundRobin, &[AVAILABLE; 3], 7), [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn round_robin_gives_equal_shares_while_one_is_unavailable() {
    let candidates = [AVAILABLE, RouteCandidate { is_available: false, ..AVAILABLE }, AVAILABLE, AVAILABLE];
    let firsts = first_choices(&RoutingStrategy::RoundRobin, &candidates, 300);
    for index in [0, 2, 3] {
        assert_eq!(firsts.iter().filter(|first| **first == index).count(), 100);
    }
}

#[test]
fn a_weight_of_thirty_percent_gives_three_of_any_ten() {
    let firsts = first_choices(&RoutingStrategy::Weighted(vec![30, 70]), &[AVAILABLE; 2], 1_000);
    for ten in firsts.windows(10) {
        assert_eq!(ten.iter().filter(|first| **first == 0).count(), 3);
    }
}

#[test]
fn a_provider_with_weight_zero_is_the_last_resort() {
    let strategy = RoutingStrategy::Weighted(vec![0, 1, 0]);
    let mut balancer = RouteBalancer::default();
    assert_eq!(balancer.order(&strategy, &[AVAILABLE; 3]), [1, 0, 2]);
    let without_second = [AVAILABLE, RouteCandidate { is_available: false, ..AVAILABLE }, AVAILABLE];
    assert_eq!(balancer.order(&strategy, &without_second), [0, 2]);
    assert_eq!(balancer.order(&strategy, &[AVAILABLE; 3]), [1, 0, 2]);
}

#[test]
fn the_least_busy_goes_first_and_equals_alternate() {
    let mut balancer = RouteBalancer::default();
    let mut order = |loads: &[usize]| {
        let candidates = loads.iter().map(|load| busy(*load)).collect::<Vec<_>>();
        balancer.order(&RoutingStrategy::LeastBusy, &candidates)
    };
    assert_eq!(order(&[5, 2, 9]), [1, 0, 2]);
    assert_eq!(order(&[1, 1, 1]), [2, 0, 1]);
    assert_eq!(order(&[1, 1, 1]), [0, 1, 2]);
    assert_eq!(order(&[1, 1, 1]), [1, 2, 0]);
}

#[test]
fn without_available_providers_the_order_is_empty() {
    let unavailable = [RouteCandidate { is_available: false, ..AVAILABLE }; 2];
    for strategy in [
        RoutingStrategy::Failover,
        RoutingStrategy::RoundRobin,
        RoutingStrategy::Weighted(vec![1, 2]),
        RoutingStrategy::LeastBusy,
    ] {
        let mut balancer = RouteBalancer::default();
        assert!(balancer.order(&strategy, &unavailable).is_empty());
        assert!(balancer.order(&strategy, &[]).is_empty());
    }
}

proptest! {
    #[test]
    fn shares_are_exact_in_any_window_of_the_sum_of_the_weights(weights in vec(0_u32..12, 1..6), skip in 0_usize..50) {
        let total = weights.iter().sum::<u32>() as usize;
        prop_assume!(total > 0);
        let candidates = vec![AVAILABLE; weights.len()];
        let firsts = first_choices(&RoutingStrategy::Weighted(weights.clone()), &candidates, skip + total);
        for (index, weight) in weights.iter().enumerate() {
            let share = firsts[skip..].iter().filter(|first| **first == index).count();
            prop_assert_eq!(share, *weight as usize);
        }
    }

    #[test]
    fn every_available_candidate_occurs_exactly_once(
        weights in vec(0_u32..9, 4),
        rounds in vec(vec((0_usize..4, any::<bool>()), 4), 1..40),
        kind in 0..4,
    ) {
        let strategy = match kind {
            0 => RoutingStrategy::Failover,
            1 => RoutingStrategy::RoundRobin,
            2 => RoutingStrategy::LeastBusy,
            _ => RoutingStrategy::Weighted(weights),
        };
        let mut balancer = RouteBalancer::default();
        for round in rounds {
            let candidates = round.iter().map(|(in_flight, available)| RouteCandidate { in_flight: *in_flight, is_available: *available });
            let candidates = candidates.collect::<Vec<_>>();
            let mut order = balancer.order(&strategy, &candidates);
            order.sort_unstable();
            let available = (0..candidates.len()).filter(|index| candidates[*index].is_available).collect::<Vec<_>>();
            prop_assert_eq!(order, available);
        }
    }

    #[test]
    fn shares_stay_close_after_interruptions(
        weights in vec(1_u32..10, 2..5),
        absences in vec(any::<usize>(), 0..60),
    ) {
        let strategy = RoutingStrategy::Weighted(weights.clone());
        let mut balancer = RouteBalancer::default();
        for absent in absences {
            let candidates = (0..weights.len()).map(|index| RouteCandidate { in_flight: 0, is_available: index != absent % weights.len() });
            balancer.order(&strategy, &candidates.collect::<Vec<_>>());
        }
        let candidates = vec![AVAILABLE; weights.len()];
        let total = weights.iter().sum::<u32>() as usize;
        let mut counts = vec![0_i64; weights.len()];
        for _ in 0..total * 10 {
            counts[balancer.order(&strategy, &candidates)[0]] += 1;
        }
        for (count, weight) in counts.iter().zip(&weights) {
            prop_assert!((count - i64::from(*weight) * 10).abs() <= 4, "{:?} {:?}", counts, weights);
        }
    }
}
