//! How a worker's places are shared between channels and their providers.
//!
//! Every provider has a few places that nobody else may take; the rest are common. A channel may hold so many of
//! the common ones as keep some free for the next who comes: seven times what is left, a provider beside others
//! three times. So whoever is alone uses nearly all, and a newcomer never waits for a slow one. Numbers only:
//! no clock, no names.

/// A channel may hold so many common places for each that stays free.
const CHANNEL_HOLD: usize = 7;

/// A provider whose channel has others may hold so many common places for each that stays free.
const PROVIDER_HOLD: usize = 3;

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
    /// How many calls each provider may have in flight.
    pub ceilings: Vec<usize>,
}

/// Shares `places`, of which `held` are taken (by these channels and by others).
pub fn share(places: usize, held: usize, holders: &[Holder], carriers: &[Carrier]) -> Shares {
    let desk = Desk::new(places, held, holders, carriers);
    let rooms = holders.iter().map(|holder| desk.room(holder)).collect();
    let ceilings = (0..carriers.len())
        .map(|index| carriers[index].in_flight + desk.carrier_room(index))
        .collect();
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
    /// than those of them that can be asked have room for. Without such a one its rounds are short.
    fn room(&self, holder: &Holder) -> usize {
        let of_its_own: usize = holder
            .carriers
            .iter()
            .map(|index| self.carriers[*index].in_flight.min(self.kept))
            .sum();
        let hold = (self.holders.len() > 1).then_some(CHANNEL_HOLD);
        let common = self.part(holder.held.saturating_sub(of_its_own), hold);
        let mut carried = None;
        let mut unused = 0;
        for index in &holder.carriers {
            let carrier = &self.carriers[*index];
            unused += self.kept.saturating_sub(carrier.in_flight);
            if carrier.fit {
                carried = Some(carried.unwrap_or(0) + self.carrier_room(*index));
            }
        }
        let room = carried.map_or(common + unused.max(1), |carried| carried.min(common + unused));
        room.min(self.free)
    }

    fn carrier_room(&self, index: usize) -> usize {
        let carrier = &self.carriers[index];
        let has_others = self
            .holders
            .iter()
            .any(|holder| holder.carriers.len() > 1 && holder.carriers.contains(&index));
        let beyond = carrier.in_flight.saturating_sub(self.kept);
        let common = self.part(beyond, has_others.then_some(PROVIDER_HOLD));
        let own = self.kept.saturating_sub(carrier.in_flight);
        (common + own).min(carrier.concurrency.saturating_sub(carrier.in_flight))
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

    #[test]
    fn a_provider_that_hangs_leaves_places_to_the_other_one_of_its_channel() {
        let mut hanging = 0;
        loop {
            let shares = share(
                256,
                hanging,
                &[holder(hanging, &[0, 1])],
                &[carrier(hanging), carrier(0)],
            );
            if shares.ceilings[0] <= hanging {
                assert!(shares.rooms[0] >= 32, "{shares:?} beside {hanging}");
                assert!(shares.ceilings[1] >= 32, "{shares:?} beside {hanging}");
                break;
            }
            hanging += 1;
        }
        assert!(hanging > 128, "{hanging}");
    }

    #[test]
    fn both_keep_their_places_when_another_channel_comes() {
        let holders = [holder(150, &[0, 1]), holder(90, &[2])];
        let carriers = [carrier(150), carrier(0), carrier(90)];
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
