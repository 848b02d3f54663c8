//! Restricts calls to untrusted URLs: public addresses, and the networks that the operator allows (SSRF protection).
//!
//! [`PolicyResolver`] resolves a host name when the connection is made, and the connection goes to a checked address, so
//! a name that resolves differently a second time cannot bypass the check.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The reason for a forbidden address. It does not reveal the address that a name resolved to.
pub(crate) const FORBIDDEN_ADDRESS: &str =
    "the address is not public and not in an allowed network (key networks)";

/// The addresses that the names of this machine resolve to.
const LOOPBACK_V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOOPBACK_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// The port of https.
const HTTPS_PORT: u16 = 443;

/// The addresses that are not public, by the IANA registries of special-purpose addresses (RFC 6890 and its updates).
const NON_PUBLIC_NETWORKS: &str = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 \
     192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 \
     ::/3 2001::/23 2001:db8::/32 2002::/16 3fff::/20 4000::/2 8000::/1";

static PARSED_NON_PUBLIC_NETWORKS: LazyLock<Vec<IpNet>> =
    LazyLock::new(|| NON_PUBLIC_NETWORKS.split(' ').filter_map(|network| network.parse().ok()).collect());

/// The addresses that may be called: public addresses, over https and on one of the allowed ports; and all addresses in
/// the allowed networks, over any scheme and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressPolicy {
    allowed_networks: Vec<IpNet>,
    allowed_ports: Vec<u16>,
}

impl Default for EgressPolicy {
    /// Allows public addresses over https on port 443.
    fn default() -> Self {
        Self { allowed_networks: Vec::new(), allowed_ports: vec![HTTPS_PORT] }
    }
}

impl EgressPolicy {
    /// Parses networks such as `10.0.0.0/8`, `fd00::/8` or `127.0.0.1`. The error names the invalid network.
    pub fn parse(networks: &[impl AsRef<str>], ports: &[u16]) -> Result<Self, String> {
        let allowed_networks = networks.iter().map(|network| parse_network(network.as_ref()));
        Ok(Self {
            allowed_networks: allowed_networks.collect::<Result<_, _>>()?,
            allowed_ports: ports.to_vec(),
        })
    }

    /// Performs the checks that need no resolved address.
    ///
    /// # Errors
    ///
    /// The reason why the URL can never be called.
    pub fn check_url(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("must begin with https://HOST".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain a name and a password".to_owned());
        }
        let allows_public = self.is_https_on_allowed_port(url);
        if let Some(address) = ip_literal(url) {
            let is_allowed = self.is_allowed_address(address, allows_public);
            return if is_allowed { Ok(()) } else { Err(FORBIDDEN_ADDRESS.to_owned()) };
        }
        if is_local_name(url) && !self.allows_loopback() {
            return Err(FORBIDDEN_ADDRESS.to_owned());
        }
        if self.allowed_networks.is_empty() && !allows_public {
            let ports = self.allowed_ports.iter().map(ToString::to_string).collect::<Vec<_>>();
            return Err(format!("must begin with https:// and have one of the ports {}", ports.join(", ")));
        }
        Ok(())
    }

    /// Returns whether a URL may be called at a public address.
    pub(crate) fn is_https_on_allowed_port(&self, url: &Url) -> bool {
        url.scheme() == "https"
            && url.port_or_known_default().is_some_and(|port| self.allowed_ports.contains(&port))
    }

    /// Returns whether the allowed networks contain an address of this machine.
    fn allows_loopback(&self) -> bool {
        self.allowed_networks
            .iter()
            .any(|network| network.contains(&LOOPBACK_V4) || network.contains(&LOOPBACK_V6))
    }

    fn is_allowed_address(&self, address: IpAddr, allows_public: bool) -> bool {
        let address = address.to_canonical();
        self.allowed_networks.iter().any(|network| network.contains(&address))
            || (allows_public && is_public(address))
    }
}

/// Parses a network such as `10.0.0.0/8`, or one address.
///
/// # Errors
///
/// The error names the invalid text.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = text.trim().parse().or_else(|_| text.trim().parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| format!("invalid network {text:?}; write it as 10.0.0.0/8 or 127.0.0.1"))
}

/// Returns whether the host is a name of this machine (RFC 6761, section 6.3, and the names in `/etc/hosts` of common
/// systems), which never resolves to a public address.
fn is_local_name(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    let last_label = host.rsplit('.').next().unwrap_or_default();
    ["localhost", "localdomain"].contains(&last_label)
        || ["ip6-localhost", "ip6-loopback"].contains(&host.as_str())
}

fn ip_literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Returns whether an address is public. A NAT64 address is checked as the IPv4 address in it; an address that embeds
/// another address in a different way (6to4, Teredo) is not public.
fn is_public(canonical_address: IpAddr) -> bool {
    let address = match canonical_address {
        IpAddr::V6(nat64) if nat64.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            let [.., a, b, c, d] = nat64.octets();
            IpAddr::from([a, b, c, d])
        }
        address => address,
    };
    !PARSED_NON_PUBLIC_NETWORKS.iter().any(|network| network.contains(&address))
}

/// Resolves host names to the addresses that may be called.
pub(crate) struct PolicyResolver {
    /// Decides which addresses may be called.
    pub policy: EgressPolicy,
    /// Allows public addresses besides the allowed networks.
    pub allows_public: bool,
}

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, allows_public) = (self.policy.clone(), self.allows_public);
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let is_allowed = |address: &SocketAddr| policy.is_allowed_address(address.ip(), allows_public);
            let allowed_addresses: Vec<_> = addresses.filter(is_allowed).collect();
            if allowed_addresses.is_empty() {
                return Err(ForbiddenAddress.into());
            }
            Ok(Box::new(allowed_addresses.into_iter()) as Addrs)
        })
    }
}

#[derive(Debug)]
struct ForbiddenAddress;

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(FORBIDDEN_ADDRESS)
    }
}

impl std::error::Error for ForbiddenAddress {}

#[cfg(test)]
mod tests;
