//! Waits that end after the expiry, and waits that a provider asked for.

use super::*;

fn unavailable(retry_after: u64, is_requested_by_provider: bool) -> RoundEnd {
    let retry_after = Duration::from_secs(retry_after);
    RoundEnd::NoProviderAvailable { retry_after, reason: reason(), is_requested_by_provider }
}

/// Returns the due time in milliseconds after second 0, and the expiry in seconds.
fn wait_of(case: &RoundCase, end: RoundEnd) -> (i64, i64) {
    let next = case.transition(end);
    match next.state {
        DeliveryState::Waiting { due_at, .. } => (due_at.timestamp_millis(), next.expires_at.timestamp()),
        state => panic!("{state:?}"),
    }
}

#[test]
fn no_wait_ends_a_delivery_before_its_expiry() {
    for (end, (state, tries), _) in all_round_ends() {
        let short = RoundCase { expires_at: 107, client_expires_at: Some(107), ..RoundCase::default() };
        let (after, tries_after) = short.after(end.clone());
        assert_eq!(after.starts_with("waiting"), state.starts_with("waiting"), "{end:?} {after}");
        assert_eq!(tries_after, tries, "{end:?}");
    }
}

#[test]
fn the_last_try_comes_shortly_before_the_expiry() {
    for (expires_at, expected_ms) in
        [(700, 685_000), (161, 146_000), (160, 145_000), (140, 130_000), (108, 106_000), (101, 100_750)]
    {
        let case = RoundCase { expires_at, ..RoundCase::default() };
        let (due_ms, expiry) = wait_of(&case, unavailable(830, false));
        assert_eq!((due_ms, expiry), (expected_ms, expires_at));
    }
}

#[test]
fn after_the_last_try_a_delivery_waits_for_its_expiry() {
    let case = RoundCase { expires_at: 100, ..RoundCase::default() };
    let next = case.transition(unavailable(830, false));
    let DeliveryState::Waiting { due_at, reason: Some(reason) } = next.state else {
        panic!("{next:?}");
    };
    assert_eq!(due_at, at(100));
    assert_eq!(reason, "no further try before the expiry: down");
}

#[test]
fn a_wait_that_a_provider_asked_for_does_not_use_up_the_age() {
    let quota = |client_expires_at| {
        let case = RoundCase { expires_at: 200, client_expires_at, ..RoundCase::default() };
        wait_of(&case, unavailable(185, true))
    };
    assert_eq!(quota(None), (285_000, 385));
    assert_eq!(quota(Some(10_000)), (285_000, 385));
    assert_eq!(quota(Some(300)), (285_000, 300));
    assert_eq!(quota(Some(200)), (185_000, 200));
    // A requeued delivery may expire later than its client asked for.
    assert_eq!(quota(Some(50)), (185_000, 200));
    let greylisted = RoundCase { expires_at: 200, ..RoundCase::default() };
    let deferred = decided(Outcome::Deferred { reason: reason(), retry_after: seconds(300) });
    assert_eq!(wait_of(&greylisted, deferred), (400_000, 500));
    let throttled = decided(Outcome::Throttled { retry_after: seconds(300) });
    assert_eq!(wait_of(&greylisted, throttled), (400_000, 500));
}

#[test]
fn a_wait_that_nobody_asked_for_uses_up_the_age() {
    let case = RoundCase { expires_at: 200, ..RoundCase::default() };
    assert_eq!(wait_of(&case, unavailable(185, false)), (185_000, 200));
    let failed = RoundEnd::AllFailed { reason: reason() };
    assert_eq!(wait_of(&case, failed), (130_000, 200));
}

#[test]
fn the_longest_retry_after_counts_as_one_day() {
    let retry_after = Some(Duration::MAX);
    let day = 24 * 3_600;
    for outcome in [Outcome::Deferred { reason: reason(), retry_after }, Outcome::Throttled { retry_after }] {
        let (due_ms, expiry) = wait_of(&RoundCase::default(), decided(outcome));
        assert_eq!((due_ms, expiry), ((1_000 + day - 15) * 1_000, 1_000 + day));
    }
}

#[test]
fn an_expired_delivery_tells_how_often_it_was_tried() {
    let reason_after =
        |tries| match (RoundCase { tries, ..RoundCase::default() }).transition(RoundEnd::Expired).state {
            DeliveryState::Failed { reason, .. } => reason,
            state => panic!("{state:?}"),
        };
    assert_eq!(reason_after(0), "expired before it could be sent");
    assert_eq!(reason_after(3), "expired, failed tries: 3");
}

#[test]
fn a_round_within_the_last_seconds_is_near_the_expiry() {
    assert!(!is_near_expiry(at(84), at(100)));
    assert!(is_near_expiry(at(85), at(100)));
    assert!(is_near_expiry(at(101), at(100)));
}
