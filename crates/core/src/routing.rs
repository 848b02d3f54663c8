//! The order in which a channel's providers are tried in one round.
//!
//! Shares are exact and not random: the provider that is furthest below its share is tried first.

use std::cmp::Reverse;

/// The choice of the first provider of a round. Every strategy continues with the other providers of the channel.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum RoutingStrategy {
    /// The providers in the configured order.
    Failover,
    /// Every provider first equally often.
    #[default]
    RoundRobin,
    /// Every provider first in proportion to its weight; one weight for each provider, in the configured order.
    Weighted(Vec<u32>),
    /// The provider with the fewest calls in flight first.
    LeastBusy,
}

/// The present state of a provider, as far as the order depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteCandidate {
    /// Calls in flight.
    pub in_flight: usize,
    /// True if a call may start now: circuit closed, not paused, not at its limits.
    pub is_available: bool,
}

/// The state of a channel's routing between rounds.
#[derive(Clone, Debug, Default)]
pub struct RouteBalancer {
    /// Credits of each provider: positive if the provider was first less often than its share, negative if more often.
    credits: Vec<i64>,
    /// The index of the provider that is first when several have the same number of calls in flight.
    next_index: usize,
}

impl RouteBalancer {
    /// Returns the indexes of the available candidates in the order in which they are tried, and counts the first one
    /// as used.
    pub fn order(&mut self, strategy: &RoutingStrategy, candidates: &[RouteCandidate]) -> Vec<usize> {
        let mut order: Vec<usize> =
            (0..candidates.len()).filter(|index| candidates[*index].is_available).collect();
        match strategy {
            RoutingStrategy::Failover => {}
            RoutingStrategy::RoundRobin => self.sort_by_weight(&mut order, candidates.len(), |_| 1),
            RoutingStrategy::Weighted(weights) => {
                let weight = |index| weights.get(index).copied().map_or(0, i64::from);
                self.sort_by_weight(&mut order, candidates.len(), weight);
            }
            RoutingStrategy::LeastBusy => self.sort_by_in_flight(&mut order, candidates),
        }
        order
    }

    /// Sorts by smooth weighted round robin: each available candidate gains its weight in credits; the one with the most
    /// credits is first and loses the sum of all gained weights. The credits of unavailable candidates do not change;
    /// candidates with weight 0 are last.
    fn sort_by_weight(&mut self, order: &mut [usize], candidate_count: usize, weight: impl Fn(usize) -> i64) {
        self.credits.resize(candidate_count, 0);
        let mut gained_credits = 0;
        for provider_index in order.iter() {
            self.credits[*provider_index] += weight(*provider_index);
            gained_credits += weight(*provider_index);
        }
        let credits = &self.credits;
        order.sort_by_key(|provider_index| {
            (weight(*provider_index) == 0, Reverse(credits[*provider_index]), *provider_index)
        });
        if let Some(first) = order.first() {
            self.credits[*first] -= gained_credits;
        }
    }

    fn sort_by_in_flight(&mut self, order: &mut [usize], candidates: &[RouteCandidate]) {
        let candidate_count = candidates.len();
        let distance =
            |index: usize| (index + candidate_count - self.next_index % candidate_count) % candidate_count;
        order.sort_by_key(|index| (candidates[*index].in_flight, distance(*index)));
        if let Some(first) = order.first() {
            self.next_index = first + 1;
        }
    }
}

#[cfg(test)]
mod tests;
