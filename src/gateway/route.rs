//! A route: a channel with the lanes of its providers and the balance between them.
//!
//! Gives an order in which to ask; it calls nobody itself.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;

use super::lane::{Busy, Lane};
use crate::clock::Timestamp;
use crate::domain::channel::{Channel, Name};
use crate::domain::delivery::Standing;
use crate::domain::route::{Balance, Candidate};
use crate::metrics::Metrics;

/// A channel on its way through the day.
pub struct Route {
    /// What the channel is made of.
    pub channel: Channel,
    lanes: Vec<Arc<Lane>>,
    balance: Mutex<Balance>,
    moved: [Counter; Standing::ALL.len()],
}

impl Route {
    /// A fresh route over those of the lanes that the channel names.
    pub fn new(channel: Channel, lanes: &[Arc<Lane>], metrics: &Metrics) -> Self {
        let named = |name: &Name| lanes.iter().find(|lane| lane.name == *name).cloned();
        let lanes: Vec<Arc<Lane>> = channel.providers.iter().filter_map(named).collect();
        let moved = Standing::ALL.map(|standing| metrics.states(channel.name.as_str(), standing.word()));
        Self {
            balance: Mutex::default(),
            lanes,
            channel,
            moved,
        }
    }

    /// The lanes to ask in one round, in order. Those that rest or are paused are left out, and so is `avoid`
    /// unless it is the only one.
    pub fn order(&self, avoid: Option<&Name>, now: Timestamp) -> Vec<&Lane> {
        let avoided = |lane: &Lane| self.lanes.len() > 1 && avoid == Some(&lane.name);
        let candidates: Vec<Candidate> = self
            .lanes
            .iter()
            .map(|lane| Candidate {
                in_flight: lane.in_flight(),
                fit: lane.is_fit(now) && !avoided(lane),
            })
            .collect();
        let mut balance = self.balance.lock().unwrap_or_else(PoisonError::into_inner);
        let order = balance.order(&self.channel.strategy, &candidates);
        order
            .into_iter()
            .filter_map(|index| self.lanes.get(index).map(Arc::as_ref))
            .collect()
    }

    /// Which lane will be the first to be worth asking again, when none is now.
    pub fn soonest(&self, now: Timestamp) -> Busy {
        let busy = self
            .lanes
            .iter()
            .map(|lane| lane.unfit(now))
            .min_by_key(|busy| busy.retry_after);
        busy.unwrap_or_else(|| Busy {
            retry_after: std::time::Duration::from_secs(60),
            reason: format!("the channel {} has no provider", self.channel.name),
        })
    }

    /// The lanes in the configured order.
    pub fn lanes(&self) -> &[Arc<Lane>] {
        &self.lanes
    }

    /// Counts a delivery that moved to another state.
    pub fn moved(&self, standing: Standing) {
        if let Some(index) = Standing::ALL.iter().position(|other| *other == standing) {
            self.moved[index].inc();
        }
    }
}
