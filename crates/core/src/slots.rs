//! Distribution of a worker's slots among channels and their providers.
//!
//! Some slots are reserved for each provider; the rest are shared. A channel may hold at most seven shared slots for
//! each shared slot that stays free. So a single busy channel can use nearly all slots, and a channel that becomes busy
//! later finds free ones. The responsive providers of one channel are limited together, so that only the routing
//! strategy chooses between them. An unresponsive provider may hold at most three shared slots for each free one; the
//! other providers of its channel use the rest. Pure arithmetic: no clock, no names.

/// Maximum number of shared slots per free shared slot: for a channel among several, or for the responsive providers of
/// a channel with several providers.
const CHANNEL_SHARE_FACTOR: usize = 7;

/// Maximum number of shared slots per free shared slot, for an unresponsive provider of a channel with several
/// providers.
const UNRESPONSIVE_SHARE_FACTOR: usize = 3;

/// One of `RESERVED_FRACTION` slots is reserved. The reserved slots go to providers that use fewer slots than their
/// part.
const RESERVED_FRACTION: usize = 8;

/// The present load of a provider in this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderLoad {
    /// Calls in flight.
    pub in_flight: usize,
    /// Maximum calls in flight.
    pub concurrency: usize,
    /// True if a call may start now.
    pub is_available: bool,
    /// True if the time at which the provider becomes available is unknown: a probe is in flight, or an operator has
    /// paused the provider.
    pub is_unresponsive: bool,
    /// True if the time at which it becomes available is unknown: a probe is running, or an operator has paused it.
    pub has_unknown_recovery: bool,
}

impl ProviderLoad {
    fn free_concurrency(&self) -> usize {
        self.concurrency.saturating_sub(self.in_flight)
    }
}

/// The present load of a channel in this worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelLoad {
    /// Slots that its deliveries use.
    pub slots_used: usize,
    /// Providers of the channel, as indexes into the list of all providers.
    pub providers: Vec<usize>,
}

/// The result of [`share_slots`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotShares {
    /// The number of deliveries that each channel may take now.
    pub channel_slots: Vec<usize>,
    /// The maximum number of calls in flight for each provider, in addition to its configured maximum.
    pub provider_limits: Vec<usize>,
}

/// Distributes `slots`, of which `used` are taken.
pub fn share_slots(
    slots: usize,
    used: usize,
    channels: &[ChannelLoad],
    providers: &[ProviderLoad],
) -> SlotShares {
    let calculation = SlotCalculation::new(slots, used, channels, providers);
    SlotShares {
        channel_slots: channels.iter().map(|channel| calculation.channel_slots(channel)).collect(),
        provider_limits: (0..providers.len()).map(|index| calculation.provider_limit(index)).collect(),
    }
}

struct SlotCalculation<'a> {
    /// Slots reserved for each provider.
    reserved_each: usize,
    /// Free slots that are not reserved.
    shared_free: usize,
    free: usize,
    channels: &'a [ChannelLoad],
    providers: &'a [ProviderLoad],
}

impl<'a> SlotCalculation<'a> {
    fn new(slots: usize, used: usize, channels: &'a [ChannelLoad], providers: &'a [ProviderLoad]) -> Self {
        let reserved_each = if slots > providers.len() {
            (slots / (RESERVED_FRACTION * providers.len().max(1))).max(1)
        } else {
            0
        };
        let free = slots.saturating_sub(used);
        let unused_reserved: usize =
            providers.iter().map(|provider| reserved_each.saturating_sub(provider.in_flight)).sum();
        Self { reserved_each, shared_free: free.saturating_sub(unused_reserved), free, channels, providers }
    }

