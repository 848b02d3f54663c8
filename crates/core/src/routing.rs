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
mod tests;
