//! In which order a channel's providers are asked in one round.
//!
//! Shares are exact, not left to chance: whoever is furthest below its share goes first. Nothing here knows why
//! a provider is not fit to be asked.

use std::cmp::Reverse;

/// How the first provider of a round is chosen. Every strategy fails over to the rest of the list.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum RoutingStrategy {
    /// In the configured order.
    Failover,
    /// Equal shares.
    #[default]
    RoundRobin,
    /// Exact shares, one weight for each provider in the configured order.
    Weighted(Vec<u32>),
    /// The provider with the fewest calls in flight.
    LeastBusy,
}

/// What the order of a round depends on, for one provider of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteCandidate {
    /// Calls in flight.
    pub in_flight: usize,
    /// Whether it can be asked now: healthy, not paused, not at its limits.
    pub is_available: bool,
}

/// What a channel remembers of the rounds before, so that shares come out exactly.
#[derive(Clone, Debug, Default)]
pub struct RouteBalancer {
    /// How far each provider is below its share (above it when negative), in weights.
    credits: Vec<i64>,
    /// Whose turn it is among equals.
    next_index: usize,
}

impl RouteBalancer {
    /// The indexes of the fit candidates in the order to be asked. The first of them is counted as asked.
    pub fn order(&mut self, strategy: &RoutingStrategy, candidates: &[RouteCandidate]) -> Vec<usize> {
        let mut order = Vec::with_capacity(candidates.len());
        order.extend((0..candidates.len()).filter(|index| candidates[*index].is_available));
        match strategy {
            RoutingStrategy::Failover => {}
            RoutingStrategy::RoundRobin => self.sort_by_weight(&mut order, candidates.len(), |_| 1),
            RoutingStrategy::Weighted(weights) => {
                self.sort_by_weight(&mut order, candidates.len(), |index| {
                    weights.get(index).copied().map_or(0, i64::from)
                })
            }
            RoutingStrategy::LeastBusy => self.sort_by_in_flight(&mut order, candidates),
        }
        order
    }

    /// Smooth weighted round robin among the fit ones: each earns its weight, the richest goes first and pays
    /// what all have earned. Who is not fit neither earns nor pays; who has no weight stands at the end.
    fn sort_by_weight(&mut self, order: &mut [usize], candidates: usize, weight: impl Fn(usize) -> i64) {
        self.credits.resize(candidates, 0);
        let mut earned = 0;
        for index in order.iter() {
            self.credits[*index] += weight(*index);
            earned += weight(*index);
        }
        let credits = &self.credits;
        order.sort_by_key(|index| (weight(*index) == 0, Reverse(credits[*index]), *index));
        if let Some(first) = order.first() {
            self.credits[*first] -= earned;
        }
    }

