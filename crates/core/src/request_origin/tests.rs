use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn refusal_of(target: &str, lines: &[(&'static str, &str)]) -> Option<OriginRefusal> {
    refusal(&target.parse().unwrap(), &headers(lines), Some("gw.example.org"))
}

#[test]
fn only_the_names_and_addresses_of_the_server_are_accepted() {
    for host in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1:8080",
        "192.168.1.7",
        "[::1]:8080",
        "gw.example.org",
        "GW.example.org:443",
    ] {
        assert_eq!(refusal_of("/", &[("host", host)]), None, "{host}");
    }
    for host in [
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "evil@localhost",
        "gw.example.org.evil.example",
        "",
        ":8080",
    ] {
        let refused = Some(OriginRefusal::ForeignHost);
        assert_eq!(refusal_of("/", &[("host", host)]), refused, "{host}");
    }
}

#[test]
fn a_second_host_and_an_absolute_target_are_checked_as_well() {
    let refused = Some(OriginRefusal::ForeignHost);
    let two = [("host", "localhost"), ("host", "evil.example")];
    assert_eq!(refusal_of("/", &two), refused);
    let local = [("host", "localhost")];
    assert_eq!(refusal_of("http://evil.example/", &local), refused);
    assert_eq!(refusal_of("http://127.0.0.1/", &local), None);
    assert_eq!(refusal_of("/", &[]), None, "HTTP/1.0 has no host");
}

#[test]
fn requests_of_other_sites_are_refused_and_those_of_the_address_bar_and_of_programs_accepted() {
    let with = |name, value| refusal_of("/", &[("host", "localhost:8080"), (name, value)]);
    for site in ["cross-site", "same-site", "anything"] {
        assert_eq!(with("sec-fetch-site", site), Some(OriginRefusal::CrossSite), "{site}");
    }
    for site in ["same-origin", "none"] {
        assert_eq!(with("sec-fetch-site", site), None, "{site}");
    }
    for origin in ["null", "https://evil.example", "http://localhost:3000", "http://localhost"] {
        assert_eq!(with("origin", origin), Some(OriginRefusal::CrossSite), "{origin}");
    }
    assert_eq!(with("origin", "http://localhost:8080"), None);
    assert_eq!(with("user-agent", "curl/8"), None);
}

#[test]
fn the_public_host_is_read_from_the_url() {
    for (url, host) in [
        ("https://GW.example.org/base", Some("gw.example.org")),
        ("http://serve:8080", Some("serve")),
        ("http://[::1]:8080", Some("[::1]")),
        ("serve:8080", None),
        ("http://", None),
    ] {
        assert_eq!(host_of_url(url).as_deref(), host, "{url}");
    }
}