    /// Returns the number of slots that a channel may take: its part of the shared slots plus the reserved slots of its
    /// providers, but no more than its available providers can use. A channel without an available provider may also
    /// take deliveries, because a round that only postpones them is short. It takes none if the time of the recovery is
    /// unknown, because each delivery would then be postponed repeatedly.
    fn channel_slots(&self, channel: &ChannelLoad) -> usize {
        let reserved_used: usize =
            self.providers_of(channel).map(|provider| provider.in_flight.min(self.reserved_each)).sum();
        let share_factor = (self.channels.len() > 1).then_some(CHANNEL_SHARE_FACTOR);
        let shared = self.shared_part(channel.slots_used.saturating_sub(reserved_used), share_factor);
        let reserved: usize = self.providers_of(channel).map(|provider| self.unused_reserved(provider)).sum();
        let slots = if self.providers_of(channel).any(|provider| provider.is_available) {
            self.available_provider_slots(channel).min(shared + reserved)
        } else if self.providers_of(channel).any(|provider| provider.has_unknown_recovery) {
            0
        } else {
            shared + reserved.max(1)
        };
        slots.min(self.free)
    }

    /// Returns the slots that a channel's available providers can use.
    fn available_provider_slots(&self, channel: &ChannelLoad) -> usize {
        let available = || self.providers_of(channel).filter(|provider| provider.is_available);
        let responsive = || available().filter(|provider| !provider.is_unresponsive);
        let unresponsive_slots: usize = available()
            .filter(|provider| provider.is_unresponsive)
            .map(|provider| self.provider_slots(provider, self.unresponsive_share_factor(channel)))
            .sum();
        let responsive_concurrency: usize = responsive().map(ProviderLoad::free_concurrency).sum();
        let responsive_slots = match responsive().count() {
            0 => 0,
            1 => responsive().map(|provider| self.provider_slots(provider, None)).sum(),
            _ => self.responsive_slots(channel).min(responsive_concurrency),
        };
        unresponsive_slots + responsive_slots
    }

    /// Returns the slots for a channel's responsive providers together. Any one of them may get all calls and then stop
    /// answering. They therefore count as one provider, and the reserved slots of the other providers stay free.
    fn responsive_slots(&self, channel: &ChannelLoad) -> usize {
        let unresponsive_providers = self.providers_of(channel).filter(|provider| provider.is_unresponsive);
        let unresponsive_calls: usize = unresponsive_providers.map(|provider| provider.in_flight).sum();
        let used = channel.slots_used.saturating_sub(unresponsive_calls);
        let shared_used = used.saturating_sub(self.reserved_each);
        self.shared_part(shared_used, Some(CHANNEL_SHARE_FACTOR)) + self.reserved_each.saturating_sub(used)
    }

    /// Returns the limit of a provider; `usize::MAX` unless the provider is unresponsive and its channel has others.
    fn provider_limit(&self, index: usize) -> usize {
        let provider = &self.providers[index];
        let mut channels = self.channels.iter().filter(|channel| channel.providers.contains(&index));
        match channels.find_map(|channel| self.unresponsive_share_factor(channel)) {
            Some(factor) if provider.is_unresponsive => {
                provider.in_flight + self.provider_slots(provider, Some(factor))
            }
            _ => usize::MAX,
        }
    }

    fn unresponsive_share_factor(&self, channel: &ChannelLoad) -> Option<usize> {
        (channel.providers.len() > 1).then_some(UNRESPONSIVE_SHARE_FACTOR)
    }

    fn provider_slots(&self, provider: &ProviderLoad, factor: Option<usize>) -> usize {
        let shared_used = provider.in_flight.saturating_sub(self.reserved_each);
        let slots = self.shared_part(shared_used, factor) + self.unused_reserved(provider);
        slots.min(provider.free_concurrency())
    }

    fn unused_reserved(&self, provider: &ProviderLoad) -> usize {
        self.reserved_each.saturating_sub(provider.in_flight)
    }

    fn providers_of(&self, channel: &'a ChannelLoad) -> impl Iterator<Item = &'a ProviderLoad> {
        channel.providers.iter().map(|index| &self.providers[*index])
    }

    /// Returns how many more shared slots may be taken when `used` are taken already. Afterwards at most `factor`
    /// shared slots are used for each free one.
    fn shared_part(&self, used: usize, factor: Option<usize>) -> usize {
        match factor {
            Some(factor) => (factor * self.shared_free).saturating_sub(used).div_ceil(factor + 1),
            None => self.shared_free,
        }
    }
}

#[cfg(test)]
mod tests;
