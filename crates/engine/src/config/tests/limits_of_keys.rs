//! Tests of spending limits, countries and shared keys.

use super::{TWO_PROVIDERS, load};
use crate::config::ApiKeyLimits;
use postrider_core::address::PhoneRegion;

const KEY: &str = "[[keys]]\nname = \"shop\"\nkey = \"0123456789abcdef\"\nscopes = [\"send\"]\n";

fn regions(codes: &[&str]) -> Vec<PhoneRegion> {
    codes.iter().map(|code| PhoneRegion::parse(code).unwrap()).collect()
}

#[test]
fn a_key_has_spending_limits_and_owns_what_it_accepts() {
    let config = load(KEY).unwrap();
    assert_eq!((&config.keys[0].limits, config.keys[0].owner()), (&ApiKeyLimits::default(), "shop"));
    assert!(!config.allow_premium_numbers);
    let limited =
        "per_minute = 60\nper_day = 5000\nper_month = 90_000\ncountries = [\"IR\", \"DE\"]\nshared = true\n";
    let config = load(&format!("allow_premium_numbers = true\n{KEY}{limited}")).unwrap();
    let limits = ApiKeyLimits {
        per_minute: Some(60),
        per_day: Some(5000),
        per_month: Some(90_000),
        countries: regions(&["IR", "DE"]),
    };
    assert_eq!((&config.keys[0].limits, config.keys[0].owner()), (&limits, ""));
    assert!(config.allow_premium_numbers);
    let error = load(&format!("{KEY}per_day = 0\n")).unwrap_err();
    assert!(error.contains("per_day must be a whole number from 1 to"), "{error}");
}

#[test]
fn an_unknown_country_is_an_error_that_names_it() {
    let channel = |countries: &str| {
        load(&format!("{TWO_PROVIDERS}[channels.sms]\nproviders = [\"red\"]\ncountries = {countries}\n"))
    };
    assert_eq!(channel("[\"IR\", \"US\"]").unwrap().channels[0].countries, regions(&["IR", "US"]));
    for (error, code) in [
        (channel("[\"Iran\"]").unwrap_err(), "Iran"),
        (load(&format!("{KEY}countries = [\"XX\"]\n")).unwrap_err(), "XX"),
    ] {
        assert!(error.contains(&format!("countries lists unknown country {code}")), "{error}");
    }
}
