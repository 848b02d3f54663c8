//! How a worker's places are shared between channels and their providers.
//!
//! Every provider has a few places that nobody else may take; the rest are common. A channel may hold so many of
//! the common ones as keep some free for the next who comes: seven times what is left. So whoever is alone uses nearly
//! all, and a newcomer never waits for a slow one. Providers of one channel are not held apart while they answer, so
//! that its strategy alone says who is asked; what their channel leaves free is for the others when one falls silent,
//! which then gets no more than three times what is left. Numbers only: no clock, no names.

/// A channel beside others, or one whose providers may have to stand in for each other, may hold so many common places
/// for each that stays free.
const CHANNEL_HOLD: usize = 7;

/// A silent provider whose channel has others may hold so many common places for each that stays free.
const SILENT_HOLD: usize = 3;

/// The part of all places that is kept for providers which do not use theirs: one of so many.
const KEPT_PART: usize = 8;

/// A provider as the worker sees it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// Calls in flight.
    pub in_flight: usize,
    /// Calls in flight at most.
    pub concurrency: usize,
    /// Whether it can be asked now.
    pub fit: bool,
    /// Whether it has calls in flight and has answered none for a while.
    pub silent: bool,
    /// Whether nobody can say when it can be asked again: a call in flight finds that out, or an operator put it to rest.
    pub awaited: bool,
}

/// A channel as the worker sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Places its deliveries hold.
    pub held: usize,
    /// Its providers, as indexes into the list of all.
    pub carriers: Vec<usize>,
}

/// Who may take how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// How many more deliveries each channel may take on now.
    pub rooms: Vec<usize>,
    /// How many calls each provider may have in flight beside what it is configured for.
    pub ceilings: Vec<usize>,
}

/// Shares `places`, of which `held` are taken (by these channels and by others).
pub fn share(places: usize, held: usize, holders: &[Holder], carriers: &[Carrier]) -> Shares {
    let desk = Desk::new(places, held, holders, carriers);
    let rooms = holders.iter().map(|holder| desk.room(holder)).collect();
    let ceilings = (0..carriers.len()).map(|index| desk.ceiling(index)).collect();
    Shares { rooms, ceilings }
}

struct Desk<'a> {
    /// Places each provider can count on.
    kept: usize,
    /// Free places that are kept for nobody.
    common: usize,
    free: usize,
    holders: &'a [Holder],
    carriers: &'a [Carrier],
}

impl<'a> Desk<'a> {
    fn new(places: usize, held: usize, holders: &'a [Holder], carriers: &'a [Carrier]) -> Self {
        let kept = if places > carriers.len() {
            (places / (KEPT_PART * carriers.len().max(1))).max(1)
        } else {
            0
        };
        let free = places.saturating_sub(held);
        let unused: usize = carriers
            .iter()
            .map(|carrier| kept.saturating_sub(carrier.in_flight))
            .sum();
        Self {
            kept,
            common: free.saturating_sub(unused),
            free,
            holders,
            carriers,
        }
    }

    /// What a channel may take: its part of the common places and what is kept for its providers, but no more
    /// than those of them that can be asked have room for. Without such a one its rounds are short; while one of them is
    /// awaited they would be short and many, so it is left alone until that is over.
    fn room(&self, holder: &Holder) -> usize {
        let of_its_own: usize = self
            .of(holder)
            .map(|carrier| carrier.in_flight.min(self.kept))
            .sum();
        let hold = (self.holders.len() > 1).then_some(CHANNEL_HOLD);
        let common = self.part(holder.held.saturating_sub(of_its_own), hold);
        let unused: usize = self.of(holder).map(|carrier| self.unused(carrier)).sum();
        let room = if self.of(holder).any(|carrier| carrier.fit) {
            self.carried(holder).min(common + unused)
        } else if self.of(holder).any(|carrier| carrier.awaited) {
            0
        } else {
            common + unused.max(1)
        };
        room.min(self.free)
    }

    /// What those of a channel's providers have room for that can be asked.
    fn carried(&self, holder: &Holder) -> usize {
        let fit = || self.of(holder).filter(|carrier| carrier.fit);
        let lively = || fit().filter(|carrier| !carrier.silent);
        let silent: usize = fit()
            .filter(|carrier| carrier.silent)
            .map(|carrier| self.carrier_room(carrier, self.silent_hold(holder)))
            .sum();
        let most: usize = lively()
            .map(|carrier| carrier.concurrency.saturating_sub(carrier.in_flight))
            .sum();
        let lively = match lively().count() {
            0 => 0,
            1 => lively().map(|carrier| self.carrier_room(carrier, None)).sum(),
            _ => self.lively_room(holder).min(most),
        };
        silent + lively
    }

