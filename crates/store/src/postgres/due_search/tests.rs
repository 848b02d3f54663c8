use super::*;

const ALL: DueSearchStart = DueSearchStart { channels: None, due_from: i64::MIN };

fn channels() -> Vec<ConfigName> {
    vec!["sms".parse().unwrap()]
}

/// Adds full searches of this duration, which end at `now`.
fn add_full(search: &DueSearch, count: u32, duration: Duration, now: Instant) {
    for _ in 0..count {
        assert_eq!(search.start(now), ALL);
        search.finish_full(now.checked_sub(duration).unwrap(), now, channels(), 60_000);
    }
}

#[test]
fn fast_searches_always_begin_at_the_beginning() {
    let (search, now) = (DueSearch::default(), Instant::now() + Duration::from_secs(60));
    add_full(&search, 100, Duration::from_millis(4), now);
    add_full(&search, SLOW_SEARCHES_MIN - 1, Duration::from_millis(40), now);
    add_full(&search, 1, Duration::from_millis(4), now);
    add_full(&search, SLOW_SEARCHES_MIN - 1, Duration::from_millis(40), now);
    assert_eq!(search.start(now), ALL);
}

#[test]
fn after_slow_searches_most_begin_at_the_oldest_delivery() {
    let (search, now) = (DueSearch::default(), Instant::now() + Duration::from_secs(60));
    add_full(&search, SLOW_SEARCHES_MIN, Duration::from_millis(40), now);
    let start = |due_from| DueSearchStart { channels: Some(channels()), due_from };
    assert_eq!(search.start(now), start(55_000));
    search.finish_partial(90_000);
    search.finish_partial(70_000);
    let later = now + Duration::from_millis(799);
    assert_eq!(search.start(later), start(85_000), "never earlier");
    let full = now + Duration::from_millis(800);
    assert_eq!(search.start(full), ALL);
    search.finish_full(full, full + Duration::from_millis(40), channels(), 91_000);
    assert_eq!(search.start(full + Duration::from_millis(41)), start(86_000), "still slow");
    let fast = full + Duration::from_millis(900);
    add_full(&search, 1, Duration::from_millis(1), fast);
    assert_eq!(search.start(fast), ALL);
}
