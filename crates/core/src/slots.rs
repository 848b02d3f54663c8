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
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn responsive_provider(in_flight: usize) -> ProviderLoad {
        ProviderLoad {
            in_flight,
            concurrency: 1_000,
            is_available: true,
            is_unresponsive: false,
            has_unknown_recovery: false,
        }
    }

    fn unresponsive_provider(in_flight: usize) -> ProviderLoad {
        ProviderLoad {
            is_unresponsive: true,
            ..responsive_provider(in_flight)
        }
    }

    fn channel(held: usize, carriers: &[usize]) -> ChannelLoad {
        ChannelLoad {
            slots_used: held,
            providers: carriers.to_vec(),
        }
    }

    /// Two channels with a provider each, that hold so many calls.
    fn share_between_two(places: usize, first: usize, second: usize) -> SlotShares {
        let holders = [channel(first, &[0]), channel(second, &[1])];
        share_slots(
            places,
            first + second,
            &holders,
            &[responsive_provider(first), responsive_provider(second)],
        )
    }

    /// Lets a channel of [`two`] take all it may, a few at a time as a worker does.
    fn slots_taken_alone(places: usize, second: usize) -> usize {
        let mut first = 0;
        loop {
            match share_between_two(places, first, second).channel_slots[0] {
                0 => return first,
                room => first += room.min(5),
            }
        }
    }

    #[test]
    fn the_only_channel_uses_every_place() {
        let shares = share_slots(256, 0, &[channel(0, &[0])], &[responsive_provider(0)]);
        assert_eq!(shares.channel_slots, [256]);
    }

    #[test]
    fn a_channel_alone_with_work_uses_nearly_all_places() {
        assert!(slots_taken_alone(256, 0) > 200, "{}", slots_taken_alone(256, 0));
        assert!(slots_taken_alone(8, 0) >= 6, "{}", slots_taken_alone(8, 0));
    }

    #[test]
    fn a_newcomer_has_places_at_once_beside_one_that_hangs() {
        for places in [3, 8, 50, 256, 5_000] {
            let hangs = slots_taken_alone(places, 0);
            let room = share_between_two(places, hangs, 0).channel_slots[1];
            assert!(room >= (places / 16).max(1), "{room} of {places}");
        }
    }

    #[test]
    fn what_the_slow_one_gives_back_goes_to_who_holds_less() {
        let mut slow = slots_taken_alone(256, 0);
        let mut quick = 0;
        loop {
            let rooms = share_between_two(256, slow, quick).channel_slots;
            if rooms[0] > 0 || quick >= slow {
                break;
            }
            quick += rooms[1];
            slow -= 1;
        }
        assert!(quick + 16 >= slow, "{quick} beside {slow}");
    }

    /// Lets a channel of two providers take all it may, all of it through the first.
    fn fill_through_first_provider(places: usize, first: fn(usize) -> ProviderLoad) -> (usize, SlotShares) {
        let mut held = 0;
        loop {
            let shares = share_slots(
                places,
                held,
                &[channel(held, &[0, 1])],
                &[first(held), responsive_provider(0)],
            );
            match shares.channel_slots[0].min(shares.provider_limits[0].saturating_sub(held)) {
                0 => return (held, shares),
                room => held += room.min(5),
            }
        }
    }

    #[test]
    fn a_provider_that_answers_carries_all_that_its_channel_takes_on() {
        for places in [8, 64, 256] {
            let (held, shares) = fill_through_first_provider(places, responsive_provider);
            assert_eq!(
                shares.provider_limits,
                [usize::MAX; 2],
                "its strategy alone says who is asked"
            );
            assert!(held >= places * 3 / 4, "{held} of {places}");
            assert!(held < places, "nothing would be left if it fell silent");
        }
    }

    #[test]
    fn a_provider_that_falls_silent_leaves_places_to_the_other_one_of_its_channel() {
        let (hanging, _) = fill_through_first_provider(256, responsive_provider);
        let carriers = [unresponsive_provider(hanging), responsive_provider(0)];
        let shares = share_slots(256, hanging, &[channel(hanging, &[0, 1])], &carriers);
        assert!(shares.channel_slots[0] >= 32, "{shares:?} beside {hanging}");
        assert_eq!(
            shares.provider_limits,
            [hanging, usize::MAX],
            "no more for the one that hangs"
        );
    }

    #[test]
    fn a_provider_that_was_silent_from_the_first_leaves_more() {
        let (hanging, shares) = fill_through_first_provider(256, unresponsive_provider);
        assert!((128..208).contains(&hanging), "{hanging}");
        assert!(shares.channel_slots[0] >= 48, "{shares:?} beside {hanging}");
    }

    #[test]
    fn when_a_second_one_falls_silent_the_third_has_places() {
        let mut second = 0;
        let at = |second: usize, carriers: [ProviderLoad; 3]| {
            let held = 200 + second;
            share_slots(256, held, &[channel(held, &[0, 1, 2])], &carriers)
        };
        while at(
            second,
            [
                unresponsive_provider(200),
                responsive_provider(second),
                responsive_provider(0),
            ],
        )
        .channel_slots[0]
            > 0
        {
            second += 1;
        }
        let shares = at(
            second,
            [
                unresponsive_provider(200),
                unresponsive_provider(second),
                responsive_provider(0),
            ],
        );
        assert!(shares.channel_slots[0] >= 10, "{shares:?} beside {second}");
        assert!(shares.provider_limits[1] <= second, "{shares:?} beside {second}");
    }

    #[test]
    fn both_keep_their_places_when_another_channel_comes() {
        let holders = [channel(150, &[0, 1]), channel(90, &[2])];
        let carriers = [
            unresponsive_provider(150),
            responsive_provider(0),
            responsive_provider(90),
        ];
        let shares = share_slots(256, 240, &holders, &carriers);
        assert!(
            shares.channel_slots[0] >= 10,
            "kept for the quick one: {shares:?}"
        );
        assert_eq!(shares.provider_limits[0], 150, "not for the one that hangs");
    }

    #[test]
    fn a_channel_whose_providers_are_full_is_left_alone_until_one_is_not() {
        let full = ProviderLoad {
            concurrency: 4,
            ..responsive_provider(4)
        };
        let shares = share_slots(100, 4, &[channel(4, &[0])], &[full]);
        assert_eq!(shares.channel_slots, [0]);
        let resting = ProviderLoad {
            is_available: false,
            ..full
        };
        let shares = share_slots(100, 4, &[channel(4, &[0])], &[resting]);
        assert!(shares.channel_slots[0] > 0, "nobody to ask: a round is short");
    }

    #[test]
    fn a_channel_that_waits_for_a_probe_is_left_alone() {
        let rests = ProviderLoad {
            is_available: false,
            ..responsive_provider(0)
        };
        let awaited = ProviderLoad {
            has_unknown_recovery: true,
            ..rests
        };
        let rooms = |carriers: &[ProviderLoad]| {
            share_slots(100, 1, &[channel(1, &[0, 1])], carriers).channel_slots[0]
        };
        assert_eq!(rooms(&[awaited, rests]), 0);
        assert!(
            rooms(&[rests, rests]) > 0,
            "each is put off once, for as long as it takes"
        );
        assert!(rooms(&[awaited, responsive_provider(0)]) > 0);
    }

    #[test]
    fn a_channel_without_providers_has_room() {
        let shares = share_slots(
            10,
            0,
            &[channel(0, &[]), channel(0, &[0])],
            &[responsive_provider(0)],
        );
        assert!(shares.channel_slots[0] > 0);
    }

    proptest! {
        #[test]
        fn who_holds_nothing_has_room_while_a_place_is_free(
            places in 1_usize..400,
            flights in vec(0_usize..200, 1..8),
        ) {
            let mut left = places;
            let carriers: Vec<ProviderLoad> = flights.iter().map(|wanted| {
                let in_flight = left.min(*wanted);
                left -= in_flight;
                responsive_provider(in_flight)
            }).collect();
            let holders: Vec<ChannelLoad> = carriers.iter().enumerate()
                .map(|(index, carrier)| channel(carrier.in_flight, &[index])).collect();
            let shares = share_slots(places, places - left, &holders, &carriers);
            for (room, holder) in shares.channel_slots.iter().zip(&holders) {
                prop_assert!(*room <= left);
                prop_assert!(*room > 0 || holder.slots_used > 0 || left == 0, "{:?}", shares);
            }
        }
    }
}