    /// What may go to a channel's providers that answer. Any of them may get all of it, and may be the next to fall
    /// silent: so they count as one, and what is kept for the others stays free.
    fn lively_room(&self, holder: &Holder) -> usize {
        let silent: usize = self
            .of(holder)
            .filter(|carrier| carrier.silent)
            .map(|carrier| carrier.in_flight)
            .sum();
        let held = holder.held.saturating_sub(silent);
        let beyond = held.saturating_sub(self.kept);
        self.part(beyond, Some(CHANNEL_HOLD)) + self.kept.saturating_sub(held)
    }

    /// One that answers has none of its own.
    fn ceiling(&self, index: usize) -> usize {
        let carrier = &self.carriers[index];
        let holders = self.holders.iter();
        let mut holds = holders
            .filter(|holder| holder.carriers.contains(&index))
            .filter_map(|holder| self.silent_hold(holder));
        match holds.next() {
            Some(hold) if carrier.silent => carrier.in_flight + self.carrier_room(carrier, Some(hold)),
            _ => usize::MAX,
        }
    }

    fn silent_hold(&self, holder: &Holder) -> Option<usize> {
        (holder.carriers.len() > 1).then_some(SILENT_HOLD)
    }

    fn carrier_room(&self, carrier: &Carrier, hold: Option<usize>) -> usize {
        let beyond = carrier.in_flight.saturating_sub(self.kept);
        let room = self.part(beyond, hold) + self.unused(carrier);
        room.min(carrier.concurrency.saturating_sub(carrier.in_flight))
    }

    fn unused(&self, carrier: &Carrier) -> usize {
        self.kept.saturating_sub(carrier.in_flight)
    }

