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
    ProviderLoad { is_unresponsive: true, ..responsive_provider(in_flight) }
}

fn channel(used: usize, providers: &[usize]) -> ChannelLoad {
    ChannelLoad { slots_used: used, providers: providers.to_vec() }
}

/// Shares slots between two channels with one provider each and so many calls in flight.
fn share_between_two(slots: usize, first: usize, second: usize) -> SlotShares {
    let channels = [channel(first, &[0]), channel(second, &[1])];
    share_slots(slots, first + second, &channels, &[responsive_provider(first), responsive_provider(second)])
}

/// Returns how many slots the first of two channels takes, a few at a time as a worker does.
fn slots_taken_alone(slots: usize, second: usize) -> usize {
    let mut first = 0;
    loop {
        match share_between_two(slots, first, second).channel_slots[0] {
            0 => return first,
            granted => first += granted.min(5),
        }
    }
}

#[test]
fn the_only_channel_uses_every_slot() {
    let shares = share_slots(256, 0, &[channel(0, &[0])], &[responsive_provider(0)]);
    assert_eq!(shares.channel_slots, [256]);
}

#[test]
fn the_only_busy_channel_uses_nearly_all_slots() {
    assert!(slots_taken_alone(256, 0) > 200, "{}", slots_taken_alone(256, 0));
    assert!(slots_taken_alone(8, 0) >= 6, "{}", slots_taken_alone(8, 0));
}

#[test]
fn a_new_channel_gets_slots_at_once_beside_one_that_hangs() {
    for slots in [3, 8, 50, 256, 5_000] {
        let hangs = slots_taken_alone(slots, 0);
        let granted = share_between_two(slots, hangs, 0).channel_slots[1];
        assert!(granted >= (slots / 16).max(1), "{granted} of {slots}");
    }
}

#[test]
fn released_slots_go_to_the_channel_with_fewer() {
    let mut slow = slots_taken_alone(256, 0);
    let mut fast = 0;
    loop {
        let channel_slots = share_between_two(256, slow, fast).channel_slots;
        if channel_slots[0] > 0 || fast >= slow {
            break;
        }
        fast += channel_slots[1];
        slow -= 1;
    }
    assert!(fast + 16 >= slow, "{fast} beside {slow}");
}

/// Lets a channel with two providers take all slots that it may, all through the first provider.
fn fill_through_first_provider(slots: usize, first: fn(usize) -> ProviderLoad) -> (usize, SlotShares) {
    let mut used = 0;
    loop {
        let shares =
            share_slots(slots, used, &[channel(used, &[0, 1])], &[first(used), responsive_provider(0)]);
        match shares.channel_slots[0].min(shares.provider_limits[0].saturating_sub(used)) {
            0 => return (used, shares),
            granted => used += granted.min(5),
        }
    }
}

#[test]
fn a_responsive_provider_may_get_all_calls_of_its_channel() {
    for slots in [8, 64, 256] {
        let (used, shares) = fill_through_first_provider(slots, responsive_provider);
        assert_eq!(
            shares.provider_limits,
            [usize::MAX; 2],
            "the routing strategy alone chooses the provider"
        );
        assert!(used >= slots * 3 / 4, "{used} of {slots}");
        assert!(used < slots, "nothing would be left if it stopped answering");
    }
}

#[test]
fn a_provider_that_stops_answering_leaves_slots_to_the_other_of_its_channel() {
    let (hanging, _) = fill_through_first_provider(256, responsive_provider);
    let providers = [unresponsive_provider(hanging), responsive_provider(0)];
    let shares = share_slots(256, hanging, &[channel(hanging, &[0, 1])], &providers);
    assert!(shares.channel_slots[0] >= 32, "{shares:?} beside {hanging}");
    assert_eq!(shares.provider_limits, [hanging, usize::MAX], "no more calls to the unresponsive provider");
}

