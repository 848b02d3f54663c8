//! Decides whether a browser may have sent a request on behalf of another web site.
//!
//! A server without API keys accepts every request, and any web page can make a browser send a request to it. Such
//! requests have a foreign `Host` (DNS rebinding), or a `Sec-Fetch-Site` or `Origin` that names another site; browsers
//! add these headers and pages cannot change them. Programs such as curl send neither, and a URL typed into the browser
//! is sent with `Sec-Fetch-Site: none`; both are accepted.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};

/// The reason why a request without credentials is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginRefusal {
    /// `Host` is neither `localhost`, an IP address nor the server's public name.
    ForeignHost,
    /// The browser reports that a page of another site sent the request.
    CrossSite,
}

/// Returns why the request must be refused; none if it is accepted. `public_host` is the server's own public name.
pub fn refusal(uri: &Uri, headers: &HeaderMap, public_host: Option<&str>) -> Option<OriginRefusal> {
    if !is_own_host(uri, headers, public_host) {
        Some(OriginRefusal::ForeignHost)
    } else if is_cross_site(headers) {
        Some(OriginRefusal::CrossSite)
    } else {
        None
    }
}

/// Returns whether the browser reports that a page of another site sent the request.
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let origin_parts = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let request_host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match (origin_parts, request_host) {
        (Some((_, origin_host)), Some(request_host)) => !origin_host.eq_ignore_ascii_case(request_host),
        _ => true,
    }
}

/// Returns the host of an `http://` or `https://` URL, without its port.
pub fn host_of_url(url: &str) -> Option<String> {
    let (_, after_scheme) = url.split_once("://")?;
    host_of(after_scheme.split(['/', '?', '#']).next()?)
}

/// Returns whether all `Host` headers, and the host of an absolute request target, name this server. A request without
/// a host is accepted, because a browser always sends one.
fn is_own_host(uri: &Uri, headers: &HeaderMap, public_host: Option<&str>) -> bool {
    let is_own = |authority: &str| {
        host_of(authority).is_some_and(|host| {
            host == "localhost"
                || is_ip_address(&host)
                || public_host.is_some_and(|public| public.eq_ignore_ascii_case(&host))
        })
    };
    let is_own_header = |host_header: &HeaderValue| host_header.to_str().is_ok_and(is_own);
    uri.authority().is_none_or(|authority| is_own(authority.as_str()))
        && headers.get_all(HOST).iter().all(is_own_header)
}

/// Returns the host of `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`, in lower case.
fn host_of(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    let is_bare = !authority.as_str().contains('@') && !authority.host().is_empty();
    is_bare.then(|| authority.host().to_ascii_lowercase())
}

fn is_ip_address(host: &str) -> bool {
    host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests;