    fn of(&self, holder: &'a Holder) -> impl Iterator<Item = &'a Carrier> {
        holder.carriers.iter().map(|index| &self.carriers[*index])
    }

    /// How many more common places may be taken by one who holds so many, so that afterwards it holds no more
    /// than `hold` for each that is free.
    fn part(&self, held: usize, hold: Option<usize>) -> usize {
        match hold {
            Some(hold) => (hold * self.common).saturating_sub(held).div_ceil(hold + 1),
            None => self.common,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn carrier(in_flight: usize) -> Carrier {
        Carrier {
            in_flight,
            concurrency: 1_000,
            fit: true,
            silent: false,
            awaited: false,
        }
    }

    fn silent(in_flight: usize) -> Carrier {
        Carrier {
            silent: true,
            ..carrier(in_flight)
        }
    }

    fn holder(held: usize, carriers: &[usize]) -> Holder {
        Holder {
            held,
            carriers: carriers.to_vec(),
        }
    }

    /// Two channels with a provider each, that hold so many calls.
    fn two(places: usize, first: usize, second: usize) -> Shares {
        let holders = [holder(first, &[0]), holder(second, &[1])];
        share(
            places,
            first + second,
            &holders,
            &[carrier(first), carrier(second)],
        )
    }

    /// Lets a channel of [`two`] take all it may, a few at a time as a worker does.
    fn filled(places: usize, second: usize) -> usize {
        let mut first = 0;
        loop {
            match two(places, first, second).rooms[0] {
                0 => return first,
                room => first += room.min(5),
            }
        }
    }

    #[test]
    fn the_only_channel_uses_every_place() {
        let shares = share(256, 0, &[holder(0, &[0])], &[carrier(0)]);
        assert_eq!(shares.rooms, [256]);
    }

    #[test]
    fn a_channel_alone_with_work_uses_nearly_all_places() {
        assert!(filled(256, 0) > 200, "{}", filled(256, 0));
        assert!(filled(8, 0) >= 6, "{}", filled(8, 0));
    }

    #[test]
    fn a_newcomer_has_places_at_once_beside_one_that_hangs() {
        for places in [3, 8, 50, 256, 5_000] {
            let hangs = filled(places, 0);
            let room = two(places, hangs, 0).rooms[1];
            assert!(room >= (places / 16).max(1), "{room} of {places}");
        }
    }

    #[test]
    fn what_the_slow_one_gives_back_goes_to_who_holds_less() {
        let mut slow = filled(256, 0);
        let mut quick = 0;
        loop {
            let rooms = two(256, slow, quick).rooms;
            if rooms[0] > 0 || quick >= slow {
                break;
            }
            quick += rooms[1];
            slow -= 1;
        }
        assert!(quick + 16 >= slow, "{quick} beside {slow}");
    }

    /// Lets a channel of two providers take all it may, all of it through the first.
    fn through_the_first(places: usize, first: fn(usize) -> Carrier) -> (usize, Shares) {
        let mut held = 0;
        loop {
            let shares = share(places, held, &[holder(held, &[0, 1])], &[first(held), carrier(0)]);
            match shares.rooms[0].min(shares.ceilings[0].saturating_sub(held)) {
                0 => return (held, shares),
                room => held += room.min(5),
            }
        }
    }

    #[test]
    fn a_provider_that_answers_carries_all_that_its_channel_takes_on() {
        for places in [8, 64, 256] {
            let (held, shares) = through_the_first(places, carrier);
            assert_eq!(
                shares.ceilings,
                [usize::MAX; 2],
                "its strategy alone says who is asked"
            );
            assert!(held >= places * 3 / 4, "{held} of {places}");
            assert!(held < places, "nothing would be left if it fell silent");
        }
    }

    #[test]
    fn a_provider_that_falls_silent_leaves_places_to_the_other_one_of_its_channel() {
        let (hanging, _) = through_the_first(256, carrier);
        let carriers = [silent(hanging), carrier(0)];
        let shares = share(256, hanging, &[holder(hanging, &[0, 1])], &carriers);
        assert!(shares.rooms[0] >= 32, "{shares:?} beside {hanging}");
        assert_eq!(
            shares.ceilings,
            [hanging, usize::MAX],
            "no more for the one that hangs"
        );
    }

    #[test]
    fn a_provider_that_was_silent_from_the_first_leaves_more() {
        let (hanging, shares) = through_the_first(256, silent);
        assert!((128..208).contains(&hanging), "{hanging}");
        assert!(shares.rooms[0] >= 48, "{shares:?} beside {hanging}");
    }

    #[test]
    fn when_a_second_one_falls_silent_the_third_has_places() {
        let mut second = 0;
        let at = |second: usize, carriers: [Carrier; 3]| {
            let held = 200 + second;
            share(256, held, &[holder(held, &[0, 1, 2])], &carriers)
        };
        while at(second, [silent(200), carrier(second), carrier(0)]).rooms[0] > 0 {
            second += 1;
        }
        let shares = at(second, [silent(200), silent(second), carrier(0)]);
        assert!(shares.rooms[0] >= 10, "{shares:?} beside {second}");
        assert!(shares.ceilings[1] <= second, "{shares:?} beside {second}");
    }

    #[test]
    fn both_keep_their_places_when_another_channel_comes() {
        let holders = [holder(150, &[0, 1]), holder(90, &[2])];
        let carriers = [silent(150), carrier(0), carrier(90)];
        let shares = share(256, 240, &holders, &carriers);
        assert!(shares.rooms[0] >= 10, "kept for the quick one: {shares:?}");
        assert_eq!(shares.ceilings[0], 150, "not for the one that hangs");
    }

    #[test]
    fn a_channel_whose_providers_are_full_is_left_alone_until_one_is_not() {
        let full = Carrier {
            concurrency: 4,
            ..carrier(4)
        };
        let shares = share(100, 4, &[holder(4, &[0])], &[full]);
        assert_eq!(shares.rooms, [0]);
        let resting = Carrier { fit: false, ..full };
        let shares = share(100, 4, &[holder(4, &[0])], &[resting]);
        assert!(shares.rooms[0] > 0, "nobody to ask: a round is short");
    }

    #[test]
    fn a_channel_that_waits_for_a_probe_is_left_alone() {
        let rests = Carrier {
            fit: false,
            ..carrier(0)
        };
        let awaited = Carrier {
            awaited: true,
            ..rests
        };
        let rooms = |carriers: &[Carrier]| share(100, 1, &[holder(1, &[0, 1])], carriers).rooms[0];
        assert_eq!(rooms(&[awaited, rests]), 0);
        assert!(
            rooms(&[rests, rests]) > 0,
            "each is put off once, for as long as it takes"
        );
        assert!(rooms(&[awaited, carrier(0)]) > 0);
    }

    #[test]
    fn a_channel_without_providers_has_room() {
        let shares = share(10, 0, &[holder(0, &[]), holder(0, &[0])], &[carrier(0)]);
        assert!(shares.rooms[0] > 0);
    }

    proptest! {
        #[test]
        fn who_holds_nothing_has_room_while_a_place_is_free(
            places in 1_usize..400,
            flights in vec(0_usize..200, 1..8),
        ) {
            let mut left = places;
            let carriers: Vec<Carrier> = flights.iter().map(|wanted| {
                let in_flight = left.min(*wanted);
                left -= in_flight;
                carrier(in_flight)
            }).collect();
            let holders: Vec<Holder> = carriers.iter().enumerate()
                .map(|(index, carrier)| holder(carrier.in_flight, &[index])).collect();
            let shares = share(places, places - left, &holders, &carriers);
            for (room, holder) in shares.rooms.iter().zip(&holders) {
                prop_assert!(*room <= left);
                prop_assert!(*room > 0 || holder.held > 0 || left == 0, "{:?}", shares);
            }
        }
    }
}