    fn sort_by_in_flight(&mut self, order: &mut [usize], candidates: &[RouteCandidate]) {
        let count = candidates.len();
        let places_to_turn = |index: usize| (index + count - self.next_index % count) % count;
        order.sort_by_key(|index| (candidates[*index].in_flight, places_to_turn(*index)));
        if let Some(first) = order.first() {
            self.next_index = first + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{RouteBalancer, RouteCandidate, RoutingStrategy};

    const AVAILABLE: RouteCandidate = RouteCandidate {
        in_flight: 0,
        is_available: true,
    };

    fn busy(in_flight: usize) -> RouteCandidate {
        RouteCandidate {
            in_flight,
            is_available: true,
        }
    }

    fn first_choices(strategy: &RoutingStrategy, candidates: &[RouteCandidate], rounds: usize) -> Vec<usize> {
        let mut balance = RouteBalancer::default();
        (0..rounds)
            .map(|_| balance.order(strategy, candidates)[0])
            .collect()
    }

    #[test]
    fn failover_keeps_the_configured_order_and_leaves_out_the_unfit() {
        let candidates = [
            AVAILABLE,
            RouteCandidate {
                is_available: false,
                ..AVAILABLE
            },
            AVAILABLE,
        ];
        let mut balance = RouteBalancer::default();
        for _ in 0..3 {
            assert_eq!(balance.order(&RoutingStrategy::Failover, &candidates), [0, 2]);
        }
    }

    #[test]
    fn round_robin_takes_turns() {
        assert_eq!(
            first_choices(&RoutingStrategy::RoundRobin, &[AVAILABLE; 3], 7),
            [0, 1, 2, 0, 1, 2, 0]
        );
    }

    #[test]
    fn round_robin_gives_equal_shares_although_one_is_away() {
        let candidates = [
            AVAILABLE,
            RouteCandidate {
                is_available: false,
                ..AVAILABLE
            },
            AVAILABLE,
            AVAILABLE,
        ];
        let firsts = first_choices(&RoutingStrategy::RoundRobin, &candidates, 300);
        for index in [0, 2, 3] {
            assert_eq!(firsts.iter().filter(|first| **first == index).count(), 100);
        }
    }

    #[test]
    fn three_of_any_ten_go_to_the_one_with_thirty_percent() {
        let firsts = first_choices(&RoutingStrategy::Weighted(vec![30, 70]), &[AVAILABLE; 2], 1_000);
        for ten in firsts.windows(10) {
            assert_eq!(ten.iter().filter(|first| **first == 0).count(), 3);
        }
    }

    #[test]
    fn a_weight_of_nothing_is_a_last_resort() {
        let strategy = RoutingStrategy::Weighted(vec![0, 1, 0]);
        let mut balance = RouteBalancer::default();
        assert_eq!(balance.order(&strategy, &[AVAILABLE; 3]), [1, 0, 2]);
        let away = [
            AVAILABLE,
            RouteCandidate {
                is_available: false,
                ..AVAILABLE
            },
            AVAILABLE,
        ];
        assert_eq!(balance.order(&strategy, &away), [0, 2]);
        assert_eq!(balance.order(&strategy, &[AVAILABLE; 3]), [1, 0, 2]);
    }

    #[test]
    fn the_least_busy_goes_first_and_equals_take_turns() {
        let mut balance = RouteBalancer::default();
        let mut order = |loads: &[usize]| {
            let candidates = loads.iter().map(|load| busy(*load)).collect::<Vec<_>>();
            balance.order(&RoutingStrategy::LeastBusy, &candidates)
        };
        assert_eq!(order(&[5, 2, 9]), [1, 0, 2]);
        assert_eq!(order(&[1, 1, 1]), [2, 0, 1]);
        assert_eq!(order(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(order(&[1, 1, 1]), [1, 2, 0]);
    }

    #[test]
    fn nobody_fit_is_an_empty_order() {
        let nobody = [RouteCandidate {
            is_available: false,
            ..AVAILABLE
        }; 2];
        for strategy in [
            RoutingStrategy::Failover,
            RoutingStrategy::RoundRobin,
            RoutingStrategy::Weighted(vec![1, 2]),
            RoutingStrategy::LeastBusy,
        ] {
            let mut balance = RouteBalancer::default();
            assert!(balance.order(&strategy, &nobody).is_empty());
            assert!(balance.order(&strategy, &[]).is_empty());
        }
    }

    proptest! {
        #[test]
        fn shares_are_exact_in_any_window_as_long_as_the_weights_together(weights in vec(0_u32..12, 1..6), skip in 0_usize..50) {
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
        fn every_fit_candidate_is_asked_exactly_once(
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
            let mut balance = RouteBalancer::default();
            for round in rounds {
                let candidates = round.iter().map(|(in_flight, fit)| RouteCandidate { in_flight: *in_flight, is_available: *fit });
                let candidates = candidates.collect::<Vec<_>>();
                let mut order = balance.order(&strategy, &candidates);
                order.sort_unstable();
                let fit = (0..candidates.len()).filter(|index| candidates[*index].is_available).collect::<Vec<_>>();
                prop_assert_eq!(order, fit);
            }
        }

        #[test]
        fn shares_stay_near_after_providers_came_and_went(
            weights in vec(1_u32..10, 2..5),
            absences in vec(any::<usize>(), 0..60),
        ) {
            let strategy = RoutingStrategy::Weighted(weights.clone());
            let mut balance = RouteBalancer::default();
            for absent in absences {
                let candidates = (0..weights.len()).map(|index| RouteCandidate { in_flight: 0, is_available: index != absent % weights.len() });
                balance.order(&strategy, &candidates.collect::<Vec<_>>());
            }
            let candidates = vec![AVAILABLE; weights.len()];
            let total = weights.iter().sum::<u32>() as usize;
            let mut counts = vec![0_i64; weights.len()];
            for _ in 0..total * 10 {
                counts[balance.order(&strategy, &candidates)[0]] += 1;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!((count - i64::from(*weight) * 10).abs() <= 4, "{:?} {:?}", counts, weights);
            }
        }
    }
}