#[test]
fn a_provider_that_never_answered_leaves_more_slots() {
    let (hanging, shares) = fill_through_first_provider(256, unresponsive_provider);
    assert!((128..208).contains(&hanging), "{hanging}");
    assert!(shares.channel_slots[0] >= 48, "{shares:?} beside {hanging}");
}

#[test]
fn when_a_second_provider_stops_answering_the_third_has_slots() {
    let mut second = 0;
    let at = |second: usize, providers: [ProviderLoad; 3]| {
        let used = 200 + second;
        share_slots(256, used, &[channel(used, &[0, 1, 2])], &providers)
    };
    while at(second, [unresponsive_provider(200), responsive_provider(second), responsive_provider(0)])
        .channel_slots[0]
        > 0
    {
        second += 1;
    }
    let shares =
        at(second, [unresponsive_provider(200), unresponsive_provider(second), responsive_provider(0)]);
    assert!(shares.channel_slots[0] >= 10, "{shares:?} beside {second}");
    assert!(shares.provider_limits[1] <= second, "{shares:?} beside {second}");
}

#[test]
fn reserved_slots_remain_when_another_channel_comes() {
    let channels = [channel(150, &[0, 1]), channel(90, &[2])];
    let providers = [unresponsive_provider(150), responsive_provider(0), responsive_provider(90)];
    let shares = share_slots(256, 240, &channels, &providers);
    assert!(shares.channel_slots[0] >= 10, "reserved for the responsive provider: {shares:?}");
    assert_eq!(shares.provider_limits[0], 150, "not for the unresponsive provider");
}

#[test]
fn a_channel_whose_providers_are_full_gets_no_slots() {
    let full = ProviderLoad { concurrency: 4, ..responsive_provider(4) };
    let shares = share_slots(100, 4, &[channel(4, &[0])], &[full]);
    assert_eq!(shares.channel_slots, [0]);
    let unavailable = ProviderLoad { is_available: false, ..full };
    let shares = share_slots(100, 4, &[channel(4, &[0])], &[unavailable]);
    assert!(shares.channel_slots[0] > 0, "no provider to call: a round is short");
}

#[test]
fn a_channel_that_waits_for_a_probe_gets_no_slots() {
    let unavailable = ProviderLoad { is_available: false, ..responsive_provider(0) };
    let recovering = ProviderLoad { has_unknown_recovery: true, ..unavailable };
    let channel_slots =
        |providers: &[ProviderLoad]| share_slots(100, 1, &[channel(1, &[0, 1])], providers).channel_slots[0];
    assert_eq!(channel_slots(&[recovering, unavailable]), 0);
    assert!(
        channel_slots(&[unavailable, unavailable]) > 0,
        "each delivery is postponed once, for as long as it takes"
    );
    assert!(channel_slots(&[recovering, responsive_provider(0)]) > 0);
}

#[test]
fn a_channel_without_providers_gets_slots() {
    let shares = share_slots(10, 0, &[channel(0, &[]), channel(0, &[0])], &[responsive_provider(0)]);
    assert!(shares.channel_slots[0] > 0);
}

proptest! {
    #[test]
    fn a_channel_without_slots_gets_one_while_one_is_free(
        slots in 1_usize..400,
        flights in vec(0_usize..200, 1..8),
    ) {
        let mut left = slots;
        let providers: Vec<ProviderLoad> = flights.iter().map(|wanted| {
            let in_flight = left.min(*wanted);
            left -= in_flight;
            responsive_provider(in_flight)
        }).collect();
        let channels: Vec<ChannelLoad> = providers.iter().enumerate()
            .map(|(index, provider)| channel(provider.in_flight, &[index])).collect();
        let shares = share_slots(slots, slots - left, &channels, &providers);
        for (granted, load) in shares.channel_slots.iter().zip(&channels) {
            prop_assert!(*granted <= left);
            prop_assert!(*granted > 0 || load.slots_used > 0 || left == 0, "{:?}", shares);
        }
    }
}
