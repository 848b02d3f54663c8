use super::*;

#[test]
fn a_server_on_all_addresses_is_reached_on_loopback() {
    for (listen, expected) in
        [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:8080", "[::1]:8080"), ("192.0.2.7:80", "192.0.2.7:80")]
    {
        assert_eq!(replace_unspecified_ip(listen.parse().unwrap()), expected.parse().unwrap());
    }
}

#[test]
fn the_response_of_serve_is_parsed() {
    let body = br#"{"providers":[{"name":"blue","kind":"mock","circuit":"open","detail":"until 12:00"}]}"#;
    let response: ProvidersResponse = serde_json::from_slice(body).unwrap();
    let texts: ProviderHealthTexts = response.providers.into_iter().map(format_provider_health).collect();
    assert_eq!(texts["blue"], "open: until 12:00");
}
