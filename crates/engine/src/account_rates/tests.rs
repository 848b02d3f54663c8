use super::*;
use crate::config::{Account, ApiKeyEvents, ApiKeyLimits, Scope};
use chrono::TimeDelta;
use postrider_core::clock::from_millis;

fn key(rate: Option<u32>) -> ApiKey {
    ApiKey {
        name: "shop".to_owned(),
        sha256: None,
        scopes: vec![Scope::Send],
        user_per_hour: None,
        limits: ApiKeyLimits::default(),
        is_shared: false,
        events: ApiKeyEvents::default(),
        account: Account { rate, ..Account::default() },
    }
}

#[test]
fn an_account_without_a_rate_is_not_limited() {
    let rates = AccountRates::default();
    assert!((0..1_000).all(|_| rates.try_acquire(&key(None), 10, from_millis(0)).is_ok()));
}

#[test]
fn a_rate_counts_parts_after_a_burst_of_one_long_message() {
    let (rates, key, now) = (AccountRates::default(), key(Some(2)), from_millis(0));
    assert_eq!(rates.try_acquire(&key, 10, now), Ok(()));
    assert_eq!(rates.try_acquire(&key, 1, now), Err(Duration::from_millis(500)));
    assert_eq!(rates.try_acquire(&key, 1, now + TimeDelta::milliseconds(500)), Ok(()));
    assert_eq!(rates.try_acquire(&key, 4, now + TimeDelta::milliseconds(1_500)), Err(Duration::from_secs(1)));
}

#[test]
fn a_message_with_more_parts_than_the_burst_needs_a_full_bucket() {
    let (rates, key, now) = (AccountRates::default(), key(Some(10)), from_millis(0));
    assert_eq!(rates.try_acquire(&key, 30, now), Ok(()));
    assert_eq!(rates.try_acquire(&key, 1, now + TimeDelta::seconds(1)), Err(Duration::from_millis(1_100)));
}
