//! How a worker's places are shared between channels and their providers.
//!
//! Every provider has a few places that nobody else may take; the rest are common. A channel may hold so many of
//! the common ones as keep some free for the next who comes: seven times what is left. So whoever is alone uses nearly
//! all, and a newcomer never waits for a slow one. Providers of one channel are not held apart while they answer, so
//! that its strategy alone says who is asked; what their channel leaves free is for the others when one falls silent,
//! which then gets no more than three times what is left. Numbers only: no clock, no names.

/// A channel beside others, or one whose providers may have to stand in for each other, may hold so many common places
/// for each that stays free.
const CHANNEL_SHARE_FACTOR: usize = 7;

/// A silent provider whose channel has others may hold so many common places for each that stays free.
const UNRESPONSIVE_SHARE_FACTOR: usize = 3;

/// The part of all places that is kept for providers which do not use theirs: one of so many.
const RESERVED_FRACTION: usize = 8;

/// A provider as the worker sees it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderLoad {
    /// Calls in flight.
    pub in_flight: usize,
    /// Calls in flight at most.
    pub concurrency: usize,
    /// Whether it can be asked now.
    pub is_available: bool,
    /// Whether it has calls in flight and has answered none for a while.
    pub is_unresponsive: bool,
    /// Whether nobody can say when it can be asked again: a call in flight finds that out, or an operator put it to rest.
    pub has_unknown_recovery: bool,
}

/// A channel as the worker sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelLoad {
    /// Places its deliveries hold.
    pub slots_used: usize,
    /// Its providers, as indexes into the list of all.
    pub providers: Vec<usize>,
}

/// Who may take how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotShares {
    /// How many more deliveries each channel may take on now.
    pub channel_slots: Vec<usize>,
    /// How many calls each provider may have in flight beside what it is configured for.
    pub provider_limits: Vec<usize>,
}

/// Shares `places`, of which `held` are taken (by these channels and by others).
pub fn share_slots(
    places: usize,
    held: usize,
    holders: &[ChannelLoad],
    carriers: &[ProviderLoad],
) -> SlotShares {
    let desk = SlotCalculation::new(places, held, holders, carriers);
    let rooms = holders.iter().map(|holder| desk.channel_slots(holder)).collect();
    let ceilings = (0..carriers.len())
        .map(|index| desk.provider_limit(index))
        .collect();
    SlotShares {
        channel_slots: rooms,
        provider_limits: ceilings,
    }
}

struct SlotCalculation<'a> {
    /// Places each provider can count on.
    reserved_each: usize,
    /// Free places that are kept for nobody.
    shared_free: usize,
    free: usize,
    channels: &'a [ChannelLoad],
    providers: &'a [ProviderLoad],
}

impl<'a> SlotCalculation<'a> {
    fn new(places: usize, held: usize, holders: &'a [ChannelLoad], carriers: &'a [ProviderLoad]) -> Self {
        let kept = if places > carriers.len() {
            (places / (RESERVED_FRACTION * carriers.len().max(1))).max(1)
        } else {
            0
        };
        let free = places.saturating_sub(held);
        let unused: usize = carriers
            .iter()
            .map(|carrier| kept.saturating_sub(carrier.in_flight))
            .sum();
        Self {
            reserved_each: kept,
            shared_free: free.saturating_sub(unused),
            free,
            channels: holders,
            providers: carriers,
        }
    }

