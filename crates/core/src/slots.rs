//! Distribution of a worker's slots among channels and their providers.
//!
//! Some slots are reserved for each provider; the rest are shared. A channel may hold at most seven times as many shared
//! slots as remain free: a single busy channel uses nearly all slots, and a channel that becomes busy never waits for a
//! slow channel. The responsive providers of one channel are limited together, so that the routing strategy alone chooses
//! between them; an unresponsive provider is limited to three times the free slots, and the other slots of its channel
//! remain for the other providers. Pure arithmetic: no clock, no names.

/// Maximum shared slots per free shared slot for a channel beside others, or for the responsive providers of a channel
/// with several.
const CHANNEL_SHARE_FACTOR: usize = 7;

/// Maximum shared slots per free shared slot for an unresponsive provider of a channel with several.
const UNRESPONSIVE_SHARE_FACTOR: usize = 3;

/// One slot in `RESERVED_FRACTION` is reserved for providers that use fewer than their part.
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
    /// True if it has calls in flight and has not answered any of them recently.
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
    /// The maximum number of calls in flight for each provider, beside its configured one.
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

    /// Returns the slots that a channel may take: its part of the shared slots and the reserved slots of its providers,
    /// but no more than its available providers can use. Without an available provider a round is short, so the channel
    /// may take deliveries to postpone them. It may not during a recovery of unknown length, because each delivery would
    /// be postponed repeatedly.
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

    /// Returns the slots for a channel's responsive providers. Any of these providers may get all calls and stop answering
    /// next, so they count as one provider, and the reserved slots of the other providers stay free.
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

    /// Returns how many more shared slots can be taken beside `used` shared slots, so that afterwards at most `factor`
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
