//! Settings that decide whom the gateway trusts: published keys, proxies, plain http.

use super::{load, load_with};
use crate::config::Environment;

#[test]
fn published_example_keys_and_wrong_networks_are_refused() {
    let key = |rest: &str| format!("[[keys]]\nname = \"shop\"\nscopes = [\"send\"]\n{rest}");
    for (text, expected) in [
        (key("key = \"SHOP-KEY-0123456789\""), "keys[0].key belongs to a published example key"),
        (
            key("sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\""),
            "keys[0].sha256 belongs to a published example key",
        ),
        (
            key("sha256 = \"b02736a85c70f7147fe38636e611c843b8b37a3f0339bf28144f60168ca7f3e9\""),
            "keys[0].sha256 belongs to a published example key",
        ),
        (
            key("sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""),
            "keys[0].sha256 belongs to a published example key",
        ),
        ("trusted_proxies = [\"10.0.0.0/33\"]".to_owned(), "invalid network \"10.0.0.0/33\""),
        (
            "[limits]\nbody_bytes_in_flight_max = 131072\nbody_bytes_max = 65537".to_owned(),
            "limits.body_bytes_in_flight_max is less than twice limits.body_bytes_max: raise it to at least 131074",
        ),
    ] {
        let error = load(&text).unwrap_err();
        assert!(error.contains(expected), "\n  actual: {error}\nexpected: {expected}");
    }
    let config = load("trusted_proxies = [\"10.0.0.0/8\", \"fd00::1\"]").unwrap();
    assert_eq!(config.trusted_proxies.len(), 2);
}

#[test]
fn keys_over_plain_http_beyond_loopback_are_warned_of() {
    let key = "[[keys]]\nname = \"shop\"\nkey = \"0123456789abcdef\"\nscopes = [\"send\"]\n";
    for (text, is_warned) in [
        (format!("listen = \"0.0.0.0:8080\"\n{key}"), true),
        (format!("listen = \"[::]:8080\"\npublic_url = \"http://sms.example.org\"\n{key}"), true),
        (format!("listen = \"0.0.0.0:8080\"\npublic_url = \"https://sms.example.org\"\n{key}"), false),
        (format!("listen = \"127.0.0.1:8080\"\n{key}"), false),
        ("listen = \"0.0.0.0:8080\"\ninsecure = true".to_owned(), false),
    ] {
        let (_, warnings) = load_with(&text, &Environment::default()).unwrap();
        let plain_http_warnings = warnings.iter().filter(|warning| warning.contains("unencrypted")).count();
        assert_eq!(plain_http_warnings, usize::from(is_warned), "{text}: {warnings:?}");
    }
}
