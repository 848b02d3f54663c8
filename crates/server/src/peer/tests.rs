use axum::http::HeaderValue;

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn only_a_trusted_proxy_reports_the_address_of_its_client() {
    let mut config = Config::test_mode();
    config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    for (peer, forwarded, expected) in [
        ("192.0.2.1", Some("198.51.100.7"), "192.0.2.1"),
        ("127.0.0.1", Some("198.51.100.7"), "198.51.100.7"),
        ("10.1.2.3", Some("1.1.1.1, 198.51.100.7"), "198.51.100.7"),
        ("::ffff:10.1.2.3", Some("198.51.100.7"), "198.51.100.7"),
        ("10.1.2.3", Some("unknown"), "10.1.2.3"),
        ("10.1.2.3", None, "10.1.2.3"),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(forwarded) = forwarded {
            headers.insert(FORWARDED_FOR, HeaderValue::from_static(forwarded));
        }
        assert_eq!(
            client_address(&config, address(peer), &headers),
            address(expected),
            "{peer} {forwarded:?}"
        );
    }
}

#[test]
fn one_ipv6_network_is_one_peer() {
    assert_eq!(peer_network(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
    assert_eq!(peer_network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
}
