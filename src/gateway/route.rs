//! A route: a channel with the lanes of its providers and the balance between them.
//!
//! Gives an order in which to ask; it calls nobody itself.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;

use super::lane::{Busy, Lane};
use crate::clock::Timestamp;
use crate::domain::channel::{Addressing, Channel, Name};
use crate::domain::delivery::Standing;
use crate::domain::recipient::AddressKind;
use crate::domain::route::{Balance, Candidate};
use crate::metrics::Metrics;

/// A channel on its way through the day.
pub struct Route {
    /// What the channel is made of.
    pub channel: Channel,
    lanes: Vec<Arc<Lane>>,
    kinds: Vec<AddressKind>,
    balance: Mutex<Balance>,
    moved: [Counter; Standing::ALL.len()],
}

impl Route {
    /// A fresh route over those of the lanes that the channel names.
    pub fn new(channel: Channel, lanes: &[Arc<Lane>], metrics: &Metrics) -> Self {
        let named = |name: &Name| lanes.iter().find(|lane| lane.name == *name).cloned();
        let lanes: Vec<Arc<Lane>> = channel.providers.iter().filter_map(named).collect();
        let wanted = lanes.iter().map(|lane| lane.provider.address());
        let kinds = channel.address.kinds(wanted);
        let moved = Standing::ALL.map(|standing| metrics.states(channel.name.as_str(), standing.word()));
        Self {
            balance: Mutex::default(),
            lanes,
            kinds,
            channel,
            moved,
        }
    }

    /// The lanes to ask in one round, in order. Those that rest or are paused are left out, and so is `avoid`
    /// unless it is the only one.
    pub fn order(&self, avoid: Option<&Name>, now: Timestamp) -> Vec<&Lane> {
        let candidates: Vec<Candidate> = self
            .lanes
            .iter()
            .map(|lane| Candidate {
                in_flight: lane.in_flight(),
                fit: lane.is_fit(now) && !self.is_avoided(lane, avoid),
            })
            .collect();
        let mut balance = self.balance.lock().unwrap_or_else(PoisonError::into_inner);
        let order = balance.order(&self.channel.strategy, &candidates);
        order
            .into_iter()
            .filter_map(|index| self.lanes.get(index).map(Arc::as_ref))
            .collect()
    }

    fn is_avoided(&self, lane: &Lane, avoid: Option<&Name>) -> bool {
        self.lanes.len() > 1 && avoid == Some(&lane.name)
    }

    /// Which of the lanes that `may_be_asked` will be the first to be worth asking again, when none is now; `avoid` as in
    /// [`Route::order`].
    pub fn soonest(
        &self,
        avoid: Option<&Name>,
        now: Timestamp,
        may_be_asked: impl Fn(&Lane) -> bool,
    ) -> Busy {
        let busy = self
            .lanes
            .iter()
            .filter(|lane| !self.is_avoided(lane, avoid) && may_be_asked(lane))
            .map(|lane| lane.unfit(now))
            .min_by_key(|busy| busy.retry_after);
        busy.unwrap_or_else(|| Busy {
            retry_after: std::time::Duration::from_secs(60),
            spread: std::time::Duration::ZERO,
            reason: format!("the channel {} has no provider", self.channel.name),
        })
    }

    /// The kinds of addresses it takes, in the order of the providers that want them. Never empty.
    pub fn kinds(&self) -> &[AddressKind] {
        &self.kinds
    }

    /// Whether each of its providers understands any text as an address, and the configuration asks for nothing else.
    pub fn takes_any_text(&self) -> bool {
        let is_open = match self.channel.address {
            Addressing::Only(kind) => kind == AddressKind::Any,
            Addressing::ByProviders(_) | Addressing::Mixed => true,
        };
        let mut lanes = self.lanes.iter();
        is_open && lanes.all(|lane| lane.provider.address() == AddressKind::Any)
    }

    /// Whether a delivery over it carries several addresses.
    pub fn is_mixed(&self) -> bool {
        self.kinds.len() > 1
    }

    /// Its providers that can use none of the addresses it takes.
    pub fn strangers(&self) -> impl Iterator<Item = &Lane> {
        let suits = |lane: &&Lane| {
            let wanted = lane.provider.address();
            !self.kinds.iter().any(|kind| kind.suits(wanted))
        };
        self.lanes.iter().map(Arc::as_ref).filter(suits)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{self, Sealed};
    use crate::config::Config;
    use crate::domain::attempt::Outcome;
    use crate::gateway::{Ties, build_all};
    use crate::store;

    #[tokio::test]
    async fn who_avoids_the_only_provider_that_works_waits_for_the_other() {
        let config = Config::sandbox();
        let metrics = Metrics::default();
        let cache = Sealed::new(cache::open("memory:").unwrap(), [0; 32]);
        let adapters = build_all(&config, &cache).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
        let ties = Ties {
            store: store::open(&url, store::LOCK_WAIT).unwrap(),
            news: Arc::default(),
            loaded_at: crate::clock::from_millis(0),
        };
        let lanes: Vec<Arc<Lane>> = config
            .providers
            .iter()
            .zip(adapters)
            .map(|(provider, adapter)| Arc::new(Lane::new(provider, adapter, &metrics, ties.clone())))
            .collect();
        let now = crate::clock::from_millis(0);
        let reason = "no account".to_owned();
        lanes[1].remember(&Outcome::Misconfigured { reason }.into(), now);
        let route = Route::new(config.channels[0].clone(), &lanes, &metrics);
        let avoid = &lanes[0].name;
        assert!(route.order(Some(avoid), now).is_empty());
        let busy = route.soonest(Some(avoid), now, |_| true);
        assert!(busy.reason.contains(lanes[1].name.as_str()), "{busy:?}");
        assert!(busy.retry_after.as_secs() >= 1, "{busy:?}");
    }
}