    /// What a channel may take: its part of the common places and what is kept for its providers, but no more
    /// than those of them that can be asked have room for. Without such a one its rounds are short; while one of them is
    /// awaited they would be short and many, so it is left alone until that is over.
    fn channel_slots(&self, holder: &ChannelLoad) -> usize {
        let of_its_own: usize = self
            .providers_of(holder)
            .map(|carrier| carrier.in_flight.min(self.reserved_each))
            .sum();
        let hold = (self.channels.len() > 1).then_some(CHANNEL_SHARE_FACTOR);
        let common = self.shared_part(holder.slots_used.saturating_sub(of_its_own), hold);
        let unused: usize = self
            .providers_of(holder)
            .map(|carrier| self.unused_reserved(carrier))
            .sum();
        let room = if self.providers_of(holder).any(|carrier| carrier.is_available) {
            self.available_provider_slots(holder).min(common + unused)
        } else if self
            .providers_of(holder)
            .any(|carrier| carrier.has_unknown_recovery)
        {
            0
        } else {
            common + unused.max(1)
        };
        room.min(self.free)
    }

    /// What those of a channel's providers have room for that can be asked.
    fn available_provider_slots(&self, holder: &ChannelLoad) -> usize {
        let fit = || self.providers_of(holder).filter(|carrier| carrier.is_available);
        let lively = || fit().filter(|carrier| !carrier.is_unresponsive);
        let silent: usize = fit()
            .filter(|carrier| carrier.is_unresponsive)
            .map(|carrier| self.provider_slots(carrier, self.unresponsive_share_factor(holder)))
            .sum();
        let most: usize = lively()
            .map(|carrier| carrier.concurrency.saturating_sub(carrier.in_flight))
            .sum();
        let lively = match lively().count() {
            0 => 0,
            1 => lively().map(|carrier| self.provider_slots(carrier, None)).sum(),
            _ => self.responsive_slots(holder).min(most),
        };
        silent + lively
    }

    /// What may go to a channel's providers that answer. Any of them may get all of it, and may be the next to fall
    /// silent: so they count as one, and what is kept for the others stays free.
    fn responsive_slots(&self, holder: &ChannelLoad) -> usize {
        let silent: usize = self
            .providers_of(holder)
            .filter(|carrier| carrier.is_unresponsive)
            .map(|carrier| carrier.in_flight)
            .sum();
        let held = holder.slots_used.saturating_sub(silent);
        let beyond = held.saturating_sub(self.reserved_each);
        self.shared_part(beyond, Some(CHANNEL_SHARE_FACTOR)) + self.reserved_each.saturating_sub(held)
    }

    /// One that answers has none of its own.
    fn provider_limit(&self, index: usize) -> usize {
        let carrier = &self.providers[index];
        let holders = self.channels.iter();
        let mut holds = holders
            .filter(|holder| holder.providers.contains(&index))
            .filter_map(|holder| self.unresponsive_share_factor(holder));
        match holds.next() {
            Some(hold) if carrier.is_unresponsive => {
                carrier.in_flight + self.provider_slots(carrier, Some(hold))
            }
            _ => usize::MAX,
        }
    }

    fn unresponsive_share_factor(&self, holder: &ChannelLoad) -> Option<usize> {
        (holder.providers.len() > 1).then_some(UNRESPONSIVE_SHARE_FACTOR)
    }

    fn provider_slots(&self, carrier: &ProviderLoad, hold: Option<usize>) -> usize {
        let beyond = carrier.in_flight.saturating_sub(self.reserved_each);
        let room = self.shared_part(beyond, hold) + self.unused_reserved(carrier);
        room.min(carrier.concurrency.saturating_sub(carrier.in_flight))
    }

    fn unused_reserved(&self, carrier: &ProviderLoad) -> usize {
        self.reserved_each.saturating_sub(carrier.in_flight)
    }

    fn providers_of(&self, holder: &'a ChannelLoad) -> impl Iterator<Item = &'a ProviderLoad> {
        holder.providers.iter().map(|index| &self.providers[*index])
    }

    /// How many more common places may be taken by one who holds so many, so that afterwards it holds no more
    /// than `hold` for each that is free.
    fn shared_part(&self, held: usize, hold: Option<usize>) -> usize {
        match hold {
            Some(hold) => (hold * self.shared_free).saturating_sub(held).div_ceil(hold + 1),
            None => self.shared_free,
        }
    }
}

#[cfg(test)]
mod tests;
