//! In which order a channel's providers are asked in one round.

/// How the first provider of a round is chosen. Every strategy fails over to the rest of the list.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Strategy {
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
