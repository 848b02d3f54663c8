//! The address of a client: that of its connection, or the one that a trusted proxy reports.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv6Addr};

use axum::http::HeaderMap;

use postrider_engine::config::Config;

/// Header in which proxies report the addresses of their clients.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of the client, an extension of requests to sign in, and of all requests while a compatible API is enabled:
/// accounts may have networks.
#[derive(Clone, Copy)]
pub(super) struct ClientAddress(pub(super) IpAddr);

/// Returns the address of the client. Of a trusted proxy it is the last address in `X-Forwarded-For`, which the proxy itself
/// added; the addresses before it are the client's word.
pub(super) fn client_address(config: &Config, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !config.is_trusted_proxy(peer) {
        return peer;
    }
    let last_header = headers.get_all(FORWARDED_FOR).iter().next_back();
    let last_address = last_header
        .and_then(|header| header.to_str().ok()?.rsplit(',').next()?.trim().parse::<IpAddr>().ok());
    last_address.unwrap_or(peer)
}

/// Returns the address that stands for a client: an IPv4 address, or the first address of an IPv6 /64 network, which one
/// host usually has as a whole.
pub(super) fn peer_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}
