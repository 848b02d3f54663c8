//! Decides whether a browser may have sent a request on behalf of another web site.
//!
//! A server without API keys trusts every request that reaches it, and any web page can make a browser send one. Such
//! requests are recognised by their `Host` (a foreign name that was pointed at this machine: DNS rebinding) and by
//! `Sec-Fetch-Site` and `Origin`, which browsers add and pages cannot change. Programs such as curl send neither of the
//! two, and an address typed into the browser is sent as `Sec-Fetch-Site: none`; both pass. Knows no routes and no keys.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};

/// Why a request without credentials is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginRefusal {
    /// `Host` is neither `localhost`, an IP address nor the server's public name.
    ForeignHost,
    /// A browser says that a page of another site sends it.
    CrossSite,
}

/// Returns why the request must be refused; none when it may pass. `public_host` is the server's own public name.
pub fn refusal(uri: &Uri, headers: &HeaderMap, public_host: Option<&str>) -> Option<OriginRefusal> {
    if !is_own_host(uri, headers, public_host) {
        Some(OriginRefusal::ForeignHost)
    } else if is_cross_site(headers) {
        Some(OriginRefusal::CrossSite)
    } else {
        None
    }
}

/// Returns whether a browser says that a page of another site sends this request.
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some((_, from)), Some(host)) => !from.eq_ignore_ascii_case(host),
        _ => true,
    }
}

/// Returns the host of an `http://` or `https://` URL, without its port.
pub fn host_of_url(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    host_of(rest.split(['/', '?', '#']).next()?)
}

/// Every `Host` line and the authority of an absolute request target count. A request without any passes: browsers
/// always send one.
fn is_own_host(uri: &Uri, headers: &HeaderMap, public_host: Option<&str>) -> bool {
    let is_own = |authority: &str| {
        host_of(authority).is_some_and(|host| {
            host == "localhost"
                || is_address(&host)
                || public_host.is_some_and(|own| own.eq_ignore_ascii_case(&host))
        })
    };
    let is_own_line = |line: &HeaderValue| line.to_str().is_ok_and(is_own);
    uri.authority().is_none_or(|authority| is_own(authority.as_str()))
        && headers.get_all(HOST).iter().all(is_own_line)
}

/// The host in `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`, in lower case.
fn host_of(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    let is_bare = !authority.as_str().contains('@') && !authority.host().is_empty();
    is_bare.then(|| authority.host().to_ascii_lowercase())
}

fn is_address(host: &str) -> bool {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn judged(target: &str, lines: &[(&'static str, &str)]) -> Option<OriginRefusal> {
        refusal(&target.parse().unwrap(), &headers(lines), Some("gw.example.org"))
    }

    #[test]
    fn only_the_servers_own_names_and_addresses_pass() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "192.168.1.7",
            "[::1]:8080",
            "gw.example.org",
            "GW.example.org:443",
        ] {
            assert_eq!(judged("/", &[("host", host)]), None, "{host}");
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
            assert_eq!(judged("/", &[("host", host)]), refused, "{host}");
        }
    }

    #[test]
    fn a_second_host_and_an_absolute_target_are_judged_as_well() {
        let refused = Some(OriginRefusal::ForeignHost);
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(judged("/", &two), refused);
        let local = [("host", "localhost")];
        assert_eq!(judged("http://evil.example/", &local), refused);
        assert_eq!(judged("http://127.0.0.1/", &local), None);
        assert_eq!(judged("/", &[]), None, "HTTP/1.0 has no host");
    }

    #[test]
    fn what_another_site_sends_is_refused_and_what_the_address_bar_and_programs_send_passes() {
        let with = |name, value| judged("/", &[("host", "localhost:8080"), (name, value)]);
        for site in ["cross-site", "same-site", "anything"] {
            assert_eq!(
                with("sec-fetch-site", site),
                Some(OriginRefusal::CrossSite),
                "{site}"
            );
        }
        for site in ["same-origin", "none"] {
            assert_eq!(with("sec-fetch-site", site), None, "{site}");
        }
        for origin in [
            "null",
            "https://evil.example",
            "http://localhost:3000",
            "http://localhost",
        ] {
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
}
