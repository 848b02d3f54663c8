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
    let rooms =
        |carriers: &[ProviderLoad]| share_slots(100, 1, &[channel(1, &[0, 1])], carriers).channel_slots[0];
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
